"""What a model or metric depends on beside its own text: modules, globals, closures, files."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from scale_eval.evaluation.recorded_identity import differing_parts, in_words
from scale_eval.models import resolve
from scale_eval.models.identity.code_parts import LEVELS_FOLLOWED
from scale_eval.models.identity.dependencies import dependencies
from scale_eval.models.identity.not_compared import without_comparison
from tests.support.paths import PROJECT

FILES = {
    "own_models.py": """
        import own_helper
        from own_package.inner import scaled as shrink
        class Mine:
            def fit(self, history): return own_helper.decay(history)
            def predict_proba(self, history): return shrink(history)
        class Lazy:
            def fit(self, history):
                from own_package import late
                return late.Part()
            def predict_proba(self, history): ...
        class Weighted:
            def fit(self, history): return WEIGHTS
            def predict_proba(self, history): ...
        import json
        from pathlib import Path
        WEIGHTS = json.loads(Path(__file__).with_name("weights.json").read_text())
        """,
    "own_helper.py": """
        DAYS = 180
        OTHER = 1
        CACHE = {}
        def decay(history): return history / DAYS
        def unrelated(): return OTHER
        """,
    "own_package/__init__.py": "",
    "own_package/inner.py": """
        from .deeper import RATE
        def scaled(x): return x * RATE
        """,
    "own_package/deeper.py": "RATE = 2",
    "own_package/late.py": "class Part:\n    k = 1",
    "weights.json": "[1, 2]",
    "own_ways.py": """
        import importlib, sqlite3
        import own_config, own_kinds, own_plugin, own_lazy, own_run
        from own_lazy import late_name
        CONNECTION = sqlite3.connect(":memory:")
        class Way:
            def fit(self, history): ...
            def predict_proba(self, history): ...
        class Registered(Way):
            def fit(self, history): return own_kinds.KINDS["decay"]()
        class Imported(Way):
            def fit(self, history): return importlib.import_module("own_dynamic").RATE
        class LateName(Way):
            def fit(self, history): return late_name
        class Run(Way):
            def fit(self, history): return own_run.RATE
        class Parsed(Way):
            def fit(self, history): return own_config.PARSER["m"]["rate"]
        class Connected(Way):
            def fit(self, history): return CONNECTION
        """,
    "own_kinds.py": """
        KINDS = {}
        def register(function):
            KINDS[function.__name__] = function
            return function
        """,
    "own_plugin.py": """
        from own_kinds import register
        @register
        def decay(): return 2
        """,
    "own_dynamic.py": "RATE = 2",
    "own_lazy/__init__.py": """
        import importlib
        def __getattr__(name):
            return getattr(importlib.import_module(".core", __name__), name)
        """,
    "own_lazy/core.py": "late_name = 2",
    "own_config.py": """
        import configparser
        from own_text import TEXT
        PARSER = configparser.ConfigParser()
        PARSER.read_string(TEXT)
        """,
    "own_text.py": "TEXT = '[m]\\nrate=2'",
    "own_run.py": "exec('RATE = 2')",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a user's modules, which is on the path."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forget()


def forget():
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def identity(name, module="own_models"):
    forget()
    return resolve(f"{module}:{name}").identity


def changes(folder, name, file, old, new, module="own_models") -> list[str]:
    """What is said to differ when a text in a file is replaced."""
    before = identity(name, module)
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return differing_parts(before, identity(name, module))


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "told"),
    [
        ("Mine", "own_helper.py", "180", "60", ["own_helper.DAYS"]),
        ("Mine", "own_helper.py", "/ DAYS", "* DAYS", ["own_helper.decay"]),
        ("Mine", "own_helper.py", "180", "12 * 15", []),
        ("Mine", "own_helper.py", "OTHER = 1", "OTHER = 2", []),
        ("Mine", "own_helper.py", "def decay", "# Says more.\n\n\ndef decay", []),
        ("Mine", "own_helper.py", "return history / DAYS", "return (history/DAYS)  # so", []),
        ("Mine", "own_package/deeper.py", "2", "3", ["own_package.deeper.RATE"]),
        ("Mine", "own_package/late.py", "1", "2", []),
        ("Lazy", "own_package/late.py", "1", "2", ["own_package.late.Part"]),
        ("Lazy", "own_helper.py", "180", "60", []),
        ("Weighted", "weights.json", "1", "5", ["own_models.WEIGHTS"]),
        ("Mine", "weights.json", "1", "5", []),
    ],
)
def test_what_a_model_uses_of_other_modules_is_part_of_it_and_nothing_else(
    folder, name, file, old, new, told
):
    if (old, new) == ("180", "12 * 15"):  # another text: it counts, though it comes to the same
        told = ["own_helper.DAYS"]
    assert changes(folder, name, file, old, new) == told


@pytest.mark.parametrize(
    ("name", "file", "part"),
    [
        ("Registered", "own_plugin.py", "own_plugin.decay"),
        ("Imported", "own_dynamic.py", "own_dynamic.RATE"),
        ("LateName", "own_lazy/core.py", "own_lazy.core.late_name"),
        ("Run", "own_run.py", "own_run.RATE"),
        ("Parsed", "own_text.py", "own_config.PARSER"),
    ],
)
def test_what_a_module_registers_computes_or_imports_by_name_is_followed(folder, name, file, part):
    others = {"Registered", "Imported", "LateName", "Run", "Parsed"} - {name}
    before = {other: identity(other, "own_ways") for other in others}
    assert part in changes(folder, name, file, "2", "3", "own_ways")
    assert {other: identity(other, "own_ways") for other in others} == before


def test_a_value_whose_content_cannot_be_compared_is_named(folder):
    now = identity("Connected", "own_ways")
    assert without_comparison(now) == ["own_ways.CONNECTION (a sqlite3.Connection)"]
    assert identity("Connected", "own_ways") == now
    assert without_comparison(identity("Parsed", "own_ways")) == []


def test_the_class_of_an_object_that_a_notebook_gives_to_its_model_counts(folder):
    from own_package import late

    class Whole:
        def __init__(self, part):
            self.part = part

        def fit(self, history): ...

        def predict_proba(self, history): ...

    before = resolve(Whole(late.Part())).identity
    (folder / "own_package" / "late.py").write_text("class Part:\n    k = 5")
    importlib.reload(late)
    assert "own_package.late.Part" in differing_parts(before, resolve(Whole(late.Part())).identity)


def test_the_same_modules_in_another_folder_are_the_same(folder, tmp_path_factory, monkeypatch):
    before = identity("Mine"), identity("Weighted")
    other = tmp_path_factory.mktemp("other")
    for name in FILES:
        (other / name).parent.mkdir(exist_ok=True)
        (other / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr(sys, "path", [str(other), *(p for p in sys.path if p != str(folder))])
    assert (identity("Mine"), identity("Weighted")) == before
    assert sys.modules["own_models"].__file__.startswith(str(other))


def test_a_value_that_was_set_from_outside_counts(folder):
    before = identity("Mine")
    sys.modules["own_helper"].DAYS = 7
    assert differing_parts(before, resolve("own_models:Mine").identity) == ["own_helper.DAYS"]
    sys.modules["own_helper"].DAYS = 180
    sys.modules["own_helper"].CACHE["a"] = 1
    assert resolve("own_models:Mine").identity == before


def test_a_module_that_changed_after_it_was_imported_is_refused_until_it_is_imported_anew(folder):
    before = identity("Mine")
    path = folder / "own_helper.py"
    path.write_text(path.read_text().replace("/ DAYS", "* DAYS"))
    with pytest.raises(ValueError, match=r"own_helper\.py has changed since .*decay is still what"):
        resolve("own_models:Mine")
    importlib.reload(sys.modules["own_helper"])
    now = resolve("own_models:Mine").identity
    assert differing_parts(before, now) == ["own_helper.decay"]


def test_objects_of_another_module_inside_a_model_count(folder):
    import own_models
    from own_package import late

    class Whole(own_models.Mine):
        def __init__(self):
            self.parts = [late.Part(), {"x": late.Part()}]

    before = resolve(Whole()).identity
    (folder / "own_package" / "late.py").write_text("class Part:\n    k = 5")
    importlib.reload(late)
    assert differing_parts(before, resolve(Whole()).identity) == ["own_package.late.Part"]


NOTEBOOK = """
import json, numpy as np
WINDOW = {window}
NAMES = {{"c", "a", "b"}}
table = np.arange(3)
unused = {unused}
def days(h): return h.unused / WINDOW
class Base:
    k = {k}
