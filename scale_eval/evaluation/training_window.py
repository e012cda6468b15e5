"""The window that a model trains on, and how its probabilities are carried to the horizon.

It lies one horizon back where the company's past is at least two horizons long; otherwise it is the
later half of that past. Its outcomes lie entirely before the cutoff.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.datasets.instants import Duration, from_microseconds
from scale_eval.evaluation.customer_summaries import CustomerSummary, Summaries
from scale_eval.evaluation.windows import Window


class TrainingBounds(NamedTuple):
    """The bounds of a window to train on.

    Attributes
    ----------
    cutoff, horizon_end : int
        Microseconds since 1970 UTC.
    exponent : float
        The horizon divided by the length of the window; 1 for a whole horizon.
    """

    cutoff: int
    horizon_end: int
    exponent: float

    @property
    def window(self) -> tuple[int, int]:
        """Return the cutoff and the end of the horizon."""
        return self[:2]


class TrainingWindow(NamedTuple):
    """The customers at the cutoff of a window to train on, and whether they bought in it.

    Attributes
    ----------
    bounds : TrainingBounds
    summary : CustomerSummary
        The customers at the cutoff of this window.
    bought : ndarray of bool, shape (n_customers,)
        Whether each of them bought in the window.
    n_bought : int
    earlier : TrainingWindow or None
        The window to train on for a history at the cutoff of this one, where it was computed.
    """

    bounds: TrainingBounds
    summary: CustomerSummary
    bought: np.ndarray
    n_bought: int
    earlier: TrainingWindow | None = None

    @classmethod
    def of(
        cls,
        summaries: Summaries,
        position: int,
        bounds: TrainingBounds,
        earlier: TrainingWindow | None = None,
    ) -> TrainingWindow:
        """Copy what `summaries` holds at `position`, for models."""
        return cls(
            bounds,
            summaries.summary(position),
            summaries.bought_copy(position),
            int(summaries.n_bought[position]),
            earlier,
        )


def training_bounds(
    cutoff: int, horizon_end: int, first: int, horizon: Duration | None
) -> TrainingBounds:
    """Return the bounds of the window that models at a window train on.

    Parameters
    ----------
    cutoff, horizon_end, first : int
        The window, and the company's first row; microseconds since 1970 UTC.
    horizon : Duration or None
        The calendar time to go back by; None goes back by the exact length of the window.
    """
    half_span = max(cutoff - first, 0) // 2
    length = horizon_end - cutoff
    if length <= half_span:
        return TrainingBounds(*_one_horizon_back(cutoff, length, horizon), 1.0)
    return TrainingBounds(cutoff - half_span, cutoff, length / half_span if half_span else 1.0)


@lru_cache(maxsize=65_536)
def _one_horizon_back(cutoff: int, length: int, horizon: Duration | None) -> tuple[int, int]:
    if horizon is None:
        return cutoff - length, cutoff
    window = Window.at(horizon.before(from_microseconds(cutoff)), horizon)
    return window.cutoff_us, window.horizon_end_us


def training_note(days: float, exponent: float) -> str:
    """Return the note on a training window of `days` days; empty where it was a whole horizon."""
    if exponent == 1.0:
        return ""
    return f"trained on {days:.1f} days, carried to the horizon by constant hazard"


def training_days(note: str) -> float | None:
    """Return the days in a `training_note`; None where the training window was a whole horizon."""
    found = re.match(r"trained on ([0-9.]+) days, carried", note)
    return float(found[1]) if found else None


@compiled
def carry_to_horizon(probabilities: np.ndarray, exponent: float) -> None:
    """Replace p by ``1 - (1 - p) ** exponent`` in place, shape (n,); 1 stays 1."""
    if exponent != 1.0:
        for i in range(len(probabilities)):
            probabilities[i] = -math.expm1(exponent * math.log1p(-probabilities[i]))
