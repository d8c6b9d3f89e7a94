"""Prints the least number of ready pods and the greatest number of pods over time, from the lines of `watch_pods`.
A pod that is told to end is not ready. Usage: ready.py FILE
"""

import sys
from pathlib import Path


def main():
    pods, fewest, most, begun = {}, None, 0, False
    for line in Path(sys.argv[1]).read_text().splitlines():
        event, name, state = line.split(" ", 2)
        if event == "DELETED":
            pods.pop(name, None)
        else:
            pods[name] = state == "True/"
        # The watch begins with the pods that are there, one by one.
        begun = begun or event != "ADDED"
        if begun:
            ready = sum(pods.values())
            fewest = ready if fewest is None else min(fewest, ready)
        most = max(most, len(pods))
    print(fewest if fewest is not None else 0, most)


main()
