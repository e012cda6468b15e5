"""Evaluate models for companies: history -> model -> metrics -> a row. Pure; it needs no Dask.

A row depends on the company's transactions, the window, the model and the rules alone (but for the
columns `*_seconds`). Whatever goes wrong in a model becomes a row that says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from scale_eval.evaluation.predict import PredictionContext, predict_all, shares
from scale_eval.evaluation.reference import base_rates
from scale_eval.evaluation.rows import HISTORY_SECONDS, NULL, SCORE_SECONDS, EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.training_history import training_history
from scale_eval.evaluation.windows import Window
from scale_eval.metrics.compiled.batch import APART, score_windows_into, spend_of_windows
from scale_eval.metrics.compiled.values import VALUES
from scale_eval.metrics.scores import LARGEST_SPEND

TOGETHER = 60_000
"""Customers times windows of the companies that are evaluated together: what fits into a cache."""

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
    """A company that has been read, and what is to be evaluated for it.

    Attributes
    ----------
    company : Transactions
    windows : sequence of (Window, bool)
        The flag is True where the window overlaps with another of the company.
    models : sequence of NamedModel
        Each is evaluated at each window.
    group : int
        The group of companies in whose histograms its scores are counted.
    attempt : int
        The number of the try; the first is 1.
    """

    company: Transactions
    windows: Sequence[tuple[Window, bool]]
    models: Sequence[NamedModel]
    group: int = 0
    attempt: int = 1


class WindowPredictions(NamedTuple):
    """A model's `probabilities` for one window of a company, float64 of shape (n_customers,)."""

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

    A fresh copy of the model is given a history of its own and a random state that depends on
    (seed, company, cutoff, model) alone; it never sees the outcomes. A model of all companies is
    fitted on this one.
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
    """Evaluate models for companies at some cutoffs each; add to `rows` and `counts`.

    Small companies are taken together, as they come, so that compiled code is called for many
    evaluations at once; the results are the same as for each alone. The seconds that some take
    together are shared among them by customers.

    Parameters
    ----------
    companies : iterable of LoadedCompany
    rows : EvaluationRows
        Each (company, window, model) becomes a row.
    counts : ScoreCounts
        The scores of rows that are `ok` are counted there.
    fitted : callable, optional
        Gives the fitted model of a window, for models of ``scope = "all"``; raises what its
        fitting raised.
    keep : callable, optional
        Called with the predictions of each row that is `ok`.
    announce : callable, optional
        Called before each evaluation with the company, the window and the name of the model.
    catch : exception type or types
        Exceptions of a model that become a row.
    """
    context = PredictionContext(rules.seed, rows, fitted, announce, catch)
    for together in _together(companies):
        _evaluate(together, rules, context, counts, keep)


def _together(companies: Iterable[LoadedCompany]) -> Iterator[list[LoadedCompany]]:
    """Yield neighbours that have the same models, as long as they are small together."""
    held: list[LoadedCompany] = []
    n = 0
    for each in companies:
        size = each.company.n_customers * len(each.windows)
        if held and (n + size > TOGETHER or each.models != held[0].models):
            yield held
            held, n = [], 0
        held.append(each)
        n += size
    if held:
        yield held


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
        if len(companies) > 1:  # it is of one company alone: others go on
            for each in companies:
                _evaluate([each], rules, context, counts, keep)
        else:
            for place in _begin_rows(companies, rows).flat:
                rows.set_status(int(place), *failure(error))
        return
    places = _begin_rows(companies, rows)
    wanted = _fill_outcomes(rows, places, windows)
    references = base_rates(windows.arrays)
    share = shares(windows.n_customers)[:, np.newaxis]
    rows.seconds[places, HISTORY_SECONDS] = (time.perf_counter() - began) * share / len(models)
    probabilities, predicted = predict_all(windows, wanted, models, context, places)
    groups = np.repeat(
        [each.group for each in companies], [len(each.windows) for each in companies]
    )
    _score(windows, models, predicted, probabilities, references, groups, rows, counts, places)
    if rules.plain_metrics or keep is not None:
        for i, m in np.argwhere(predicted).tolist():
            window, output = windows[i], probabilities[m, windows.customers(i)]
            if rules.plain_metrics:
                _score_plain_metrics(window, output, references[i], rules, rows, int(places[i, m]))
            if keep is not None:
                keep(WindowPredictions(window, models[m].name, output.copy()))


