"""Store datasets and runs: everything that they read or write goes through this package.

A `Store` is a root and a few verbs over named bytes (`base`). A kind of store is a module (`local`)
and a line in `kinds`. Tables and JSON documents are read and written the same way on every kind.
"""

from scale_eval.storage.base import Store, StoreLocked
from scale_eval.storage.documents import read_json, write_json
from scale_eval.storage.free_place import require_free_place
from scale_eval.storage.kinds import open_store
from scale_eval.storage.spill import Spill
from scale_eval.storage.tables import (
    ROWS_PER_ROW_GROUP,
    read_metadata,
    read_row_groups,
    read_table,
    rows_that_have,
    scan_rows,
    write_row_groups,
    write_table,
    write_tables,
)

__all__ = [
    "ROWS_PER_ROW_GROUP",
    "Spill",
    "Store",
    "StoreLocked",
    "open_store",
    "read_json",
    "read_metadata",
    "read_row_groups",
    "read_table",
    "require_free_place",
    "rows_that_have",
    "scan_rows",
    "write_json",
    "write_row_groups",
    "write_table",
    "write_tables",
]