class Mine(Base):
    def fit(self, history): return days(history) + table, NAMES
    def predict_proba(self, history): ...
def above(threshold):
    def share(o, p, s): return (p > threshold).mean() + WINDOW
    return share
from scale_eval.models import resolve
from scale_eval.models.identity.dependencies import dependencies
print(json.dumps([resolve(Mine).identity, dependencies(above({threshold}))]))
"""


WAYS = """
import functools, json, sys
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from scale_eval.models import resolve
from scale_eval.models.identity.dependencies import dependencies
V = {value}
SPACE = SimpleNamespace(rate=V, tags={{"b", "a", "c"}})
FUNCTIONS = [lambda: {value}]
def made(rate):
    return lambda: rate
closed = made(Decimal(V))
def keyword(*, rate=V): return rate
def scaled(rate):
    def decorate(function):
        @functools.wraps(function)
        def call(*arguments): return rate * function(*arguments)
        return call
    return decorate
class Calls:
    def __init__(self, function): functools.update_wrapper(self, function)
    def __call__(self): return {value} * self.__wrapped__()
@scaled(V)
def decorated(): return 1
@Calls
def wrapped(): return 1
@functools.lru_cache
def cached(rate=V): return rate
@functools.singledispatch
def of_kind(x): return 0
@of_kind.register
def _(x: int): return {value}
class Kind(Enum):
    RATE = V
