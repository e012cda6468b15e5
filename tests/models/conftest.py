"""What the tests of models share."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def no_compiled_files(monkeypatch):
    """Read modules from their source: one that is written twice in a second looks unchanged."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
