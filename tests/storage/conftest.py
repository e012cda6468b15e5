"""The store that the tests of storage use."""

from __future__ import annotations

import pytest

from scale_eval.storage import Store, open_store


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "store")
