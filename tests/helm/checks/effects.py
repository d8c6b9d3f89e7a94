"""Every value does something: another value makes other manifests, in one of the values sets at least."""

import sys
from concurrent.futures import ThreadPoolExecutor

from chart import CHART, SETS, SUBCHART, Report, load, schema, template
from jsonschema import Draft7Validator

CONTAINER = {"name": "changed", "image": "changed:1"}
PEER = {"podSelector": {"matchLabels": {"changed": "yes"}}}

# Tried in this order, as far as the schema takes them.
CANDIDATES = [
    "changed", "text", "7Gi", "45s", "4s", "7m", "changed:9090", "mongodb://changed:27017/", "sha256:" + "7" * 64,
    "ephemeral", "Always", "ReadWriteMany", "Exact", "/changed", "/shared/changed", "ClusterIP", "Cluster",
    "ClusterFirstWithHostNet", True, False, 37, 640, 0.37, 1, "37%",
    {"changed": "yes"}, {"changed": "7"}, {"requests": {"cpu": "7"}, "limits": {"memory": "7Gi"}},
    {"changed.sql": "-- changed"}, {"changed": {"connector": "csv", "location": "/shared/changed/"}},
    {"runAsUser": 7}, {"task_max_failures": 7}, {"job_data_ttl": "7h"}, {"batch_size": 7}, {"patience": "7m"},
    {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    {"scaleUp": {"stabilizationWindowSeconds": 7}}, {"preStop": {"sleep": {"seconds": 7}}}, {"searches": ["changed"]},
    ["changed"], ["changed:9090"], [{"name": "CHANGED", "value": "yes"}],
    [{"configMapRef": {"name": "changed"}}], [{"name": "changed", "emptyDir": {}}],
    [{"name": "changed", "mountPath": "/changed"}], [CONTAINER], [{"key": "changed"}],
    [{"maxSkew": 7, "topologyKey": "changed", "whenUnsatisfiable": "ScheduleAnyway"}],
    [{"name": "changed"}], [{"hosts": ["changed"], "secretName": "changed"}],
    [{"name": "changed", "mountPath": "/changed"}], [{"name": "changed", "schedule": "@daily", "args": ["jobs"]}],
    [PEER], [{"to": [PEER]}], [{"alert": "Changed", "expr": "1"}], ["10.7.0.0/16"], [7], ["/shared", "/changed"],
    [{"ip": "10.7.7.7", "hostnames": ["changed"]}], [{"sourceLabels": ["changed"], "action": "drop"}],
    [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changed"}}],
]  # fmt: skip


def leaves(values, declared, path=()):
    """(path, schema) of every value that is not a mapping of the chart's own."""
    for key, value in values.items():
        if (*path, key) == ("devStorage", "global"):
            continue  # Helm puts the chart's own in its place.
        child = declared["properties"][key]
        if "properties" in child and isinstance(value, dict):
            yield from leaves(value, child, (*path, key))
        else:
            yield (*path, key), child


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def at(values, path):
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return values


def main():
    report = Report("values with an effect")
    document = schema()
    values = load(CHART / "values.yaml")
    values["devStorage"] = {**load(SUBCHART / "values.yaml"), **values["devStorage"]}
    baselines = {}
    with ThreadPoolExecutor(2) as pool:
        for path, (text, error) in zip(SETS, pool.map(template, SETS)):
            if error:
                sys.exit(f"{path.name}: {error}")
            baselines[path] = text
    # The fullest first: most values show there.
    order = sorted(SETS, key=lambda path: (path.stem != "full", path.stem != "development-storage", path.name))

    def effect(leaf):
        path, declared = leaf
        validator = Draft7Validator({**declared, "definitions": document["definitions"]})
        fitting = [candidate for candidate in CANDIDATES if validator.is_valid(candidate)]
        if not fitting:
            return path, "no candidate fits the schema; add one to CANDIDATES"
        for values_set in order:
            present = at(load(values_set), path)
            if present is None:
                present = at(values, path)
            for candidate in fitting:
                if candidate == present and type(candidate) is type(present):
                    continue
                text, error = template(values_set, override=nested(path, candidate))
                if error is None:
                    if text != baselines[values_set]:
                        return path, None
                    break
        return path, "changes nothing in any values set"

    with ThreadPoolExecutor(2) as pool:
        for path, problem in pool.map(effect, list(leaves(values, document))):
            report.check(problem is None, f"{'.'.join(path)}: {problem}")
    report.end()


main()
