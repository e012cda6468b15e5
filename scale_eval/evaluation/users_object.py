"""Look at an object of a user's, whose own methods may raise anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from scale_eval.evaluation.no_prediction import failure


@contextlib.contextmanager
def looking_at(kind: str, name: str) -> Iterator[None]:
    """Raise `ValueError` that names a model or metric for what its methods raise in the block.

    They are run when its attributes are looked up (``__getattr__``) or shown (``__repr__``). A
    `ValueError` and an `OSError`, which the package raises itself, are raised as they are.
    """
    try:
        yield
    except (ValueError, OSError, KeyboardInterrupt):
        raise
    except BaseException as error:
        _, reason, note = failure(error)
        raise ValueError(
            f"the {kind} {name!r} raises {reason.removeprefix('exception:')} when its attributes "
            f"are read: {note}. Let `__getattr__` raise AttributeError, and `__repr__` return text"
        ) from error
