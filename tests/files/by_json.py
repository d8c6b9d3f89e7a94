"""JSON of Python's json, pandas, polars and DuckDB."""

import bz2
import gzip
import json
import lzma
import warnings
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa

import by_duckdb
import by_polars
from case import Case
from columns import table
from texts import FLAT, NESTED, changed, columns, finite, python_rows, readable, recent, zoned_is_recent

PYTHON = {
    "lines": {},
    "lines, no ASCII only": {"ensure_ascii": False},
    "compact lines": {"separators": (",", ":"), "sort_keys": True},
    "array": {},
    "indented array": {"indent": 2},
    "NaN in lines": {},
    "byte order mark, CRLF": {},
    "no nulls": {},
    "gzip": {},
    "bz2": {},
    "xz": {},
}
PANDAS = {
    "records": {},
    "lines": {"lines": True},
    "lines, not ASCII": {"lines": True, "force_ascii": False},
    "indented": {"indent": 4},
    "gzip": {"lines": True, "compression": "gzip"},
}
DUCKDB = {"lines": "", "array": "ARRAY true", "gzip": "COMPRESSION gzip", "zstd": "COMPRESSION zstd"}


def cases(folder, shop):
    everything = columns(shop, FLAT + NESTED)
    yield from of_python(folder, everything)
    yield from of_pandas(folder, columns(shop, FLAT))
    yield from of_polars(folder, shop)
    yield from of_duckdb(folder, shop, everything)


def case(writer, setting, place, columns, **more):
    return Case(writer, f"json, {setting}", place, map(readable, columns), "json", **more)


def of_python(folder, everything):
    # Decimals are texts, as programs write them that care for their digits.
    for setting, options in PYTHON.items():
        chosen = everything if setting.startswith("NaN") else changed(everything, floats=finite)
        rows = [{c.name: value for c, value in zip(chosen, row)} for row in python_rows(chosen)]
        if setting == "no nulls":
            rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
        if "array" in setting:
            text = json.dumps(rows, default=str, **options)
        else:
            text = "".join(json.dumps(row, default=str, **options) + "\n" for row in rows)
        if "CRLF" in setting:
            text = "\ufeff" + text.replace("\n", "\r\n")
        place = folder / f"python {setting}.json"
        place.write_bytes({"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(setting, bytes)(text.encode()))
        yield case("python", setting, place, chosen)
        if setting == "lines":
            yield found(folder, place, chosen)


def found(folder, place, chosen):
    """Without declared columns: texts of dates and decimals stay texts, and types are those of the values."""
    kinds = dict.fromkeys(("id", "i8", "u32", "i64"), pa.int64())
    kinds |= {"f64": pa.float64(), "flag": pa.bool_(), "name": pa.string()}
    kinds |= {"tags": pa.list_(pa.string()), "sizes": pa.list_(pa.int64())}
    columns = [c.of(kind=kinds[c.name]) for c in chosen if c.name in kinds]
    columns += [c.of(kind=pa.decimal128(38, 0), value=Decimal) for c in chosen if c.name == "u64"]
    return Case("python", "json, found columns", place, columns, "json", is_declared=False)


def of_pandas(folder, flat):
    # Ten or fifteen digits, and times in the years of nanoseconds, are all that it writes.
    short = lambda value, _: float(f"{value:.6f}") + 0.0 if abs(value) < 1e6 else None
    chosen = changed([c for c in flat if not c.name.startswith("d") or c.name == "day"], floats=short, times=recent)
    chosen = [c for c in chosen if c.name != "day"]
    for setting, options in PANDAS.items():
        place = folder / f"pandas {setting}.json"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table(chosen).to_pandas(types_mapper=pd.ArrowDtype).to_json(
                place, orient="records", date_format="iso", date_unit="us", double_precision=15, **options
            )
        yield case("pandas", setting, place, chosen)


def of_polars(folder, shop):
    _, there = by_polars.frame(shop)
    names = {column.name for column in there}
    chosen = changed([c for c in columns(shop, FLAT + NESTED) if c.name in names], floats=finite, times=zoned_is_recent)
    rows = pl.from_arrow(table(map(by_polars.kept, chosen)))
    packed = lambda path: rows.write_ndjson(path, compression="gzip", check_extension=False)
    for setting, write in {"lines": rows.write_ndjson, "array": rows.write_json, "gzip": packed}.items():
        place = folder / f"polars {setting}.json"
        write(place)
        yield case("polars", setting, place, chosen)


def of_duckdb(folder, shop, everything):
    db, _ = by_duckdb.connect(shop)
    # It writes decimals without a digit before the point as `.5`, which is no JSON.
    everything = [column for column in everything if column.name != "d38_38"]
    chosen = changed(everything, floats=lambda v, kind: finite(v + 0.0, kind))
    items = ", ".join(c.name if c.name != "f64" else "CASE WHEN isfinite(f64) THEN f64 END AS f64" for c in chosen)
    for setting, options in DUCKDB.items():
        place = folder / f"duckdb {setting}.json"
        db.execute(f"COPY (SELECT {items} FROM shop) TO '{place}' (FORMAT json{', ' + options if options else ''})")
        yield case("duckdb", setting, place, chosen)
