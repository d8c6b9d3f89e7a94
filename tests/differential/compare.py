"""Compares Emporia with DuckDB on random queries over random tables.

A case is `SET-QUERY`, two seeds: `compare.py --case 12-7` runs it alone, in all settings. What differs is cut
down to a small query over few rows. Cases of known.txt differ for a reason that is stated there; a case that
differs and is not in it, or one that is in it and no longer differs, is reported.
"""

import argparse
import collections
import pathlib
import re
import sys
import tempfile
import time

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peers"))

import shrink
from engines import DuckDB, Emporia, Setting, cluster, is_same, leaves_sum
from queries import Generator
from tables import TableSet, create, write

KNOWN = HERE / "known.txt"


class Comparison:
    """Runs the queries of table sets and counts what came of them."""

    def __init__(self, program, settings, known, is_shrinking, say, skip=None):
        self.program, self.settings, self.known = program, settings, known
        self.is_shrinking, self.say, self.skip = is_shrinking, say, skip
        self.counts = collections.Counter()
        self.by_format = collections.Counter()
        self.left_out, self.errors = collections.Counter(), collections.Counter()
        self.new, self.seen = [], set()

    def run(self, seed, indexes, settings):
        """Runs the queries of one set in each of the settings."""
        tables = TableSet(seed)
        db = duckdb.connect()
        db.execute("SET threads = 1; SET TimeZone = 'UTC'")
        for table in tables.tables:
            create(db, table)
        queries, statements, right = {}, {}, {}
        for index in indexes:
            query, expected, reason = with_rows(tables, index, DuckDB(db))
            if expected is None:
                self.left_out[reason.split(":")[0]] += 1
                continue
            if self.skip and re.search(self.skip, query.sql("emporia", "x")):
                continue
            name = f"q{index}_"
            queries[name], right[name] = query, expected
            statements[name] = query.sql("emporia", name)
        with tempfile.TemporaryDirectory(prefix="emporia-differential-") as folder:
            catalog = write(db, tables.tables, tables.format, pathlib.Path(folder))
            for setting in settings:
                got = Emporia(self.program, catalog, setting).run(statements)
                for name, query in queries.items():
                    self.judge(tables, int(name[1:-1]), query, right[name], got[name], setting)

    def judge(self, tables, index, query, expected, got, setting):
        case = f"{tables.seed}-{index}"
        self.counts["queries"] += 1
        key = (tables.format, "aqe" if " aqe " in setting.name else setting.name.split()[0])
        self.by_format[key + ("queries",)] += 1
        if is_same(expected, got, query.order) or (got.error and leaves_sum(expected)):
            self.counts["same"] += 1
            return
        verdict = "other rows" if got.rows is not None else "hangs" if got.error.startswith("hangs") else "error"
        self.by_format[key + (verdict,)] += 1
        self.seen.add(case)
        if case in self.known:
            self.counts["known"] += 1
            return
        self.counts[verdict] += 1
        self.new.append(case)
        self.say(f"\n== {case}: {verdict} ({setting}, {tables.format})")
        self.say(f"   {query.sql('emporia', 'x')}")
        if got.error:
            self.say(f"   {got.error}")
        else:
            self.say(f"   right: {len(expected[1])} rows, got: {len(got.rows)} rows")
        signature = shrink.signature(got.error)
        self.errors[signature] += 1
        # One example of an error is enough.
        if self.is_shrinking and (signature is None or self.errors[signature] == 1):
            self.say(shrink.shrunk(self.program, tables, query, setting, got.error))


def with_rows(tables, index, peer):
    """The query of a seed. Most of those that find nothing are replaced: they show little."""
    for attempt in range(4):
        query = Generator(tables, f"{index} {attempt}").query()
        expected, reason = peer.run(query.sql("duckdb", "x"))
        if expected is not None and (expected[1] or attempt == 3 or index % 10 == 0):
            break
    return query, expected, reason


def known_cases():
    """Case and reason of every line of known.txt."""
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {case: reason for case, reason in pairs}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the built `emporia`")
    parser.add_argument("--first", type=int, default=0, help="the first seed of tables")
    parser.add_argument("--sets", type=int, default=100, help="number of sets of tables")
    parser.add_argument("--queries", type=int, default=50, help="queries of a set")
    parser.add_argument("--settings", type=int, default=2, help="settings per set, chosen by its seed")
    parser.add_argument("--case", action="append", help="run these alone, in all settings")
    parser.add_argument("--skip", help="leave out queries that match this regular expression")
    parser.add_argument("--only", default="", help="settings whose name contains this")
    parser.add_argument("--no-cluster", action="store_true", help="on local[2] only")
    parser.add_argument("--no-aqe", action="store_true", help="without adaptive planning")
    parser.add_argument("--no-shrink", action="store_true", help="do not cut down what differs")
    return parser.parse_args()


def main():
    options = arguments()
    known = known_cases()
    say = lambda text: print(text, flush=True)
    start = time.monotonic()
    with cluster(options.program, not options.no_cluster) as url:
        settings = [s for s in Setting.all(url, not options.no_aqe) if options.only in s.name]
        comparison = Comparison(options.program, settings, known, not options.no_shrink, say, options.skip)
        ran = set()
        if options.case:
            for case in options.case:
                seed, index = map(int, case.split("-"))
                comparison.run(seed, [index], settings)
        else:
            for seed in range(options.first, options.first + options.sets):
                chosen = [Setting.of(f"{seed} {i}", settings) for i in range(options.settings)]
                comparison.run(seed, range(options.queries), chosen)
                ran |= {f"{seed}-{index}" for index in range(options.queries)}
    report(comparison, known, ran, time.monotonic() - start, say)
    sys.exit(1 if comparison.new else 0)


def report(comparison, known, ran, seconds, say):
    counts = comparison.counts
    say("\n| format | where | queries | other rows | errors | hangs |")
    say("|---|---|---:|---:|---:|---:|")
    by = comparison.by_format
    for form, where in sorted({key[:2] for key in by}):
        numbers = [by[form, where, what] for what in ("queries", "other rows", "error", "hangs")]
        say(f"| {form} | {where} | " + " | ".join(map(str, numbers)) + " |")
    new = {what: counts[what] for what in ("other rows", "error", "hangs")}
    n_left_out = sum(comparison.left_out.values())
    say(
        f"\n{counts['queries']} runs: {counts['same']} the same, {counts['known']} known to differ, "
        f"{sum(new.values())} new ({', '.join(f'{n} {what}' for what, n in new.items())}); "
        f"{n_left_out} queries left out that DuckDB refused; {seconds:.0f} s"
    )
    stale = sorted(case for case in known if case in ran and case not in comparison.seen)
    if stale:
        say(f"no longer different, take them out of {KNOWN.name}: {' '.join(stale)}")


if __name__ == "__main__":
    main()
