"""One evaluation: history -> model -> metrics -> a row. Pure; it runs without Dask.

The row depends on the company's transactions, the window, the model and the rules alone (but for
the columns `*_seconds`). Whatever goes wrong in a model becomes a row that says so.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any, NamedTuple

import numba
import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval import metrics
from scale_eval.datasets.transactions import Transactions
from scale_eval.folds import Fold, folds_of, training_history
from scale_eval.history import Skipped
from scale_eval.metrics.compiled import VALUES, score_into, undefined_text
from scale_eval.metrics.scores import LARGEST_SPEND
from scale_eval.models import NamedModel, base_rate_reference, resolve
from scale_eval.results.evaluation_rows import EvaluationRows
from scale_eval.results.score_counts import ScoreCounts, score_table
from scale_eval.summaries import DAY
from scale_eval.windows import SIX_MONTHS, Duration, Window, as_utc, microseconds

BUILT_IN_COMPILED = ("recency", "rfm_logistic", "bgnbd")
"""Models of the package that are compiled, or whose scores need all that scoring has."""

_FUTURE_SPEND = VALUES.index("future_spend")


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

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """Of the metrics that are the user's."""
        return tuple(metric.name for metric in self.metrics)


@dataclass(frozen=True)
class Evaluation:
    """What came of one (company, cutoff, model).

    Attributes
    ----------
    row : dict
        Columns of the table `evaluations`.
    scores : Table or None
        The histogram of its scores, as in the table `scores`; empty unless the row is `ok`.
    predictions : DataFrame or None
        customer_id, probability, bought; None unless the row is `ok`.
    """

    row: dict[str, Any]
    scores: pa.Table | None = None
    predictions: pd.DataFrame | None = None


class WrongOutput(Exception):  # noqa: N818 - becomes a row's reason, never reaches a user
    """A model gave something other than one probability a customer, in order."""

    def __init__(self, reason: str, note: str) -> None:
        super().__init__(reason, note)
        self.reason = reason
        self.note = note


class NotFitted(Exception):  # noqa: N818 - becomes a row's status, never reaches a user
    """A model of all companies could not be fitted for a cutoff."""

    def __init__(self, status: str, reason: str, note: str) -> None:
        super().__init__(status, reason, note)
        self.status = status
        self.reason = reason
        self.note = note


class Answer(NamedTuple):
    """What a model gave for a fold: `probabilities`, float64 of shape (n_customers,)."""

    fold: Fold
    model: str
    probabilities: np.ndarray

    def frame(self) -> pd.DataFrame:
        """customer_id, probability, bought."""
        return pd.DataFrame(
            {
                "customer_id": self.fold.customer_ids,
                "probability": self.probabilities,
                "bought": self.fold.outcomes.bought,
            }
        )


def evaluate_one(
    company: Transactions, window: Window, model: NamedModel, rules: Rules
) -> Evaluation:
    """Evaluate one model for one company at one cutoff.

    The model is given its own history, a fresh copy of itself and a random state that depends on
    (seed, company, cutoff, model) alone. Outcomes are computed apart from it. A model of all
    companies is fitted on this one.
    """

    def fitted(model: NamedModel, window: Window) -> Any:
        fresh = model.fresh()
        history = training_history(
            company, window, rules.horizon, purchase_rule=rules.purchase_rule,
            lookback=rules.lookback, reads=model.reads,
        )  # fmt: skip
        fresh.fit([history])
        return fresh

    rows, counts = EvaluationRows(1, rules.metric_names), ScoreCounts()
    given: list[Answer] = []
    evaluate_company(
        company, [(window, False)], [model], rules, rows, counts, fitted=fitted,
        keep=given.append,
    )  # fmt: skip
    (row,) = rows.table().to_pylist()
    frame = given[0].frame() if given else None
    return Evaluation(row, score_table([counts.sparse()]), frame)


