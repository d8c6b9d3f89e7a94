"""The table that every program writes: a column of each type that a shop has, from a fixed seed.

The type of a column is one of Arrow's, its values are plain Python values; dates, times and timestamps are whole
numbers in the unit of the type, as files keep them. They are what Emporia has to return, whoever wrote the file.
"""

import datetime
import decimal
import math
import random
import struct

import pyarrow as pa

N_ROWS = 120
D = decimal.Decimal


class Column:
    """A name, a type and the values."""

    def __init__(self, name, kind, values):
        self.name, self.kind, self.values = name, kind, list(values)

    def array(self):
        return pa.array(self.values, self.kind)

    def of(self, kind=None, value=None, name=None):
        """The same with another type, name, or other values, which `value` makes of each that is not null."""
        values = self.values if value is None else [None if v is None else value(v) for v in self.values]
        return Column(name or self.name, kind or self.kind, values)


def table(columns):
    columns = list(columns)
    return pa.table([column.array() for column in columns], names=[column.name for column in columns])


def float32(value):
    """The nearest number of 32 bits."""
    return struct.unpack("f", struct.pack("f", value))[0]


def days(text):
    return datetime.date.fromisoformat(text).toordinal() - datetime.date(1970, 1, 1).toordinal()


def ticks(text, unit):
    """Units since 1970 of a time such as `2024-02-29 12:00:00.123456789`."""
    seconds, _, fraction = text.partition(".")
    seconds = datetime.datetime.fromisoformat(seconds + "+00:00") - datetime.datetime.fromisoformat("1970-01-01 00:00:00+00:00")
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    return (seconds.days * 86_400 + seconds.seconds) * 10**digits + int((fraction + "0" * 9)[:digits] or 0)


TIMES = [
    "1677-09-22 00:00:00",
    "1899-12-31 23:59:59.999999999",
    "1969-12-31 23:59:59.999",
    "1969-12-31 23:59:59.999999999",
    "1970-01-01 00:00:00",
    "1970-01-01 00:00:00.000001",
    "2000-02-29 12:00:00",
    "2024-03-31 01:59:59.999999",
    "2024-03-31 02:30:00",
    "2024-10-27 00:30:00.5",
    "2024-10-27 01:30:00.123456789",
    "2038-01-19 03:14:08",
    "2262-04-11 23:00:00.000000001",
]
FAR_TIMES = [
    "0001-01-01 00:00:00",
    "1582-10-10 11:59:59",
    "1500-06-01 00:00:00",
    "2300-01-01 00:00:00.001",
    "9999-12-31 23:59:59.999",
]
DAYS = [
    "0001-01-01",
    "1582-10-04",
    "1582-10-15",
    "1899-12-30",
    "1969-12-31",
    "1970-01-01",
    "2000-02-29",
    "2024-02-29",
    "9999-12-31",
]
TEXTS = [
    "",
    " ",
    "a",
    "A",
    "a ",
    "ab",
    "b",
    "é",
    "e\u0301",
    "日本語",
    "😀",
    "\U0010ffff",
    "x,y;z\tw",
    'say "hi"',
    "it's",
    "\\N",
    "NULL",
    "null",
    "NaN",
    "nan",
    "None",
    "0",
    "007",
    "1e5",
    "true",
    "100%",
    "_",
    "a|b",
    "#1",
    "back\\slash",
    "\u00a0",
    "ß",
    "-",
]
BREAKS = ["two\nlines", "two\r\nlines", "end\n"]
# Statistics keep the beginning of long values only, and the greatest one has to be rounded up for it.
LONG = [
    "a" * 63,
    "a" * 64,
    "a" * 65,
    "a" * 64 + "b",
    "é" * 40,
    "😀" * 20,
    "\U0010ffff" * 20,
    "z" * 5000,
    "\x7f" * 70,
    "\u07ff" * 40,
    "\uffff" * 30,
]
BYTES = [
    b"",
    b"\0",
    b"\0\0",
    b"a",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
    b"\xff" * 70,
    b"\xff" * 70 + b"\0",
    b"\x80abc",
    b"caf\xc3\xa9",
    b"a" * 100,
]
FLOATS = [0.0, -0.0, 1.5, -1.5, 0.1, math.pi, math.inf, -math.inf, math.nan]


