"""Compile functions with Numba, and keep what was compiled where this user may write.

Numba keeps compiled code beside the source, or in the user's folder for caches. Where neither can
be written (an installation of somebody else, a container without a home), it would refuse to define
a function at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from scale_eval.scratch import scratch_folder

CACHE_FOLDER = "NUMBA_CACHE_DIR"
"""The environment variable that says where Numba keeps compiled code."""

_ANEW = "SCALE_EVAL_COMPILES_ANEW"
"""Set for the processes that this one starts, so that one of them all says that it is so."""


PLAIN_NUMBERS = 200_000
"""Numbers, in the arrays of all calls, that a function compiled for many computes in Python: a
tenth of a second's work at most, where compiling would take half a second."""


class CompiledAnew(UserWarning):
    """Compiled code cannot be kept, or not for long."""


def compiled(
    function: Callable[..., Any] | None = None,
    *,
    error_model: str = "numpy",
    internal: bool = False,
) -> Any:
    """Compile a function when it is first called, without Python's lock; keep it for later.

    Parameters
    ----------
    function : callable
    error_model : ``"numpy"`` or ``"python"``
        Whether a division by zero gives infinity or NaN, or raises `ZeroDivisionError`.
    internal : bool
        Only compiled functions call it. It is compiled faster, but Python cannot call it: that ends
        the process.
    """
    if function is None:
        return lambda function: compiled(function, error_model=error_model, internal=internal)
    options: dict[str, Any] = {"nogil": True, "error_model": error_model}
    if internal:
        options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    dispatcher = _numba.njit(**options)(function)
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _SharedCache(function)
        return dispatcher
    # Nowhere to keep it. What is said is said once: the folder is there for the next function.
    _choose_folder()
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _SharedCache(function)
    return dispatcher


def compiled_for_many(
    function: Callable[..., Any] | None = None, *, error_model: str = "numpy"
) -> Any:
    """Compile a function once it is called for many numbers; Python computes the first few.

    The results are the same to the bit, since the function is a loop over single numbers, with no
    other function of them than a square root. Parameters are as for `compiled`.
    """
    if function is None:
        return lambda function: compiled_for_many(function, error_model=error_model)
    fast, seen = compiled(function, error_model=error_model), 0

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        nonlocal seen
        if seen <= PLAIN_NUMBERS:
            seen += sum(np.size(argument) for argument in arguments)
        if seen > PLAIN_NUMBERS:
            return fast(*arguments)
        with np.errstate(all="ignore"):
            return _unwrapped(function(*arguments))

    return call


def _unwrapped(result: Any) -> Any:
    """Return NumPy's numbers as those of Python, as compiled code returns them."""
    if isinstance(result, tuple):
        return tuple(map(_unwrapped, result))
    return result.item() if isinstance(result, np.generic) else result


def _choose_folder() -> None:
    """Have compiled code kept in the scratch folder, if there is one, and say so once."""
    if os.environ.get(_ANEW):
        return
    os.environ[_ANEW] = "yes"
    scratch, words = scratch_folder(), "cannot be kept"
    if scratch is not None and CACHE_FOLDER not in os.environ:
        folder = str(scratch / "numba")
        os.environ[CACHE_FOLDER] = _numba.config.CACHE_DIR = folder
        words = f"is kept in {folder}, where it will not last"
    warnings.warn(
        f"compiled code {words}: neither {Path(__file__).parent} nor a folder for caches in a home "
        f"can be written. Compiling takes about a minute; set {CACHE_FOLDER} to a folder that this "
        "user may write, to do it once",
        CompiledAnew,
        stacklevel=2,
    )


def _without_settings_of_the_current_folder() -> ModuleType:
    """Import Numba, which reads ``.numba_config.yaml`` in the current folder, without that file.

    It could name a folder of compiled code, which is run when it is read.
    """
    is_there = Path(".numba_config.yaml").exists()
    with contextlib.chdir("/") if is_there else contextlib.nullcontext():
        import numba
        from numba.core import config

        config._config_fname = os.devnull  # it is read again before each compilation
        if is_there:
            config.reload_config()  # Numba may have been imported before
    return numba


_numba = _without_settings_of_the_current_folder()


class _SharedCache(_numba.core.caching.FunctionCache):  # type: ignore[name-defined]
    """The compiled code of a function, which several processes may keep at the same time.

    Numba reads the list of what is kept, chooses the number of a new file, and writes both. Two
    processes that compile the function for different types would choose the same number, and one
    would later run the code of the other.
    """

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # a file system without locks
                self._impl.locator.ensure_cache_path()
                folder = os.open(self.cache_path, os.O_RDONLY)
                stack.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX)
            super().save_overload(sig, data)
