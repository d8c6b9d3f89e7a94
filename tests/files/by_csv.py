"""Delimited text of Python's csv, pandas, polars and DuckDB."""

import bz2
import codecs
import csv
import gzip
import io
import lzma

import pandas as pd
import polars as pl

import by_duckdb
from case import Case
from columns import table
from texts import FLAT, changed, columns, empty_is_null, python_rows, readable, without_exponents, zoned_is_recent

PANDAS = {
    "csv": ({}, {}),
    "semicolons": ({"sep": ";"}, {"delimiter": ";"}),
    "tabs": ({"sep": "\t"}, {"delimiter": "\t"}),
    "all quoted": ({"quoting": csv.QUOTE_ALL}, {"empty": "null"}),
    "texts quoted": ({"quoting": csv.QUOTE_NONNUMERIC}, {"empty": "null"}),
    "a text for null": ({"na_rep": "\\NULL"}, {"null": "\\NULL"}),
    "CRLF": ({"lineterminator": "\r\n"}, {}),
    "byte order mark": ({"encoding": "utf-8-sig"}, {}),
    "latin1": ({"encoding": "latin1"}, {"encoding": "latin1"}),
    "windows-1252": ({"encoding": "cp1252"}, {"encoding": "windows-1252"}),
    "UTF-16": ({"encoding": "utf-16"}, {"encoding": "utf-16"}),
    "UTF-16LE": ({"encoding": "utf-16-le"}, {"encoding": "utf-16le"}),
    "single quotes": ({"quotechar": "'"}, {"quote": "'"}),
    "escapes": ({"doublequote": False, "escapechar": "\\", "quoting": csv.QUOTE_ALL}, {"escape": "\\", "empty": "null"}),
    "no header": ({"header": False}, {"header": "false"}),
    "gzip": ({"compression": "gzip"}, {}),
    "bz2": ({"compression": "bz2"}, {}),
    "xz": ({"compression": "xz"}, {}),
    "zip": ({"compression": "zip"}, {}),
}
POLARS = {
    "csv": ({}, {}),
    "all quoted": ({"quote_style": "always"}, {"empty": "null"}),
    "texts quoted": ({"quote_style": "non_numeric"}, {}),
    "byte order mark, CRLF": ({"include_bom": True, "line_terminator": "\r\n"}, {}),
    "tabs": ({"separator": "\t"}, {"delimiter": "\t"}),
    "a text for null": ({"null_value": "-null-"}, {"null": "-null-"}),
    "no header": ({"include_header": False}, {"header": "false"}),
    "gzip": ({"compression": "gzip", "check_extension": False}, {}),
    "zstd": ({"compression": "zstd", "check_extension": False}, {}),
    "other times": ({"datetime_format": "%Y-%m-%d %H:%M:%S%.9f", "float_scientific": True}, {}),
}
DUCKDB = {
    "csv": ("", {}),
    "bars, no header": ("HEADER false, DELIM '|'", {"header": "false", "delimiter": "|"}),
    "all quoted": ("FORCE_QUOTE *", {}),
    "escapes": ("ESCAPE '\\'", {"escape": "\\"}),
    "single quotes": ("QUOTE '''', ESCAPE ''''", {"quote": "'"}),
    "a text for null": ("NULLSTR 'NA'", {"null": "NA"}),
    "gzip": ("COMPRESSION gzip", {}),
    "zstd": ("COMPRESSION zstd", {}),
    "several files": ("PER_THREAD_OUTPUT", {}),
}
PYTHON = {
    "excel": ({}, {}),
    "excel-tab": ({"dialect": "excel-tab"}, {"delimiter": "\t"}),
    "unix": ({"dialect": "unix"}, {"empty": "null"}),
    "not numeric quoted": ({"quoting": csv.QUOTE_NONNUMERIC}, {"empty": "null"}),
    "nothing quoted": (
        {"quoting": csv.QUOTE_NONE, "delimiter": "\x1f", "quotechar": None},
        {"quote": "none", "delimiter": "\x1f"},
    ),
    "escapes": ({"doublequote": False, "escapechar": "\\", "quoting": csv.QUOTE_ALL}, {"escape": "\\", "empty": "null"}),
    "two members of gzip": ({}, {}),
    "bz2": ({}, {}),
    "xz": ({}, {}),
    "UTF-16BE": ({}, {"encoding": "utf-16be"}),
}