def evaluate_company(
    company: Transactions,
    windows: Sequence[tuple[Window, bool]],
    models: Sequence[NamedModel],
    rules: Rules,
    rows: EvaluationRows,
    counts: ScoreCounts,
    *,
    group: int = 0,
    attempt: int = 1,
    fitted: Callable[[NamedModel, Window], Any] | None = None,
    keep: Callable[[Answer], None] | None = None,
    about: Callable[[Window, str], None] | None = None,
    catch: type[BaseException] | tuple[type[BaseException], ...] = (Exception, SystemExit),
) -> None:
    """Evaluate models for one company at some cutoffs, and add what comes of it.

    Parameters
    ----------
    windows : sequence of (Window, bool)
        With whether the window overlaps with another of the company.
    rows : EvaluationRows
        Each (window, model) becomes a row.
    counts : ScoreCounts
        The scores of those that are `ok` are counted there, under `group`.
    attempt : int
        Which try this is of these evaluations.
    fitted : callable, optional
        Gives the fitted model of a window, for models of ``scope = "all"``; raises what its
        fitting raised.
    keep : callable, optional
        Told each answer.
    about : callable, optional
        Told what is to be evaluated next, before it is.
    catch : exception type or types
        What a model may throw that becomes a row.
    """
    began = time.perf_counter()
    spans = [(window.begin, window.end, overlaps) for window, overlaps in windows]
    first = rows.add_all(company.company_id, spans, [model.name for model in models], attempt)
    try:
        folds = folds_of(
            company, [window for window, _ in windows], rules.horizon,
            purchase_rule=rules.purchase_rule, lookback=rules.lookback,
        )  # fmt: skip
    except catch as error:  # of this company alone: others go on
        for place in range(first, len(rows)):
            rows.tell(place, *failure(error))
        return
    rows.seconds[first : len(rows), 0] = (time.perf_counter() - began) / max(len(rows) - first, 1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for fold in folds:
            places = range(first, first + len(models))
            first += len(models)
            if fold.n_customers == 0:
                for place in places:
                    rows.tell(place, "skipped", "no_customers")
                continue
            bought, spend, n_positive = fold.outcomes
            reference, groups = _reference(fold), fold.customer_groups
            total_spend, largest = _spend(spend)
            rows.population[places.start : places.stop] = fold.n_customers, fold.n_lapsed
            rows.counts[places.start : places.stop, 0] = n_positive
            rows.values[places.start : places.stop, _FUTURE_SPEND] = total_spend
            answers: list[tuple[str, np.ndarray]] = []
            for place, model in zip(places, models, strict=True):
                if about is not None:
                    about(fold.window, model.name)
                told_before = len(warned)
                seconds = rows.seconds[place]
                try:
                    if largest >= LARGEST_SPEND:
                        raise WrongOutput(
                            "spend_too_large", f"a customer spends {largest:.3g} in the window"
                        )
                    answer, note = _answer(fold, model, rules, seconds, fitted)
                except (Skipped, WrongOutput, NotFitted) as declined:
                    rows.tell(place, *_why(declined))
                    continue
                except catch as error:
                    rows.tell(place, *failure(error))
                    continue
                if len(warned) > told_before:
                    note = "; ".join(filter(None, [note, _told(warned[told_before:])]))
                began = time.perf_counter()
                _score(fold, answer, reference, groups, rules, rows, place)
                answers.append((model.name, answer))
                rows.tell(place, "ok", note=note)
                seconds[3] = time.perf_counter() - began
                if keep is not None:
                    keep(Answer(fold, model.name, answer))
            answered_by = ";".join(sorted(name for name, _ in answers))
            for name, answer in answers:
                counts.add((name, fold.window.begin, group, answered_by), bought, answer, spend)


def _why(declined: Skipped | WrongOutput | NotFitted) -> tuple[str, str, str]:
    """Status, reason and note of a row for which there is no answer, and why is known."""
    if isinstance(declined, NotFitted):
        return declined.status, declined.reason, declined.note
    status = "skipped" if isinstance(declined, Skipped) else "error"
    return status, text(declined.reason), text(declined.note)


def _answer(
    fold: Fold, model: NamedModel, rules: Rules, seconds: np.ndarray,
    fitted: Callable[[NamedModel, Window], Any] | None,
) -> tuple[np.ndarray, str]:  # fmt: skip
    """What the model predicts, checked, and its note; seconds of fitting and predicting are set."""
    began = time.perf_counter()
    history = fold.history(model.reads)
    if model.scope == "all":
        if fitted is None:
            raise ValueError(f"{model.name} is one model for all companies, and nobody fitted it")
        fresh = fitted(model, fold.window)
    else:
        fresh = model.fresh()
        if model.draws:
            state = random_state(rules.seed, fold.company.company_id, fold.window, model.name)
            seed_generators(fresh, state)
        fresh.fit(history)
    between = time.perf_counter()
    seconds[1] = between - began
    output = fresh.predict_proba(history)
    seconds[2] = time.perf_counter() - between
    if not (type(output) is np.ndarray and _are_probabilities(output, fold.n_customers)):
        output = _checked(output, fold)
    note = getattr(fresh, "note_", "")
    return output, text(note) if note else ""


def _score(
    fold: Fold, probabilities: np.ndarray, reference: float, groups: np.ndarray, rules: Rules,
    rows: EvaluationRows, place: int,
) -> None:  # fmt: skip
    """Fill the figures of a row."""
    bought, spend, _ = fold.outcomes
    score_into(
        bought, probabilities, spend, reference, groups,
        rows.values[place], rows.reasons[place], rows.counts[place], rows.influence[place],
    )  # fmt: skip
    rows.undefined[place] = undefined_text(rows.reasons[place])
    if rules.metrics:
        scores = metrics.Scores(bought, probabilities, spend, _none_for_nan(reference))
        values, undefined = metrics.score(scores, rules.metrics)
        own = [values[name] for name in rules.metric_names]
        rows.own[place] = [np.nan if value is None else value for value in own]
        reasons = [f"{name}:{undefined[name]}" for name in rules.metric_names if name in undefined]
        known = filter(None, rows.undefined[place].split(";"))
        rows.undefined[place] = ";".join(sorted([*known, *reasons]))


def warm_up() -> None:
    """Compile what is compiled, or load it from where it was kept, before anything is timed."""
    at = microseconds(as_utc("2020-01-01")) + np.arange(36) * DAY
    frame = pd.DataFrame(
        {
            "customer_id": [f"{i % 12:02}" for i in range(36)],
            "timestamp": pd.to_datetime(np.append(at[:24], at[24:] + 215 * DAY), unit="us"),
            "value": 1.0,
        }
    )
    company = Transactions.from_frame("warm-up", frame)
    window = Window.at(as_utc("2020-09-01"))
    for name in BUILT_IN_COMPILED:
        evaluate_one(company, window, resolve(name), Rules())


def failure(error: BaseException) -> tuple[str, str, str]:
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
    return "error", f"exception:{type(error).__name__}", f"{message} ({place})"


def text(thing: object) -> str:
    """What a model says, as a short string that any file can hold."""
    return str(thing).strip()[:500].encode("utf-8", "replace").decode()


def random_state(seed: int, company_id: str, window: Window, model: str) -> int:
    """An integer below 2**32 that depends on these four alone, the same in every process."""
    return random_state_of(f"{seed}\n{company_id}\n{window.cutoff.isoformat()}\n{model}")


def random_state_of(text: str) -> int:
    """An integer below 2**32 that depends on `text` alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def _reference(fold: Fold) -> float:
    """What `base_rate` predicts for the fold; NaN where it does not."""
    try:
        return base_rate_reference(fold.history("summary"))
    except Skipped:
        return math.nan


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _all_in_0_1(values: np.ndarray) -> bool:
    for value in values:  # noqa: SIM110 - numba compiles no generator
        if not 0 <= value <= 1:  # NaN is not
            return False
    return True


def _are_probabilities(output: np.ndarray, n: int) -> bool:
    """Whether `output` is what a model should give, as almost all do."""
    return (
        output.dtype == np.float64
        and output.shape == (n,)
        and output.flags.c_contiguous
        and bool(_all_in_0_1(output))
    )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _spend(amounts: np.ndarray) -> tuple[float, float]:
    """Their sum, and the largest."""
    total = largest = 0.0
    for amount in amounts:
        total += amount
        largest = max(largest, amount)
    return total, largest


def _none_for_nan(number: float) -> float | None:
    return None if math.isnan(number) else number


def seed_generators(model: Any, state: int) -> None:
    """Seed what the model may draw from: its own `random_state`, and the global generators."""
    if hasattr(model, "random_state"):
        model.random_state = state
    random.seed(state)
    np.random.seed(state)


def _checked(output: Any, fold: Fold) -> np.ndarray:
    """The model's output as float64 of shape (n_customers,), or `WrongOutput`."""
    n = fold.n_customers
    if isinstance(output, pd.Series):
        ids = output.index.astype(str).to_numpy(dtype=object)
        customers = fold.customer_ids
        if len(ids) == n and not np.array_equal(ids, customers):
            if set(ids) == set(customers):
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
