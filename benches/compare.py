"""Runs the five queries on Emporia and its peers over the same files and prints one table.

Each engine runs in processes of its own with two threads or task slots, writes Parquet, and starts
cold; start-up is listed apart. Memory is the highest sum of resident memory of all processes of the
engine. Emporia's cleaning also writes the rejects and the counters, and its clv also fits and scores
BG/NBD and Gamma-Gamma; the peers compute the part that plain SQL can say.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psutil

QUERIES = ["cleaning", "cohort", "clv", "revenue", "funnel"]
TABLES = "users,categories,subcategories,products,price_history,transactions,transaction_items,sessions,orders_raw,orders_labels"
STATUSES = "('completed', 'processing', 'shipped', 'delivered')"


class Dialect:
    """How an engine spells what the SQL standard leaves open."""

    def __init__(self, name):
        self.name = name

    def cast(self, column, kind):
        return f"TRY_CAST({column} AS {kind})"

    def month(self, column):
        return f"date_trunc('month', {column})"

    def is_listed(self, column):
        return {
            "duckdb": f"len({column}) > 0",
            "datafusion": f"array_length({column}) > 0",
        }.get(self.name, f"size({column}) > 0")


def sql(query, dialect):
    """The query text over the tables orders_raw (all text), users, transactions, ..."""
    c = dialect.cast
    if query == "cleaning":
        typed = ", ".join(
            [
                "order_id",
                f"{c('customer_id', 'BIGINT')} AS customer_id",
                f"{c('product_id', 'BIGINT')} AS product_id",
                "trim(category) AS category",
                f"{c('price', 'DECIMAL(18,2)')} AS price",
                f"{c('quantity', 'INT')} AS quantity",
                f"{c('timestamp', 'TIMESTAMP')} AS ts",
                "location",
                "trim(payment_method) AS payment_method",
                "trim(status) AS status",
                f"{c('discount', 'DECIMAL(18,2)')} AS discount",
                f"{c('delivery_time', 'INT')} AS delivery_time",
                f"{c('user_rating', 'INT')} AS user_rating",
                f"{c('is_prime', 'BOOLEAN')} AS is_prime",
                "trim(currency) AS currency",
                f"{c('seller_id', 'INT')} AS seller_id",
            ]
        )
        return f"""
            WITH typed AS (SELECT {typed} FROM orders_raw),
            valid AS (
                SELECT * FROM typed
                WHERE order_id IS NOT NULL AND customer_id > 0 AND product_id > 0 AND price > 0
                  AND quantity > 0 AND ts IS NOT NULL AND discount >= 0 AND is_prime IS NOT NULL
                  AND category IN ('Electronics', 'Clothing', 'Books', 'Home & Kitchen', 'Toys')
                  AND payment_method IN ('Credit Card', 'Debit Card', 'PayPal', 'Cash on Delivery')
                  AND status IN ('Shipped', 'Delivered', 'Pending', 'Canceled')
                  AND currency IN ('USD', 'EUR', 'GBP', 'INR')
            ),
            numbered AS (
                SELECT *, row_number() OVER (PARTITION BY order_id ORDER BY ts DESC) AS n FROM valid
            )
            SELECT * FROM numbered WHERE n = 1"""
    if query == "cohort":
        cohort, active = dialect.month("u.registration_ts"), dialect.month("t.ts")
        return f"""
            SELECT {cohort} AS cohort, {active} AS period, count(DISTINCT t.user_id) AS users,
                   count(*) AS orders, sum(t.total) AS revenue
            FROM users u JOIN transactions t ON t.user_id = u.user_id
            WHERE t.status IN {STATUSES}
            GROUP BY 1, 2 ORDER BY 1, 2"""
    if query == "clv":
        return f"""
            WITH spend AS (
                SELECT user_id, count(*) AS orders, sum(total) AS revenue, max(ts) AS last_ts
                FROM transactions WHERE status IN {STATUSES} GROUP BY user_id
            )
            SELECT user_id, orders, revenue, last_ts,
                   ntile(5) OVER (ORDER BY last_ts, user_id) AS r,
                   ntile(5) OVER (ORDER BY orders, user_id) AS f,
                   ntile(5) OVER (ORDER BY revenue, user_id) AS m
            FROM spend"""
    if query == "revenue":
        return f"""
            SELECT {dialect.month('t.ts')} AS period, i.category_id, count(*) AS lines,
                   sum(i.quantity) AS units, count(DISTINCT t.transaction_id) AS orders,
                   sum(i.subtotal) AS gross,
                   sum(CASE WHEN t.subtotal > 0 THEN t.discount * i.subtotal / t.subtotal ELSE 0 END) AS discount
            FROM transaction_items i
            JOIN transactions t ON t.transaction_id = i.transaction_id
            WHERE t.status IN {STATUSES}
            GROUP BY 1, 2 ORDER BY 1, 2"""
    viewed, carted = dialect.is_listed("viewed_products"), dialect.is_listed("cart")
    return f"""
        SELECT count(*) AS sessions,
               count(CASE WHEN {viewed} THEN 1 END) AS viewed,
               count(CASE WHEN {carted} THEN 1 END) AS carted,
               count(CASE WHEN conversion_status = 'converted' THEN 1 END) AS converted
        FROM sessions"""


COLUMNS = (
    "order_id customer_id product_id category price quantity timestamp location payment_method "
    "status discount delivery_time user_rating is_prime currency seller_id"
).split()
PARQUET = ["users", "transactions", "transaction_items", "sessions"]


def emit(**values):
    print(json.dumps(values), flush=True)


def timed(name, work):
    start = time.perf_counter()
    rows = work()
    emit(query=name, seconds=time.perf_counter() - start, rows=rows)


def run_duckdb(data, out):
    start = time.perf_counter()
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 2; SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    columns = ", ".join(f"'{c}': 'VARCHAR'" for c in COLUMNS)
    db.execute(
        f"CREATE VIEW orders_raw AS SELECT * FROM read_csv('{data}/orders_raw/*.csv', header = true,"
        f" columns = {{{columns}}}, auto_detect = false, delim = ',', quote = '\"', ignore_errors = true)"
    )
    for table in PARQUET:
        db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{data}/{table}/*.parquet')")
    emit(query="start", seconds=time.perf_counter() - start)
    for name in QUERIES:
        text = sql(name, Dialect("duckdb"))
        timed(name, lambda: db.execute(f"COPY ({text}) TO '{out}/{name}.parquet' (FORMAT parquet)").fetchone()[0])


def cut_lines(lines):
    """The query that cuts lines into the columns of orders_raw, for engines whose reader fails at a
    line with too many fields."""
    fields = ", ".join(
        f"nullif(split_part(line, ',', {n}), '') AS {c}" for n, c in enumerate(COLUMNS, 1)
    )
    n_commas = "length(line) - length(replace(line, ',', ''))"
    return f"SELECT {fields} FROM {lines} WHERE {n_commas} = {len(COLUMNS) - 1}"


def run_datafusion(data, out):
    start = time.perf_counter()
    import datafusion
    import pyarrow

    config = datafusion.SessionConfig().with_target_partitions(2)
    context = datafusion.SessionContext(config)
    schema = pyarrow.schema([("line", pyarrow.string())])
    context.register_csv(
        "lines", f"{data}/orders_raw", schema=schema, has_header=True, delimiter="\x01"
    )
    context.sql(f"CREATE VIEW orders_raw AS {cut_lines('lines')}")
    for table in PARQUET:
        context.register_parquet(table, f"{data}/{table}")
    emit(query="start", seconds=time.perf_counter() - start)

    def write(name):
        text = sql(name, Dialect("datafusion"))
        copied = context.sql(f"COPY ({text}) TO '{out}/{name}' STORED AS PARQUET").collect()
        return copied[0].column(0)[0].as_py()

    for name in QUERIES:
        timed(name, lambda: write(name))


def spark_queries(spark, data, out, cuts_lines=False):
    if cuts_lines:
        lines = spark.read.csv(f"{data}/orders_raw", header=True, schema="line STRING", sep="\x01")
        lines.createOrReplaceTempView("lines")
        raw = spark.sql(cut_lines("lines"))
    else:
        schema = ", ".join(f"`{c}` STRING" for c in COLUMNS)
        raw = spark.read.csv(f"{data}/orders_raw", header=True, schema=schema)
    raw.createOrReplaceTempView("orders_raw")
    for table in PARQUET:
        spark.read.parquet(f"{data}/{table}").createOrReplaceTempView(table)

    def write(name):
        spark.sql(sql(name, Dialect("spark"))).write.mode("overwrite").parquet(f"{out}/{name}")
        return None

    for name in QUERIES:
        timed(name, lambda: write(name))


def run_spark(data, out):
    start = time.perf_counter()
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sql("SELECT 1").collect()
    emit(query="start", seconds=time.perf_counter() - start)
    spark_queries(spark, data, out)


def run_sail(data, out):
    start = time.perf_counter()
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer()
    server.start()
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://localhost:{port}").getOrCreate()
    spark.sql("SELECT 1").collect()
    emit(query="start", seconds=time.perf_counter() - start)
    spark_queries(spark, data, out, cuts_lines=True)


ENGINES = {"duckdb": run_duckdb, "datafusion": run_datafusion, "sail": run_sail, "spark": run_spark}


class Memory(threading.Thread):
    """Watches the resident memory of processes, and of `root` with all its children."""

    def __init__(self, root, pids=()):
        super().__init__(daemon=True)
        self.root, self.peak, self.stopped = psutil.Process(root), 0, False
        self.processes = [psutil.Process(pid) for pid in pids]

    def now(self):
        total = 0
        try:
            for process in [*self.processes, self.root, *self.root.children(recursive=True)]:
                total += process.memory_info().rss
        except psutil.Error:
            pass
        return total

    def run(self):
        while not self.stopped:
            self.peak = max(self.peak, self.now())
            time.sleep(0.1)


def run_peer(name, data, python):
    out = tempfile.mkdtemp(prefix="emporia-bench-")
    command = [python, __file__, "--engine", name, "--data", str(data), "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    memory = Memory(process.pid)
    memory.start()
    stdout, stderr = process.communicate()
    memory.stopped = True
    shutil.rmtree(out, ignore_errors=True)
    lines = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    if process.returncode:
        print(f"{name} failed:\n" + "\n".join(stderr.splitlines()[-8:]), file=sys.stderr)
    return {
        "times": {line["query"]: line["seconds"] for line in lines},
        "rows": {line["query"]: line.get("rows") for line in lines},
        "peak": memory.peak,
    }


EMPORIA_JOBS = {
    "cleaning": ["cleaning"],
    "cohort": ["cohort", "-p", "anchor=registration"],
    "clv": ["clv"],
    "revenue": ["revenue_by_category", "-p", "granularity=month"],
    "funnel": ["conversion_funnel"],
}


def run_emporia(binary, data):
    out = tempfile.mkdtemp(prefix="emporia-bench-")
    program = str(pathlib.Path(binary).resolve() / "emporia")

    def call(*arguments):
        return subprocess.run([program, *arguments], cwd=out, check=True, capture_output=True, text=True)

    start = time.perf_counter()
    call("cluster", "up", "--executors", "2", "--slots", "1", "--port", "0")
    times, rows = {"start": time.perf_counter() - start}, {}
    state = json.loads(next(pathlib.Path(out).glob(".emporia/cluster/*.json")).read_text())
    pids = pids_of(state)
    time.sleep(1)
    idle = {psutil.Process(pid).name(): psutil.Process(pid).memory_info().rss for pid in pids}
    memory = Memory(os.getpid(), pids)
    own = psutil.Process().memory_info().rss
    memory.start()
    try:
        for name in QUERIES:
            start = time.perf_counter()
            location = f"{out}/results/{name}"
            call("submit", *EMPORIA_JOBS[name], "--cluster", state["url"],
                 "--catalog", f"{data}/emporia.toml", "--output", location, "--quiet")
            times[name] = time.perf_counter() - start
            published = json.loads(pathlib.Path(location, "_current").read_text())
            main = published["outputs"][published["main"]]
            rows[name] = sum(f["rows"] for f in main["files"])
    finally:
        memory.stopped = True
        call("cluster", "down")
        shutil.rmtree(out, ignore_errors=True)
    return {"times": times, "rows": rows, "peak": memory.peak - own, "idle": idle}


def pids_of(value):
    if isinstance(value, dict):
        found = [v for k, v in value.items() if k == "pid"]
        return found + [p for v in value.values() for p in pids_of(v)]
    if isinstance(value, list):
        return [p for v in value for p in pids_of(v)]
    return []


def interpreter(name, options):
    """Sail speaks to another version of Spark's client than the one beside Spark."""
    return options.sail_python if name == "sail" else sys.executable


