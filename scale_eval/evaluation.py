"""One evaluation: history -> model -> metrics -> a row. Pure; it runs without Dask.

The row depends on the company's transactions, the window, the model and the rules alone (but for
the columns `*_seconds`). Whatever goes wrong in a model becomes a row that says so.
"""

from __future__ import annotations

import copy
import hashlib
import random
import re
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from scale_eval import metrics
from scale_eval.datasets.transactions import Transactions
from scale_eval.history import History, Outcomes, Skipped
from scale_eval.models import NamedModel, base_rate_reference
from scale_eval.windows import SIX_MONTHS, Duration, Window, microseconds


@dataclass(frozen=True)
class Rules:
    """How evaluations are made: what their results depend on, besides data, window and model.

    Attributes
    ----------
    horizon : Duration
        Length of the label window.
    purchase_rule : str
        Which transactions are purchases, one of `scale_eval.datasets.purchases.PURCHASE_RULES`.
    lookback : Duration or None
        Customers without a purchase in this time before the cutoff are left out.
    seed : int
    metrics : tuple of Metric
        Beyond those that every evaluation computes.
    """

    horizon: Duration = SIX_MONTHS
    purchase_rule: str = "non_negative"
    lookback: Duration | None = None
    seed: int = 0
    metrics: tuple[metrics.Metric, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What came of one (company, cutoff, model).

    Attributes
    ----------
    row : dict
        Columns of the table `evaluations`; what is missing is null.
    histogram : ScoreHistogram or None
        The scores, for pooling over companies; None unless the row is `ok`.
    predictions : DataFrame or None
        customer_id, probability, bought; None unless the row is `ok`.
    """

    row: dict[str, Any]
    histogram: metrics.ScoreHistogram | None = None
    predictions: pd.DataFrame | None = None


class WrongOutput(Exception):  # noqa: N818 - becomes a row's reason, never reaches a user
    """A model gave something other than one probability a customer, in order."""

    def __init__(self, reason: str, note: str) -> None:
        super().__init__(reason, note)
        self.reason = reason
        self.note = note


@dataclass
class _Stopwatch:
    """Seconds spent, by part of the evaluation."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[f"{part}_seconds"] = now - self._since
        self._since = now


def evaluate_one(
    company: Transactions, window: Window, model: NamedModel, rules: Rules
) -> Evaluation:
    """Evaluate one model for one company at one cutoff.

    The model is given its own copy of the history, a fresh copy of itself and a random state that
    depends on (seed, company, cutoff, model) alone. Outcomes are computed apart from it.
    """
    row: dict[str, Any] = {
        "company_id": company.company_id,
        "cutoff": window.cutoff,
        "horizon_end": window.horizon_end,
        "model": model.name,
    }
    watch = _Stopwatch()
    try:
        return _evaluate(company, window, model, rules, row, watch)
    except Skipped as skipped:
        row |= {"status": "skipped", "reason": text(skipped.reason), "note": text(skipped.note)}
    except WrongOutput as wrong:
        row |= {"status": "error", "reason": wrong.reason, "note": wrong.note}
    except (Exception, SystemExit) as error:
        row |= failure(error)
    return Evaluation(row | watch.seconds)


def _evaluate(
    company: Transactions, window: Window, model: NamedModel, rules: Rules,
    row: dict[str, Any], watch: _Stopwatch,
) -> Evaluation:  # fmt: skip
    """The evaluation of a model that answers; what is known by the way is set in `row`."""
    population = _history(company, window, rules)
    if population.n_customers == 0:
        raise Skipped("no_customers")
    outcomes = Outcomes(company, window, population, purchase_rule=rules.purchase_rule)
    row |= {
        "n_customers": population.n_customers,
        "n_positive": int(outcomes.bought.sum()),
        "observed_rate": float(outcomes.bought.mean()),
        "n_lapsed": _n_lapsed(population, rules),
        "future_spend": float(outcomes.future_spend.sum()),
    }
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        fresh = copy.deepcopy(model.prototype)
        _seed_generators(fresh, random_state(rules.seed, company.company_id, window, model.name))
        history = _history(company, window, rules)
        watch.lap("history")
        fresh.fit(history)
        watch.lap("fit")
        output = fresh.predict_proba(history)
        watch.lap("predict")
    probabilities = _checked(output, population)

    scores = metrics.Scores(
        outcomes.bought, probabilities, outcomes.future_spend, _reference(population)
    )
    values, undefined = metrics.score(scores, (*metrics.METRICS.values(), *rules.metrics))
    groups = metrics.customer_groups(population.customers)
    influence = metrics.influence_sums(scores, groups)
    histogram = metrics.histogram(scores)
    watch.lap("score")
    predictions = pd.DataFrame(
        {
            "customer_id": population.customers,
            "probability": probabilities,
            "bought": outcomes.bought,
        }
    )
    told = {
        "status": "ok",
        "note": "; ".join(filter(None, [text(getattr(fresh, "note_", "")), _told(warned)])),
        "undefined": ";".join(f"{name}:{why}" for name, why in sorted(undefined.items())),
        "n_clipped": scores.n_clipped,
        "mean_prediction": float(probabilities.mean()),
        "reference_log_loss": scores.reference_log_loss,
        "reference_brier_score": scores.reference_brier_score,
    }
    sums = {f"{name}_influence": values for name, values in influence.items()}
    return Evaluation(row | values | sums | told | watch.seconds, histogram, predictions)


def failure(error: BaseException) -> dict[str, str]:
    """Status, reason and note of a row that ended in `error`: what was said, and where.

    What differs from machine to machine or run to run (directories, addresses in memory) is left
    out of the note.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"
    try:
        message = re.sub(r"0x[0-9a-fA-F]+", "0x", text(error))
    except Exception:  # its own __str__ fails
        message = "no message"
    return {
        "status": "error",
        "reason": f"exception:{type(error).__name__}",
        "note": f"{message} ({place})",
    }


def text(thing: object) -> str:
    """What a model says, as a short string that any file can hold."""
    return str(thing).strip()[:500].encode("utf-8", "replace").decode()


def random_state(seed: int, company_id: str, window: Window, model: str) -> int:
    """An integer below 2**32 that depends on these four alone, the same in every process."""
    drawn = f"{seed}\n{company_id}\n{window.cutoff.isoformat()}\n{model}"
    return int.from_bytes(hashlib.sha256(drawn.encode()).digest()[:4], "little")


def _history(company: Transactions, window: Window, rules: Rules) -> History:
    return History(
        company, window, purchase_rule=rules.purchase_rule, lookback=rules.lookback,
        horizon=rules.horizon,
    )  # fmt: skip


def _n_lapsed(population: History, rules: Rules) -> int:
    """Customers without a purchase in one horizon before the cutoff."""
    since = microseconds(rules.horizon.before(population.cutoff))
    return int(np.count_nonzero(population.summary.last_purchase < since))


def _reference(history: History) -> float | None:
    try:
        return base_rate_reference(history)
    except Skipped:
        return None


def _seed_generators(model: Any, state: int) -> None:
    """Seed what the model may draw from: its own `random_state`, and the global generators."""
    if hasattr(model, "random_state"):
        model.random_state = state
    random.seed(state)
    np.random.seed(state)


def _checked(output: Any, history: History) -> np.ndarray:
    """The model's output as float64 of shape (n_customers,), or `WrongOutput`."""
    n = history.n_customers
    if isinstance(output, pd.Series):
        ids = output.index.astype(str).to_numpy(dtype=object)
        if len(ids) == n and not np.array_equal(ids, history.customers):
            if set(ids) == set(history.customers):
                raise WrongOutput("wrong_order", "the Series is not in the order of customers")
            raise WrongOutput("wrong_customers", "the Series is not indexed by customer id")
    shape = np.shape(output)
    if len(shape) != 1:
        hint = "; take its column [:, 1]" if shape == (n, 2) else ""
        raise WrongOutput("wrong_shape", f"shape {shape} where ({n},) is wanted{hint}")
    if shape != (n,):
        raise WrongOutput("wrong_length", f"{shape[0]} probabilities for {n} customers")
    try:
        probabilities = np.array(output, dtype=np.float64)
    except (TypeError, ValueError):
        kind = getattr(output, "dtype", type(output).__name__)
        raise WrongOutput("not_numeric", f"values of type {kind}") from None
    n_missing = int(np.isnan(probabilities).sum())
    if n_missing:
        raise WrongOutput("not_a_number", f"{n_missing} of {n} probabilities are NaN")
    outside = (probabilities < 0) | (probabilities > 1)
    if outside.any():
        example = probabilities[outside][0]
        raise WrongOutput("outside_0_1", f"{int(outside.sum())} of {n}, such as {example:.6g}")
    return probabilities


def _told(warned: list[warnings.WarningMessage]) -> str:
    names = sorted({w.category.__name__ for w in warned})
    return f"warned {', '.join(names)}" if names else ""
