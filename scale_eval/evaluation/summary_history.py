"""A history of summaries alone, for models that declare ``reads = "summary"``."""

from __future__ import annotations

from typing import NoReturn

from scale_eval.evaluation.customer_summaries import CustomerSummary
from scale_eval.evaluation.history import History
from scale_eval.evaluation.training_window import TrainingWindow

_NO_TRANSACTIONS = (
    'this history holds summaries only, because the model declares reads = "summary"; '
    "remove the declaration from a model that needs transactions or customer ids"
)
_NO_TRAINING_WINDOW = (
    'the labelled history of a model that declares reads = "summary" has no earlier one; '
    "remove the declaration from a model that needs it"
)
_MISSING = {
    "codes": _NO_TRANSACTIONS,
    "timestamps": _NO_TRANSACTIONS,
    "values": _NO_TRANSACTIONS,
    "is_purchase": _NO_TRANSACTIONS,
    "customers": _NO_TRANSACTIONS,
    "transactions": _NO_TRANSACTIONS,
    "_training_window": _NO_TRAINING_WINDOW,
}
"""Attributes that other histories have and this one lacks, and what to do about it."""


class SummaryHistory(History):
    """A history that holds the summary of each customer, and no transactions.

    It is many times as fast to make, because no row is copied. Reading its transactions or customer
    ids raises `AttributeError`.

    Parameters
    ----------
    company_id : str
    cutoff, horizon_end, first : int
        The window, and the company's first row; microseconds since 1970 UTC.
    summary : CustomerSummary
    training : TrainingWindow or None
        The window to train on; without one, `labelled` raises `AttributeError`.
    """

    def __init__(
        self,
        company_id: str,
        cutoff: int,
        horizon_end: int,
        first: int,
        summary: CustomerSummary,
        training: TrainingWindow | None = None,
    ) -> None:
        self.company_id = company_id
        self.cutoff_us, self.horizon_end_us, self.first_us = cutoff, horizon_end, first
        self.n_customers = summary.n_customers
        self.summary = summary
        if training is not None:
            self._training_window = training

    def _earlier(self, training: TrainingWindow) -> SummaryHistory:
        return SummaryHistory(
            self.company_id,
            *training.bounds.window,
            self.first_us,
            training.summary,
            training.earlier,
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Say what to do where an attribute of other histories is missing here."""
        unknown = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(_MISSING.get(name, unknown))
