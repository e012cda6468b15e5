"""Evaluations: history -> model -> metrics -> a row. Pure; they run without Dask.

The row depends on the company's transactions, the window, the model and the rules alone (but for
the columns `*_seconds`). Whatever goes wrong in a model becomes a row that says so.
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
    training_history,
    windows_of_companies,
)
from scale_eval.evaluation.histograms import Cell, ScoreCounts, score_table
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.predict import PredictionContext, failure, predict_all, shares
from scale_eval.evaluation.reference import base_rates
from scale_eval.evaluation.rows import NULL, EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.windows import Window
from scale_eval.metrics.compiled.batch import APART, score_windows_into, spend_of_windows
from scale_eval.metrics.compiled.values import VALUES
from scale_eval.metrics.scores import LARGEST_SPEND

TOGETHER = 60_000
"""Customers, times windows, of companies that are evaluated together: what fits into a cache."""

_FUTURE_SPEND = VALUES.index("future_spend")


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


class LoadedCompany(NamedTuple):
    """What is asked for of a company.

    Attributes
    ----------
    company : Transactions
    windows : sequence of (Window, bool)
        With whether the window overlaps with another of the company.
    models : sequence of NamedModel
        Each is evaluated at each window.
    group : int
        In which its scores are counted.
    attempt : int
        Which try this is.
    """

    company: Transactions
    windows: Sequence[tuple[Window, bool]]
    models: Sequence[NamedModel]
    group: int = 0
    attempt: int = 1


class WindowPredictions(NamedTuple):
    """What a model gave for a fold: `probabilities`, float64 of shape (n_customers,)."""

    fold: CompanyWindow
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
            company,
            window,
            rules.horizon,
            purchase_rule=rules.purchase_rule,
            lookback=rules.lookback,
            reads=model.reads,
        )
        fresh.fit([history])
        return fresh

    rows, counts = EvaluationRows(1, rules.metric_names), ScoreCounts()
    given: list[WindowPredictions] = []
    asked = LoadedCompany(company, [(window, False)], [model])
    evaluate_companies([asked], rules, rows, counts, fitted=fitted, keep=given.append)
    (row,) = rows.table().to_pylist()
    frame = given[0].frame() if given else None
    return Evaluation(row, score_table([counts.sparse()]), frame)


def evaluate_companies(
    asked: Iterable[LoadedCompany],
    rules: Rules,
    rows: EvaluationRows,
    counts: ScoreCounts,
    *,
    fitted: Callable[[NamedModel, Window], Any] | None = None,
    keep: Callable[[WindowPredictions], None] | None = None,
    about: Callable[[str, Window, str], None] | None = None,
    catch: type[BaseException] | tuple[type[BaseException], ...] = (Exception, SystemExit),
) -> None:
    """Evaluate models for companies at some cutoffs each, and add what comes of it.

    Small companies are taken together, as they come, so that compiled code is called for many
    evaluations at once; what comes of each is the same. The seconds that some take together are
    shared among them by customers.

    Parameters
    ----------
    asked : iterable of LoadedCompany
    rows : EvaluationRows
        Each (company, window, model) becomes a row.
    counts : ScoreCounts
        The scores of those that are `ok` are counted there.
    fitted : callable, optional
        Gives the fitted model of a window, for models of ``scope = "all"``; raises what its
        fitting raised.
    keep : callable, optional
        Told each answer.
    about : callable, optional
        Told what is to be evaluated next, before it is: company, window, model.
    catch : exception type or types
        What a model may throw that becomes a row.
    """
    asking = PredictionContext(rules.seed, rows, fitted, about, catch)
    for together in _together(asked):
        _evaluate(together, rules, asking, counts, keep)


def _together(asked: Iterable[LoadedCompany]) -> Iterator[list[LoadedCompany]]:
    """Neighbours that have the same models, as long as they are small together."""
    held: list[LoadedCompany] = []
    n = 0
    for each in asked:
        size = each.company.n_customers * len(each.windows)
        if held and (n + size > TOGETHER or each.models != held[0].models):
            yield held
            held, n = [], 0
        held.append(each)
        n += size
    if held:
        yield held


def _evaluate(
    asked: list[LoadedCompany],
    rules: Rules,
    asking: PredictionContext,
    counts: ScoreCounts,
    keep: Callable[[WindowPredictions], None] | None,
) -> None:
    rows, models = asking.rows, asked[0].models
    began = time.perf_counter()
    try:
        folds = windows_of_companies(
            [(each.company, [window for window, _ in each.windows]) for each in asked],
            rules.horizon,
            purchase_rule=rules.purchase_rule,
            lookback=rules.lookback,
        )
    except asking.catch as error:
        if len(asked) > 1:  # it is of one company alone: others go on
            for each in asked:
                _evaluate([each], rules, asking, counts, keep)
        else:
            for place in _begun(asked, rows).flat:
                rows.tell(int(place), *failure(error))
        return
    places = _begun(asked, rows)
    is_asked = _outcomes_into(rows, places, folds)
    references = base_rates(folds.known)
    share = shares(folds.n_customers)
    rows.seconds[places, 0] = (time.perf_counter() - began) * share[:, np.newaxis] / len(models)
    probabilities, answered = predict_all(folds, is_asked, models, asking, places)
    groups = np.repeat([each.group for each in asked], [len(each.windows) for each in asked])
    _score(folds, models, answered, probabilities, references, groups, rows, counts, places)
    if rules.metrics or keep is not None:
        for f, m in np.argwhere(answered).tolist():
            fold = folds[f]
            answer = probabilities[m, folds.found.population(int(folds.known.own[f]))]
            if rules.metrics:
                _score_by_own_metrics(fold, answer, references[f], rules, rows, int(places[f, m]))
            if keep is not None:
                keep(WindowPredictions(fold, models[m].name, answer.copy()))


def _begun(asked: list[LoadedCompany], rows: EvaluationRows) -> np.ndarray:
    """Places of the rows that are begun, shape (n_folds, n_models)."""
    names = [model.name for model in asked[0].models]
    first = len(rows)
    for company, windows, _, _, attempt in asked:
        spans = [
            (window.cutoff_us, window.horizon_end_us, overlaps) for window, overlaps in windows
        ]
        rows.add_all(company.company_id, spans, names, attempt)
    return np.arange(first, len(rows)).reshape(-1, len(names))


def _outcomes_into(rows: EvaluationRows, places: np.ndarray, folds: CompanyWindows) -> np.ndarray:
    """Fill in what came of each window, whatever the models say.

    Returns where models are to be asked, bool of shape (n_folds,); elsewhere rows say why not.
    """
    found, own, n = folds.found, folds.known.own, folds.n_customers
    spend, largest = spend_of_windows(found.all_spend, found.start[own], n)
    asked = (n > 0) & (largest < LARGEST_SPEND)
    rows.population[places, 0] = n[:, np.newaxis]
    rows.population[places, 1] = found.n_lapsed[own, np.newaxis]
    rows.counts[places, 0] = found.n_bought[own, np.newaxis]
    rows.values[places, _FUTURE_SPEND] = spend[:, np.newaxis]
    for f in np.flatnonzero(~asked).tolist():
        told = ("skipped", "no_customers", "")
        if n[f]:
            what = f"a customer spends {largest[f]:.3g} in the window"
            told = ("error", "spend_too_large", what)
        else:
            rows.population[places[f]] = rows.counts[places[f], 0] = NULL
            rows.values[places[f], _FUTURE_SPEND] = np.nan
        for place in places[f].tolist():
            rows.tell(place, *told)
    return asked


def _score(
    folds: CompanyWindows,
    models: Sequence[NamedModel],
    answered: np.ndarray,
    probabilities: np.ndarray,
    references: np.ndarray,
    groups: np.ndarray,
    rows: EvaluationRows,
    counts: ScoreCounts,
    places: np.ndarray,
) -> None:
    """Fill the figures of the rows that were answered, and count the scores."""
    if not answered.any():
        return
    began = time.perf_counter()
    found = folds.found
    kinds: dict[tuple[int, int, bytes], int] = {}  # at one cutoff, in one group, the same answered
    kind = np.empty(len(folds), np.int64)
    for f, (window, group) in enumerate(zip(folds.windows, groups.tolist(), strict=True)):
        kind[f] = kinds.setdefault((window.cutoff_us, group, answered[f].tobytes()), len(kinds))
    cells = [_cells(models, *key) for key in kinds]
    at = counts.places(cells, np.bincount(kind))[kind]
    mine = slice(int(places[0, 0]), int(places[-1, -1]) + 1)
    apart = score_windows_into(
        answered,
        probabilities,
        found.start[folds.known.own],
        folds.n_customers,
        folds.customer_groups(),
        found.all_bought,
        found.all_spend,
        references,
        at,
        counts.histograms,
        rows.values[mine],
        rows.reasons[mine],
        rows.counts[mine],
        rows.influence[mine],
    )
    alone = [cells[kind[f]][m] for f, m in np.argwhere(answered & (at == APART)).tolist()]
    counts.add(filter(None, alone), *apart)
    of_answers = places[answered]
    for place in of_answers.tolist():
        rows.status[place] = "ok"
    n_customers = np.broadcast_to(folds.n_customers[:, np.newaxis], places.shape)[answered]
    rows.seconds[of_answers, 3] = (time.perf_counter() - began) * shares(n_customers)


def _cells(
    models: Sequence[NamedModel], cutoff: int, group: int, answered: bytes
) -> list[Cell | None]:
    """Where the scores of each model that answered are counted, at a window with such answers."""
    names = [model.name for model in models]
    answered_by = ";".join(sorted(compress(names, answered)))
    cells = [(name, cutoff, group, answered_by) for name in names]
    return [cell if is_one else None for cell, is_one in zip(cells, answered, strict=True)]


def _score_by_own_metrics(
    fold: CompanyWindow,
    probabilities: np.ndarray,
    reference: float,
    rules: Rules,
    rows: EvaluationRows,
    place: int,
) -> None:
    bought, spend, _ = fold.outcomes
    scores = metrics.Scores(bought, probabilities, spend, _none_for_nan(reference))
    values, undefined = metrics.score(scores, rules.metrics)
    own = [values[name] for name in rules.metric_names]
    rows.own[place] = [np.nan if value is None else value for value in own]
    reasons = [f"{name}:{undefined[name]}" for name in rules.metric_names if name in undefined]
    rows.own_undefined[place] = ";".join(reasons)


def _none_for_nan(number: float) -> float | None:
    return None if math.isnan(number) else number
