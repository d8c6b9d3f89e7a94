"""Parquet files of pyarrow."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from case import Case
from columns import Column, table
from texts import FLAT, NESTED, readable
from texts import columns as some

TINY = {"row_group_size": 7, "data_page_size": 64, "write_batch_size": 3}
SETTINGS = {
    "defaults": {},
    "format 1.0": {"version": "1.0"},
    "format 2.4": {"version": "2.4"},
    "pages v2": {"data_page_version": "2.0"},
    "pages v2, tiny": {"data_page_version": "2.0", "write_page_index": True, **TINY},
    "no statistics": {"write_statistics": False, "row_group_size": 7},
    "no dictionary": {"use_dictionary": False, "write_page_index": True, "data_page_size": 200, "write_batch_size": 10},
    "tiny row groups": TINY,
    "row groups of 1": {"row_group_size": 1},
    "page index": {"write_page_index": True, **TINY, "row_group_size": 60},
    "no stored schema": {"store_schema": False, "row_group_size": 13},
    "decimals as integers": {"store_decimal_as_integer": True, "row_group_size": 13, "write_page_index": True},
    "old lists": {"use_compliant_nested_type": False},
    "checksums": {"write_page_checksum": True},
    "INT96": {"use_deprecated_int96_timestamps": True, "row_group_size": 13, "store_schema": False},
    "times in ms": {"coerce_timestamps": "ms", "allow_truncated_timestamps": True, "row_group_size": 13},
    "bloom filters": {"bloom_filter_options": dict.fromkeys(["txt", "i64", "sku"], {"ndv": 40}), "row_group_size": 13},
    **{name: {"compression": name, "data_page_version": "2.0"} for name in ("none", "gzip", "brotli", "zstd", "lz4")},
}
DELTA = dict.fromkeys(("i16", "i32", "i64", "u64", "t_us", "day"), "DELTA_BINARY_PACKED")
DELTA |= dict.fromkeys(("txt", "name", "bytes"), "DELTA_BYTE_ARRAY") | {"long": "DELTA_LENGTH_BYTE_ARRAY"}
DELTA |= dict.fromkeys(("f32", "f64", "i8", "d38_10"), "BYTE_STREAM_SPLIT") | {"flag": "RLE"}
SETTINGS["other encodings"] = {"use_dictionary": False, "column_encoding": DELTA, "row_group_size": 60}
MICROSECONDS = pa.timestamp("us")


def cases(folder, shop):
    for setting, options in SETTINGS.items():
        place = folder / f"arrow {setting}.parquet"
        columns = [kept(column, options) for column in shop.values()]
        pq.write_table(table(columns), place, **options)
        yield Case(
            "pyarrow", setting, place, [read(column, options) for column in columns], is_rounded=setting == "times in ms"
        )
    declared = map(readable, some(shop, FLAT + NESTED))
    yield Case("pyarrow", "declared columns", folder / "arrow tiny row groups.parquet", declared, is_declared=True)
    yield other_types(folder, shop)
    yield maps_of_numbers(folder, shop)
    yield several_files(folder, shop)
    yield from partitions(folder, shop)


def kept(column, options):
    """The column with values that the setting keeps: none cuts digits."""
    kind = column.kind
    if column.name == "cart" and "coerce_timestamps" in options:
        return column.of(value=lambda v: [item and {**item, "at": item["at"] and -1000} for item in v])
    if not pa.types.is_timestamp(kind):
        return column
    if options.get("use_deprecated_int96_timestamps"):
        # Nanoseconds of INT96 are read as microseconds, and far years are out of pyarrow's reach.
        return (
            column.of(value=lambda v: v // 1000 * 1000)
            if kind.unit == "ns"
            else Column(column.name, kind, [near(v, kind) for v in column.values])
        )
    if options.get("coerce_timestamps") == "ms":
        # The type stays, so that times are compared with finer ones.
        step = {"ns": 10**6, "us": 10**3}.get(kind.unit, 1)
        return column.of(value=lambda v: v // step * step)
    if kind.unit == "ns" and options.get("version") in ("1.0", "2.4"):
        return column.of(value=lambda v: v // 1000 * 1000)
    return column


def near(value, kind):
    scale = {"s": 1, "ms": 10**3, "us": 10**6}[kind.unit]
    return value if value is None or abs(value) < 9_000_000_000 * scale else 0


def read(column, options):
    """The column as the file has it: INT96 has no zone, and old formats no nanoseconds."""
    kind = column.kind
    if not pa.types.is_timestamp(kind):
        return column
    is_int96 = options.get("use_deprecated_int96_timestamps", False)
    zone = None if is_int96 else kind.tz
    if kind.unit == "ns" and (is_int96 or options.get("version") in ("1.0", "2.4")):
        return column.of(kind=pa.timestamp("us", zone), value=lambda v: v // 1000)
    return column.of(kind=pa.timestamp(kind.unit, zone))


def other_types(folder, shop):
    """Types of Arrow that are written with the stored schema only."""
    pick = lambda name, new, kind, value=None: shop[name].of(kind=kind, value=value, name=new)
    columns = [
        shop["id"],
        pick("txt", "large", pa.large_string()),
        pick("txt", "view", pa.string_view()),
        pick("bytes", "large_bytes", pa.large_binary()),
        pick("bytes", "bytes_view", pa.binary_view()),
        pick("bytes", "fixed", pa.binary(3), lambda v: (v + b"\0\0\0")[:3]),
        pick("sizes", "large_list", pa.large_list(pa.int32())),
        pick("sizes", "pair", pa.list_(pa.int32(), 2), lambda v: (v + [1, None])[:2]),
        pick("txt", "coded", pa.dictionary(pa.int8(), pa.large_string())),
        pick("t_us", "spell", pa.duration("us")),
        pick("d5_0", "d32", pa.decimal32(5, 0)),
        pick("d18_4", "d64", pa.decimal64(18, 4)),
        pick("d38_10", "d256", pa.decimal256(60, 10)),
        pick("f32", "f16", pa.float16(), lambda v: 1.5 if abs(v) > 2 and abs(v) < 1e39 or 0 < abs(v) < 1 else v),
        pick("day", "day64", pa.date64(), lambda v: v * 86_400_000),
    ]
    place = folder / "arrow types.parquet"
    pq.write_table(table(columns), place, row_group_size=13)
    days = columns[14]
    columns[14] = days.of(kind=pa.date32(), value=lambda v: v // 86_400_000)
    return Case("pyarrow", "other types", place, columns)


def maps_of_numbers(folder, shop):
    place = folder / "arrow maps.parquet"
    numbers = shop["counts"].of(kind=pa.map_(pa.int32(), pa.string()), value=lambda v: [(i, k) for i, (k, _) in enumerate(v)])
    pq.write_table(table([shop["id"], numbers]), place)
    return Case("pyarrow", "maps of numbers", place, [shop["id"], numbers])


def several_files(folder, shop):
    """A dataset, with the files of metadata that some programs write beside it."""
    place, rows, collected = folder / "arrow dataset", table(shop.values()), []
    place.mkdir()
    for index in range(0, rows.num_rows, 50):
        pq.write_table(rows.slice(index, 50), place / f"{index}.parquet", metadata_collector=collected)
        collected[-1].set_file_path(f"{index}.parquet")
    pq.write_metadata(rows.schema, place / "_common_metadata")
    pq.write_metadata(rows.schema, place / "_metadata", metadata_collector=collected)
    return Case("pyarrow", "dataset", place, shop.values())


def partitions(folder, shop):
    columns = [shop[name] for name in ("id", "i64", "name", "f64", "i16", "sku", "day")]
    for by, kind in (("sku", "string"), ("i16", "int32"), ("day", "date")):
        chosen = [column for column in columns if column.name in ("id", "i64", "name", "f64", by)]
        # An empty text in the name of a folder cannot be told from null.
        if by == "sku":
            chosen[-1] = chosen[-1].of(kind=pa.string(), value=lambda v: v or "a/b=c %20é")
        place = folder / f"arrow by {by}"
        flavor = ds.partitioning(pa.schema([(by, chosen[-1].kind)]), flavor="hive")
        ds.write_dataset(table(chosen), place, format="parquet", partitioning=flavor)
        yield Case("pyarrow", f"folders by {by}", place, chosen, options={"partitions": f"{by} {kind}"})
