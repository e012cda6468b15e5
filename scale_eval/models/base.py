"""The two verbs of a model."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

from scale_eval.history import History


class Model(Protocol):
    """What the evaluation asks of a model; any class with these two methods is one.

    Optional attributes:

    ``name``
        How the tables call it; by default the name that it was asked for by.
    ``random_state``
        Set before `fit` to an integer that depends on seed, company, cutoff and model alone.
    ``note_``
        Set by `fit` or `predict_proba`; stands in the evaluation's row.

    A model that cannot answer for a history raises `scale_eval.Skipped`; any other exception makes
    the evaluation an `error` row.
    """

    def fit(self, history: History) -> Any:
        """Learn from what was known at the cutoff; `history.labelled()` gives data to train on."""

    def predict_proba(self, history: History) -> np.ndarray | pd.Series:
        """The probability of at least one purchase in ``[cutoff, horizon_end)``.

        Returns
        -------
        ndarray of shape (n_customers,), in the order of `history.customers`, or a Series indexed by
        customer id in that order; values in [0, 1].
        """
