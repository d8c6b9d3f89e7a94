"""Parquet files of DuckDB."""

from decimal import Decimal

import duckdb
import pyarrow as pa

from case import Case
from cells import NANOSECONDS
from columns import Column, table

SETTINGS = {
    "defaults": "",
    "V2": ", PARQUET_VERSION V2",
    "small row groups": ", ROW_GROUP_SIZE 40",
    **{name: f", COMPRESSION {name}" for name in ("uncompressed", "zstd", "gzip", "lz4", "brotli")},
    "no dictionaries": ", DICTIONARY_SIZE_LIMIT 1, ROW_GROUP_SIZE 60",
    "dictionaries": ", DICTIONARY_SIZE_LIMIT 1000000, BLOOM_FILTER_FALSE_POSITIVE_RATIO 0.5",
    "V2, no dictionaries": ", PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1",
    "field ids": ", FIELD_IDS 'auto'",
}
# Differences of numbers of 32 bits are packed with more bits by DuckDB, which pyarrow and Emporia refuse.
WIDE = ["u32", "sizes"]


def connect(shop):
    """The table in DuckDB, with the columns that it has types for."""
    db = duckdb.connect()
    db.execute("SET threads = 1; SET TimeZone = 'UTC'")
    columns = [column for column in map(kept, shop.values()) if column]
    db.register("arrow_shop", table(columns))
    db.execute("CREATE TABLE shop AS SELECT * FROM arrow_shop")
    return db, columns


def kept(column):
    kind = column.kind
    if pa.types.is_null(kind):
        return None
    if pa.types.is_floating(kind):
        # DuckDB's dictionaries take both zeros for one.
        return column.of(value=lambda v: v + 0.0)
    if pa.types.is_timestamp(kind) and kind.tz:
        return column.of(kind=pa.timestamp("us", "UTC"), value=lambda v: v * NANOSECONDS[kind.unit] // 1000)
    if pa.types.is_time(kind):
        return column.of(kind=pa.time64("us"), value=lambda v: v * NANOSECONDS[kind.unit] // 1000)
    return column


def cases(folder, shop):
    db, columns = connect(shop)
    for setting, options in SETTINGS.items():
        place = folder / f"duckdb {setting}.parquet"
        chosen = columns if "V2" not in setting else [c for c in columns if c.name not in WIDE]
        db.execute(f"COPY (SELECT {', '.join(c.name for c in chosen)} FROM shop) TO '{place}' (FORMAT parquet{options})")
        yield Case("duckdb", setting, place, chosen)
    place = folder / "duckdb wide.parquet"
    db.execute(f"COPY (SELECT id, u32 FROM shop) TO '{place}' (FORMAT parquet, PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1)")
    yield Case("duckdb", "V2, far numbers", place, [c for c in columns if c.name in ("id", "u32")])
    yield other_types(folder, db, shop)
    yield several_files(folder, db, columns)
    yield from partitions(folder, db, columns)


def other_types(folder, db, shop):
    """Types of DuckDB."""
    place = folder / "duckdb types.parquet"
    items = {
        "id": ("id", shop["id"]),
        "big": (
            "(i8::HUGEINT * 100)::DECIMAL(38,0)",
            shop["i8"].of(kind=pa.decimal128(38, 0), value=lambda v: Decimal(v * 100)),
        ),
        "kind": ("sku::ENUM ('P-1', 'P-2', '', 'Größe L')", shop["sku"]),
        "uuid": ("printf('00000000-0000-4000-8000-%012x', id)::UUID", None),
        "doc": (
            "CASE WHEN i16 IS NOT NULL THEN json_object('a', i16) END::JSON",
            shop["i16"].of(kind=pa.string(), value=lambda v: f'{{"a":{v}}}'),
        ),
        "pair": ("[i32, NULL]::INTEGER[2]", Column("pair", pa.list_(pa.int32()), [[v, None] for v in shop["i32"].values])),
        "deep": ("{'a': [{'b': [i32]}]}", None),
    }
    db.execute(
        f"COPY (SELECT {', '.join(f'{sql} AS {name}' for name, (sql, _) in items.items())} FROM shop) TO '{place}' (FORMAT parquet)"
    )
    deep = pa.struct([("a", pa.list_(pa.struct([("b", pa.list_(pa.int32()))])))])
    columns = [Column(name, column.kind, column.values) for name, (_, column) in items.items() if column]
    columns.append(Column("uuid", pa.binary(16), [bytes.fromhex(f"00000000000040008000{i:012x}") for i in shop["id"].values]))
    columns.append(Column("deep", deep, [{"a": [{"b": [v]}]} for v in shop["i32"].values]))
    return Case("duckdb", "other types", place, columns)


def several_files(folder, db, columns):
    place = folder / "duckdb files"
    db.execute(f"COPY shop TO '{place}' (FORMAT parquet, ROW_GROUP_SIZE 40, ROW_GROUPS_PER_FILE 1)")
    return Case("duckdb", "several files", place, columns)


def partitions(folder, db, columns):
    named = {column.name: column for column in columns}
    settings = {
        "sku": (
            "CASE sku WHEN '' THEN 'a/b=c %20é' ELSE sku END",
            "string",
            named["sku"].of(kind=pa.string(), value=lambda v: v or "a/b=c %20é"),
            "",
        ),
        "name": (
            "CASE WHEN name IN ('', 'NULL') THEN '+ +' ELSE name END",
            "string",
            named["name"].of(value=lambda v: "+ +" if v in ("", "NULL") else v),
            "",
        ),
        "i64": ("i64", "int64", named["i64"], ", WRITE_PARTITION_COLUMNS"),
        "d9_2": ("d9_2", "decimal(9,2)", named["d9_2"], ""),
        "flag": ("flag", "bool", named["flag"], ""),
        "t_us": ("t_us", "timestamp", named["t_us"].of(kind=pa.timestamp("us", "UTC")), ""),
    }
    for by, (sql, kind, column, options) in settings.items():
        place = folder / f"duckdb by {by}"
        db.execute(
            f"COPY (SELECT id, i32, f64, txt, {sql} AS {by} FROM shop) TO '{place}' (FORMAT parquet, PARTITION_BY ({by}){options})"
        )
        chosen = [named["id"], named["i32"], named["f64"], named["txt"], column]
        yield Case("duckdb", f"folders by {by}", place, chosen, options={"partitions": f"{by} {kind}"})
    place = folder / "duckdb by two"
    db.execute(f"COPY (SELECT id, f64, day, i8 FROM shop) TO '{place}' (FORMAT parquet, PARTITION_BY (day, i8))")
    chosen = [named[name] for name in ("id", "f64", "day", "i8")]
    yield Case("duckdb", "folders by day and i8", place, chosen, options={"partitions": "day date; i8 int32"})
