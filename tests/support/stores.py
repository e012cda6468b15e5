"""Stores for the tests of storage: their files, and other processes that use them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pyarrow as pa

from scale_eval.storage import Store

NUMBERS = pa.table({"id": ["0012", "20e5", "nan"], "number": [1.5, None, -0.0]})


def files(store: Store) -> list[str]:
    """Return every file beneath the root of a local store, hidden ones included."""
    return sorted(
        p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file()
    )


@contextlib.contextmanager
def beside(script: str, store: Store) -> Iterator[subprocess.Popen]:
    """Start another process, wait until it prints "there", and kill it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield process
        finally:
            process.kill()
