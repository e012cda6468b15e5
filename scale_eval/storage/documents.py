"""Read and write JSON documents on any store."""

from __future__ import annotations

import json
from typing import Any

from scale_eval.storage.base import Store


def read_json(store: Store, name: str) -> Any:
    """Read the JSON document `name`."""
    return json.loads(store.read(name).decode())


def write_json(store: Store, name: str, document: Any) -> None:
    """Write `document` as indented JSON, whole or not at all."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    store.write(name, text.encode())
