"""Evaluate models for companies: history -> model -> metrics -> a row, without Dask or a store.

A row depends only on the company's transactions, the window, the model and the rules (except for
the columns `*_seconds`). Whatever goes wrong in a model becomes a row that says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval import metrics
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.company_windows import (
    CompanyWindow,
    CompanyWindows,
    windows_of_companies,
)
from scale_eval.evaluation.histograms import Cell, ScoreCounts, score_table
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.no_prediction import failure
from scale_eval.evaluation.predict import PredictionContext, predict_all, time_shares
from scale_eval.evaluation.reference import base_rates
from scale_eval.evaluation.rows import HISTORY_SECONDS, NULL, SCORE_SECONDS, EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.training_history import training_history
from scale_eval.evaluation.windows import Window
from scale_eval.metrics.base import compute
from scale_eval.metrics.compiled.batch import APART, score_windows_into, spend_of_windows
from scale_eval.metrics.compiled.values import VALUES
from scale_eval.metrics.influence import sums_of_function, without_each_group
from scale_eval.metrics.scores import LARGEST_SPEND

MAX_TOGETHER = 60_000
"""Most customers times windows of companies that are evaluated together: they fit into a cache."""

_FUTURE_SPEND = VALUES.index("future_spend")


@dataclass(frozen=True)
class Evaluation:
    """The result of evaluating one model for one company at one cutoff.

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


class LoadedCompany(NamedTuple):
    """A company that has been read, and the evaluations to make for it.

    Attributes
    ----------
    company : Transactions
    windows : sequence of (Window, bool)
        The flag is True where the window overlaps another one of the company.
    models : sequence of NamedModel
        Each is evaluated at each window.
    group : int
        The group of companies in whose histograms the scores are counted.
    attempt : int
        The number of the attempt; the first is 1.
    """

    company: Transactions
    windows: Sequence[tuple[Window, bool]]
    models: Sequence[NamedModel]
    group: int = 0
    attempt: int = 1


class WindowPredictions(NamedTuple):
    """The `probabilities` of a model for one window of a company; float64, shape (n_customers,)."""

    company_window: CompanyWindow
    model: str
    probabilities: np.ndarray

    def frame(self) -> pd.DataFrame:
        """Return them as a table: customer_id, probability, bought."""
        return pd.DataFrame(
            {
                "customer_id": self.company_window.customer_ids,
                "probability": self.probabilities,
                "bought": self.company_window.outcomes.bought,
            }
        )


def evaluate_one(
    company: Transactions, window: Window, model: NamedModel, rules: Rules
) -> Evaluation:
    """Evaluate one model for one company at one cutoff.

    A fresh copy of the model is given a history of its own and a random state that depends only on
    (seed, company, cutoff, model); it never sees the outcomes. A model of all companies is fitted
    to this one.
    """

    def fitted(model: NamedModel, window: Window) -> Any:
        fresh = model.fresh()
        fresh.fit([training_history(company, window, rules.population, model.reads)])
        return fresh

    rows, counts = EvaluationRows(1, rules.metric_names), ScoreCounts()
    predictions: list[WindowPredictions] = []
    loaded = LoadedCompany(company, [(window, False)], [model])
    evaluate_companies([loaded], rules, rows, counts, fitted=fitted, keep=predictions.append)
    (row,) = rows.table().to_pylist()
    frame = predictions[0].frame() if predictions else None
    return Evaluation(row, score_table([counts.sparse()]), frame)


def _announce_nothing(company_id: str, window: Window, model: str) -> None:
    """Do nothing before an evaluation."""


def evaluate_companies(
    companies: Iterable[LoadedCompany],
    rules: Rules,
    rows: EvaluationRows,
    counts: ScoreCounts,
    *,
    fitted: Callable[[NamedModel, Window], Any] | None = None,
    keep: Callable[[WindowPredictions], None] | None = None,
    announce: Callable[[str, Window, str], None] = _announce_nothing,
    catch: type[BaseException] | tuple[type[BaseException], ...] = (Exception, SystemExit),
) -> None:
    """Evaluate models for companies, each at some cutoffs; add to `rows` and `counts`.

    Small companies are evaluated together, in the order in which they come, so that compiled code
    is called for many evaluations at once; the results are the same as for each alone. The seconds
    that they take together are shared among them by their numbers of customers.

    Parameters
    ----------
    companies : iterable of LoadedCompany
    rows : EvaluationRows
        Each (company, window, model) becomes a row.
    counts : ScoreCounts
        The scores of rows that are `ok` are counted there.
    fitted : callable, optional
        Returns the fitted model of a window, for models of ``scope = "all"``; raises what the fit
        raised.
    keep : callable, optional
        Called with the predictions of each row that is `ok`.
    announce : callable, optional
        Called before each evaluation with the company, the window and the name of the model.
    catch : exception type or types
        The exceptions of a model that become a row.
    """
    context = PredictionContext(rules.seed, rows, fitted, announce, catch)
    for together in _small_neighbours(companies):
        _evaluate(together, rules, context, counts, keep)


