"""Send a user's own modules to workers that do not have them."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from scale_eval.execution.tasks import RunContext


def ship(context: RunContext) -> bytes:
    """Pickle `context` so that it loads on any worker, with the user's own modules inside."""
    objects: list[Any] = [m.user_function or m.function for m in context.rules.metrics]
    for model in context.models.values():
        objects += [model.prototype, *getattr(model.prototype, "__dict__", {}).values()]
    modules: dict[str, ModuleType] = {}
    waiting = [module for module in map(_module_of, objects) if module is not None]
    while waiting:
        module = waiting.pop()
        if module.__name__ not in modules and _is_users(module):
            modules[module.__name__] = module
            imported = map(_module_of, vars(module).values())
            waiting += [other for other in imported if other is not None]
    for module in modules.values():
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(context)
    finally:
        for module in modules.values():
            cloudpickle.unregister_pickle_by_value(module)


def _module_of(value: Any) -> ModuleType | None:
    """Return the module that `value` is, or was defined in."""
    if isinstance(value, ModuleType):
        return value
    name = getattr(value, "__module__", None) or type(value).__module__
    return sys.modules.get(name) if isinstance(name, str) else None


def _is_users(module: ModuleType) -> bool:
    """Return whether the module is a user's own file, which other machines may lack."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__ == "__main__":
        return False  # built in; or pickled by value anyway
    installed = [sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")]
    installed.append(str(Path(__file__).parents[1]))
    return not any(Path(file).resolve().is_relative_to(Path(p).resolve()) for p in installed)
