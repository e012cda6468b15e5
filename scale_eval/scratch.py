"""Give this process a folder for temporary files that no other user of the machine can touch.

Temporary folders are shared: whoever knows a name there can take it first, or put a link there.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def scratch_folder() -> Path | None:
    """Return a folder that belongs to this user alone, the same for all of their processes.

    It is in the folder for temporary files (``TMPDIR``); where its name is taken there, in
    ``XDG_RUNTIME_DIR`` or in ``XDG_CACHE_HOME``; else it is this process's own. None where nothing
    can be written.
    """
    for place in _places():
        if _is_own(place):
            return place
    with contextlib.suppress(OSError):
        return Path(tempfile.mkdtemp(prefix="scale_eval-"))
    return None


def _places() -> Iterator[Path]:
    with contextlib.suppress(OSError):  # no folder for temporary files can be written
        if (place := Path(tempfile.gettempdir())) != Path.cwd():  # Python's last resort
            yield place / f"scale_eval-{os.geteuid()}"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "scale_eval"
    with contextlib.suppress(RuntimeError):  # this user has no home
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        yield Path(caches) / "scale_eval"


def _is_own(place: Path) -> bool:
    """Make a folder, unless it exists, and return whether it can be written by this user alone."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        if is_own_folder(place):
            place.chmod(0o700)
            return os.access(place, os.W_OK | os.X_OK)
    return False


def is_own_folder(place: Path) -> bool:
    """Return whether a path is a folder, and no link, of this user, where no other may write."""
    try:
        facts = place.lstat()
    except OSError:
        return False
    is_own = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
    return is_own and not facts.st_mode & 0o022
