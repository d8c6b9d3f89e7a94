"""Prints the published rows of a table in HBase as JSON lines, as docs/publishing.md says how.

usage: read_table.py HOST:PORT TABLE
"""

import json
import sys

import happybase

host, port = sys.argv[1].rsplit(":", 1)
table = happybase.Connection(host, port=int(port)).table(sys.argv[2])
marker = table.row(b"\x00emporia")
owner = marker[b"_emporia:owner"].decode()
connection = happybase.Connection(host, port=int(port))
run = json.loads(connection.table(owner).row(b"\x00emporia")[b"_emporia:published"])["run"]
for key, cells in table.scan(row_start=b"\x01", timestamp=run + 1, include_timestamp=True):
    values = {
        column.decode(): value.decode()
        for column, (value, timestamp) in cells.items()
        if timestamp == run
    }
    if values:
        print(json.dumps({"key": key.decode(), **values}, sort_keys=True))
