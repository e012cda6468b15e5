"""Names that are imported when they are first used: none is missing, and none is made up."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import scale_eval as se
from scale_eval.lazy import Registry

PACKAGES = ["scale_eval", "scale_eval.datasets", "scale_eval.models"]


def imported_for_type_checkers(package) -> dict[str, str]:
    """The names that the block ``if TYPE_CHECKING`` of a package imports, and their modules."""
    for node in ast.parse(Path(package.__file__).read_text()).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            imports = [each for each in node.body if isinstance(each, ast.ImportFrom)]
            return {alias.name: each.module for each in imports for alias in each.names}
    raise AssertionError(f"{package} imports nothing for type checkers")


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_objects_that_python_gives(name):
    package = importlib.import_module(name)
    seen = imported_for_type_checkers(package)
    assert sorted(seen) == sorted(package.__all__) == dir(package)
    for public, module in seen.items():
        assert getattr(package, public) is getattr(importlib.import_module(module), public)


def test_the_package_shows_its_public_names_and_no_others():
    assert dir(se) == sorted(se.__all__)
    assert se.__version__
    with pytest.raises(AttributeError, match="has no attribute 'evaluat'"):
        _ = se.evaluat


@pytest.mark.slow
def test_a_function_is_not_hidden_by_a_module_whichever_is_imported_first():
    code = "import scale_eval.evaluate_run, scale_eval.preview_run, scale_eval.run as run\n" + (
        "import scale_eval as se; assert callable(se.evaluate) and callable(se.preview)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    modules = {path.stem for path in Path(se.__file__).parent.iterdir()}
    assert not modules & set(se.__all__)


def test_a_registry_imports_an_object_when_it_is_asked_for_it():
    registry = Registry({"fraction": "fractions:Fraction", "none": "no_such_module:Thing"})
    assert list(registry) == ["fraction", "none"]
    assert "none" in registry
    assert registry["fraction"](1, 2) == 0.5
    with pytest.raises(ModuleNotFoundError):
        _ = registry["none"]
    with pytest.raises(KeyError):
        _ = registry["other"]
