"""Queries over a table, and the rows that they have to return, computed in Python.

Several conditions are one statement, because the time of a statement is mostly that of planning it.
"""

import collections
import decimal
import random

from pyarrow import types as is_

from cells import WIDE, canonical, is_bytes, is_nested, is_text, iso, merged, order, parsed, plain
from columns import float32

CONDITIONS = 4


class Query:
    """A statement whose first column has its name, how many queries it stands for, and what is wrong with rows."""

    def __init__(self, name, sql, check, count=1):
        self.name, self.sql, self.check, self.count = name, sql, check, count


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def literal(value, kind):
    """The value in SQL."""
    kind = plain(kind)
    if is_.is_boolean(kind):
        return str(value).lower()
    if is_.is_integer(kind) or is_.is_decimal(kind):
        return f"{value:f}" if isinstance(value, decimal.Decimal) else str(value)
    if is_.is_floating(kind):
        return f"CAST('{value!r}' AS {'FLOAT' if is_.is_float32(kind) or is_.is_float16(kind) else 'DOUBLE'})"
    if is_bytes(kind):
        return f"X'{value.hex()}'"
    if is_.is_date(kind):
        return f"DATE '{iso(value, kind)}'"
    if is_.is_timestamp(kind):
        return f"CAST('{iso(value, kind)}' AS TIMESTAMPTZ)" if kind.tz else f"TIMESTAMP '{iso(value, kind)}'"
    if is_.is_time(kind):
        return f"TIME '{iso(value, kind)}'"
    return "'" + value.replace("'", "''") + "'"


def beside(value, kind, dice):
    """A value that is near, in or out of the type's range."""
    kind, sign = plain(kind), dice.choice([-1, 1])
    if is_.is_boolean(kind):
        return not value
    if is_.is_decimal(kind):
        near = WIDE.add(value, decimal.Decimal(sign).scaleb(-kind.scale))
        return near if len(near.as_tuple().digits) <= 38 else value
    if is_text(kind):
        return dice.choice([value + "\x01", value[:-1], value[:64], value + "a"])
    if is_bytes(kind):
        return dice.choice([value + b"\0", value[:-1], value[:64], value + b"\xff"])
    if is_.is_floating(kind):
        return float32(value * 1.5) if is_.is_float32(kind) and abs(value) < 1e30 else value + sign
    if is_.is_integer(kind):
        return value + sign
    ends = (-719_162, 2_932_896) if is_.is_date(kind) else (-9 * 10**18, 9 * 10**18)
    if is_.is_time(kind):
        ends = (0, 86_400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit] - 1)
    if is_.is_timestamp(kind):
        # Years 1 to 9999, and those of nanoseconds.
        scale = {"s": 1, "ms": 10**3, "us": 10**6}.get(kind.unit)
        ends = (
            (-62_135_596_800 * scale, 253_402_300_800 * scale - 1) if scale else (-9_214_560_000 * 10**9, 9_214_560_000 * 10**9)
        )
    return min(max(value + sign, ends[0]), ends[1])


