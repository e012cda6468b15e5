"""A window: a cutoff and the end of its horizon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from scale_eval.datasets.instants import SIX_MONTHS, Duration, from_microseconds, microseconds


@dataclass(frozen=True)
class Window:
    """A cutoff and the end of its horizon: models see what lies before, outcomes lie within."""

    cutoff: pd.Timestamp
    horizon_end: pd.Timestamp

    @classmethod
    def at(cls, cutoff: pd.Timestamp, horizon: Duration = SIX_MONTHS) -> Window:
        """Return the window that `horizon` opens at `cutoff`."""
        return cls(cutoff, horizon.after(cutoff))

    @classmethod
    def from_microseconds(cls, cutoff: int, horizon_end: int) -> Window:
        """Return the window between two instants, in microseconds since 1970 UTC."""
        return cls(from_microseconds(cutoff), from_microseconds(horizon_end))

    @cached_property
    def cutoff_us(self) -> int:
        """Return the cutoff in microseconds since 1970 UTC."""
        return microseconds(self.cutoff)

    @cached_property
    def horizon_end_us(self) -> int:
        """Return the end of the horizon in microseconds since 1970 UTC."""
        return microseconds(self.horizon_end)
