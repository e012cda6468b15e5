"""Random states that depend only on what is evaluated, and are the same in every process."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np

from scale_eval.evaluation.windows import Window


def random_state(seed: int, company_id: str, window: Window, model: str) -> int:
    """Return an integer below 2**32 that depends only on these four."""
    return random_state_of(f"{seed}\n{company_id}\n{window.cutoff.isoformat()}\n{model}")


def random_state_of(text: str) -> int:
    """Return an integer below 2**32 that depends only on `text`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def seed_generators(model: Any, state: int) -> None:
    """Seed whatever a model may draw from: its own `random_state` and the global generators."""
    if hasattr(model, "random_state"):
        model.random_state = state
    random.seed(state)
    np.random.seed(state)
