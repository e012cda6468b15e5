"""Name temporary files so that they are known for the project's own, and for nobody else's."""

from __future__ import annotations

import os
import re
import secrets
import socket
from pathlib import Path

_UNFINISHED = re.compile(r"\..+\.[^/]*-\d+-[0-9a-f]{8}\.scale_eval\.unfinished")


def unfinished_name(name: str) -> str:
    """Return a temporary name for what will be called `name`, which no other writer has.

    It names the machine and the process, since processes of several machines write at once.
    """
    writer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return f".{name}.{writer}.scale_eval.unfinished"


def is_unfinished(name: str) -> bool:
    """Return whether `unfinished_name` made this name."""
    return _UNFINISHED.fullmatch(name) is not None


def create_alone(path: Path) -> None:
    """Create an empty file; raise `FileExistsError` where the name is taken, by a link too."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