def _begin_rows(companies: list[LoadedCompany], rows: EvaluationRows) -> np.ndarray:
    """Begin the rows of companies; return their positions, shape (n_windows, n_models)."""
    names = [model.name for model in companies[0].models]
    first = len(rows)
    for company, windows, _, _, attempt in companies:
        bounds = [
            (window.cutoff_us, window.horizon_end_us, overlaps) for window, overlaps in windows
        ]
        rows.add_all(company.company_id, bounds, names, attempt)
    return np.arange(first, len(rows)).reshape(-1, len(names))


def _fill_outcomes(rows: EvaluationRows, places: np.ndarray, windows: CompanyWindows) -> np.ndarray:
    """Fill the rows' population and outcomes, which do not depend on a model.

    Returns the windows that models are to predict for, bool of shape (n_windows,); the rows of the
    others say why not.
    """
    summaries, label_window, n = windows.summaries, windows.arrays.label_window, windows.n_customers
    spend, largest = spend_of_windows(summaries.all_spend, windows.start, n)
    wanted = (n > 0) & (largest < LARGEST_SPEND)
    rows.population[places, 0] = n[:, np.newaxis]
    rows.population[places, 1] = summaries.n_lapsed[label_window, np.newaxis]
    rows.counts[places, 0] = summaries.n_bought[label_window, np.newaxis]
    rows.values[places, _FUTURE_SPEND] = spend[:, np.newaxis]
    for i in np.flatnonzero(~wanted).tolist():
        if n[i]:
            note = f"a customer spends {largest[i]:.3g} in the window"
            texts = ("error", "spend_too_large", note)
        else:
            texts = ("skipped", "no_customers", "")
            rows.population[places[i]] = rows.counts[places[i], 0] = NULL
            rows.values[places[i], _FUTURE_SPEND] = np.nan
        for place in places[i].tolist():
            rows.set_status(place, *texts)
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
    places: np.ndarray,
) -> None:
    """Fill the figures of the rows that have predictions, and count the scores."""
    if not predicted.any():
        return
    began = time.perf_counter()
    # Windows of a kind are at one cutoff and in one group, and the same models predicted for them.
    kinds: dict[tuple[int, int, bytes], int] = {}
    kind = np.empty(len(windows), np.int64)
    for i, (window, group) in enumerate(zip(windows.windows, groups.tolist(), strict=True)):
        kind[i] = kinds.setdefault((window.cutoff_us, group, predicted[i].tobytes()), len(kinds))
    cells = [_cells(models, *key) for key in kinds]
    histogram = counts.places(cells, np.bincount(kind))[kind]
    own_rows = slice(int(places[0, 0]), int(places[-1, -1]) + 1)
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
    alone = [cells[kind[i]][m] for i, m in np.argwhere(predicted & (histogram == APART)).tolist()]
    counts.add(filter(None, alone), *apart)
    scored = places[predicted]
    for place in scored.tolist():
        rows.status[place] = "ok"
    n_customers = np.broadcast_to(windows.n_customers[:, np.newaxis], places.shape)[predicted]
    rows.seconds[scored, SCORE_SECONDS] = (time.perf_counter() - began) * shares(n_customers)


def _cells(
    models: Sequence[NamedModel], cutoff: int, group: int, predicted: bytes
) -> list[Cell | None]:
    """Return the cell of each model that predicted for a kind of windows; None for the others."""
    names = [model.name for model in models]
    answered_by = ";".join(sorted(compress(names, predicted)))
    cells = [(name, cutoff, group, answered_by) for name in names]
    return [cell if is_one else None for cell, is_one in zip(cells, predicted, strict=True)]


def _score_plain_metrics(
    window: CompanyWindow,
    probabilities: np.ndarray,
    reference: float,
    rules: Rules,
    rows: EvaluationRows,
    place: int,
) -> None:
    bought, spend, _ = window.outcomes
    known_reference = None if math.isnan(reference) else reference
    scores = metrics.Scores(bought, probabilities, spend, known_reference)
    values, undefined = metrics.score(scores, rules.plain_metrics)
    own = [values[name] for name in rows.plain_metrics]
    rows.plain_values[place] = [np.nan if value is None else value for value in own]
    reasons = [f"{name}:{undefined[name]}" for name in rows.plain_metrics if name in undefined]
    rows.plain_undefined[place] = ";".join(reasons)
