"""Reads files that other programs wrote, and compares the rows with those that were written.

A case is `WRITER/SETTING`: `compare.py --case pyarrow/INT96` runs it alone. What is refused or differs for a reason is
in known.txt; anything else fails, and a line that is no longer needed is named.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import re
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peers"))

import writers
from columns import shop
from engines import Emporia, Setting, cluster
from queries import Queries

KNOWN = HERE / "known.txt"
# Faults of a case that are shown.
EXAMPLES = 2
# Processes that share the cases of a setting: each waits for its statements most of the time.
PARTS = 2
KINDS = ["ends", "conditions", "values", "groups"]


class Known:
    """What is refused or differs, and why: case, a regular expression for the fault, and reason of each line of known.txt."""

    def __init__(self):
        lines = [line for line in KNOWN.read_text().splitlines() if line.strip() and not line.startswith("#")]
        self.lines, self.seen = [line.split("\t") for line in lines], set()

    def reason(self, case, fault):
        for name, pattern, reason in self.lines:
            if name == case and re.search(pattern, fault):
                self.seen.add((name, pattern))
                return reason
        return None

    def stale(self, cases):
        return [name for name, pattern, _ in self.lines if name in cases and (name, pattern) not in self.seen]


class Comparison:
    """Runs the queries of all cases and counts what came of them."""

    def __init__(self, program, folder, cases, known, options):
        self.program, self.known, self.options = program, known, options
        self.cases = {f"t{index}": case for index, case in enumerate(cases)}
        self.counts = collections.Counter()
        self.lock, self.reasons, self.bad = threading.Lock(), {}, collections.defaultdict(list)
        self.catalog = folder / "emporia.toml"
        self.catalog.write_text("".join(case.definition(table) for table, case in self.cases.items()))

    def run(self, setting, kinds, part):
        """All rows of each case of a part, and the other queries of those that could be read."""
        cases = dict(list(self.cases.items())[part::PARTS])
        emporia = Emporia(self.program, self.catalog, setting, patience=60)
        queries = {table: Queries(case, table, f"{self.options.seed} {setting}") for table, case in cases.items()}
        first = {table: queries[table].everything() for table in cases}
        results = emporia.run({query.name: query.sql for query in first.values()})
        readable = [table for table, query in first.items() if self.judge(table, query, results[query.name], setting)]
        rest = {
            query.name: (table, query) for table in readable for query in queries[table].all(self.options.statements, kinds)
        }
        results = emporia.run({name: query.sql for name, (_, query) in rest.items()})
        for name, (table, query) in rest.items():
            self.judge(table, query, results[name], setting)

    def judge(self, table, query, result, setting):
        """Whether there are rows."""
        case = self.cases[table]
        fault = result.error or fault_in(query, result.rows)
        verdict = "refused" if result.error else "different" if fault else "same"
        with self.lock:
            self.counts[table, "queries"] += query.count
            self.counts[table, verdict] += query.count
        if fault:
            reason = self.known.reason(case.name, fault)
            self.reasons[table] = reason or self.reasons.get(table) or "?"
            if not reason:
                self.bad[case.name].append(f"{case.name} ({setting}): {fault}\n   {query.sql[:400]}")
        return not result.error

    def report(self, say):
        """A line for each writer with all that is the same, and one for each case that is not."""
        say("| writer | settings | files | queries | same | refused | different |\n|---|---|---:|---:|---:|---:|---:|")
        lines = collections.defaultdict(list)
        for table, case in self.cases.items():
            lines[case.writer, table if table in self.reasons else ""].append((table, case))
        for (writer, faulty), cases in lines.items():
            numbers = [sum(case.n_files() for _, case in cases)]
            numbers += [
                sum(self.counts[table, what] for table, _ in cases) for what in ("queries", "same", "refused", "different")
            ]
            names = "; ".join(case.setting for _, case in cases) + (f": {self.reasons[faulty]}" if faulty else "")
            say(f"| {writer} | {names} | " + " | ".join(map(str, numbers)) + " |")


def fault_in(query, rows):
    """What is wrong with rows, or `None`."""
    try:
        return query.check(rows)
    except (ValueError, KeyError, ArithmeticError) as error:
        return f"rows that cannot be read: {error}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the built `emporia`")
    parser.add_argument("--case", action="append", help="run these alone, by the beginning of their names")
    parser.add_argument("--seed", type=int, default=1, help="chooses the queries")
    parser.add_argument(
        "--statements",
        type=int,
        default=1,
        help="of each kind per case and setting; with more than 1, each setting has all kinds",
    )
    parser.add_argument("--keep", type=pathlib.Path, help="write the files here and keep them")
    parser.add_argument(
        "--spark", nargs="?", const="", metavar="FOLDER", help="with files of Spark, if pyspark is there or in FOLDER"
    )
    parser.add_argument("--no-cluster", action="store_true", help="in one process only")
    return parser.parse_args()


def main():
    options, known, start = arguments(), Known(), time.monotonic()
    say = lambda text: print(text, flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="emporia-files-") as folder,
        cluster(options.program, not options.no_cluster) as url,
    ):
        folder = pathlib.Path(options.keep or folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        cases, left_out = writers.all_cases(folder, shop(), options.spark)
        cases = [case for case in cases if not options.case or case.name.startswith(tuple(options.case))]
        written = time.monotonic() - start
        comparison = Comparison(options.program, folder, cases, known, options)
        # One process takes turns with the number of partitions; the cluster has all queries.
        local = lambda n: Setting(f"local[2] p{n}", "local[2]", ["--target-partitions", str(n)])
        runs = [(local(1), ["conditions", "values"]), (local(4), ["ends", "groups"])]
        if options.statements > 1:
            runs = [(setting, KINDS) for setting, _ in runs]
        if url:
            runs.append((Setting("cluster p4", url, ["--target-partitions", "4"]), KINDS))
        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda run: comparison.run(*run), [(*run, part) for run in runs for part in range(PARTS)]))
        comparison.report(say)
    totals = collections.Counter()
    for (_, what), n in comparison.counts.items():
        totals[what] += n
    say(
        f"\n{totals['queries']} queries over {len(cases)} kinds of files: {totals['same']} the same, {totals['refused']} refused, "
        f"{totals['different']} different; {written:.0f} s of writing, {time.monotonic() - start:.0f} s in all"
    )
    for name in left_out:
        say(f"left out: {name}")
    if stale := known.stale({case.name for case in cases}):
        say(f"no longer refused, take them out of {KNOWN.name}: {' '.join(stale)}")
    if comparison.bad:
        say("\nread differently:")
        for faults in comparison.bad.values():
            more = [f"   ... and {len(faults) - EXAMPLES} more of this case"] if len(faults) > EXAMPLES else []
            say("\n".join(["", *faults[:EXAMPLES], *more]))
        sys.exit(1)


if __name__ == "__main__":
    main()
