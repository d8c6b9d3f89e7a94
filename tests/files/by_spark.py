"""Files of Spark, which needs pyspark and Java."""

import os

import pyarrow as pa
from pyspark.sql import SparkSession

from case import Case
from columns import Column, table
from texts import FLAT, NESTED, changed, columns, empty_is_null, finite, readable, without_exponents

NAMES = [
    "id",
    "i8",
    "i16",
    "i32",
    "i64",
    "f32",
    "f64",
    "d5_0",
    "d9_2",
    "d18_4",
    "d38_0",
    "d38_10",
    "txt",
    "name",
    "long",
    "bytes",
    "flag",
    "day",
    "t_us",
    "z_us",
]
NAMES += ["tags", "sizes", "address", "cart", "counts", "nothing"]
TIMES = ["t_us", "z_us"]
PREFIX = "spark.sql.parquet."
PARQUET = {
    "defaults": {},
    "times in us": {"outputTimestampType": "TIMESTAMP_MICROS", "compression.codec": "zstd"},
    "times in ms": {"outputTimestampType": "TIMESTAMP_MILLIS", "compression.codec": "gzip"},
    "old forms": {"writeLegacyFormat": "true", "compression.codec": "lz4"},
    "Julian dates": {
        "datetimeRebaseModeInWrite": "LEGACY",
        "int96RebaseModeInWrite": "LEGACY",
        "outputTimestampType": "TIMESTAMP_MICROS",
    },
    "Julian INT96": {"datetimeRebaseModeInWrite": "LEGACY", "int96RebaseModeInWrite": "LEGACY", "outputTimestampType": "INT96"},
}
CSV = {
    "csv": ({"header": True}, {"escape": "\\"}),
    "tabs, a text for null": (
        {"header": True, "sep": "\t", "nullValue": "NULL?", "compression": "gzip"},
        {"escape": "\\", "null": "NULL?", "delimiter": "\t"},
    ),
    "doubled quotes": ({"header": True, "escape": '"', "quoteAll": True}, {"empty": "null"}),
}


def cases(folder, shop):
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    spark = (
        SparkSession.builder.master("local[1]")
        .appName("files")
        .config("spark.ui.enabled", False)
        .config("spark.sql.session.timeZone", "UTC")
    )
    spark = (
        spark.config("spark.log.level", "ERROR")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", 1)
        .getOrCreate()
    )
    try:
        yield from of_parquet(spark, folder, shop)
        yield from of_texts(spark, folder, shop)
    finally:
        spark.stop()


def frame(spark, columns):
    return spark.createDataFrame(table(columns).combine_chunks()).repartition(2)


def of_parquet(spark, folder, shop):
    chosen = [without_times(shop[name]) for name in NAMES]
    for setting, options in PARQUET.items():
        for key, value in options.items():
            spark.conf.set(PREFIX + key, value)
        # Julian days are a matter of times only.
        rounded = chosen if "Julian" not in setting else [c for c in chosen if c.name in ("id", "day", *TIMES)]
        if setting == "times in ms":
            rounded = [c.of(value=lambda v: v // 1000 * 1000) if c.name in TIMES else c for c in chosen]
        place = folder / f"spark {setting}"
        frame(spark, rounded).write.parquet(str(place))
        for key in options:
            spark.conf.unset(PREFIX + key)
        yield Case("spark", setting, place, [read(c, setting) for c in rounded])
    for by, kind in (("i16", "int32"), ("txt", "string"), ("day", "date"), ("d9_2", "decimal(9,2)")):
        some = [shop[name] for name in ("id", "f64", "name", by)]
        # An empty text is in the folder of null.
        some[-1] = Column(by, some[-1].kind, [v or None if by == "txt" else v for v in some[-1].values])
        place = folder / f"spark by {by}"
        frame(spark, some).write.partitionBy(by).parquet(str(place))
        yield Case("spark", f"folders by {by}", place, some, options={"partitions": f"{by} {kind}"})


def without_times(column):
    """Spark takes times without a zone for instants where they are inside of others."""
    if column.name != "cart":
        return column
    kind = pa.list_(pa.struct([field for field in column.kind.value_type if field.name != "at"]))
    return column.of(kind=kind, value=lambda v: [item and {k: x for k, x in item.items() if k != "at"} for item in v])


def read(column, setting):
    """Spark makes an instant of each time, and INT96 has no zone."""
    if column.name not in TIMES:
        return column
    zone = "UTC" if setting.startswith("times") or setting == "Julian dates" else None
    return column.of(
        kind=pa.timestamp("ms" if setting == "times in ms" else "us", zone),
        value=lambda v: v // 1000 if setting == "times in ms" else v,
    )


def of_texts(spark, folder, shop):
    # The default form of times has milliseconds, and texts lose the blanks at their ends.
    times = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
    blanks = {"ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False}
    flat = without_exponents([c for c in columns(shop, FLAT) if c.name in NAMES])
    for setting, (options, how) in CSV.items():
        place = folder / f"spark {setting} csv"
        frame(spark, flat).write.csv(str(place), **times, **blanks, **options)
        right = changed(flat, text=empty_is_null) if "empty" in how else flat
        yield Case("spark", f"csv, {setting}" if setting != "csv" else "csv", place, map(readable, right), "csv", how)
    for setting, options in {"lines": {}, "nulls, bz2": {"ignoreNullFields": False, "compression": "bzip2"}}.items():
        chosen = [c for c in map(without_times, changed(columns(shop, FLAT + NESTED), floats=finite)) if c.name in NAMES]
        place = folder / f"spark {setting} json"
        frame(spark, chosen).write.json(str(place), **times, **options)
        yield Case("spark", f"json, {setting}", place, map(readable, chosen), "json")
