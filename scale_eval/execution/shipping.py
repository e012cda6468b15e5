"""Send a run's models and metrics to workers that do not have a user's own modules.

What a user's modules define is pickled by value, with the values of the globals that it names. A
module with a global that cannot be pickled, such as a lock, is imported on the worker instead, from
its source, which is sent along; so is what code imports only while it runs.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import cloudpickle

from scale_eval.evaluation.no_prediction import message_of, row_text
from scale_eval.evaluation.unfit_model import standing_in
from scale_eval.execution.shipped_modules import provide
from scale_eval.execution.tasks import RunContext
from scale_eval.execution.unpicklable import unpicklable_part
from scale_eval.models import NamedModel
from scale_eval.models.identity.user_modules import (
    UserModule,
    imported_user_modules,
    is_of_installation,
    with_imports,
)

CANNOT_BE_SENT = "cannot_be_sent"
"""The reason of the evaluations of a model that cannot be pickled, or not be loaded on workers."""


@dataclass(frozen=True)
class Parcel:
    """A parcel is a run's context as it is sent to workers: each model is pickled by itself.

    Attributes
    ----------
    context : bytes
        The context without its models.
    models : dict of bytes
        By name; those that cannot be pickled are replaced, see `pack`.
    modules : dict of UserModule
        The user's own modules that these may import, by name.
    sender : tuple
        The process that packed it, which needs no modules.
    """

    context: bytes
    models: dict[str, bytes]
    modules: dict[str, UserModule]
    sender: tuple[str, int]

    def unpack(self, run: str) -> RunContext:
        """Return the context in a process that works on `run`.

        Raises `CannotLoad` where a model cannot be loaded in this process, and what opening the
        dataset raises where it is not there.
        """
        models, failures = self.load(run)
        if failures:
            raise CannotLoad(failures)
        return replace(self.load_context(), models=models)

    def load_context(self) -> RunContext:
        """Load the context without its models, where their modules are provided."""
        try:
            context: RunContext = pickle.loads(self.context)
        except Exception:
            raise
        except BaseException as error:  # such as SystemExit, of a method of a metric
            raise RuntimeError(in_words(error)) from error
        return context

    def load(self, run: str) -> tuple[dict[str, NamedModel], dict[str, str]]:
        """Load the models; return them, and why others cannot be loaded, by name."""
        if this_process() != self.sender:
            provide(run, self.modules)
        models: dict[str, NamedModel] = {}
        failures: dict[str, str] = {}
        for name, content in self.models.items():
            try:
                models[name] = pickle.loads(content)
            except BaseException as error:  # whatever the model's own methods raise
                failures[name] = in_words(error)
        return models, failures

    def only(self, name: str) -> Parcel:
        """Return a parcel with one of the models."""
        return replace(self, models={name: self.models[name]})


class CannotLoad(Exception):  # noqa: N818 - becomes the message of another
    """Models cannot be loaded on a worker; the message says which, and why."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        return "; ".join(f"the model {name!r}: {why}" for name, why in self.failures.items())


def pack(context: RunContext) -> Parcel:
    """Pickle a context, so that it loads on any worker.

    A model that cannot be pickled is replaced by one that says so in each of its evaluations.
    Metrics have been checked by `require_metrics_can_be_sent`.
    """
    modules: set[str] = set()
    models: dict[str, bytes] = {}
    for name, model in context.models.items():
        try:
            models[name], used = pickled(model)
        except Exception as error:
            note = f"{why_not(model.prototype, error)}: make it in fit"
            models[name], used = pickled(standing_in(model, CANNOT_BE_SENT, note))
        modules |= used
    content, used = pickled(replace(context, models={}))
    return Parcel(content, models, with_imports(modules | used), this_process())


def require_metrics_can_be_sent(metrics: Any) -> None:
    """Raise `ValueError` for a user's metric that cannot be pickled, with the part that cannot."""
    for metric in metrics:
        try:
            pickled(metric)
        except Exception as error:
            function = metric.user_function or metric.function
            raise ValueError(
                f"the metric {metric.name!r} cannot be sent to workers: "
                f"{why_not(function, error)}. Make it inside the function"
            ) from error


