"""A file or folder that a program wrote, and what is in it."""

import functools
import json

from pyarrow import types as is_

from cells import canonical, is_bytes, is_list, is_text, plain


class Case:
    """What one program wrote with one setting; `columns` are what has to be read."""

    def __init__(self, writer, setting, place, columns, connector="parquet", options=None, is_declared=None, is_rounded=False):
        self.writer, self.setting, self.place, self.columns = writer, setting, place, list(columns)
        self.connector, self.options = connector, options or {}
        # Times of the file have fewer digits than the types of `columns`.
        self.is_rounded = is_rounded
        # Text has no types, so that the catalog has to say them.
        self.is_declared = connector != "parquet" if is_declared is None else is_declared

    @property
    def name(self):
        return f"{self.writer}/{self.setting}".replace(" ", "_")

    @functools.cached_property
    def cells(self):
        """The values of each column by its name, in a form in which equal ones are equal."""
        return {column.name: [canonical(value, column.kind) for value in column.values] for column in self.columns}

    def n_files(self):
        return sum(path.is_file() for path in self.place.rglob("*")) if self.place.is_dir() else 1

    def definition(self, table):
        """Its part of the catalog."""
        lines = [f"[tables.{table}]", f'connector = "{self.connector}"', f"location = {json.dumps(str(self.place))}"]
        if self.is_declared:
            folders = [text.split()[0] for text in self.options.get("partitions", "").split(";") if text]
            columns = [column for column in self.columns if column.name not in folders]
            lines.append(f"columns = {json.dumps([f'{c.name} {declared(c.kind)}' for c in columns])}")
        if self.options:
            lines.append(
                "options = { " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in self.options.items()) + " }"
            )
        return "\n".join(lines) + "\n"


def declared(kind):
    """The type as catalogs write it."""
    kind = plain(kind)
    if is_list(kind):
        return f"list({declared(kind.value_type)})"
    if is_.is_struct(kind):
        return "struct(" + ", ".join(f"{field.name} {declared(field.type)}" for field in kind) + ")"
    if is_.is_map(kind):
        return f"map({declared(kind.key_type)}, {declared(kind.item_type)})"
    if is_.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if is_.is_integer(kind):
        return "int32" if kind.bit_width < 64 and not is_.is_uint32(kind) else "int64"
    if is_.is_floating(kind):
        return "float64"
    names = [
        (is_text, "string"),
        (is_bytes, "binary"),
        (is_.is_boolean, "bool"),
        (is_.is_date, "date"),
        (is_.is_timestamp, "timestamp"),
    ]
    return next(name for fits, name in names if fits(kind))
