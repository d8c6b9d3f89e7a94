"""Parquet files of pandas, with both of its writers."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa

from case import Case
from cells import NANOSECONDS, plain
from columns import Column, table

NULLABLE = {
    **{getattr(pa, f"int{n}")(): f"Int{n}" for n in (8, 16, 32, 64)},
    **{getattr(pa, f"uint{n}")(): f"UInt{n}" for n in (8, 16, 32, 64)},
}


def cases(folder, shop):
    yield from with_pyarrow(folder, shop)
    yield from with_fastparquet(folder, shop)


def with_pyarrow(folder, shop):
    arrow = table(shop.values())
    # Types of Arrow below the frame: every value stays.
    rows = arrow.to_pandas(types_mapper=pd.ArrowDtype)
    columns = list(shop.values())
    for setting, options in {
        "arrow types": {},
        "gzip": {"compression": "gzip"},
        "no index": {"index": False},
        "row groups": {"row_group_size": 7},
    }.items():
        place = folder / f"pandas {setting}.parquet"
        rows.to_parquet(place, **options)
        yield Case("pandas", setting, place, columns)
    # Types of numpy, as frames have them by default: NaN is null.
    names = ["id", "f64", "f32", "txt", "flag", "t_ns", "z_us", "day", "d38_10", "bytes", "tags", "sku"]
    frame = table([shop[name] for name in names]).to_pandas()
    chosen = [missing(shop[name]) for name in names]
    for setting, make in {
        "numpy types": lambda f: f,
        "named index": lambda f: f.set_index("id"),
        "index of texts": lambda f: f.set_index("txt"),
        "two indexes": lambda f: f.set_index(["sku", "id"]),
        "sorted, unnamed index": lambda f: f.sort_values("f64"),
        "objects": lambda f: f.astype({"txt": object, "flag": object, "sku": object, "f64": object}),
    }.items():
        place = folder / f"pandas {setting}.parquet"
        made = make(frame)
        made.to_parquet(place)
        extra = []
        if setting.startswith("sorted"):
            by_id = {value: index for index, value in zip(made.index, made["id"])}
            extra = [Column("__index_level_0__", pa.int64(), [by_id[value] for value in shop["id"].values])]
        yield Case("pandas", setting, place, chosen + extra)
    place = folder / "pandas folders"
    rows[["id", "txt", "i16", "day"]].to_parquet(place, partition_cols=["i16", "day"])
    yield Case(
        "pandas",
        "folders by i16 and day",
        place,
        [shop[n] for n in ("id", "txt", "i16", "day")],
        options={"partitions": "i16 int32; day date"},
    )


def missing(column):
    """NaN is null in pandas."""
    if not pa.types.is_floating(column.kind):
        return column
    return Column(column.name, column.kind, [None if v is not None and math.isnan(v) else v for v in column.values])


def with_fastparquet(folder, shop):
    names = [
        "id",
        "i8",
        "u8",
        "i16",
        "u16",
        "i32",
        "u32",
        "i64",
        "u64",
        "f32",
        "f64",
        "txt",
        "name",
        "long",
        "sku",
        "bytes",
        "flag",
        "t_s",
        "t_ms",
        "t_us",
        "t_ns",
        "z_us",
    ]
    chosen = [times(missing(shop[name])) for name in names]
    frame = pd.DataFrame({column.name: series(column) for column in chosen})
    settings = {
        "defaults": {},
        "statistics": {"stats": True, "row_group_offsets": 13},
        "no statistics": {"stats": False, "row_group_offsets": 13},
        "INT96": {"times": "int96"},
        "folder": {"file_scheme": "hive", "row_group_offsets": 50},
        **{name.lower(): {"compression": name} for name in ("GZIP", "ZSTD", "BROTLI", "UNCOMPRESSED")},
    }
    for setting, options in settings.items():
        place = folder / f"fastparquet {setting}.parquet"
        frame.to_parquet(
            place, engine="fastparquet", index=False, object_encoding={c.name: encoding(c) for c in chosen}, **options
        )
        yield Case("fastparquet", setting, place, [written(column, options) for column in chosen])
    place = folder / "fastparquet folders"
    frame[["id", "f64", "i16", "txt"]].to_parquet(
        place,
        engine="fastparquet",
        index=False,
        partition_on=["i16"],
        file_scheme="hive",
        object_encoding={"txt": "utf8", "i16": "int"},
    )
    there = [i for i, v in enumerate(shop["i16"].values) if v is not None]
    some = [Column(c.name, c.kind, [c.values[i] for i in there]) for c in chosen if c.name in ("id", "f64", "i16", "txt")]
    yield Case("fastparquet", "folders by i16", place, some, options={"partitions": "i16 int32"})


def times(column):
    """Times in nanoseconds and in the years of these: fastparquet 2026.9 writes the number of another unit as it is."""
    if not pa.types.is_timestamp(column.kind):
        return column
    scale = NANOSECONDS[column.kind.unit]
    return column.of(kind=pa.timestamp("ns", column.kind.tz), value=lambda v: v * scale if abs(v * scale) < 9 * 10**18 else 0)


def series(column):
    kind = plain(column.kind)
    if kind in NULLABLE:
        return pd.array(column.values, dtype=NULLABLE[kind])
    if pa.types.is_boolean(kind):
        return pd.array(column.values, dtype="boolean")
    if pa.types.is_floating(kind):
        return np.array(
            [math.nan if v is None else v for v in column.values], dtype="float32" if pa.types.is_float32(kind) else "float64"
        )
    if pa.types.is_timestamp(kind):
        times = pd.Series(
            [np.datetime64("NaT") if v is None else np.datetime64(v, kind.unit) for v in column.values],
            dtype=f"datetime64[{kind.unit}]",
        )
        return times.dt.tz_localize("UTC").dt.tz_convert(kind.tz) if kind.tz else times
    if column.name == "sku":
        return pd.Categorical(column.values)
    return pd.Series(column.values, dtype=object)


def encoding(column):
    return "bytes" if pa.types.is_binary(column.kind) else "utf8"


def written(column, options):
    """The times as fastparquet writes them."""
    kind = column.kind
    if not pa.types.is_timestamp(kind):
        return column
    if options.get("times") == "int96":
        return column.of(kind=pa.timestamp("us"), value=lambda v: v // 1000)
    return column
