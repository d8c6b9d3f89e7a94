"""Folders in which files of two programs lie side by side: other types, other orders of columns, some columns in one only."""

import csv
import gzip
import json
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import by_duckdb
import by_pandas
import by_polars
from case import Case
from cells import DAY, NANOSECONDS, plain
from columns import Column, table
from columns import shop as another
from texts import (
    FLAT,
    changed,
    columns,
    empty_is_null,
    finite,
    python_rows,
    readable,
    recent,
    without_exponents,
    zoned_is_recent,
)

COMMON = [
    "id",
    "i8",
    "i32",
    "u32",
    "i64",
    "f32",
    "f64",
    "d9_2",
    "d38_10",
    "txt",
    "sku",
    "bytes",
    "flag",
    "day",
    "t_ms",
    "t_us",
    "z_us",
    "clock_us",
    "tags",
    "sizes",
    "address",
    "cart",
]


def cases(folder, shop):
    other = another(seed=8, size=60, first_id=5000)
    writers = {"pyarrow": by_pyarrow, "duckdb": by_db, "polars": by_frame, "pandas": by_numpy, "fastparquet": by_fast}
    for one, two in (
        ("pyarrow", "duckdb"),
        ("polars", "pandas"),
        ("duckdb", "fastparquet"),
        ("pandas", "pyarrow"),
        ("polars", "duckdb"),
    ):
        place = folder / f"{one} and {two}"
        place.mkdir()
        left, right = pick(shop), pick(other)[::-1]
        if two == "fastparquet":
            # All times become nanoseconds, which have few years.
            left = changed(left, times=recent)
        if one == "polars":
            left, right = ([c for c in side if not pa.types.is_list(c.kind)] for side in (left, right))
        left, right = writers[one](place / f"{one}.parquet", left), writers[two](place / f"{two}.parquet", right)
        yield Case("mixed", f"{one} and {two}", place, together(left, right))
    yield lists(folder, shop, other)
    yield widths(folder, shop, other)
    yield texts(folder, shop, other)
    yield lines(folder, shop, other)


def pick(shop):
    return [shop[name] for name in COMMON]


def by_pyarrow(path, columns):
    pq.write_table(table(columns), path, row_group_size=13)
    return columns


def by_db(path, columns):
    kept = [by_duckdb.kept(column) for column in columns]
    db = duckdb.connect()
    db.execute("SET threads = 1; SET TimeZone = 'UTC'")
    db.register("rows", table(kept))
    db.execute(f"COPY rows TO '{path}' (FORMAT parquet)")
    return kept


def by_frame(path, columns):
    kept = [by_polars.kept(column) for column in columns]
    pl.from_arrow(table(kept)).write_parquet(path, row_group_size=13)
    return kept


def by_numpy(path, columns):
    columns = [
        c for c in columns if c.name in ("id", "f32", "f64", "d9_2", "txt", "sku", "flag", "t_us", "z_us", "day", "tags")
    ]
    table(columns).to_pandas().to_parquet(path)
    return [by_pandas.missing(column) for column in columns]


def by_fast(path, columns):
    columns = [
        by_pandas.times(by_pandas.missing(c))
        for c in columns
        if c.name in ("id", "i8", "i64", "f64", "txt", "sku", "flag", "t_us", "z_us")
    ]
    frame = pd.DataFrame({column.name: by_pandas.series(column) for column in columns})
    frame.to_parquet(path, engine="fastparquet", index=False, object_encoding={c.name: by_pandas.encoding(c) for c in columns})
    return columns


def lists(folder, shop, other):
    """Lists of polars have 64 bits for their lengths, those of others 32."""
    place = folder / "lists"
    place.mkdir()
    left = by_frame(place / "polars.parquet", [shop["id"], shop["tags"]])
    right = by_pyarrow(place / "pyarrow.parquet", [other["id"], other["tags"]])
    return Case("mixed", "lists of polars and pyarrow", place, together(left, right))


