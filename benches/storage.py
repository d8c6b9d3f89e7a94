"""Emporia's connectors beside other clients of the same servers.

Each line is one task that both do: rows per second of each, and their ratio. The servers, the data
and the machine are the same; the peers run alone, one after the other. See docs/benchmarks.md.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import happybase
import pymongo

COLUMNS = ["s:dur", "s:conv", "d:type"]
SCAN = "SELECT count(duration_seconds), count(conversion_status), max(device_type) FROM stored"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--sessions", type=int, default=2_000_000)
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, default=500_000)
    return parser.parse_args()


def service(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set: run `make services-up` and load what `services env` prints")
    return value


class Emporia:
    """The programs, with a cluster of two executors of one slot each."""

    def __init__(self, folder, binaries):
        self.folder, self.binary = folder, binaries / "emporia"
        self.env = dict(
            os.environ,
            EMPORIA_STORES__HADOOP_CONF_DIR=service("EMPORIA_TEST_HADOOP_CONF"),
            EMPORIA_STORES__HBASE_GATEWAYS=service("EMPORIA_TEST_HBASE_GATEWAYS"),
            EMPORIA_STORES__HBASE_ADMIN_GATEWAY=service("EMPORIA_TEST_HBASE_ADMIN_GATEWAY"),
            EMPORIA_STORES__MONGODB_URI=service("EMPORIA_TEST_MONGODB_URI"),
        )
        self.url = self.run("cluster", "up", "--executors", "2", "--slots", "1", "--port", "0").strip()

    def run(self, *args):
        done = subprocess.run(
            [self.binary, *args], cwd=self.folder, env=self.env, text=True, capture_output=True
        )
        if done.returncode != 0:
            sys.exit(f"emporia {' '.join(map(str, args))}: {done.stderr}")
        return done.stdout

    def timed(self, *args):
        start = time.monotonic()
        out = self.run(*args, "--cluster", self.url)
        return time.monotonic() - start, out

    def down(self):
        self.run("cluster", "down", "--deadline", "5s")


class PeakMemory:
    """The largest resident memory of the executors while it runs."""

    def __enter__(self):
        self.peak, self.ends = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ends.wait(0.1):
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    if (process / "comm").read_text().strip() == "emporia-executo":
                        pages = int((process / "statm").read_text().split()[1])
                        self.peak = max(self.peak, pages * 4096)
                except OSError:
                    pass

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()


def best(times, task):
    """The shortest of a few tries, in seconds."""
    return min(task() for _ in range(times))


def happybase_scan(gateway, table):
    host, port = gateway.rsplit(":", 1)
    connection = happybase.Connection(host, port=int(port), timeout=600_000)
    start, n = time.monotonic(), 0
    columns = [c.encode() for c in COLUMNS]
    for _ in connection.table(table).scan(columns=columns, batch_size=1000):
        n += 1
    return n, time.monotonic() - start


def happybase_write(gateway, table, rows):
    host, port = gateway.rsplit(":", 1)
    connection = happybase.Connection(host, port=int(port), timeout=600_000)
    connection.create_table(table, {"r": dict()})
    start = time.monotonic()
    with connection.table(table).batch(batch_size=1000) as batch:
        for n in range(rows):
            batch.put(
                b"k%09d" % n,
                {b"r:_": b"", b"r:n": b"%d" % (n * 7), b"r:label": b"label %d" % (n % 1000)},
            )
    return time.monotonic() - start



def line(task, ours, name, theirs, wanted):
    ratio = ours / theirs
    mark = "" if ratio >= wanted else "  (missed)"
    print(f"| {task} | {ours:,.0f} | {name} | {theirs:,.0f} | {ratio:.2f} | {wanted}{mark} |", flush=True)


def main():
    args = arguments()
    gateways = service("EMPORIA_TEST_HBASE_GATEWAYS").split(",")
    tag = f"{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="emporia-bench-") as folder:
        folder = pathlib.Path(folder)
        emporia = Emporia(folder, args.bin)
        try:
            measure(args, emporia, folder, gateways, tag)
        finally:
            emporia.down()


def measure(args, emporia, folder, gateways, tag):
    scale = args.sessions / 2_000_000
    tables = "sessions,transactions,transaction_items,users,products"
    emporia.run("generate", "--quiet", "--scale", f"{scale}", "--tables", tables, "--out", "data")
    catalog = folder / "data" / "emporia.toml"
    hdfs = f"{service('EMPORIA_TEST_HDFS')}/bench-{tag}"
    emporia.run("generate", "--quiet", "--scale", f"{scale}", "--tables", tables, "--out", hdfs)

    print("| task | Emporia rows/s | peer | peer rows/s | ratio | wanted |")
    print("|---|--:|---|--:|--:|--:|")

    seconds, entry = emporia.timed(
        "load", "sessions", "--quiet", "--catalog", catalog, "--to", f"hbase:bench_{tag}"
    )
    print(f"loaded {args.sessions:,} sessions into HBase in {seconds:.1f} s", file=sys.stderr)
    stored = folder / "stored.toml"
    stored.write_text(entry.replace("[tables.sessions", "[tables.stored"))

    def scan():
        taken, _ = emporia.timed("sql", "--quiet", "--catalog", stored, "-e", SCAN)
        return taken

    with PeakMemory() as memory:
        ours = args.sessions / best(3, scan)
    print(f"peak memory of an executor while it scans: {memory.peak / 2**20:.0f} MiB", file=sys.stderr)
    n, taken = happybase_scan(gateways[0], f"bench_{tag}")
    assert n == args.sessions, f"happybase read {n} rows"
    line("scan of HBase, 3 of 16 columns", ours, "happybase", n / taken, 5)
    bare = subprocess.run(
        [args.bin / "examples" / "bare_scan", "--gateways", ",".join(gateways), "--table",
         f"bench_{tag}", "--columns", ",".join(COLUMNS), "--threads", "2"],
        text=True, capture_output=True, check=True,
    )
    line("the same", ours, "bare Thrift loop", float(bare.stdout.split()[-1]), 0.7)

    rows = args.results
    job = folder / "results.sql"
    job.write_text(
        "-- name: results\n-- description: Rows to write\n-- input: numbers\n-- output: rows\n-- key: k\n\n"
        "SELECT k, n, label FROM numbers\n"
    )
    write_numbers(folder, rows)
    numbers = folder / "numbers.toml"
    numbers.write_text(
        '[tables.numbers]\nconnector = "csv"\nlocation = "numbers/"\n'
        'columns = ["k string", "n int64", "label string"]\n'
    )
    with PeakMemory() as memory:
        taken, _ = emporia.timed(
            "submit", job, "--quiet", "--catalog", numbers, "--output", f"hbase:results_{tag}"
        )
    print(f"peak memory of an executor while it writes: {memory.peak / 2**20:.0f} MiB", file=sys.stderr)
    theirs = happybase_write(gateways[0], f"peer_{tag}", rows)
    line("write of HBase", rows / taken, "happybase batch(1000)", rows / theirs, 3)

    documents(args, emporia, folder, catalog, tag)
    parquet(emporia, catalog, folder, hdfs)


def write_numbers(folder, rows):
    (folder / "numbers").mkdir()
    for part in range(4):
        with open(folder / "numbers" / f"part-{part}.csv", "w") as file:
            file.write("k,n,label\n")
            for n in range(rows * part // 4, rows * (part + 1) // 4):
                file.write(f"k{n:09d},{n * 7},label {n % 1000}\n")


def documents(args, emporia, folder, catalog, tag):
    target = f"mongodb:bench_{tag}.transactions"
    _, entry = emporia.timed(
        "load", "transactions", "--quiet", "--catalog", catalog, "--to", target
    )
    stored = folder / "documents.toml"
    stored.write_text(entry)
    query = "SELECT count(ts), sum(total), max(status) FROM transactions"

    def scan():
        taken, _ = emporia.timed("sql", "--quiet", "--catalog", stored, "-e", query)
        return taken

    taken = best(3, scan)
    collection = pymongo.MongoClient(service("EMPORIA_TEST_MONGODB_URI"))[f"bench_{tag}"]["transactions"]
    start, n = time.monotonic(), 0
    for _ in collection.find({}, {"ts": 1, "total": 1, "status": 1, "_id": 0}):
        n += 1
    line("scan of MongoDB", n / taken, "pymongo", n / (time.monotonic() - start), 2)


def parquet(emporia, catalog, folder, hdfs):
    remote = folder / "hdfs.toml"
    remote.write_text(catalog.read_text().replace(f"file://{folder}/data", hdfs))
    query = "SELECT count(*), sum(unit_price), max(product_id), min(transaction_id) FROM transaction_items"
    count = "SELECT count(*) AS n FROM transaction_items"
    n = json.loads(emporia.timed("sql", "--quiet", "--format", "json", "--catalog", catalog, "-e", count)[1])[0]["n"]

    def scan(of):
        return best(5, lambda: emporia.timed("sql", "--quiet", "--catalog", of, "-e", query)[0])

    scan(catalog), scan(remote)
    line("scan of Parquet on HDFS", n / scan(remote), "the same from local disk", n / scan(catalog), 0.8)


main()
