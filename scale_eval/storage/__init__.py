"""Where tables and objects live: every read and write of a file goes through this room.

A `Store` is a root and a handful of verbs over relative names. Local and network paths are served
by `LocalStore`; another kind of place is another class with the same verbs, known to `open_store`.
"""

from scale_eval.storage.local import ROWS_PER_ROW_GROUP, LocalStore, StoreLocked, open_store
from scale_eval.storage.spill import Spill

__all__ = ["ROWS_PER_ROW_GROUP", "LocalStore", "Spill", "StoreLocked", "open_store"]
