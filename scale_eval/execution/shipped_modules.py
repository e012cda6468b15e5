"""Import a user's own modules on a worker, from the source that was sent to it."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from scale_eval.models.identity.user_modules import UserModule

_SOURCE = "__source_that_was_sent__"


class ShippedModules(MetaPathFinder, Loader):
    """A finder of modules whose source was sent, before those that the worker itself has.

    Attributes
    ----------
    sent : dict of dict of UserModule
        By the run that needs them, and by name.
    """

    def __init__(self) -> None:
        self.sent: dict[str, Mapping[str, UserModule]] = {}

    @property
    def modules(self) -> dict[str, UserModule]:
        """Return the modules of all runs; those of the latest come first."""
        return {name: each for sent in self.sent.values() for name, each in sent.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of a module that was sent; None for any other."""
        module = self.modules.get(fullname)
        if module is None:
            return None
        spec = ModuleSpec(fullname, self, origin=module.path or None, is_package=module.is_package)
        spec.has_location = bool(module.path)
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python create the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's source."""
        sent = self.modules[module.__name__]
        module.__dict__[_SOURCE] = sent.source
        code = compile(sent.source, sent.path or f"<{sent.name}>", "exec", dont_inherit=True)
        lines = sent.source.decode(errors="replace").splitlines(keepends=True)
        if sent.path and not linecache.getlines(sent.path):  # for tracebacks
            linecache.cache[sent.path] = (len(sent.source), None, lines, sent.path)
        exec(code, module.__dict__)


_SHIPPED = ShippedModules()


def find_in_current_folder() -> None:
    """Let this process import modules from its current folder, as the user's own can."""
    if "" not in sys.path:
        sys.path.append("")


def provide(run: str, modules: Mapping[str, UserModule]) -> None:
    """Make a run's modules importable in this process, in the place of any that it has."""
    _SHIPPED.sent = {**{r: m for r, m in _SHIPPED.sent.items() if r != run}, run: modules}
    _forget_others(modules)
    if _SHIPPED not in sys.meta_path:
        sys.meta_path.insert(0, _SHIPPED)


def withdraw(run: str) -> None:
    """Forget the modules of a run."""
    modules = _SHIPPED.sent.pop(run, {})
    _forget_others(modules)
    if not _SHIPPED.sent and _SHIPPED in sys.meta_path:
        sys.meta_path.remove(_SHIPPED)


def _forget_others(names: Iterable[str]) -> None:
    """Forget modules that this process imported, unless they are the ones that were sent."""
    sent = _SHIPPED.modules
    for name in names:
        imported = sys.modules.get(name)
        source = sent[name].source if name in sent else None
        if imported is not None and (source is None or vars(imported).get(_SOURCE) != source):
            del sys.modules[name]
