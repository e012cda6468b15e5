"""Recognize files of a run that cannot be read, and say which, why and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from scale_eval.storage import Store, read_table

OF_ONE_FILE = {
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EINVAL,
}
"""Errors that say that one file cannot be read: no permission, or a directory or a dead link of its
name. Others, such as EIO and ESTALE, are of the disk or of the machine."""

EVALUATED_ANEW = (
    "Run the command that began the run again: it sets the file aside and evaluates anew what it "
    "held. Where the data are gone, move the file away yourself; 'scale-eval reduce' then makes "
    "the tables of what is left"
)


MADE_ANEW = "Make the tables of the run again: 'scale-eval reduce', or run its command again"
PLANNED_ANEW = "Run the command that began the run again: it plans anew, and keeps what is done"


class DamagedFile(ValueError):  # noqa: N818 - reads as a sentence
    """A file of a run cannot be read.

    Attributes
    ----------
    path : str
    name : str
        Its name in the run.
    """

    def __init__(self, root: str, name: str, why: str, remedy: str) -> None:
        super().__init__(root, name, why, remedy)  # so that it can be pickled
        self.path, self.name, self.why, self.remedy = f"{root}/{name}", name, why, remedy

    def __str__(self) -> str:
        return f"{self.path} cannot be read ({self.why}). {self.remedy}"


class DamagedPart(DamagedFile):
    """A file of evaluations or of scores cannot be read; what it held can be evaluated again."""


@contextlib.contextmanager
def naming_damage(
    store: Store, name: str, remedy: str, kind: type[DamagedFile] = DamagedFile
) -> Iterator[None]:
    """Raise an error of `kind` where the block cannot read `name`.

    Errors of the disk or the machine rather than of this file are raised as they are, and so is a
    `MemoryError`.
    """
    try:
        yield
    except (MemoryError, DamagedFile):
        raise
    except OSError as error:
        if error.errno is not None and error.errno not in OF_ONE_FILE:
            raise
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        raise kind(str(store.root), name, why, remedy) from error
    except KeyError as error:
        why = f"it has no column {error.args[0]!r}"
        raise kind(str(store.root), name, why, remedy) from error
    except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
        why = str(error).removeprefix(f"{store.root}/{name}: ")
        if absent := re.fullmatch(r"b'(.+)'", why):  # as Arrow says it
            why = f"it has no column {absent[1]!r}"
        raise kind(str(store.root), name, why, remedy) from error


def read_part(
    store: Store,
    name: str,
    *,
    columns: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
    dictionaries: Sequence[str] = (),
) -> pa.Table:
    """Read a file of evaluations or scores as `read_table` does.

    Raises `DamagedPart` where it cannot be read, or lacks one of `columns`.
    """
    with naming_damage(store, name, EVALUATED_ANEW, DamagedPart):
        table = read_table(store, name, columns=columns, schema=schema, dictionaries=dictionaries)
        return table if columns is None else table.select(list(columns))