def pickled(thing: Any) -> tuple[bytes, set[str]]:
    """Pickle an object of a user; return the names of the modules that it refers to as well.

    Raises what pickling raises where a part of it cannot be pickled.
    """
    users = {module.__name__: module for module in _users_modules()}
    by_value, tried = set(users), set[str]()
    while True:
        reached: set[str] = set()
        try:
            return _pickled(thing, by_value, reached), reached
        except Exception:
            new = (reached & by_value) - tried
            tried |= new
            by_source = {
                name for each in new if not _can_be_pickled(users[each]) for name in _above(each)
            }
            if not by_source & by_value:
                raise
            by_value -= by_source


class _Pickler(cloudpickle.Pickler):
    """A pickler that adds to `modules` those to which the objects belong that it pickles.

    Functions with a cache are pickled by value like any other, with an empty cache.
    """

    def __init__(self, file: io.BytesIO, by_value: Set[str], modules: set[str]) -> None:
        super().__init__(file)
        self.modules = modules
        self._by_value = {"__main__", *by_value}

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, ModuleType):
            self.modules.add(thing.__name__)
        else:
            name = getattr(thing, "__module__", None) or type(thing).__module__
            self.modules.add(name if isinstance(name, str) else "")
        if isinstance(thing, _Cached) and thing.__wrapped__.__module__ in self._by_value:
            return _with_cache, (thing.__wrapped__, thing.cache_parameters())
        return super().reducer_override(thing)


_Cached = functools._lru_cache_wrapper


def _with_cache(function: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _pickled(thing: Any, by_value: set[str], modules: set[str]) -> bytes:
    file = io.BytesIO()
    try:
        with _pickled_by_value(by_value):
            _Pickler(file, by_value, modules).dump(thing)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # such as SystemExit, of a method of the object
        raise pickle.PicklingError(in_words(error)) from error
    return file.getvalue()


@contextlib.contextmanager
def _pickled_by_value(names: set[str]) -> Iterator[None]:
    """Pickle by value, in this block, what modules define."""
    before = cloudpickle.list_registry_pickle_by_value()
    chosen = [m for m in _users_modules() if m.__name__ in names - set(before)]
    for module in chosen:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in chosen:
            cloudpickle.unregister_pickle_by_value(module)


def _users_modules() -> list[ModuleType]:
    """Return the user's modules, and their packages without an ``__init__.py`` (no file)."""
    modules = {module.__name__: module for module in imported_user_modules()}
    above = {name for each in modules for name in _above(each)} - modules.keys()
    packages = (sys.modules[name] for name in above if name in sys.modules)
    return [*modules.values(), *filter(_is_folder_of_user, packages)]


def _is_folder_of_user(package: ModuleType) -> bool:
    """Return whether a package has no file of its own, and no folder among installed packages."""
    folders = list(getattr(package, "__path__", ()))
    installed = [is_of_installation(f"{folder}/__init__.py") for folder in folders]
    return getattr(package, "__file__", None) is None and not any(installed)


def _can_be_pickled(module: ModuleType) -> bool:
    """Return whether the values of a module's globals can be pickled."""
    values = {k: v for k, v in vars(module).items() if not k.startswith("__")}
    try:
        _pickled(values, {each.__name__ for each in _users_modules()}, set())
    except Exception:
        return False
    return True


def _above(module: str) -> list[str]:
    """Return the names of a module and of its packages, which decide for the modules in them."""
    names = module.split(".")
    return [".".join(names[:n]) for n in range(1, len(names) + 1)]


def why_not(thing: Any, error: Exception) -> str:
    """Say which part of an object cannot be pickled, and why."""
    part = ""
    with contextlib.suppress(Exception):  # of what is run when its attributes are looked up
        part = unpicklable_part(thing, pickled)
    return f"{part} ({in_words(error)})" if part else in_words(error)


def in_words(error: BaseException) -> str:
    """Return the type of an error and its message."""
    return row_text(f"{type(error).__name__}: {message_of(error)}".rstrip(": "))


def this_process() -> tuple[str, int]:
    """Return the machine and the number of this process."""
    return socket.gethostname(), os.getpid()
