"""Look at an object of a user's, whose own methods may raise anything."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from types import FrameType

from scale_eval.evaluation.no_prediction import message_of


@contextlib.contextmanager
def looking_at(kind: str, name: str) -> Iterator[None]:
    """Raise `ValueError` that names a model or metric for what its methods raise in the block.

    They run when an attribute is looked up (``__getattr__``) or parameters are asked for
    (``get_params``). A `ValueError` of the package itself is raised as it is.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        frames = list(traceback.walk_tb(error.__traceback__))
        foreign = [each for each in frames if _package(each) != "scale_eval"]
        if isinstance(error, ValueError) and not foreign:
            raise
        users = [each for each in foreign if _package(each) not in sys.stdlib_module_names]
        frame, line = (users or foreign or frames[-1:])[0]
        method = frame.f_code.co_name
        remedy = (
            "Let it raise AttributeError for a name that it does not know"
            if method in ("__getattr__", "__getattribute__")
            else "Mend that method"
        )
        raise ValueError(
            f"the {kind} {name!r} cannot be used: its `{method}` "
            f"({PurePath(frame.f_code.co_filename).name}:{line}) raises "
            f"{f'{type(error).__name__}: {message_of(error)}'.rstrip(': ')}. {remedy}"
        ) from error


def _package(place: tuple[FrameType, int]) -> str:
    """Return the package, or the module that stands alone, whose code a frame runs."""
    return str(place[0].f_globals.get("__name__")).partition(".")[0]
