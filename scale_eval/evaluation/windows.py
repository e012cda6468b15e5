"""A window: a cutoff and the end of its horizon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from scale_eval.datasets.instants import (
    SIX_MONTHS,
    Duration,
    microseconds,
)


@dataclass(frozen=True)
class Window:
    """A cutoff and the end of its horizon: what is known before, what is asked after."""

    cutoff: pd.Timestamp
    horizon_end: pd.Timestamp

    @classmethod
    def at(cls, cutoff: pd.Timestamp, horizon: Duration = SIX_MONTHS) -> Window:
        """The window that `horizon` opens at `cutoff`."""
        return cls(cutoff, horizon.after(cutoff))

    @cached_property
    def cutoff_us(self) -> int:
        """The cutoff in microseconds since 1970 UTC."""
        return microseconds(self.cutoff)

    @cached_property
    def horizon_end_us(self) -> int:
        """The end of the horizon in microseconds since 1970 UTC."""
        return microseconds(self.horizon_end)
