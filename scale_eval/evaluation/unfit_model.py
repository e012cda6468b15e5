"""A model that stands in for one that cannot be evaluated."""

from __future__ import annotations

from typing import Any, NoReturn

from scale_eval.evaluation.history import History
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.no_prediction import NoPrediction


class UnfitModel:
    """An unfit model raises, at each evaluation, why the model that it stands for has none.

    Parameters
    ----------
    reason, note : str
        Those of each of its evaluations, whose status is ``error``.
    """

    reads = "summary"
    draws = False

    def __init__(self, reason: str, note: str) -> None:
        self.reason, self.note = reason, note

    def fit(self, history: History) -> NoReturn:
        """Raise `NoPrediction`."""
        raise NoPrediction(self.reason, self.note)

    def predict_proba(self, history: History) -> Any:
        """Raise `NoPrediction`."""
        raise NoPrediction(self.reason, self.note)


def standing_in(model: NamedModel, reason: str, note: str) -> NamedModel:
    """Return an `UnfitModel` under the name of `model`."""
    return NamedModel(model.name, UnfitModel(reason, note), model.identity)
