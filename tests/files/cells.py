"""Values in a form in which equal ones are equal, and what Emporia prints, read into the same form."""

import datetime
import decimal
import json
import math
import re

from pyarrow import types as is_

from columns import float32

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
EPOCH = datetime.date(1970, 1, 1).toordinal()
DAY = 86_400 * 10**9
WIDE = decimal.Context(prec=80)


def plain(kind):
    """The type without its dictionary."""
    return kind.value_type if is_.is_dictionary(kind) else kind


def is_list(kind):
    return is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind)


def is_nested(kind):
    return is_list(kind) or is_.is_struct(kind) or is_.is_map(kind)


def is_text(kind):
    return is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind)


def is_bytes(kind):
    return is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind) or is_.is_binary_view(kind)


def number(value):
    value = value.normalize(WIDE)
    return f"{value:f}" if value else "0"


def floating(value, kind):
    """The number with its sign, also of zero."""
    value = float(value)
    return "NaN" if math.isnan(value) else repr(float32(value) if is_.is_float32(kind) else value)


def canonical(value, kind):
    """Of a Python value as columns.py has it."""
    kind = plain(kind)
    if value is None:
        return None
    if is_list(kind):
        return tuple(canonical(item, kind.value_type) for item in value)
    if is_.is_struct(kind):
        return tuple(canonical(value[field.name], field.type) for field in kind)
    if is_.is_map(kind):
        return tuple((canonical(k, kind.key_type), canonical(v, kind.item_type)) for k, v in value)
    if is_.is_floating(kind):
        return floating(value, kind)
    if is_.is_decimal(kind):
        return number(decimal.Decimal(value))
    if is_bytes(kind):
        return value.hex()
    if is_.is_date(kind):
        return value * DAY
    if is_.is_timestamp(kind) or is_.is_time(kind) or is_.is_duration(kind):
        return value * NANOSECONDS[kind.unit]
    return value


def parsed(cell, kind):
    """Of a cell of Emporia's CSV, where lists, structs and maps are JSON."""
    if cell is None:
        return None
    if is_nested(kind):
        return from_json(json.loads(cell, parse_float=str, parse_int=str, object_pairs_hook=Pairs), kind)
    return leaf(cell, plain(kind))


class Pairs(list):
    """An object of JSON, in its order."""


def from_json(value, kind):
    kind = plain(kind)
    if value is None:
        return None
    if is_list(kind):
        return tuple(from_json(item, kind.value_type) for item in value)
    if is_.is_struct(kind):
        if [name for name, _ in value] != [field.name for field in kind]:
            raise ValueError(f"fields {value}")
        return tuple(from_json(item, field.type) for (_, item), field in zip(value, kind))
    if is_.is_map(kind):
        return tuple((leaf(k, kind.key_type), from_json(v, kind.item_type)) for k, v in value)
    return leaf(str(value).lower() if isinstance(value, bool) else value, kind)


def leaf(cell, kind):
    if is_.is_integer(kind):
        return int(cell)
    if is_.is_floating(kind):
        return floating(cell, kind)
    if is_.is_decimal(kind):
        return number(decimal.Decimal(cell))
    if is_.is_boolean(kind):
        return {"true": True, "false": False}[cell]
    if is_.is_date(kind):
        # Beside a file with times, a date is a time.
        return instant(cell)
    if is_.is_timestamp(kind):
        if cell.endswith("Z") != (kind.tz is not None):
            raise ValueError(f"{cell} of {kind}")
        return instant(cell.removesuffix("Z"))
    if is_.is_time(kind):
        return clock(cell)
    if is_.is_duration(kind):
        return duration(cell)
    if is_.is_null(kind):
        raise ValueError(cell)
    return cell


def instant(text):
    day, _, time = text.partition("T")
    return (datetime.date.fromisoformat(day).toordinal() - EPOCH) * DAY + (clock(time) if time else 0)


def clock(text):
    hours, minutes, seconds = text.split(":")
    seconds, _, fraction = seconds.partition(".")
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 10**9 + int((fraction + "0" * 9)[:9])


def duration(text):
    """Of `-P1DT2S` and the like."""
    sign, days, seconds, fraction = re.fullmatch(r"(-?)P(?:(\d+)D)?(?:T(\d+)(?:\.(\d+))?S)?", text).groups()
    found = int(days or 0) * DAY + int(seconds or 0) * 10**9 + int(((fraction or "") + "0" * 9)[:9])
    return -found if sign else found


def merged(cell, kind):
    """As groups, minima and maxima have it: both zeros are one value."""
    if isinstance(cell, tuple):
        kinds = (
            [field.type for field in kind] if is_.is_struct(kind) else [kind.value_type if is_list(kind) else kind] * len(cell)
        )
        return tuple(map(merged, cell, kinds))
    return "0.0" if is_.is_floating(kind) and cell == "-0.0" else cell


def order(value, kind):
    """What sorts as Emporia does: NaN is the greatest number."""
    if is_.is_floating(plain(kind)):
        return (math.isnan(value), 0.0 if math.isnan(value) else value)
    return value


def iso(value, kind):
    """A date, time or timestamp as ISO 8601 writes it, with a blank between both."""
    if is_.is_date(kind):
        return datetime.date.fromordinal(EPOCH + value).isoformat()
    day, rest = divmod(value * NANOSECONDS[kind.unit], DAY)
    seconds, fraction = divmod(rest, 10**9)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    text += f".{fraction:09}".rstrip("0") if fraction else ""
    if is_.is_time(kind):
        return text
    return f"{datetime.date.fromordinal(EPOCH + day).isoformat()} {text}" + ("Z" if kind.tz else "")
