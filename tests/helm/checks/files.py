"""Prints the configuration file that a process gets. Usage: files.py VALUES COMPONENT"""

import sys
from pathlib import Path

from chart import rendered

for item in rendered(Path(sys.argv[1])):
    if item["kind"] == "ConfigMap" and item["metadata"]["name"].endswith(f"-{sys.argv[2]}"):
        print(item["data"]["emporia.toml"])
