"""What the tests of models share."""

from __future__ import annotations

import sys

import pytest

from tests.support.shop_models import MODULE


@pytest.fixture(autouse=True)
def no_compiled_files(monkeypatch):
    """Read modules from their source: one that is written twice in a second looks unchanged."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a user's module `models_of_a_shop` into a directory that is on the path."""
    path = tmp_path / "models_of_a_shop.py"
    path.write_text(MODULE.format(limit=1))
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    for name in ("models_of_a_shop", "shop_features"):
        sys.modules.pop(name, None)
