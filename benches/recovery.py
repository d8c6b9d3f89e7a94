"""What the loss of an executor costs, on Emporia and on Spark, on the same data in the same run.

Four executors with one slot each run a query of about a minute. Each engine runs it undisturbed, and again
with one executor killed (SIGKILL) at half of that time. The rows have to be the same each time. Printed are
the seconds and their ratio, and how many tasks ran again (Emporia's metric, Spark's count of failed and lost ones).

Spark's engine is local-cluster[4,1,2048]: four processes of its own, as on a cluster.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import psutil

PAIRS = """
SELECT pairs, count(*) AS n, sum(revenue) AS revenue
FROM (
    SELECT a.product_id AS one, b.product_id AS other, count(*) AS pairs, sum(a.subtotal + b.subtotal) AS revenue
    FROM transaction_items a JOIN transaction_items b
        ON a.transaction_id = b.transaction_id AND a.product_id <= b.product_id
    JOIN transactions t ON a.transaction_id = t.transaction_id
    GROUP BY a.product_id, b.product_id
) AS p
GROUP BY pairs ORDER BY pairs
"""


def killed_later(find, seconds):
    """A thread that kills the process that `find` gives, after these seconds."""

    def run():
        time.sleep(seconds)
        os.kill(find(), signal.SIGKILL)
        was_killed.set()

    was_killed = threading.Event()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, was_killed


def measured(ask, find):
    """Seconds and rows of the query, undisturbed and with an executor killed at half time."""
    ask()  # Files and programs are in memory for both.
    start = time.perf_counter()
    rows = ask()
    undisturbed = time.perf_counter() - start
    killer, was_killed = killed_later(find, undisturbed / 2)
    start = time.perf_counter()
    disturbed_rows = ask()
    disturbed = time.perf_counter() - start
    killer.join()
    if not was_killed.is_set():
        sys.exit("no executor was killed, so there is nothing to compare")
    return undisturbed, disturbed, rows == disturbed_rows, len(rows)


def run_emporia(binary, data):
    program = str(pathlib.Path(binary).resolve() / "emporia")
    with tempfile.TemporaryDirectory(prefix="emporia-bench-") as out:

        def call(*arguments):
            done = subprocess.run([program, *arguments], cwd=out, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"emporia {arguments[0]} failed: {done.stderr}")
            return done.stdout

        call("cluster", "up", "--executors", "4", "--slots", "1", "--port", "0")
        state = json.loads(next(pathlib.Path(out).glob(".emporia/cluster/*.json")).read_text())

        def ask():
            text = call("sql", "--quiet", "--format", "csv", "--cluster", state["url"],
                        "--catalog", f"{data}/emporia.toml", "-e", PAIRS)
            return [tuple(line.split(",")) for line in text.split()[1:]]

        def find():
            return next(p["pid"] for p in state["processes"] if p["name"] == "executor-2")

        try:
            result = measured(ask, find)
            metrics = urllib.request.urlopen(f"{state['url']}/metrics").read().decode()
        finally:
            call("cluster", "down")
        again = [line.split()[-1] for line in metrics.splitlines()
                 if line.startswith("emporia_scheduler_partitions_rerun_total")]
        return (*result, int(float(again[0])) if again else 0)


def run_spark(data):
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local-cluster[4,1,2048]")
        .config("spark.driver.memory", "2g")
        .config("spark.executor.memory", "2g")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    for table in ("transactions", "transaction_items"):
        spark.read.parquet(f"{data}/{table}").createOrReplaceTempView(table)

    def ask():
        return [tuple(str(value) for value in row) for row in spark.sql(PAIRS).collect()]

    def find():
        # Its own: another Spark may run on this machine.
        for process in psutil.Process().children(recursive=True):
            if any("CoarseGrainedExecutorBackend" in word for word in process.cmdline()):
                return process.pid
        raise RuntimeError("Spark has no executors")

    result = measured(ask, find)
    tracker = spark.sparkContext.statusTracker()
    failed = 0
    for job in tracker.getJobIdsForGroup(None):
        for stage in tracker.getJobInfo(job).stageIds:
            info = tracker.getStageInfo(stage)
            failed += info.numFailedTasks if info else 0
    spark.stop()
    return (*result, failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder with the built programs")
    parser.add_argument("--data", required=True, help="folder that `emporia generate` wrote")
    parser.add_argument("--only", default="emporia,spark")
    options = parser.parse_args()
    engines = {
        "emporia": lambda: run_emporia(options.bin, options.data),
        "spark": lambda: run_spark(options.data),
    }
    print("| engine | undisturbed s | one of four killed s | ratio | rows | same rows | tasks again |")
    print("|---|---:|---:|---:|---:|---|---:|")
    is_wrong = False
    for name in options.only.split(","):
        undisturbed, disturbed, is_same, n_rows, again = engines[name]()
        is_wrong |= not is_same
        print(f"| {name} | {undisturbed:.1f} | {disturbed:.1f} | {disturbed / undisturbed:.2f} "
              f"| {n_rows} | {'yes' if is_same else 'NO'} | {again} |", flush=True)
    sys.exit(is_wrong)


if __name__ == "__main__":
    main()
