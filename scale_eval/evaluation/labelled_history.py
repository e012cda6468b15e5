"""A history with its outcomes, to train on; and the outcomes that models are scored on.

`LabelledHistory` and `Outcomes` say what the customers of a history did in its window: whether they
bought, so far. What else is to be predicted about them gets its place beside that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.training_window import carry_to_horizon, training_note

if TYPE_CHECKING:
    from scale_eval.evaluation.history import History


@dataclass(frozen=True)
class LabelledHistory:
    """An earlier history of a company and its outcomes: a model may train on them.

    Attributes
    ----------
    history : History
        The company at the earlier cutoff.
    bought : ndarray of bool, shape (history.n_customers,)
        True for each of its customers who bought in the window that followed.
    exponent : float
        Horizon / length of that window: 1 where it is as long as the horizon.
    n_bought : int
        The number of customers who bought.
    """

    history: History
    bought: np.ndarray
    exponent: float
    n_bought: int

    @property
    def note(self) -> str:
        """Return the note for the evaluation's row; empty where the window was a whole horizon."""
        return training_note(self.history.horizon_days, self.exponent)

    def require_both_classes(self) -> LabelledHistory:
        """Return the labelled history itself, where some customers bought and some did not.

        Raises
        ------
        Skipped
            ``history_one_class``: all of them bought, or none.
        """
        if not 0 < self.n_bought < len(self.bought):
            who = "everybody" if self.n_bought else "nobody"
            raise Skipped("history_one_class", f"{who} bought in the window to train on")
        return self

    def to_horizon(self, probabilities: np.ndarray | float) -> np.ndarray:
        """Carry probabilities for the training window to the horizon by constant hazard.

        With h the length of the training window, a customer buys within the horizon with
        probability ``1 - (1 - p) ** (horizon / h)``.
        """
        carried = np.array(probabilities, dtype=np.float64)
        carry_to_horizon(carried.reshape(-1), self.exponent)
        return carried


class Outcomes(NamedTuple):
    """The outcomes of a history's customers in ``[cutoff, horizon_end)``; models never see them.

    Attributes
    ----------
    bought : ndarray of bool, shape (n_customers,)
        True for customers with at least one purchase in the window.
    future_spend : ndarray of float64, shape (n_customers,)
        Sum of the positive values of purchases in the window, gross of refunds.
    n_positive : int
        The number of customers who bought.
    """

    bought: np.ndarray
    future_spend: np.ndarray
    n_positive: int
