"""The schema is closed, says the same as the values files, and takes the values sets and no typo. Without Helm."""

import re

from chart import CHART, SETS, SUBCHART, Report, load, schema
from jsonschema import Draft7Validator


def closed(report, node, path):
    """Every object names its keys or the type of all values, and every list the type of its items."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            closed(report, item, f"{path}[{index}]")
    if not isinstance(node, dict):
        return
    if "properties" in node:
        report.check(node.get("additionalProperties") is False, f"{path} takes unknown keys")
    elif node.get("type") == "object":
        extra = node.get("additionalProperties")
        report.check(extra is False or isinstance(extra, dict) and extra, f"{path} takes anything")
    elif node.get("type") == "array":
        report.check(bool(node.get("items")), f"{path} takes any item")
    for key, value in node.items():
        if key in ("properties", "definitions"):
            for name, child in value.items():
                closed(report, child, f"{path}.{name}")
        elif key in ("items", "additionalProperties"):
            closed(report, value, f"{path}.{key}")


def same_keys(report, declared, values, path):
    """What the schema names has a default, and the other way round."""
    if "$ref" in declared or "properties" not in declared or path.startswith("config."):
        return
    names = set(declared["properties"])
    for key in sorted(set(values) - names):
        report.check(False, f"{path}{key} is in values.yaml and not in the schema")
    for key in sorted(names - set(values)):
        report.check(False, f"{path}{key} is in the schema and has no default in values.yaml")
    for key in sorted(names & set(values)):
        report.check(True, "")
        if isinstance(values[key], dict):
            same_keys(report, declared["properties"][key], values[key], f"{path}{key}.")


def typos(report, declared, values, path, validator):
    """An unknown key anywhere in the values is refused."""
    if "$ref" in declared or "properties" not in declared:
        return
    values["typo"] = 1
    report.check(list(validator()), f"{path}typo is accepted")
    del values["typo"]
    for key, child in declared["properties"].items():
        if isinstance(values.get(key), dict):
            typos(report, child, values[key], f"{path}{key}.", validator)


def over(values, others):
    """The values with others on top, as Helm lays them; null removes a key."""
    if not isinstance(values, dict) or not isinstance(others, dict):
        return others
    merged = {**values, **{key: over(values.get(key), other) for key, other in others.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def sets(report, values, checker):
    """Values sets are taken, those of ci/fail too, because only the templates see what is wrong with them."""
    for path in [*SETS, *sorted((CHART / "ci/fail").glob("*.yaml"))]:
        for error in checker.iter_errors(over(values, load(path))):
            report.check(False, f"{path.name}: {error.json_path}: {error.message}")
        report.check(True, "")
    for path in sorted((CHART / "ci/typo").glob("*.yaml")):
        errors = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(over(values, load(path)))]
        report.check(errors, f"typo/{path.name} is accepted")
        for message in re.findall(r"^# expect: (.*)$", path.read_text(), re.MULTILINE):
            report.check(any(message in error for error in errors), f"typo/{path.name}: no `{message}` in {errors}")


def main():
    report = Report("schema")
    for chart in (CHART, SUBCHART):
        document = schema(chart)
        Draft7Validator.check_schema(document)
        closed(report, document, chart.name)
        values = load(chart / "values.yaml")
        if chart == CHART:
            # Helm fills in those of the subchart.
            values["devStorage"] = {**load(SUBCHART / "values.yaml"), **values["devStorage"]}
        checker = Draft7Validator(document)
        for error in checker.iter_errors(values):
            report.check(False, f"{chart.name}/values.yaml: {error.json_path}: {error.message}")
        same_keys(report, document, values, "")
        if chart == CHART:
            sets(report, values, checker)
        typos(report, document, values, f"{chart.name}: ", lambda: checker.iter_errors(values))
    report.end()


main()