class Condition:
    """A predicate in SQL and in Python."""

    def __init__(self, column, dice):
        self.column, kind = column, plain(column.kind)
        there = [value for value in column.values if value is not None]
        if is_nested(kind) or is_.is_duration(kind) or not there:
            self.set(dice.choice(["IS NULL", "IS NOT NULL"]), [])
            return
        value = dice.choice(there)
        value = value if dice.random() < 0.5 else beside(value, kind, dice)
        operator = dice.choice(
            ["=", "=", "<>", "<", "<=", ">", ">=", "<", ">=", "IN", "BETWEEN", "IS NULL", "IS DISTINCT FROM"]
        )
        if is_text(kind) and dice.random() < 0.1:
            operator = "starts"
        n_values = {"IN": 3, "BETWEEN": 2, "IS NULL": 0}.get(operator, 1)
        self.set(operator, [value, dice.choice(there), dice.choice(there)][:n_values])

    def set(self, operator, values):
        self.operator, self.values = operator, values

    def sql(self):
        name, kind = quoted(self.column.name), self.column.kind
        values = [literal(value, kind) for value in self.values]
        if self.operator == "IN":
            return f"{name} IN ({', '.join(values)})"
        if self.operator == "BETWEEN":
            return f"{name} BETWEEN {values[0]} AND {values[1]}"
        if self.operator == "starts":
            return f"starts_with({name}, {values[0]})"
        return " ".join([name, self.operator, *values])

    def holds(self, value):
        if self.operator in ("IS NULL", "IS NOT NULL"):
            return (value is None) == (self.operator == "IS NULL")
        if value is None:
            return self.operator == "IS DISTINCT FROM"
        if self.operator == "starts":
            return value.startswith(self.values[0])
        left, right = order(value, self.column.kind), [order(other, self.column.kind) for other in self.values]
        if self.operator == "IN":
            return left in right
        if self.operator == "BETWEEN":
            return right[0] <= left <= right[1]
        tests = {
            "=": left == right[0],
            "<": left < right[0],
            "<=": left <= right[0],
            ">": left > right[0],
            ">=": left >= right[0],
        }
        return tests.get(self.operator, left != right[0])