def _small_neighbours(companies: Iterable[LoadedCompany]) -> Iterator[list[LoadedCompany]]:
    """Yield lists of successive companies with the same models that are small together."""
    neighbours: list[LoadedCompany] = []
    n = 0
    for each in companies:
        size = each.company.n_customers * len(each.windows)
        if neighbours and (n + size > MAX_TOGETHER or each.models != neighbours[0].models):
            yield neighbours
            neighbours, n = [], 0
        neighbours.append(each)
        n += size
    if neighbours:
        yield neighbours


def _evaluate(
    companies: list[LoadedCompany],
    rules: Rules,
    context: PredictionContext,
    counts: ScoreCounts,
    keep: Callable[[WindowPredictions], None] | None,
) -> None:
    rows, models = context.rows, companies[0].models
    began = time.perf_counter()
    try:
        windows = windows_of_companies(
            [(each.company, [window for window, _ in each.windows]) for each in companies],
            rules.population,
        )
    except context.catch as error:
        if len(companies) > 1:  # one company caused it: evaluate the others
            for each in companies:
                _evaluate([each], rules, context, counts, keep)
        else:
            for position in _begin_rows(companies, rows).flat:
                rows.set_status(int(position), *failure(error))
        return
    positions = _begin_rows(companies, rows)
    wanted = _fill_outcomes(rows, positions, windows)
    references = base_rates(windows.arrays)
    share = time_shares(windows.n_customers)[:, np.newaxis]
    rows.seconds[positions, HISTORY_SECONDS] = (time.perf_counter() - began) * share / len(models)
    probabilities, predicted = predict_all(windows, wanted, models, context, positions)
    groups = np.repeat(
        [each.group for each in companies], [len(each.windows) for each in companies]
    )
    _score(windows, models, predicted, probabilities, references, groups, rows, counts, positions)
    if rules.plain_metrics or keep is not None:
        customer_groups = windows.customer_groups() if rules.plain_metrics else np.empty(0)
        for i, m in np.argwhere(predicted).tolist():
            window, customers = windows[i], windows.customers(i)
            output = probabilities[m, customers]
            if rules.plain_metrics:
                reference = None if math.isnan(references[i]) else references[i]
                bought, spend, _ = window.outcomes
                scores = metrics.Scores(bought, output, spend, reference)
                _score_plain_metrics(
                    scores, customer_groups[customers], rules, rows, int(positions[i, m])
                )
            if keep is not None:
                keep(WindowPredictions(window, models[m].name, output.copy()))


def _begin_rows(companies: list[LoadedCompany], rows: EvaluationRows) -> np.ndarray:
    """Begin the rows of companies; return their positions, shape (n_windows, n_models)."""
    names = [model.name for model in companies[0].models]
    keys = [
        (each.company.company_id, window.cutoff_us, window.horizon_end_us, overlaps, each.attempt)
        for each in companies
        for window, overlaps in each.windows
    ]
    first = rows.add_all(keys, names)
    return np.arange(first, len(rows)).reshape(-1, len(names))


