"""Prints the pods that the controllers would make of the objects of a values set.

The API server checks the security of pods when they are made; without controllers nobody makes them, so
the tests do. Usage: pods.py VALUES
"""

import sys
from pathlib import Path

import yaml
from chart import rendered

TEMPLATES = {
    "Deployment": lambda spec: spec["template"],
    "CronJob": lambda spec: spec["jobTemplate"]["spec"]["template"],
}


def main():
    for item in rendered(Path(sys.argv[1])):
        if item["kind"] in TEMPLATES:
            template = TEMPLATES[item["kind"]](item["spec"])
            metadata = {**template["metadata"], "name": f"{item['metadata']['name']}-pod"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
            print(yaml.safe_dump(pod, explicit_start=True))


main()
