"""Prints the published rows of a table in HBase as JSON lines, as docs/publishing.md says how.

With --plain it looks at no marker row: all rows but that one, as any client sees them.

usage: read_table.py HOST:PORT TABLE [--plain]
"""

import json
import sys

import happybase

host, port = sys.argv[1].rsplit(":", 1)
table = happybase.Connection(host, port=int(port)).table(sys.argv[2])


def published_run():
    marker = table.row(b"\x00emporia")
    owner = marker[b"_emporia:owner"].decode()
    connection = happybase.Connection(host, port=int(port))
    return json.loads(connection.table(owner).row(b"\x00emporia")[b"_emporia:published"])["run"]


run = None if "--plain" in sys.argv else published_run()
before = {} if run is None else {"timestamp": run + 1}
for key, cells in table.scan(row_start=b"\x01", include_timestamp=True, **before):
    values = {
        column.decode(): value.decode()
        for column, (value, timestamp) in cells.items()
        if run in (None, timestamp)
    }
    if values:
        print(json.dumps({"key": key.decode(), **values}, sort_keys=True))