def widths(folder, shop, other):
    """The same names with narrow types in one file and wide ones in the other."""
    pairs = [
        ("i8", "i64"),
        ("u8", "i16"),
        ("u64", "i64"),
        ("u32", "i32"),
        ("f32", "f64"),
        ("d9_2", "d18_4"),
        ("i32", "d38_10"),
        ("d28_10", "i16"),
    ]
    pairs += [
        ("t_ms", "t_us"),
        ("t_s", "t_ms"),
        ("day", "t_us"),
        ("t_us", "z_us"),
        ("clock_ms", "clock_ns"),
        ("sku", "txt"),
        ("nothing", "i64"),
        ("null", "txt"),
    ]
    place = folder / "widths"
    place.mkdir()
    left = [shop["id"]] + [shop[one].of(name=f"c{i}") for i, (one, _) in enumerate(pairs)]
    right = [other["id"]] + [other[two].of(name=f"c{i}") for i, (_, two) in enumerate(pairs)]
    by_pyarrow(place / "narrow.parquet", left)
    by_pyarrow(place / "wide.parquet", right[::-1])
    return Case("mixed", "narrow and wide types", place, together(left, right))


def texts(folder, shop, other):
    place = folder / "texts"
    place.mkdir()
    left, right = (changed(without_exponents(columns(s, FLAT)), times=zoned_is_recent) for s in (shop, other))
    pl.from_arrow(table(left)).write_csv(place / "polars.csv")
    right = right[::-1]
    with gzip.open(place / "python.csv.gz", "wt", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([[c.name for c in right], *python_rows(right)])
    return Case(
        "mixed", "csv of polars and python", place, map(readable, together(left, changed(right, text=empty_is_null))), "csv"
    )


def lines(folder, shop, other):
    place = folder / "lines"
    place.mkdir()
    left, right = (changed(columns(s, FLAT), floats=finite, times=zoned_is_recent) for s in (shop, other))
    pl.from_arrow(table([by_polars.kept(column) for column in left])).write_ndjson(place / "polars.jsonl")
    rows = [{c.name: value for c, value in zip(right, row) if value is not None} for row in python_rows(right)]
    (place / "python.json").write_text(json.dumps(rows, default=str))
    return Case("mixed", "json of polars and python", place, map(readable, together(left, right)), "json")


def together(left, right):
    """The rows of both, with null where a file lacks a column."""
    names = {column.name: None for column in [*left, *right]}
    sizes = len(left[0].values), len(right[0].values)
    for name in names:
        sides = [next((c for c in side if c.name == name), None) for side in (left, right)]
        kind = common(*(plain(side.kind) for side in sides if side))
        values = []
        for side, size in zip(sides, sizes):
            values += [as_kind(value, side.kind, kind) for value in side.values] if side else [None] * size
        yield Column(name, kind, values)


def common(one, two=None):
    """The type of both, as docs/files.md has it."""
    is_ = pa.types
    if two is None or one == two or is_.is_null(two):
        return one
    if is_.is_null(one):
        return two
    kinds = (one, two)
    if all(map(is_.is_integer, kinds)):
        return pa.decimal128(20, 0) if pa.uint64() in kinds else pa.int64()
    if any(map(is_.is_decimal, kinds)):
        scale = max(kind.scale if is_.is_decimal(kind) else 0 for kind in kinds)
        return pa.decimal256(76, scale)
    if all(map(is_.is_floating, kinds)):
        return pa.float64()
    times = [kind for kind in kinds if is_.is_timestamp(kind) or is_.is_time(kind)]
    unit = min((kind.unit for kind in times), key=NANOSECONDS.get)
    if is_.is_time(times[0]):
        return pa.time64(unit)
    return pa.timestamp(unit, next((kind.tz for kind in times if kind.tz), None))


def as_kind(value, kind, to):
    is_ = pa.types
    if value is None or kind == to:
        return value
    if is_.is_decimal(to):
        return Decimal(value)
    if is_.is_timestamp(to) or is_.is_time(to):
        scale = DAY if is_.is_date(kind) else NANOSECONDS[kind.unit]
        return value * scale // NANOSECONDS[to.unit]
    return value
