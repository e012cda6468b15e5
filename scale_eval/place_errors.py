"""Say what to do about errors of a place: a disk that is full, gone, read-only or somebody else's.

They are no mistakes of who called: once the place is mended, the same command goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

REMEDIES = {
    errno.ENOSPC: "Make room there",
    errno.EDQUOT: "Your quota there is used up: make room, or have it raised",
    errno.EROFS: (
        "The file system is mounted read-only, as a failing one is, too: have it mounted for "
        "writing"
    ),
    errno.EACCES: "Have the owner or the mode of that path changed ('ls -ld' shows both)",
    errno.EPERM: "Have the owner or the mode of that path changed ('ls -ld' shows both)",
    errno.EIO: "The disk, or the way to it, fails: have it checked",
    errno.ESTALE: "The file server has lost the path: have it mounted again",
    errno.ENOTCONN: "The file server does not answer: have the path mounted again",
    errno.ETIMEDOUT: "The file server does not answer: have the path mounted again",
    errno.EHOSTDOWN: "The file server does not answer: have the path mounted again",
    errno.EMFILE: "Allow more open files ('ulimit -n 4096'), or take fewer --workers",
    errno.ENFILE: "The machine has too many files open: end other programs",
    errno.EFBIG: "Allow files of that size ('ulimit -f unlimited')",
    errno.ENOMEM: "The machine has no memory left: take fewer --workers, or end other programs",
}
"""What to do about an error, by its number; completed by "then run the same command again"."""

NOT_TO_BE_WRITTEN = {errno.EACCES, errno.EPERM, errno.EROFS}
"""Errors that may also say that the wrong place was chosen."""

WITHOUT_A_FILE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors of the machine, which need not name a file."""


@contextlib.contextmanager
def naming_place(place: str | os.PathLike[str]) -> Iterator[None]:
    """Name the place in an `OSError` of the block that names none.

    The system names a file that it cannot open, and none that it cannot write or read further.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(place)) from error


def remedy_for(error: BaseException) -> str:
    """Return what to do about an error of a place; "" for any other error.

    Errors of connections have the same numbers as those of files, but name no file.
    """
    if not isinstance(error, OSError) or error.errno not in REMEDIES:
        return ""
    names_place = error.filename is not None or error.errno in WITHOUT_A_FILE
    return REMEDIES[error.errno] if names_place or not isinstance(error, ConnectionError) else ""


def place_error_behind(error: BaseException) -> OSError | None:
    """Return the error of a place that led to `error`, or is it; None where there is none."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, OSError) and remedy_for(each):
            return each
        waiting += [e for e in (each.__cause__, each.__context__) if e is not None]
    return None
