"""The columns as text formats have them: the types that a catalog declares for them."""

import math
from decimal import Decimal

import pyarrow as pa

from cells import NANOSECONDS, iso, plain
from columns import Column

INSTANT = pa.timestamp("us", "UTC")
FLAT = [
    "id",
    "i8",
    "u8",
    "i16",
    "u16",
    "i32",
    "u32",
    "i64",
    "u64",
    "f64",
    "d5_0",
    "d9_2",
    "d18_4",
    "d28_10",
    "d38_0",
    "d38_10",
    "d38_38",
]
FLAT += ["txt", "name", "sku", "long", "flag", "day", "t_s", "t_ms", "t_us", "z_us", "nothing"]
NESTED = ["tags", "sizes", "address", "cart", "counts"]


def columns(shop, names):
    """As programs write them."""
    return [shop[name] if name != "sku" else shop[name].of(kind=pa.string()) for name in names]


def readable(column):
    """As Emporia reads them: with the types that it declares."""
    kind = plain(column.kind)
    if pa.types.is_timestamp(kind):
        scale = NANOSECONDS[kind.unit]
        return column.of(kind=INSTANT, value=lambda v: v * scale // 1000)
    if kind == pa.uint64():
        return column.of(kind=pa.decimal128(20, 0), value=Decimal)
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        fields = [pa.field(f.name, INSTANT if pa.types.is_timestamp(f.type) else f.type) for f in kind.value_type]
        return column.of(kind=pa.list_(pa.struct(fields)))
    return column


def changed(columns, **values):
    """With other values of some types: `text`, `floats`, `times`."""
    found = []
    for column in columns:
        kind = plain(column.kind)
        is_kind = {
            "text": pa.types.is_string,
            "floats": pa.types.is_floating,
            "times": lambda k: pa.types.is_timestamp(k) or pa.types.is_date(k),
        }
        for name, change in values.items():
            if is_kind[name](kind):
                column = Column(column.name, column.kind, [None if v is None else change(v, kind) for v in column.values])
        found.append(column)
    return found


def empty_is_null(text, _):
    return text or None


def finite(value, _):
    return value if math.isfinite(value) else None


def zoned_is_recent(value, kind):
    """Times with a zone in recent years: some programs lose the seconds of old offsets, or leave four digits of years."""
    return recent(value, kind) if getattr(kind, "tz", None) else value


def without_exponents(columns):
    """Decimals that Python does not write as `1E-10`."""
    return [column for column in columns if not pa.types.is_decimal(column.kind) or column.kind.scale < 7]


def recent(value, kind):
    """Times in the years of nanoseconds."""
    days = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit] * 86_400 if pa.types.is_timestamp(kind) else 1
    return value if -90_000 < value // days < 100_000 else 0


def python_value(value, kind):
    """What a Python program would hand to a writer."""
    kind = plain(kind)
    if value is None:
        return None
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return iso(value, kind)
    if pa.types.is_list(kind):
        return [python_value(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: python_value(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return {key: python_value(item, kind.item_type) for key, item in value}
    return value


def python_rows(columns):
    return [list(row) for row in zip(*([python_value(v, c.kind) for v in c.values] for c in columns))]
