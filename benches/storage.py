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
# Of scale 1.
SESSIONS, USERS = 2_000_000, 10_000
# Each of three region servers has to get a table of both writers for its code to be compiled.
WRITE_TURNS = 4
SCAN = "SELECT count(duration_seconds), count(conversion_status), max(device_type) FROM stored"
# All columns, with little work for what follows the scan.
SCAN_OF_FILES = """
SELECT count(*), max(session_id), max(user_id), max(start_ts), max(end_ts), sum(duration_seconds),
  max(city), max(state), max(country), max(ip_address), max(device_type), max(os), max(browser),
  sum(array_length(viewed_products)), sum(array_length(cart)), max(conversion_status), max(referrer)
FROM sessions
"""
# The rows that are written, and the tables that they go to, with the cells that happybase writes too.
NUMBERS = """
[tables.numbers]
connector = "csv"
location = "{folder}"
columns = ["k string", "n int64", "label string"]
"""
TARGET = """
[tables.{name}]
connector = "hbase"
location = "hbase:{name}_{tag}"
columns = ["k string", "n int64", "label string"]
options = {{ key = "k", family = "r", presence = "r:_", "write.split_keys" = "{cuts}" }}
"""
# Two for each region server.
REGIONS = 6
JOB = """-- name: results
-- description: Rows to write
-- input: numbers
-- output: rows
-- key: k

SELECT k, n, label FROM numbers
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--sessions", type=int, default=2_000_000)
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, default=400_000)
    parser.add_argument("--only", default="write,scan,documents,parquet")
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
        self.url = None

    def up(self):
        """Starts the executors anew, so that their memory is that of what runs next."""
        if self.url:
            self.down()
        flags = ["--executors", "2", "--slots", "1", "--port", "0"]
        self.url = self.run("cluster", "up", *flags).strip()

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

    def sql(self, catalog, query):
        """Seconds of a query, with the start of the program that asks it."""
        return self.timed("sql", "--quiet", "--no-progress", "--catalog", catalog, "-e", query)[0]

    def down(self):
        self.run("cluster", "down", "--deadline", "5s")
        self.url = None


class PeakMemory:
    """The largest resident memory of an executor while it runs."""

    def __init__(self, emporia):
        state = json.loads((emporia.folder / ".emporia/cluster/state.json").read_text())
        executors = [p for p in state["processes"] if p["name"].startswith("executor")]
        self.statms = [pathlib.Path(f"/proc/{p['pid']}/statm") for p in executors]

    def __enter__(self):
        self.peak, self.ends = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ends.wait(0.05):
            for statm in self.statms:
                pages = int(statm.read_text().split()[1])
                self.peak = max(self.peak, pages * os.sysconf("SC_PAGE_SIZE"))

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()


class Run:
    """What a task took: seconds, and seconds of the cores of the machine: of all, and of the servers."""

    def __init__(self, seconds, cpu, servers):
        self.seconds, self.cpu, self.servers = seconds, cpu, servers

    def __lt__(self, other):
        return self.seconds < other.seconds


def busy_seconds():
    user, nice, system, _, _, irq, softirq, *_ = open("/proc/stat").readline().split()[1:]
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def server_seconds():
    """What the servers that tests/services started have used until now."""
    ticks = 0
    for file in pathlib.Path(service("EMPORIA_SERVICES_DIR"), "run").glob("*.pid"):
        stat = pathlib.Path("/proc", file.read_text().split()[0], "stat").read_text()
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measured(task):
    """Runs a task that returns its seconds."""
    all_before, servers_before = busy_seconds(), server_seconds()
    seconds = task()
    return Run(seconds, busy_seconds() - all_before, server_seconds() - servers_before)


def best(times, task):
    """The shortest of a few tries."""
    return min(measured(task) for _ in range(times))


def happybase_scan(gateway, table, rows):
    host, port = gateway.rsplit(":", 1)
    connection = happybase.Connection(host, port=int(port), timeout=600_000)
    start, n = time.monotonic(), 0
    columns = [c.encode() for c in COLUMNS]
    for _ in connection.table(table).scan(columns=columns, batch_size=1000):
        n += 1
    assert n == rows, f"happybase read {n} rows"
    return time.monotonic() - start


def line(task, rows, ours, name, theirs, wanted):
    ratio = theirs.seconds / ours.seconds
    mark = "" if ratio >= wanted else "  (missed)"
    def cells(run):
        return f"{rows / run.seconds:,.0f} | {run.cpu:.1f} | {run.servers:.1f}"

    print(f"| {task} | {cells(ours)} | {name} | {cells(theirs)} | {ratio:.2f} | {wanted}{mark} |", flush=True)


def main():
    args = arguments()
    gateways = service("EMPORIA_TEST_HBASE_GATEWAYS").split(",")
    with tempfile.TemporaryDirectory(prefix="emporia-bench-") as folder:
        bench = Bench(args, Emporia(pathlib.Path(folder), args.bin), gateways)
        try:
            bench.measure()
        finally:
            bench.emporia.down()


class Bench:
    """The tasks. Sizes are rows; each executor begins anew before its memory is looked at."""

    def __init__(self, args, emporia, gateways):
        self.args, self.emporia, self.gateways = args, emporia, gateways
        self.folder, self.tag = emporia.folder, os.getpid()
        self.memory = []

    def measure(self):
        print("| task | Emporia rows/s | CPU s | of servers | peer | peer rows/s | CPU s | of servers | ratio | wanted |")
        print("|---|--:|--:|--:|---|--:|--:|--:|--:|--:|")
        wanted = self.args.only.split(",")
        for name in ["write", "scan", "documents", "parquet"]:
            if name in wanted:
                self.emporia.up()
                getattr(self, name)()
        print()
        print("| largest resident memory of an executor | rows | MiB |")
        print("|---|--:|--:|")
        for task, rows, peak in self.memory:
            print(f"| {task} | {rows:,} | {peak / 2**20:.0f} |")

    def watched(self, task, rows, work):
        """Runs `work` on new executors and notes their memory."""
        self.emporia.up()
        with PeakMemory(self.emporia) as memory:
            result = work()
        self.memory.append((task, rows, memory.peak))
        return result

    def generate(self, out, sessions, tables, *options):
        scale = sessions / SESSIONS
        flags = ["--quiet", "--scale", f"{scale}", "--tables", tables, "--out", out]
        self.emporia.run("generate", *flags, *options)

    def scan(self):
        for n_sessions in [self.args.sessions // 10, self.args.sessions]:
            self.generate(f"data-{n_sessions}/", n_sessions, "sessions")
            catalog = self.folder / f"data-{n_sessions}" / "emporia.toml"
            table = f"bench_{self.tag}_{n_sessions}"

            def load():
                flags = ["--quiet", "--catalog", catalog, "--to", f"hbase:{table}"]
                return self.emporia.timed("load", "sessions", *flags)

            seconds, entry = self.watched("load of sessions into HBase", n_sessions, load)
            print(f"loaded {n_sessions:,} sessions in {seconds:.1f} s", file=sys.stderr)
            stored = self.folder / f"{table}.toml"
            stored.write_text(entry.replace("[tables.sessions", "[tables.stored"))
            ours = self.watched(
                "scan of HBase, 3 of 16 columns",
                n_sessions,
                lambda: best(3, lambda: self.emporia.sql(stored, SCAN)),
            )
        rows = self.args.sessions
        peer = measured(lambda: happybase_scan(self.gateways[0], table, rows))
        line("scan of HBase, 3 of 16 columns", rows, ours, "happybase", peer, 5)
        # Two threads of the same work each, with the pages that Emporia asks for.
        middle = f"user_{users(n_sessions) // 2 + 1:06d}"
        command = [
            self.args.bin / "examples" / "bare_scan", "--mode", "bare", "--gateway", ",".join(self.gateways),
            "--table", table, "--columns", ",".join(COLUMNS), "--cuts", middle, "--rows", "10000",
        ]

        def bare():
            done = subprocess.run(command, text=True, capture_output=True, check=True)
            speeds = [float(said.split()[-2]) for said in done.stdout.splitlines()]
            return rows / max(speeds)

        line("the same", rows, ours, "bare Thrift loop, 2 threads", measured(bare), 0.7)

    def write(self):
        rows = self.args.results
        folders = {n: self.numbers(n) for n in [rows // 10, rows]}
        job = self.folder / "results.sql"
        job.write_text(JOB)
        inserts, publishes, peers, peers_in_cut = [], [], [], []
        # In turns, and the best of them: the servers compile their code while they work. All but the
        # published results write to a table that is there.
        for turn in range(WRITE_TURNS):
            peers.append(self.happybase_write(self.plain_table(turn), rows))
            for n_rows, folder in folders.items():
                catalog = self.catalog(folder, n_rows, turn)
                for name in ["target", "peer"]:
                    self.insert(catalog, name, " LIMIT 0")
                write = lambda: measured(lambda: self.insert(catalog, "target"))
                run = self.watched("write to HBase", n_rows, write)
            inserts.append(run)
            flags = ["--quiet", "--catalog", catalog, "--output", "published"]
            publishes.append(measured(lambda: self.emporia.timed("submit", job, *flags)[0]))
            peers_in_cut.append(self.happybase_write(f"peer_{self.suffix(rows, turn)}", rows))
            self.drop_tables()
        for name, of in [("as many regions", peers_in_cut), ("one region", peers)]:
            peer = f"happybase batch(1000), {name}"
            line("write to HBase, INSERT INTO", rows, min(inserts), peer, min(of), 3)
            line("the same as a published result", rows, min(publishes), peer, min(of), 3)

    def insert(self, catalog, name, limit=""):
        return self.emporia.sql(catalog, f"INSERT INTO {name} SELECT k, n, label FROM numbers{limit}")

    def plain_table(self, turn):
        """A table as happybase makes it."""
        table = f"peer_{self.tag}_{turn}"
        self.happybase().create_table(table, {"r": dict()})
        return table

    def happybase(self):
        host, port = self.gateways[0].rsplit(":", 1)
        return happybase.Connection(host, port=int(port), timeout=600_000)

    def drop_tables(self):
        """Leaves nothing that the servers would write or merge while the next turn is timed."""
        connection = self.happybase()
        for table in connection.tables():
            if f"_{self.tag}_" in table.decode():
                connection.delete_table(table, disable=True)

    def happybase_write(self, table, rows):
        connection = self.happybase()

        def write():
            start = time.monotonic()
            with connection.table(table).batch(batch_size=1000) as batch:
                for n in range(rows):
                    batch.put(
                        b"k%09d" % n,
                        {b"r:_": b"", b"r:n": b"%d" % (n * 7), b"r:label": b"label %d" % (n % 1000)},
                    )
            return time.monotonic() - start

        return measured(write)

    def numbers(self, n_rows):
        """The folder of a table of numbers in text files."""
        folder = self.folder / f"numbers-{n_rows}"
        folder.mkdir()
        write_numbers(folder, n_rows)
        return folder

    def suffix(self, n_rows, turn):
        return f"{self.tag}_{n_rows}_{turn}"

    def catalog(self, folder, n_rows, turn):
        """The catalog of the numbers, and of three tables of HBase for them."""
        cuts = ",".join("k%09d" % (n_rows * i // REGIONS) for i in range(1, REGIONS))
        tag = self.suffix(n_rows, turn)
        targets = [TARGET.format(name=name, tag=tag, cuts=cuts) for name in ["target", "peer", "published"]]
        catalog = self.folder / f"{folder.name}-{turn}.toml"
        catalog.write_text(NUMBERS.format(folder=folder) + "".join(targets))
        return catalog

    def documents(self):
        self.generate("orders/", self.args.documents * 4, "transactions")
        catalog = self.folder / "orders" / "emporia.toml"
        database = f"bench_{self.tag}"
        flags = ["--quiet", "--catalog", catalog, "--to", f"mongodb:{database}.transactions"]
        # FerretDB, which stands in for MongoDB, has no decimals.
        for column in ["subtotal", "discount", "total"]:
            flags += ["--option", f"stored.{column}=text"]
        seconds, entry = self.emporia.timed("load", "transactions", *flags)
        stored = self.folder / "documents.toml"
        client = pymongo.MongoClient(service("EMPORIA_TEST_MONGODB_URI"))
        collection = client[database]["transactions"]
        # One piece for each executor; FerretDB cannot sample, so it is told where to cut.
        middle = collection.find({}, {"_id": 1}).sort("_id", 1).skip(self.args.documents // 2).limit(1)
        stored.write_text(f"{entry}split_at = \"{next(middle)['_id']}\"\n")
        query = "SELECT count(ts), max(status), max(session_id) FROM transactions"
        ours = best(3, lambda: self.emporia.sql(stored, query))
        n = collection.count_documents({})
        print(f"loaded {n:,} documents in {seconds:.1f} s", file=sys.stderr)

        def iterate():
            start = time.monotonic()
            fields = {"ts": 1, "status": 1, "session_id": 1, "_id": 0}
            assert sum(1 for _ in collection.find({}, fields)) == n
            return time.monotonic() - start

        line("scan of MongoDB, 3 of 10 fields", n, ours, "pymongo", measured(iterate), 2)

    def parquet(self):
        hdfs = f"{service('EMPORIA_TEST_HDFS')}/bench-{self.tag}"
        for out in ["many/", hdfs]:
            self.generate(out, 4 * SESSIONS, "sessions")
        local = self.folder / "many" / "emporia.toml"
        remote = self.folder / "hdfs.toml"
        remote.write_text(f'[tables.sessions]\nconnector = "parquet"\nlocation = "{hdfs}/sessions/"\n')
        on_disk, on_hdfs = [best(5, lambda: self.emporia.sql(of, SCAN_OF_FILES)) for of in (local, remote)]
        line("scan of Parquet on HDFS", 4 * SESSIONS, on_hdfs, "the same from local disk", on_disk, 0.8)


def write_numbers(folder, rows):
    for part in range(4):
        with open(folder / f"part-{part}.csv", "w") as file:
            file.write("k,n,label\n")
            for n in range(rows * part // 4, rows * (part + 1) // 4):
                file.write(f"k{n:09d},{n * 7},label {n % 1000}\n")


def users(sessions):
    """How many users the generator makes for so many sessions."""
    return max(1, round(USERS * sessions / SESSIONS))


main()