class Queries:
    """The queries over the table `table` with the columns of `case`; what is drawn depends on `seed`."""

    def __init__(self, case, table, seed):
        self.columns, self.table = case.columns, table
        self.dice = random.Random(f"{case.name} {seed}")
        self.id = next(column for column in case.columns if column.name == "id")
        self.rows, self.is_rounded = case.cells, case.is_rounded

    def all(self, n_statements, kinds):
        """Every query of these kinds, of which `everything` is none."""
        if "ends" in kinds:
            yield self.ends()
            if self.is_rounded:
                yield self.finer()
        for index in range(n_statements):
            for kind in ("conditions", "values", "groups"):
                if kind in kinds:
                    yield getattr(self, kind)(f"{self.table}_{kind}{index}")

    def select(self, name, columns):
        return f"SELECT {quoted('id')} AS {name}, " + ", ".join(quoted(c.name) for c in columns) + f" FROM {self.table}"

    def everything(self):
        name, columns = f"{self.table}_rows", [c for c in self.columns if c is not self.id]
        return Query(name, self.select(name, columns), self.checked([self.id, *columns], range(len(self.id.values))))

    def checked(self, columns, at, of="all rows"):
        """Compares rows that begin with `id`, in any order."""
        right = {self.id.values[i]: [self.rows[c.name][i] for c in columns] for i in at}

        def check(rows):
            got = {int(row[0]): row for row in rows}
            if len(got) != len(rows) or got.keys() != right.keys():
                return f"{of}: {other_rows(right, [int(row[0]) for row in rows])}"
            for key, values in right.items():
                for column, value, cell in zip(columns, values, got[key], strict=True):
                    if (reason := wrong(value, cell, column.kind)) is not None:
                        return f"{column.name} ({column.kind}) of id {key}: {reason}"
            return None

        return check

    def conditions(self, name):
        """The ids that each of several conditions leaves, of one condition or two."""
        drawn = [[Condition(self.dice.choice(self.columns), self.dice) for _ in range(2)] for _ in range(CONDITIONS)]
        return self.where(name, [(*pair, self.dice.choice(["", "", "", "AND", "OR"])) for pair in drawn])

    def finer(self):
        """Times that are compared with a time that has more digits than the file."""
        found = []
        for column in (column for column in self.columns if is_.is_timestamp(column.kind)):
            condition = Condition(column, self.dice)
            value = sorted(value for value in column.values if value is not None)[len(column.values) // 3]
            condition.set(self.dice.choice(["<", ">=", "="]), [value + 1])
            found.append((condition, condition, ""))
        return self.where(f"{self.table}_finer", found)

    def where(self, name, conditions):
        branches, right = [], {}
        for index, (first, second, joint) in enumerate(conditions):
            text = f"({first.sql()}) {joint} ({second.sql()})" if joint else first.sql()
            keep = {"": lambda a, b: a, "AND": lambda a, b: a and b, "OR": lambda a, b: a or b}[joint]
            sides = zip(self.id.values, first.column.values, second.column.values)
            found = [key for key, one, two in sides if keep(first.holds(one), second.holds(two))]
            branches.append(f"SELECT {index} AS {name}, id FROM {self.table} WHERE {text}")
            right[index] = (text, sorted(found))

        def check(rows):
            got = collections.defaultdict(list)
            for index, key in rows:
                got[int(index)].append(int(key))
            for index, (text, ids) in right.items():
                if sorted(got[index]) != ids:
                    return f"WHERE {text}: {other_rows(ids, got[index])}"
            return None

        return Query(name, " UNION ALL ".join(branches), check, len(branches))

    def values(self, name):
        """Some columns of the rows that a condition leaves, which readers skip to."""
        columns = self.dice.sample(self.columns, min(5, len(self.columns)))
        columns = [c for c in columns if c is not self.id]
        condition = Condition(self.dice.choice(self.columns), self.dice)
        at = [i for i in range(len(self.id.values)) if condition.holds(condition.column.values[i])]
        where = f"WHERE {condition.sql()}"
        return Query(name, f"{self.select(name, columns)} {where}", self.checked([self.id, *columns], at, where))

    def groups(self, name):
        """The number of rows of each value."""
        column = self.dice.choice(self.columns)
        right = collections.Counter(merged(cell, plain(column.kind)) for cell in self.rows[column.name])

        def check(rows):
            got = {merged(parsed(cell, column.kind), plain(column.kind)): int(count) for cell, count in rows}
            if got == right and len(got) == len(rows):
                return None
            return f"groups of {column.name}: right {short(right.items())}, got {short(got.items())}"

        return Query(
            name, f"SELECT {quoted(column.name)} AS {name}, count(*) FROM {self.table} GROUP BY {quoted(column.name)}", check
        )

    def ends(self):
        """The number, the least and the greatest value of every column."""
        name, items, right = f"{self.table}_ends", [], [("rows", None, len(self.id.values))]
        for column in self.columns:
            kind, there = plain(column.kind), [value for value in column.values if value is not None]
            items.append(f"count({quoted(column.name)})")
            right.append((f"count({column.name})", None, len(there)))
            if is_nested(kind) or is_.is_duration(kind) or is_.is_null(kind):
                continue
            for function, choose in (("min", min), ("max", max)):
                items.append(f"{function}({quoted(column.name)})")
                value = choose(there, key=lambda value: order(value, kind)) if there else None
                right.append((f"{function}({column.name})", column.kind, canonical(value, column.kind)))

        def check(rows):
            for (what, kind, value), cell in zip(right, rows[0], strict=True):
                if kind is None:
                    if int(cell) != value:
                        return f"{what}: right {value}, got {cell}"
                elif (reason := wrong(merged(value, plain(kind)), cell, kind, merged)) is not None:
                    return f"{what}: {reason}"
            return None

        return Query(name, f"SELECT count(*) AS {name}, {', '.join(items)} FROM {self.table}", check, len(items) + 1)


def wrong(right, cell, kind, merge=lambda value, kind: value):
    """How a cell differs from the right value."""
    try:
        got = merge(parsed(cell, kind), plain(kind))
    except (ValueError, KeyError, AttributeError, TypeError, decimal.InvalidOperation):
        return f"right {right!r:.200}, got {cell!r:.200}, which is no {kind}"
    return None if type(got) is type(right) and got == right else f"right {right!r:.200}, got {cell!r:.200}"


def other_rows(right, got):
    """The difference of two lists of ids."""
    lost, more = set(right) - set(got), set(got) - set(right)
    return f"{len(right)} rows are right, {len(got)} came; lost ids {short(lost)}, other ids {short(more)}"


def short(items):
    items = sorted(items, key=repr)
    return f"{items[:8]!r:.300}"
