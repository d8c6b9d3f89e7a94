"""Tables of a seed: few rows, but nulls, duplicates, skew, extremes and special values.

Every table has the same columns. `id` is unique, so that an order that ends with it is total. What is summed
is a multiple of a quarter, so that sums of floats are exact in any order.
"""

import datetime
import decimal
import math
import random

COLUMNS = {
    "id": "int",
    "k": "int",
    "n": "int",
    "d": "decimal",
    "f": "float",
    "s": "text",
    "b": "bool",
    "day": "date",
    "ts": "time",
}
DUCKDB_TYPES = {
    "id": "BIGINT",
    "k": "INTEGER",
    "n": "BIGINT",
    "d": "DECIMAL(10,2)",
    "f": "DOUBLE",
    "s": "VARCHAR",
    "b": "BOOLEAN",
    "day": "DATE",
    "ts": "TIMESTAMP",
}
EMPORIA_TYPES = {
    "id": "int64",
    "k": "int32",
    "n": "int64",
    "d": "decimal(10,2)",
    "f": "float64",
    "s": "string",
    "b": "bool",
    "day": "date",
    "ts": "timestamp",
}
FORMATS = ["parquet", "csv", "json"]
TEXTS = ["a", "b", "ab", "B", "abc", " a", "a ", "é", "日本", "it's", "100%", "a_b", "x,y", 'q"q', "zz"]
MAX_INT = 2**63 - 1


class Table:
    """Rows, and how many files hold them."""

    def __init__(self, name, rows, n_files):
        self.name, self.rows, self.n_files = name, rows, n_files

    def parts(self):
        n = max(1, self.n_files)
        return [self.rows[i::n] for i in range(n)]


class TableSet:
    """The tables of a seed and what queries may do with them."""

    def __init__(self, seed):
        dice = random.Random(f"tables {seed}")
        self.seed = seed
        self.format = dice.choices(FORMATS, [3, 1, 1])[0]
        # Sums of such values depend on the order, or leave the type.
        self.has_special_floats = dice.random() < 0.2 and self.format == "parquet"
        self.has_extreme_ints = dice.random() < 0.2
        self.pools = {column: self.pool(dice, column) for column in COLUMNS if column != "id"}
        sizes = [dice.choice([4, 10, 30]), dice.choice([1, 8, 25, 25]), dice.choice([0, 1, 5, 40, 40]), dice.choice([60, 300])]
        dice.shuffle(sizes)
        self.tables = [self.table(dice, f"t{i}", size) for i, size in enumerate(sizes)]

    def table(self, dice, name, size):
        columns = {column: self.values(dice, column, size) for column in COLUMNS if column != "id"}
        ids = list(range(size))
        if dice.random() < 0.5:
            dice.shuffle(ids)
        rows = [
            tuple(ids[i] if column == "id" else columns[column][i] for column in COLUMNS) for i in range(size)
        ]
        return Table(name, rows, dice.choice([1, 1, 2, 3, 5]))

    def values(self, dice, column, size):
        null_share = dice.choices([0, 0.1, 0.5, 1], [3, 4, 2, 0.3])[0]
        domain = self.domain(dice, column)
        weights = [8] + [1] * (len(domain) - 1) if dice.random() < 0.3 else None
        return [
            None if dice.random() < null_share else dice.choices(domain, weights)[0] for _ in range(size)
        ]

    def domain(self, dice, column):
        """Values of one column of one table: few, of a pool that all tables share, so that joins find rows."""
        pool = self.pools[column]
        return dice.sample(pool, min(len(pool), dice.choice([1, 2, 4, 10])))

    def pool(self, dice, column):
        n = 7
        if column == "k":
            return [dice.randint(-2, 12) for _ in range(n)]
        if column == "n":
            extremes = [MAX_INT, -MAX_INT - 1, MAX_INT - 1] if self.has_extreme_ints else []
            return [dice.randint(-3, 13) for _ in range(n)] + [0] + extremes
        if column == "d":
            return [decimal.Decimal(dice.randint(-400, 4000)) / 4 for _ in range(n)] + [decimal.Decimal(0)]
        if column == "f":
            special = [math.nan, math.inf, -math.inf, -0.0, 1e308, 5e-324] if self.has_special_floats else []
            return [dice.randint(-200, 200) / 4 for _ in range(n)] + [0.0] + special
        if column == "s":
            # CSV has one form for the empty text and for null, so only the other formats hold it.
            return dice.sample(TEXTS, n) + ([""] if self.format != "csv" else [])
        if column == "b":
            return [True, False]
        if column == "day":
            first = datetime.date(2023, 12, 28)
            return [first + datetime.timedelta(days=dice.randint(0, 70)) for _ in range(n)]
        first = datetime.datetime(2023, 12, 31, 22)
        return [first + datetime.timedelta(minutes=dice.randint(0, 60 * 24 * 3)) for _ in range(n)]


def literal(value):
    """The value in DuckDB's SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE"
    if isinstance(value, (int, decimal.Decimal)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def create(db, table):
    """Makes the table in DuckDB."""
    columns = ", ".join(f"{name} {DUCKDB_TYPES[name]}" for name in COLUMNS)
    db.execute(f"CREATE OR REPLACE TABLE {table.name} ({columns})")
    if table.rows:
        rows = ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in table.rows)
        db.execute(f"INSERT INTO {table.name} VALUES {rows}")


def write(db, tables, kind, folder):
    """Writes all tables as files and returns the catalog file."""
    catalog = []
    for table in tables:
        place = folder / table.name
        place.mkdir(parents=True)
        for index, rows in enumerate(table.parts()):
            create(db, Table("part", rows, 1))
            # Small row groups, so that pruning has something to prune.
            options = {
                "parquet": "FORMAT parquet, ROW_GROUP_SIZE 2048",
                "csv": "FORMAT csv, HEADER",
                "json": "FORMAT json",
            }[kind]
            db.execute(f"COPY (SELECT * FROM part) TO '{place}/{index}.{kind}' ({options})")
        columns = ", ".join(f'"{name} {EMPORIA_TYPES[name]}"' for name in COLUMNS)
        catalog += [f"[tables.{table.name}]", f'connector = "{kind}"', f'location = "{table.name}/"']
        # Parquet files say themselves what they hold.
        catalog += [f"columns = [{columns}]"] if kind != "parquet" else []
    path = folder / "emporia.toml"
    path.write_text("\n".join(catalog) + "\n")
    return path
