"""Compile the package's compiled code before anything is timed, and tell that it is compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd
from numba.core import event

from scale_eval.datasets.instants import DAY, as_utc, microseconds
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.company_windows import CompanyWindows, windows_of_companies
from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.reference import base_rates
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.windows import Window
from scale_eval.metrics.leaving_out import auc_without_each, average_precision_without_each
from scale_eval.models.baselines import Recency
from scale_eval.models.built_in import BUILT_IN
from scale_eval.models.registry import resolve
from scale_eval.statistics.common_slope import common_slope
from scale_eval.statistics.decomposition import isotonic
from scale_eval.statistics.logistic_many import intercepts, slopes
from scale_eval.statistics.precision_trend import fit_trend
from scale_eval.statistics.random_effects import weighted_sums
from scale_eval.statistics.saved_loss import entropy_bias


def warm_up() -> None:
    """Compile all compiled code of models and scoring, or load it from Numba's cache."""
    company, window = _company(), _window()
    for name, kind in BUILT_IN.items():
        if hasattr(kind, "fit_windows"):  # it is compiled
            evaluate_one(company, window, resolve(name), Rules())


def summarise_windows() -> CompanyWindows:
    """Compile the code that summarises windows, on which models and scoring work."""
    windows = windows_of_companies([(_company(), [_window()])], Rules().population)
    base_rates(windows.arrays)
    return windows


def compile_model(name: str, windows: CompanyWindows) -> None:
    """Compile one model."""
    model = resolve(name).fresh()
    probabilities = np.empty(int(windows.summaries.start[-1]))
    model.predict_windows(windows.arrays, model.fit_windows(windows.arrays), probabilities)


def compile_scoring(_: CompanyWindows) -> None:
    """Compile the scoring, with the lightest model."""
    evaluate_one(_company(), _window(), resolve(Recency.name), Rules())


def compile_statistics() -> None:
    """Compile the statistics of which the tables are made, which the workers do not need."""
    x, ones, stratum = np.array([-1.0, 0.0, 1.0]), np.ones(3), np.zeros(3, np.int64)
    positives, negatives = (np.array(each, np.int32) for each in ([[1, 2, 3]], [[3, 2, 1]]))
    slopes(x, positives, negatives)
    intercepts(x, positives, negatives)
    auc_without_each(positives, negatives)
    average_precision_without_each(positives, negatives)
    isotonic(x, *(each[0].astype(np.float64) for each in (positives, negatives)))
    common_slope(x, positives[0], negatives[0], stratum)
    weighted_sums(x, ones, 1.0)
    fit_trend(x, ones, x, 1.0)
    entropy_bias(ones, ones / 2)


ON_WINDOWS: dict[str, Callable[[CompanyWindows], object]] = {
    "scoring": compile_scoring,
    "bgnbd": partial(compile_model, "bgnbd"),
    "rfm_logistic": partial(compile_model, "rfm_logistic"),
}
"""The parts that need summaries of windows, the longest first. Processes can compile the parts side
by side; what is in none of them compiles in an instant."""


def _company() -> Transactions:
    at = microseconds(as_utc("2020-01-01")) + np.arange(36) * DAY
    frame = pd.DataFrame(
        {
            "customer_id": [f"{i % 12:02}" for i in range(36)],
            "timestamp": pd.to_datetime(np.append(at[:24], at[24:] + 215 * DAY), unit="us"),
            "value": 1.0,
        }
    )
    return Transactions.from_frame("warm-up", frame)


def _window() -> Window:
    return Window.at(as_utc("2020-09-01"))


@contextlib.contextmanager
def compilation_reported(on_compiling: Callable[[], object]) -> Iterator[None]:
    """Call `on_compiling` when Numba first compiles a function within the ``with`` block.

    It does not compile what it finds in its cache.
    """
    listener = _FirstCompilation(on_compiling)
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)


class _FirstCompilation(event.Listener):
    def __init__(self, on_compiling: Callable[[], object]) -> None:
        self._on_compiling, self._is_first = on_compiling, True

    def on_start(self, _: object) -> None:
        if self._is_first:
            self._is_first = False
            self._on_compiling()

    def on_end(self, _: object) -> None:
        """Do nothing."""
