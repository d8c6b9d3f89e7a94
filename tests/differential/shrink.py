"""Cuts a query and its tables down while the difference stays."""

import copy
import pathlib
import re
import tempfile

import duckdb

from engines import DuckDB, Emporia, is_same, leaves_sum
from tables import COLUMNS, create, write

MAX_ROUNDS = 25


class Trial:
    """Tables as files, over which candidates are tried."""

    def __init__(self, program, tables, kind, setting, error):
        self.program, self.kind, self.setting, self.error = program, kind, setting, error
        self.tables = [copy.copy(table) for table in tables]

    def first_that_differs(self, queries):
        """The index of the first query whose rows are still not DuckDB's."""
        db = duckdb.connect()
        db.execute("SET threads = 1; SET TimeZone = 'UTC'")
        for table in self.tables:
            create(db, table)
        right = {}
        for index, query in enumerate(queries):
            expected, _ = DuckDB(db).run(query.sql("duckdb", "x"))
            if expected is not None:
                right[f"q{index}_"] = expected
        if not right:
            return None
        statements = {name: queries[int(name[1:-1])].sql("emporia", name) for name in right}
        with tempfile.TemporaryDirectory(prefix="emporia-shrink-") as folder:
            catalog = write(db, self.tables, self.kind, pathlib.Path(folder))
            emporia = Emporia(self.program, catalog, self.setting, patience=10)
            # In small batches: an error ends the process, and the first that differs is enough.
            names = list(statements)
            for at in range(0, len(names), 8):
                some = {name: statements[name] for name in names[at : at + 8]}
                got = emporia.run(some)
                for name in some:
                    if self.differs(right[name], got[name], queries[int(name[1:-1])]):
                        return int(name[1:-1])
        return None

    def differs(self, expected, got, query):
        if signature(got.error) != self.error:
            return False
        return not is_same(expected, got, query.order) and not (got.error and leaves_sum(expected))


def signature(error):
    """An error without names and numbers: a smaller query has to fail for the same reason."""
    if error is None:
        return None
    line = next((line for line in error.splitlines() if "error" in line), error)
    return re.sub(r"`[^`]*`|\"[^\"]*\"|\b[rt]?\d\w*|\b[rtw]\d*\.\w+", "…", line)[:100]


def shrunk(program, tables, query, setting, error):
    """The small case as text."""
    trial = Trial(program, tables.tables, tables.format, setting, signature(error))
    if trial.first_that_differs([query]) is None:
        return "   it does not differ when it runs alone"
    for _ in range(MAX_ROUNDS):
        smaller = shrink_query(trial, query) or None
        if smaller is None:
            break
        query = smaller
    shrink_tables(trial, query)
    return shown(trial, query)


def shrink_query(trial, query):
    """The first smaller query that still differs."""
    candidates = []
    for apply, undo in query.reductions():
        apply()
        candidates.append(copy.deepcopy(query))
        undo()
    candidates.sort(key=lambda candidate: len(candidate.sql("emporia", "x")))
    candidates = [c for c in candidates if len(c.sql("emporia", "x")) <= len(query.sql("emporia", "x"))]
    index = trial.first_that_differs(candidates[:60])
    return None if index is None else candidates[index]


def shrink_tables(trial, query):
    """Takes tables away, then halves, quarters and so on of their rows."""
    named = [t for t in trial.tables if t.name + " " in query.sql("emporia", "x") + " "]
    trial.tables = named
    for table in named:
        size = max(1, len(table.rows) // 2)
        while table.rows and size >= 1:
            at, is_smaller = 0, False
            while at < len(table.rows) and len(table.rows) // size < 17:
                old = table.rows
                table.rows = old[:at] + old[at + size :]
                if trial.first_that_differs([query]) is None:
                    table.rows = old
                    at += size
                else:
                    is_smaller = True
            size = size // 2 if not is_smaller or size > 1 else 0


def shown(trial, query):
    lines = [f"   smallest ({trial.kind}, {trial.setting}):", f"     {query.sql('emporia', 'x')}"]
    text = query.sql("emporia", "x")
    used = [column for column in COLUMNS if "." + column in text or column == "id"]
    for table in trial.tables:
        indexes = [list(COLUMNS).index(column) for column in used]
        rows = [tuple(row[i] for i in indexes) for row in table.rows[:12]]
        shown_rows = ", ".join("(" + ", ".join("NULL" if v is None else str(v) for v in row) + ")" for row in rows)
        lines.append(f"     {table.name}({', '.join(used)}), {table.n_files} files: {shown_rows or 'no rows'}")
    db = duckdb.connect()
    for table in trial.tables:
        create(db, table)
    expected, _ = DuckDB(db).run(query.sql("duckdb", "x"))
    with tempfile.TemporaryDirectory(prefix="emporia-shrink-") as folder:
        catalog = write(db, trial.tables, trial.kind, pathlib.Path(folder))
        got = Emporia(trial.program, catalog, trial.setting, patience=10).run({"q_": query.sql("emporia", "q_")})["q_"]
    lines.append(f"     right: {expected[1][:8] if expected else None}")
    lines.append(f"     got:   {got.rows[:8] if got.rows is not None else got.error}")
    return "\n".join(lines)


