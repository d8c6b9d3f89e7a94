"""Runs statements on DuckDB and on Emporia, and compares the rows."""

import contextlib
import decimal
import math
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading

NULL = "\\N"
MAX_ROWS = 20_000
# Emporia's sums of whole numbers have 64 bits, DuckDB's 128.
MAX_SUM = 2**63 - 1


@contextlib.contextmanager
def cluster(program, is_wanted):
    """The address of two executors of one slot as processes of their own; `None` without them."""
    if not is_wanted:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="emporia-differential-")
    command = [program, "cluster", "--quiet", "--state-dir", f"{folder}/state"]
    up = [*command[:2], "up", *command[2:], "--port", "0", "--executors", "2", "--slots", "1"]
    down = [*command[:2], "down", *command[2:]]
    done = subprocess.run(up, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"cannot start the cluster: {done.stderr}")
    try:
        yield done.stdout.strip()
    finally:
        subprocess.run(down, check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


class Setting:
    """How Emporia runs a batch of statements."""

    def __init__(self, name, cluster, flags):
        self.name, self.cluster, self.flags = name, cluster, flags

    def __str__(self):
        return self.name

    @staticmethod
    def all(cluster_url, with_aqe=True):
        """Every combination of partitions, adaptive planning, batch size and broadcast."""
        found = []
        for partitions in [1, 2, 7]:
            for aqe in [False, True] if with_aqe else [False]:
                for batch_size in [7, 8192]:
                    for broadcast in ["32MiB", "0B"]:
                        flags = ["--target-partitions", str(partitions), "--batch-size", str(batch_size)]
                        flags += ["--broadcast-threshold", broadcast, f"--aqe={str(aqe).lower()}"]
                        name = f"p{partitions} {'aqe ' if aqe else ''}b{batch_size}{' no-broadcast' if broadcast == '0B' else ''}"
                        found.append(Setting(f"local[2] {name}", "local[2]", flags))
                        if cluster_url:
                            found.append(Setting(f"cluster {name}", cluster_url, flags))
        return found

    @staticmethod
    def of(seed, settings):
        return random.Random(f"setting {seed}").choice(settings)


class Result:
    """Rows as text cells, or why there are none."""

    def __init__(self, rows=None, error=None):
        self.rows, self.error = rows, error


class Emporia:
    """The program, which runs many statements in one process.

    In batches of 7 rows, a sort of 70,000 merges 10,000 streams, which takes a minute, and a query may sort several times:
    nothing hangs before `patience` seconds without a row.
    """

    def __init__(self, program, catalog, setting, patience=600):
        self.program, self.catalog, self.setting, self.patience = program, catalog, setting, patience

    def run(self, statements):
        """A result for each statement; `statements` maps the name of its first column to its text."""
        results, left = {}, dict(statements)
        while left:
            done, error = self.batch(left)
            finished = [name for name in left if name in done]
            # The script ends at its first failure, and rows may have come before it.
            cut = finished[-1:] if error else []
            for name in finished:
                if name not in cut:
                    results[name] = Result(rows=done[name])
                    del left[name]
            if not error:
                results.update({name: Result(error="neither rows nor an error") for name in left})
                break
            blamed = cut[0] if cut else self.blamed(left, error)
            results[blamed] = self.alone(blamed, left[blamed], error if len(left) == 1 else None)
            del left[blamed]
        return results

    def alone(self, name, sql, error):
        """The result of one statement, whose error may be known."""
        done = {}
        if error is None:
            done, error = self.batch({name: sql})
        return Result(error=error) if error else Result(rows=done.get(name, []))

    @staticmethod
    def blamed(statements, error):
        """The statement at the line that the error names; else the first."""
        line = re.search(r"(?m)^(?:exit \d+: )?(?:error: )?(?:\S*?:)?(\d+):\d+: ", error)
        names = list(statements)
        index = int(line.group(1)) - 1 if line else 0
        return names[index] if index < len(names) else names[0]

    def batch(self, statements):
        """The rows of those that ran to their end, by name, and what was said of the next one."""
        command = [self.program, "sql", "--quiet", "--no-progress", "--catalog", str(self.catalog)]
        command += ["--cluster", self.setting.cluster, *self.setting.flags, "--format", "csv", "--null-string", NULL]
        command += ["--file", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            said = []
            threads = [
                threading.Thread(target=write, args=(process.stdin, ";\n".join(statements.values())), daemon=True),
                threading.Thread(target=lambda: said.append(process.stderr.read().decode(errors="replace")), daemon=True),
            ]
            lines = queue.Queue()
            threads.append(threading.Thread(target=read, args=(process.stdout, lines), daemon=True))
            for thread in threads:
                thread.start()
            text, error = [], None
            while True:
                try:
                    line = lines.get(timeout=self.patience)
                except queue.Empty:
                    process.kill()
                    error = f"hangs: nothing for {self.patience} s"
                    break
                if line is None:
                    break
                text.append(line)
            code = process.wait()
            for thread in threads[1:]:
                thread.join(timeout=5)
        if error is None and code != 0:
            error = f"exit {code}: " + without_traces("".join(said))
        return results_in(text, statements), error


def without_traces(text):
    """What the program said, without the stack of a panic."""
    lines = [line for line in text.strip().splitlines() if not re.match(r"\s+(\d+: |at )|stack backtrace|note: ", line)]
    return "\n".join(lines)


def write(stream, text):
    try:
        stream.write(text.encode())
        stream.close()
    except OSError:
        pass


def read(stream, lines):
    for line in stream:
        # The line breaks stay as they are: those in quotes are data.
        lines.put(line.decode(errors="replace"))
    lines.put(None)


def results_in(lines, names):
    """Cuts the output at the headers, which are unique."""
    results, rows = {}, None
    for row in cells("".join(lines)):
        if row and row[0][1] in names and row[0][1] not in results:
            rows = results[row[0][1]] = []
        elif rows is not None:
            rows.append([value for _, value in row])
    return results


# An unquoted `\N` is null, a quoted one is a text.
CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n|$)')


def cells(text):
    """Rows of pairs of whether a value was quoted, and the value."""
    row, at = [], 0
    while at < len(text):
        match = CELL.match(text, at)
        quoted, plain, end = match.groups()
        if quoted is not None:
            row.append((True, quoted.replace('""', '"')))
        else:
            row.append((False, None if plain == NULL else plain))
        at = match.end()
        if end != ",":
            yield row
            row = []


class DuckDB:
    """The engine that is taken to be right."""

    def __init__(self, db):
        self.db = db

    def run(self, sql):
        """Rows and the types of their columns, or `None` for a query that cannot be compared."""
        try:
            cursor = self.db.execute(sql)
            types = [str(column[1]) for column in cursor.description]
            rows = cursor.fetchmany(MAX_ROWS + 1)
        except Exception as error:  # noqa: BLE001: of any kind
            return None, str(error)
        if len(rows) > MAX_ROWS:
            return None, "too many rows"
        return (types, rows), None


def is_same(expected, got, is_ordered, tolerance=0.0):
    """Whether the cells that Emporia printed are the rows that DuckDB returned."""
    types, rows = expected
    if got.rows is None or len(rows) != len(got.rows) or any(len(row) != len(types) for row in got.rows):
        return False
    kinds = [type_of(name) for name in types]
    try:
        left = [tuple(map(canonical, row)) for row in rows]
        right = [tuple(map(parse, row, kinds)) for row in got.rows]
    except (ValueError, decimal.InvalidOperation):
        return False
    if not is_ordered:
        left.sort(key=sort_key)
        right.sort(key=sort_key)
    return left == right or (tolerance > 0 and all(map(is_close, left, right, [tolerance] * len(left))))


def sort_key(row):
    """Floats come last: they may differ a little. NaN, which compares with nothing, comes after all of them."""
    exact = ["float" if cell is not None and cell[0] == "f" else repr(cell) for cell in row]
    floats = [float(cell[1]) for cell in row if cell is not None and cell[0] == "f"]
    return exact, [(math.isnan(value), 0.0 if math.isnan(value) else value) for value in floats]


def is_close(left, right, tolerance):
    """Whether two rows differ in their floats only, and by little."""
    for a, b in zip(left, right):
        if a == b:
            continue
        if a is None or b is None or a[0] != "f" or b[0] != "f":
            return False
        if not math.isclose(float(a[1]), float(b[1]), rel_tol=max(1e-9, tolerance / 2), abs_tol=tolerance):
            return False
    return True


def type_of(name):
    name = name.upper()
    if name.startswith("DECIMAL") or "INT" in name or name in ("NUMBER",):
        return "number"
    if name in ("DOUBLE", "FLOAT"):
        return "float"
    if name.startswith("BOOL") or name == "BOOL":
        return "bool"
    if name.startswith(("TIMESTAMP", "DATETIME")):
        return "time"
    if name == "DATE":
        return "date"
    return "text"


def canonical(value):
    """A form in which equal values of both engines are equal."""
    if value is None:
        return None
    if isinstance(value, bool):
        return ("b", value)
    if isinstance(value, (int, decimal.Decimal)):
        return ("n", number(decimal.Decimal(value)))
    if isinstance(value, float):
        return ("f", rounded(value))
    return ("t", at_midnight(str(value)))


def parse(cell, kind):
    if cell is None:
        return None
    if kind == "number":
        return ("n", number(decimal.Decimal(cell)))
    if kind == "float":
        return ("f", rounded(float(cell)))
    if kind == "bool":
        if cell not in ("true", "false"):
            raise ValueError(cell)
        return ("b", cell == "true")
    if kind in ("time", "date"):
        cell = cell.removesuffix("Z").replace("T", " ")
        return ("t", at_midnight(re.sub(r"\.?0+$", "", cell) if "." in cell else cell))
    return ("t", cell)


def at_midnight(text):
    """DuckDB's date_trunc makes a date of a time where the other engine keeps the time."""
    return text.removesuffix(" 00:00:00")


def number(value):
    """Without zeros at the end: 1.50 is 1.5."""
    return str(value.normalize(decimal.Context(prec=60))) if value else "0"


def rounded(value):
    """Ten digits, and one zero."""
    if math.isnan(value):
        return "nan"
    return f"{value + 0.0:.10g}" if value else "0"


def leaves_sum(expected):
    """Whether a sum does not fit in Emporia's whole numbers, which then has to fail."""
    return any(isinstance(value, int) and abs(value) > MAX_SUM for row in expected[1] for value in row)