def integers(bits, is_signed=True):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    found = [low, low + 1, 0, 1, 2, 9, 100, high - 1, high, high // 2, high // 2 + 1]
    return found + ([-1, -100] if is_signed else [])


def decimals(digits, scale):
    most = 10**digits - 1
    found = [-most, most, 0, 1, -1, 10**scale, -(10**scale), most // 2, most - 1, 12, -255, 256]
    return [D(n).scaleb(-scale, decimal.Context(prec=76)) for n in found if abs(n) <= most]


class Values:
    """Makes columns: half of them sorted, so that row groups and pages have narrow bounds, and nulls in all but some."""

    def __init__(self, seed, size=N_ROWS):
        self.dice, self.size, self.count = random.Random(seed), size, 0

    def column(self, name, kind, pool, sort=None):
        dice = self.dice
        self.count += 1
        nulls = [0.25, 0.0, 0.1, 0.6][self.count % 4]
        values = [None if dice.random() < nulls else pool[i % len(pool)] for i in range(self.size)]
        dice.shuffle(values)
        if sort and self.count % 2:
            there = sorted((v for v in values if v is not None), key=sort)
            none = [None] * (len(values) - len(there))
            values = none + there if self.count % 4 == 1 else there + none
        return Column(name, kind, values)


def nan_last(value):
    return math.isnan(value), value


def shop(seed=7, size=N_ROWS, first_id=1000):
    """All columns, by name. `id` is unique."""
    make, same = Values(seed, size), lambda value: value
    ids = list(range(first_id, first_id + size))
    make.dice.shuffle(ids)
    found = [Column("id", pa.int64(), ids)]
    add = lambda name, kind, pool, sort=same: found.append(make.column(name, kind, pool, sort))
    for bits in (8, 16, 32, 64):
        add(f"i{bits}", getattr(pa, f"int{bits}")(), integers(bits))
        add(f"u{bits}", getattr(pa, f"uint{bits}")(), integers(bits, is_signed=False))
    add("f32", pa.float32(), [*FLOATS[:4], float32(0.1), float32(3e-45), float32(3.4028235e38), *FLOATS[6:]], nan_last)
    add("f64", pa.float64(), [*FLOATS, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 1e22], nan_last)
    for digits, scale in ((5, 0), (9, 2), (18, 4), (28, 10), (38, 0), (38, 10), (38, 38)):
        add(f"d{digits}_{scale}", pa.decimal128(digits, scale), decimals(digits, scale))
    add("txt", pa.string(), TEXTS + BREAKS, None)
    add("name", pa.string(), TEXTS)
    add("sku", pa.dictionary(pa.int32(), pa.string()), ["P-1", "P-2", "", "Größe L"])
    add("long", pa.string(), LONG)
    add("bytes", pa.binary(), BYTES)
    add("flag", pa.bool_(), [True, False])
    add("day", pa.date32(), list(map(days, DAYS)))
    for unit in ("s", "ms", "us", "ns"):
        times = TIMES + FAR_TIMES if unit != "ns" else TIMES
        times = sorted({ticks(text, unit) for text in times})
        add(f"t_{unit}", pa.timestamp(unit), times)
        add(f"z_{unit}", pa.timestamp(unit, "Europe/Oslo" if unit == "us" else "UTC"), times)
    add("clock_ms", pa.time32("ms"), [0, 1, 43_200_000, 86_399_999])
    add("clock_us", pa.time64("us"), [0, 1, 43_200_000_000, 86_399_999_999])
    add("clock_ns", pa.time64("ns"), [0, 1, 43_200_000_000_000, 86_399_999_999_999])
    add("tags", pa.list_(pa.string()), [[], ["a"], ["a", None, ""], [None], ["é", "x,y"]], None)
    add("sizes", pa.list_(pa.int32()), [[], [1], [1, None, -(2**31)], [None, None], list(range(300))], None)
    address = pa.struct([("city", pa.string()), ("lat", pa.float64()), ("since", pa.date32())])
    add(
        "address",
        address,
        [
            {"city": "Oslo", "lat": 59.9, "since": 0},
            {"city": "", "lat": -0.0, "since": -1},
            {"city": None, "lat": None, "since": None},
        ],
        None,
    )
    line = pa.struct([("product", pa.string()), ("price", pa.decimal128(18, 2)), ("at", pa.timestamp("us"))])
    item = {"product": "p", "price": D("-0.01"), "at": -1}
    add("cart", pa.list_(line), [[], [None, item], [item, {"product": None, "price": None, "at": None}]], None)
    add("counts", pa.map_(pa.string(), pa.int64()), [[], [("a", 1)], [("", None), ("é", -(2**63))]], None)
    found.append(Column("nothing", pa.int64(), [None] * size))
    found.append(Column("null", pa.null(), [None] * size))
    return {column.name: column for column in found}
