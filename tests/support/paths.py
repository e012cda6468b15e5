"""Where the project and what lies beside it are."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared"
"""Real data and published tables; what needs them is skipped on a machine without them."""

MODELS = "tests.support.models"
"""The module of models for tests, for processes that have `PROJECT` on their PYTHONPATH."""
