"""Runs the queries of TPC-H and TPC-DS on Emporia and on DuckDB over the same files, and compares the rows.

The data of TPC-H is made by tpchgen-cli, that of TPC-DS and the text of all queries by DuckDB's extensions. Rows
are compared without their order where a query leaves it open.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time

import duckdb
import duckdb_ext

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peers"))

from engines import Emporia, Result, Setting, cluster, is_same

KNOWN = HERE / "known.txt"
N_FILES = 3
# DuckDB's averages and quotients of decimals are floats, Emporia's are decimals of six digits, which may be multiplied.
TOLERANCE = 3e-6
LIMIT = re.compile(r"\blimit\s+\d+\s*;?\s*$", re.IGNORECASE)


def connect():
    db = duckdb.connect()
    for folder in map(pathlib.Path, duckdb_ext.__path__):
        for extension in sorted(folder.rglob("*.duckdb_extension")):
            db.execute(f"LOAD '{extension}'")
    # The place of nulls that Emporia and PostgreSQL choose.
    db.execute("SET default_null_order = 'nulls_last_on_asc_first_on_desc'; SET TimeZone = 'UTC'; SET threads = 2")
    return db


def generate(benchmark, scale, folder):
    """Writes the tables as Parquet, each as several files."""
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if benchmark == "tpch":
        command = ["tpchgen-cli", "parquet", "-s", str(scale), "--parts", str(N_FILES), "--output-dir", str(folder), "--quiet"]
        subprocess.run(command, check=True)
    else:
        db = connect()
        db.execute(f"CALL dsdgen(sf = {scale})")
        for (table,) in db.execute("SELECT table_name FROM information_schema.tables").fetchall():
            place = folder / table
            place.mkdir(parents=True, exist_ok=True)
            n = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            size = -(-n // N_FILES) or 1
            for part in range(N_FILES):
                rows = f"SELECT * FROM {table} WHERE rowid >= {part * size} AND rowid < {(part + 1) * size}"
                db.execute(f"COPY ({rows}) TO '{place}/{part}.parquet' (FORMAT parquet)")
    (folder / "complete").touch()


def catalog(folder):
    """Writes the catalog of all tables and returns its path and their names."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    text = "".join(f'[tables.{name}]\nconnector = "parquet"\nlocation = "{name}/"\n' for name in names)
    path = folder / "emporia.toml"
    path.write_text(text)
    return path, names


class Comparison:
    """One benchmark at one scale."""

    def __init__(self, benchmark, scale, folder):
        self.benchmark = benchmark
        self.db = connect()
        generate(benchmark, scale, folder)
        self.catalog, names = catalog(folder)
        for name in names:
            self.db.execute(f"CREATE VIEW {name} AS SELECT * FROM '{folder}/{name}/*.parquet'")
        texts = self.db.execute(f"SELECT query_nr, query FROM {benchmark}_queries() ORDER BY 1").fetchall()
        self.queries = {f"{benchmark}-{number}": text.strip().rstrip(";") for number, text in texts}

    def expected(self, sql):
        cursor = self.db.execute(sql)
        return [str(column[1]) for column in cursor.description], cursor.fetchall()

    def run(self, program, setting, cases):
        """Pairs of a case and what is wrong with it, `None` for the same rows."""
        emporia = Emporia(program, self.catalog, setting, patience=300)
        for case, sql in self.queries.items():
            if cases and case not in cases:
                continue
            start = time.monotonic()
            yield case, self.difference(emporia, sql), time.monotonic() - start

    def difference(self, emporia, sql):
        got = answer(emporia, sql)
        if got.error:
            return got.error
        expected = self.expected(sql)
        if is_same(expected, got, is_ordered=False, tolerance=TOLERANCE):
            return None
        if not LIMIT.search(sql):
            return f"{len(expected[1])} rows are right, {len(got.rows)} came; {first(expected, got)}"
        # Among rows that the order leaves equal, either may be the last: all of them have to be the same.
        complete = LIMIT.sub("", sql)
        whole, all_rows = self.expected(complete), answer(emporia, complete)
        if all_rows.error or not is_same(whole, all_rows, is_ordered=False, tolerance=TOLERANCE):
            return f"without its limit: {all_rows.error or first(whole, all_rows)}"
        if len(got.rows) != len(expected[1]) or not set(map(tuple, got.rows)) <= set(map(tuple, all_rows.rows)):
            return "the limit takes other rows"
        return None


def answer(emporia, sql):
    """The rows of a query whose columns may have any names: a statement before it marks where they begin."""
    done, error = emporia.batch({"mark_": f"SELECT 0 AS mark_;\n{sql}"})
    rows = done.get("mark_", [])
    return Result(error=error) if error or len(rows) < 2 else Result(rows=rows[2:])


def first(expected, got):
    """The first row that only one side has."""
    for row in got.rows:
        if not any(is_same((expected[0], [other]), Result(rows=[row]), is_ordered=False, tolerance=TOLERANCE) for other in expected[1]):
            return f"only here: {row}"
    return f"right: {expected[1][:1]}"


def known_cases():
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    return dict(line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the built `emporia`")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the files, which are kept")
    parser.add_argument("--case", action="append", help="e.g. tpch-5; default: all")
    parser.add_argument("--local", action="store_true", help="on local[2] instead of a cluster of processes")
    options = parser.parse_args()
    known, bad, stale = known_cases(), [], []
    print("| benchmark | scale | queries | same | known to differ | different | seconds |\n|---|---|---:|---:|---:|---:|---:|")
    with cluster(options.program, not options.local) as url:
        setting = Setting("local[2]" if options.local else "cluster", url or "local[2]", ["--target-partitions", "4"])
        for benchmark in ("tpch", "tpcds"):
            folder = options.data / f"{benchmark}-{options.scale:g}"
            comparison = Comparison(benchmark, f"{options.scale:g}", folder)
            verdicts, seconds = {}, 0
            for case, wrong, time_taken in comparison.run(options.program, setting, options.case):
                verdicts[case], seconds = wrong, seconds + time_taken
            differing = {case: wrong for case, wrong in verdicts.items() if wrong}
            new = {case: wrong for case, wrong in differing.items() if case not in known}
            stale += [case for case, wrong in verdicts.items() if not wrong and case in known]
            bad += [f"{case}: {wrong}" for case, wrong in new.items()]
            numbers = [len(verdicts), len(verdicts) - len(differing), len(differing) - len(new), len(new), round(seconds)]
            print(f"| {benchmark} | {options.scale:g} | " + " | ".join(map(str, numbers)) + " |", flush=True)
    if stale:
        print(f"no longer different, take them out of {KNOWN.name}: {' '.join(stale)}")
    if bad:
        print("\n".join(["", *bad]))
        sys.exit(1)


if __name__ == "__main__":
    main()
