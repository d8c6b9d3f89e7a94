"""What the checks share: where the chart is, its values sets, and what Helm makes of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm/emporia"
SUBCHART = CHART / "charts/dev-storage"
SETS = sorted((CHART / "ci").glob("*.yaml"))
MINIMAL = CHART / "ci/minimal.yaml"
NAMESPACE = "shop"
RELEASE = "release"


def load(path):
    return yaml.safe_load(path.read_text()) or {}


def schema(chart=CHART):
    return json.loads((chart / "values.schema.json").read_text())


def template(*values, override=None):
    """(text, error): what `helm template` makes of the files, with `override` on top."""
    command = [os.environ.get("HELM", "helm"), "template", RELEASE, str(CHART), "--namespace", NAMESPACE]
    for path in values:
        command += ["--values", str(path)]
    text = None
    if override is not None:
        command += ["--values", "-"]
        text = yaml.safe_dump(override)
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return (None, done.stderr) if done.returncode else (done.stdout, None)


def render(*values, override=None):
    """(objects, error), as of `template`."""
    text, error = template(*values, override=override)
    if error:
        return None, error
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document], None


def rendered(path):
    """The objects of a values set."""
    objects, error = render(path)
    if error:
        sys.exit(f"{path.name}: {error}")
    return objects


class Report:
    """Counts checks and prints those that fail."""

    def __init__(self, what):
        self.what, self.passed, self.failures = what, 0, []

    def check(self, holds, message):
        if holds:
            self.passed += 1
        else:
            self.failures.append(message)

    def end(self):
        for failure in self.failures:
            print(f"FAILED: {failure}")
        print(f"{self.what}: {self.passed} checks passed, {len(self.failures)} failed")
        sys.exit(1 if self.failures else 0)