def cases(folder, shop):
    flat = columns(shop, FLAT)
    yield from of_pandas(folder, flat)
    yield from of_polars(folder, flat)
    yield from of_duckdb(folder, shop, flat)
    yield from of_python(folder, flat)


def case(writer, setting, place, columns, options):
    return Case(writer, f"csv, {setting}" if setting != "csv" else setting, place, map(readable, columns), "csv", options)


def of_pandas(folder, flat):
    flat = without_exponents(changed(flat, times=zoned_is_recent))
    for setting, (options, how) in PANDAS.items():
        # What the encoding does not have is left out.
        encoding = options.get("encoding") if options.get("encoding") in ("latin1", "cp1252") else "utf-8"
        keep = lambda text, kind: text.encode(encoding, "ignore").decode(encoding)
        chosen = changed(flat, text=keep)
        place = folder / f"pandas {setting}.csv"
        table(chosen).to_pandas(types_mapper=pd.ArrowDtype).to_csv(place, index=False, **options)
        # Pandas puts no quotes around the empty text, and a field without text is null.
        yield case("pandas", setting, place, changed(chosen, text=empty_is_null), how)
    place = folder / "pandas numpy.csv"
    # Whole numbers with nulls are floats there, and have a point.
    some = [c for c in flat if c.name in ("id", "i8", "i32", "txt", "name", "sku", "flag")]
    table(some).to_pandas().to_csv(place)
    yield case("pandas", "numpy types with an index", place, changed(some, text=empty_is_null), {})


def of_polars(folder, flat):
    flat = changed(flat, times=zoned_is_recent)
    every = flat
    for setting, (options, how) in POLARS.items():
        flat = every if "datetime_format" not in options else [c for c in every if c.name != "z_us"]
        place = folder / f"polars {setting}.csv"
        pl.from_arrow(table(flat)).write_csv(place, **options)
        yield case("polars", setting, place, changed(flat, text=empty_is_null) if how.get("empty") else flat, how)


def of_duckdb(folder, shop, flat):
    db, _ = by_duckdb.connect(shop)
    for setting, (options, how) in DUCKDB.items():
        place = folder / f"duckdb {setting}.csv"
        db.execute(
            f"COPY (SELECT {', '.join(c.name for c in flat)} FROM shop) TO '{place}' (FORMAT csv, {options or 'HEADER'})"
        )
        # With another text for null, the empty text is a field without text, which Emporia takes for null.
        right = changed(flat, text=empty_is_null) if "null" in how else flat
        yield case("duckdb", setting, place, changed(right, floats=lambda v, _: v + 0.0), how)


def of_python(folder, flat):
    digits = [column for column in flat if column.name in ("id", "d38_10")]
    place = folder / "python exponents.csv"
    with open(place, "w", newline="") as file:
        csv.writer(file).writerows([["id", "d38_10"], *python_rows(digits)])
    yield case("python", "decimals with exponents", place, digits, {})
    flat = without_exponents(flat)
    for setting, (options, how) in PYTHON.items():
        clean = lambda text, kind: (
            text if options.get("quoting") != csv.QUOTE_NONE else text.replace("\r", "").replace("\n", "")
        )
        chosen = changed(flat, text=clean)
        text = io.StringIO(newline="")
        writer = csv.writer(text, **options)
        writer.writerow([column.name for column in chosen])
        writer.writerows(python_rows(chosen))
        place = folder / f"python {setting}.csv"
        place.write_bytes(packed(setting, text.getvalue()))
        yield case("python", setting, place, changed(chosen, text=empty_is_null), how)


def packed(setting, text):
    data = text.encode()
    if setting.startswith("two members"):
        return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    if setting == "UTF-16BE":
        return codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    return {"bz2": bz2.compress, "xz": lzma.compress}.get(setting, bytes)(data)