def _fill_outcomes(
    rows: EvaluationRows, positions: np.ndarray, windows: CompanyWindows
) -> np.ndarray:
    """Fill the rows' population and outcomes, which do not depend on a model.

    Returns the windows that models are to predict for, bool of shape (n_windows,); the rows of the
    others say why not.
    """
    summaries, label_window, n = windows.summaries, windows.arrays.label_window, windows.n_customers
    spend, largest = spend_of_windows(summaries.all_spend, windows.start, n)
    wanted = (n > 0) & (largest < LARGEST_SPEND)
    rows.population[positions, 0] = n[:, np.newaxis]
    rows.population[positions, 1] = summaries.n_lapsed[label_window, np.newaxis]
    rows.counts[positions, 0] = summaries.n_bought[label_window, np.newaxis]
    rows.values[positions, _FUTURE_SPEND] = spend[:, np.newaxis]
    for i in np.flatnonzero(~wanted).tolist():
        if n[i]:
            note = f"a customer spends {largest[i]:.3g} in the window"
            texts = ("error", "spend_too_large", note)
        else:
            texts = ("skipped", "no_customers", "")
            rows.population[positions[i]] = rows.counts[positions[i], 0] = NULL
            rows.values[positions[i], _FUTURE_SPEND] = np.nan
        for position in positions[i].tolist():
            rows.set_status(position, *texts)
    return wanted


def _score(
    windows: CompanyWindows,
    models: Sequence[NamedModel],
    predicted: np.ndarray,
    probabilities: np.ndarray,
    references: np.ndarray,
    groups: np.ndarray,
    rows: EvaluationRows,
    counts: ScoreCounts,
    positions: np.ndarray,
) -> None:
    """Fill the figures of the rows that have predictions, and count the scores."""
    if not predicted.any():
        return
    began = time.perf_counter()
    # Windows of a kind are at one cutoff and in one group, and the same models predicted for them.
    cutoffs = windows.arrays.cutoff[windows.arrays.label_window]
    by = predicted.view(f"V{len(models)}").ravel()  # the flags of a window as bytes
    kinds: dict[tuple[int, int, bytes], int] = {}
    each = zip(cutoffs.tolist(), groups.tolist(), by.tolist(), strict=True)
    kind = np.array([kinds.setdefault(key, len(kinds)) for key in each], np.int64)
    cells = [_cells(models, *key) for key in kinds]
    histogram = counts.indices(cells, np.bincount(kind))[kind]
    own_rows = slice(int(positions[0, 0]), int(positions[-1, -1]) + 1)
    apart = score_windows_into(
        predicted,
        probabilities,
        windows.start,
        windows.n_customers,
        windows.customer_groups(),
        windows.summaries.all_bought,
        windows.summaries.all_spend,
        references,
        histogram,
        counts.histograms,
        rows.values[own_rows],
        rows.reasons[own_rows],
        rows.counts[own_rows],
        rows.influence[own_rows],
    )
    apart_cells = [
        cells[kind[i]][m] for i, m in np.argwhere(predicted & (histogram == APART)).tolist()
    ]
    counts.add(filter(None, apart_cells), *apart)
    scored = positions[predicted]
    for position in scored.tolist():
        rows.status[position] = "ok"
    n_customers = np.broadcast_to(windows.n_customers[:, np.newaxis], positions.shape)[predicted]
    rows.seconds[scored, SCORE_SECONDS] = (time.perf_counter() - began) * time_shares(n_customers)


def _cells(
    models: Sequence[NamedModel], cutoff: int, group: int, predicted: bytes
) -> list[Cell | None]:
    """Return the cell of each model that predicted for a kind of windows; None for the others."""
    names = [model.name for model in models]
    answered_by = ";".join(sorted(compress(names, predicted)))
    cells = [(name, cutoff, group, answered_by) for name in names]
    return [cell if is_one else None for cell, is_one in zip(cells, predicted, strict=True)]


def _score_plain_metrics(
    scores: metrics.Scores, groups: np.ndarray, rules: Rules, rows: EvaluationRows, position: int
) -> None:
    """Fill the metrics without a compiled twin; those of the user with their sums of influence."""
    reasons: list[str] = []
    without, why_not = (
        compute(partial(without_each_group, scores, groups)) if rules.metrics else (None, "")
    )
    for k, metric in enumerate(rules.plain_metrics):
        value, reason = compute(partial(metric.function, scores))
        if value is None:
            if reason:
                reasons.append(f"{metric.name}:{reason}")
            continue
        rows.plain_values[position, k] = value
        own = k - len(rules.plain_metrics) + len(rules.metrics)
        if own < 0:
            continue
        sums, reason = None, why_not
        if without is not None:
            sums, reason = compute(
                partial(sums_of_function, metric.function, scores, value, groups, without)
            )
        if sums is None:
            reasons.append(f"{metric.name}_influence:{reason}")
        else:
            rows.user_influence[position, own] = sums
    rows.plain_undefined[position] = ";".join(reasons)