def read_once(folder):
    """Has the system keep the files in memory, or the engine that runs first would wait for the disk."""
    for path in folder.rglob("*.*"):
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass


def total(result, names=QUERIES):
    return sum(result["times"].get(name, float("nan")) for name in names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--sail-python", default=sys.executable)
    parser.add_argument("--engine")
    parser.add_argument("--out")
    parser.add_argument("--only", default="emporia,duckdb,datafusion,sail,spark")
    options = parser.parse_args()
    if options.engine:
        ENGINES[options.engine](options.data, options.out)
        # Sail's server would keep the interpreter from ending.
        os._exit(0)
    if not (options.data / "emporia.toml").exists():
        print(f"generating scale {options.scale} in {options.data}", file=sys.stderr)
        program = str(pathlib.Path(options.bin).resolve() / "emporia")
        subprocess.run([program, "generate", "--scale", options.scale, "--seed", "1", "--out",
                        str(options.data), "--format", "parquet", "--tables", TABLES], check=True)
    read_once(options.data)
    results = {}
    for name in options.only.split(","):
        print(f"running {name} ...", file=sys.stderr)
        results[name] = (run_emporia(options.bin, options.data) if name == "emporia"
                         else run_peer(name, options.data, interpreter(name, options)))
    columns = ["start", *QUERIES]
    print(f"{platform.machine()}, {os.cpu_count()} cores, scale {options.scale}; seconds")
    print("| engine | " + " | ".join(columns) + " | five queries | against Emporia | with the start"
          " | against Emporia | peak memory |")
    print("|---|" + "--:|" * (len(columns) + 5))
    ours = results.get("emporia", {"times": {}})
    for name, result in results.items():
        cells = [f"{result['times'].get(c, float('nan')):.2f}" for c in columns]
        for names in (QUERIES, columns):
            cells += [f"{total(result, names):.2f}", f"{total(result, names) / total(ours, names):.2f}"]
        print(f"| {name} | " + " | ".join(cells) + f" | {result['peak'] / 2**20:.0f} MiB |")
    for name, result in results.items():
        print(f"rows of {name}: " + ", ".join(f"{q} {result['rows'].get(q)}" for q in QUERIES))
    if "emporia" in results:
        print("idle: " + ", ".join(f"{n} {b / 2**20:.0f} MiB" for n, b in results["emporia"]["idle"].items()))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
