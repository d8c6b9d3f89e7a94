"""Parquet files of polars."""

import polars as pl
import pyarrow as pa

from case import Case
from columns import Column, table

SETTINGS = {
    "defaults": {},
    "no statistics": {"statistics": False, "row_group_size": 7},
    "full statistics": {"statistics": "full", "row_group_size": 7},
    "tiny pages": {"data_page_size": 64, "row_group_size": 60},
    **{name: {"compression": name} for name in ("uncompressed", "snappy", "gzip", "brotli", "lz4")},
    "by pyarrow": {"use_pyarrow": True, "row_group_size": 13},
}


def frame(shop):
    """The table in polars, with the columns that it has types for, and what these are."""
    columns = [column for column in map(kept, shop.values()) if column]
    return pl.from_arrow(table(columns)), columns


def kept(column):
    kind = column.kind
    # Polars has no maps, seconds and times but in nanoseconds.
    if pa.types.is_map(kind):
        return None
    if pa.types.is_time(kind):
        factor = {"ms": 10**6, "us": 1000, "ns": 1}[kind.unit]
        return column.of(kind=pa.time64("ns"), value=lambda v: v * factor)
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return column.of(kind=pa.timestamp("ms", kind.tz), value=lambda v: v * 1000)
    return column


def cases(folder, shop):
    rows, columns = frame(shop)
    for setting, options in SETTINGS.items():
        place = folder / f"polars {setting}.parquet"
        rows.write_parquet(place, **options)
        yield Case("polars", setting, place, columns)
    place = folder / "polars lazy.parquet"
    rows.lazy().filter(pl.col("id") >= 0).sink_parquet(place, row_group_size=13)
    yield Case("polars", "sink", place, columns)
    yield other_types(folder, rows, shop)
    yield wide_integers(folder, rows, shop)
    yield from partitions(folder, rows, columns)


def other_types(folder, rows, shop):
    place = folder / "polars types.parquet"
    c = pl.col
    rows.select(
        c("id"),
        c("sku").cast(pl.String).cast(pl.Categorical).alias("category"),
        c("sku").cast(pl.String).cast(pl.Enum(["P-1", "P-2", "", "Größe L"])).alias("enum"),
        c("t_us").to_physical().cast(pl.Duration("us")).alias("spell"),
        pl.concat_list(c("i32"), c("i32")).list.to_array(2).alias("pair"),
        c("d9_2").cast(pl.Decimal(38, 2)).alias("money"),
        pl.struct(c("i8"), pl.struct(c("u32"), c("txt")).alias("s")).alias("deep"),
    ).write_parquet(place, row_group_size=13)
    deep = pa.struct([("i8", pa.int8()), ("s", pa.struct([("u32", pa.uint32()), ("txt", pa.string())]))])
    columns = [
        shop["id"],
        shop["sku"].of(name="category"),
        shop["sku"].of(name="enum"),
        shop["t_us"].of(name="spell", kind=pa.duration("us")),
        Column("pair", pa.list_(pa.int32()), [[v, v] for v in shop["i32"].values]),
        shop["d9_2"].of(name="money", kind=pa.decimal128(38, 2)),
        Column(
            "deep",
            deep,
            [{"i8": a, "s": {"u32": b, "txt": c}} for a, b, c in zip(*(shop[n].values for n in ("i8", "u32", "txt")))],
        ),
    ]
    return Case("polars", "other types", place, columns)


def wide_integers(folder, rows, shop):
    place = folder / "polars wide.parquet"
    rows.select("id", pl.col("i16").cast(pl.Int128)).write_parquet(place)
    return Case("polars", "integers of 128 bits", place, [shop["id"], shop["i16"]])


def partitions(folder, rows, columns):
    named = {column.name: column for column in columns}
    for by, kind in (("i16", "int32"), ("day", "date"), ("flag", "bool")):
        place = folder / f"polars by {by}"
        rows.select("id", "f64", "txt", by).write_parquet(place, partition_by=[by])
        chosen = [named[name] for name in ("id", "f64", "txt", by)]
        yield Case("polars", f"folders by {by}", place, chosen, options={"partitions": f"{by} {kind}"})