@dataclass
class Factory:
    rate: float = field(default_factory=lambda: V)
class Outer:
    class Inner:
        rate = V
class Later: ...
for name in ["rate"]:
    setattr(Later, name, V)
class Plugin:
    kinds = {{}}
    def __init_subclass__(cls): cls.kinds[cls.__name__] = cls
class Decay(Plugin):
    def rate(self): return {value}
class Meta(type):
    @property
    def rate(cls): return {value}
class Base:
    def fit(self, h): ...
    def predict_proba(self, h): ...
class Slots(Base):
    __slots__ = ("rate",)
    def __init__(self): self.rate = SPACE
class Attribute(Base):
    rate = V
class Default(Base):
    def predict_proba(self, h, rate=V): ...
class Partial(Base):
    def inner(self, h, rate): ...
    predict_proba = functools.partialmethod(inner, rate=V)
class Patched(Base): ...
Patched.predict_proba = lambda self, h: {value}
class OfMeta(Base, metaclass=Meta): ...
def metric(o, p, s, k=V): return k
USES = [SPACE, FUNCTIONS, closed, keyword, decorated, wrapped, cached, of_kind, Kind, Factory]
def using(thing):
    return lambda: thing
found = [dependencies(using(each)) for each in [*USES, Outer, Later, Plugin]]
found.append(dependencies(metric))
models = [Slots, Attribute, Default, Partial, Patched, OfMeta]
print(json.dumps(found + [resolve(each).identity for each in models]))
"""


@pytest.mark.slow
def test_whatever_way_a_notebook_holds_a_value_a_change_of_it_is_told(tmp_path):
    def told(value, seed):
        path = tmp_path / "program.py"
        path.write_text(WAYS.format(value=value))
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": seed}
        command = [sys.executable, path]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return json.loads(done.stdout)

    one, other = told(2, "1"), told(3, "3")
    assert told(2, "2") == one
    assert [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a == b] == []


@pytest.mark.slow
@pytest.mark.parametrize("as_script", [True, False])
def test_globals_and_closures_of_a_notebook_are_told_by_their_values(tmp_path, as_script):
    def told(**values):
        text = NOTEBOOK.format(**{"window": 180, "unused": 1, "k": 1, "threshold": 0.5, **values})
        path = tmp_path / "program.py"
        path.write_text(text if as_script else f"exec({text!r}, globals())")
        done = subprocess.run(
            [sys.executable, path],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
        return json.loads(done.stdout)

    model, metric = told()
    assert told(unused=2) == [model, metric]  # another process, another order of sets
    assert differing_parts(model, told(window=60)[0]) == ["WINDOW"]
    assert differing_parts({"uses": metric}, {"uses": told(window=60)[1]}) == ["WINDOW"]
    assert differing_parts(model, told(k=2)[0])[0] == "source"
    of_metric = {"uses": metric}, {"uses": told(threshold=0.9)[1]}
    assert differing_parts(*of_metric) == ["above.<locals>.share.threshold"]


def test_files_that_a_model_declares_are_told_by_their_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Reads:
        files = ("weights.json",)

        def fit(self, history): ...

        def predict_proba(self, history): ...

    class Asked(Reads):
        def files(self):
            return tmp_path / "weights.json"

    class OfAnotherMeaning(Reads):
        files = 3

    (tmp_path / "weights.json").write_text("1")
    before = resolve(Reads()).identity
    assert resolve(Asked()).identity["files"] == before["files"]
    assert resolve(OfAnotherMeaning()).identity["files"] == {}
    (tmp_path / "weights.json").write_text("2")
    parts = differing_parts(before, resolve(Reads()).identity)
    assert in_words(parts) == "the file weights.json differs"


def test_a_run_of_an_earlier_version_says_nothing_of_what_a_model_uses():
    earlier = {"source": "a", "parameters": {}}
    assert differing_parts(earlier, {**earlier, "uses": {"x": "1"}, "files": {}}) == []
    assert differing_parts({**earlier, "uses": {}}, {**earlier, "uses": {"x": "1"}}) == ["x"]


class Inner:
    days = 30


class Holds:
    def __init__(self, inner):
        self.inner = inner


def test_an_object_that_is_first_met_far_down_is_followed_where_it_is_met_again():
    held = far = Holds(Inner())
    for _ in range(LEVELS_FOLLOWED - 1):
        far = [far]

    def uses():
        return objects

    objects = {"far": far}
    assert f"{__name__}.Inner" not in dependencies(uses)
    objects["near"] = held
    assert f"{__name__}.Inner" in dependencies(uses)


def test_what_comes_with_packages_is_no_dependency():
    def features(history):
        return np.linalg.norm(history)

    assert dependencies(features) == {}
