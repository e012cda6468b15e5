"""Purchase days: the days of UTC on which a customer bought, however often on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scale_eval.history import History
from scale_eval.windows import microseconds

DAY = 86_400_000_000
"""Microseconds in a day."""


@dataclass(frozen=True)
class PurchaseDays:
    """The purchase days of each customer of a history; arrays of shape (n_customers,), int64.

    Attributes
    ----------
    count : ndarray
        Distinct days with a purchase, at least 1.
    first, last : ndarray
        The first and the last of them, in days since 1970-01-01.
    today : int
        The last day of which anything is known: the one that ends at the cutoff or contains it.
    """

    count: np.ndarray
    first: np.ndarray
    last: np.ndarray
    today: int

    @classmethod
    def of(cls, history: History) -> PurchaseDays:
        """Count the purchase days in `history`, whose rows are sorted by customer and time."""
        codes = history.codes[history.is_purchase]
        days = history.timestamps[history.is_purchase] // DAY
        new = np.ones(len(days), dtype=bool)
        new[1:] = (codes[1:] != codes[:-1]) | (days[1:] != days[:-1])
        return cls(
            count=np.bincount(codes[new], minlength=history.n_customers),
            first=history.summary.first_purchase // DAY,
            last=history.summary.last_purchase // DAY,
            today=(microseconds(history.cutoff) - 1) // DAY,
        )
