"""Let models predict for the windows of companies, and record where they do not, and why.

The package's own models are called once for all windows, fitted models of all companies once for
each cutoff, and every other model window by window, with a history of its own.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scale_eval.evaluation.company_windows import CompanyWindow, CompanyWindows
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.model_output import checked_probabilities
from scale_eval.evaluation.no_prediction import NoPrediction, failure, row_text
from scale_eval.evaluation.random_state import random_state, seed_generators
from scale_eval.evaluation.rows import FIT_SECONDS, PREDICT_SECONDS, EvaluationRows
from scale_eval.evaluation.windows import Window
from scale_eval.metrics.compiled.batch import are_probabilities

CALL_COST = 20
"""The fixed cost of a call, as a number of customers, where seconds are shared among windows."""


class PredictionContext(NamedTuple):
    """The context that all predictions of a call to `evaluate_companies` share.

    Attributes
    ----------
    seed : int
        The seed of the random numbers that models draw.
    rows : EvaluationRows
        Receives the seconds, the notes, and the reasons why there is no prediction.
    fitted, announce, catch
        See `scale_eval.evaluation.evaluate.evaluate_companies`.
    """

    seed: int
    rows: EvaluationRows
    fitted: Callable[[NamedModel, Window], Any] | None
    announce: Callable[[str, Window, str], None]
    catch: type[BaseException] | tuple[type[BaseException], ...]


def predict_all(
    windows: CompanyWindows,
    wanted: np.ndarray,
    models: Sequence[NamedModel],
    context: PredictionContext,
    positions: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Let all models predict for all windows.

    Parameters
    ----------
    wanted : ndarray of bool, shape (n_windows,)
        The windows to predict for.
    positions : ndarray of int, shape (n_windows, n_models)
        Positions in `context.rows` of each window by each model.

    Returns
    -------
    probabilities : ndarray of float64, shape (n_models, start[-1])
        In the order of the arrays by customer of `Summaries`; `windows.customers(i)` are the
        positions of window i.
    predicted : ndarray of bool, shape (n_windows, n_models)
        False where there are no probabilities; the row then says why.
    """
    probabilities = np.empty((len(models), int(windows.summaries.start[-1])))
    predicted = np.zeros(positions.shape, np.bool_)
    if not wanted.any():
        return probabilities, predicted
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for m, model in enumerate(models):
            arguments = windows, wanted, model, probabilities[m], context, positions[:, m]
            if model.fits_windows:
                predicted[:, m] = _predict_windows(*arguments)
            elif model.predicts_many:
                predicted[:, m] = _predict_by_cutoff(*arguments, warned)
            for i in np.flatnonzero(wanted & ~predicted[:, m]).tolist():
                output = _predict_one(windows[i], model, context, int(positions[i, m]), warned)
                if output is not None:
                    probabilities[m, windows.customers(i)] = output
                    predicted[i, m] = True
    return probabilities, predicted


def time_shares(n_customers: np.ndarray) -> np.ndarray:
    """Return each evaluation's share of the seconds that all took together; they sum to 1."""
    weight = n_customers + CALL_COST
    return np.asarray(weight / weight.sum())


def _predict_windows(
    windows: CompanyWindows,
    wanted: np.ndarray,
    model: NamedModel,
    probabilities: np.ndarray,
    context: PredictionContext,
    positions: np.ndarray,
) -> np.ndarray:
    """Fill `probabilities` by a model that predicts for all windows in two compiled calls.

    Returns the windows that have some, bool of shape (n_windows,). For each of the others the model
    is then called alone, which finds the reason.
    """
    context.announce(windows.companies[0].company_id, windows.windows[0], model.name)
    began = time.perf_counter()
    fresh, arrays, rows = model.fresh(), windows.arrays, context.rows
    try:
        predicted = np.asarray(fresh.fit_windows(arrays))
        between = time.perf_counter()
        fresh.predict_windows(arrays, predicted, probabilities)
    except context.catch:
        return np.zeros(len(windows), np.bool_)
    predicted &= wanted & are_probabilities(probabilities, windows.start, windows.n_customers)
    share = time_shares(windows.n_customers)[predicted]
    rows.seconds[positions[predicted], FIT_SECONDS] = (between - began) * share
    rows.seconds[positions[predicted], PREDICT_SECONDS] = (time.perf_counter() - between) * share
    if fresh.trains:
        for i in np.flatnonzero(predicted & (arrays.exponent != 1.0)).tolist():
            rows.note[int(positions[i])] = windows.training_note(i)
    return predicted


def _predict_by_cutoff(
    windows: CompanyWindows,
    wanted: np.ndarray,
    model: NamedModel,
    probabilities: np.ndarray,
    context: PredictionContext,
    positions: np.ndarray,
    warned: list[warnings.WarningMessage],
) -> np.ndarray:
    """Fill `probabilities` by a fitted model that predicts for many companies in one call.

    Returns the windows that have some, as `_predict_windows` does.
    """
    predicted = np.zeros(len(windows), np.bool_)
    rows = context.rows
    by_window: dict[Window, list[int]] = {}
    for i in np.flatnonzero(wanted).tolist():
        by_window.setdefault(windows.windows[i], []).append(i)
    for window, members in by_window.items():
        context.announce(windows.companies[members[0]].company_id, window, model.name)
        n_warned, began = len(warned), time.perf_counter()
        try:
            assert context.fitted is not None
            fresh = context.fitted(model, window)
            between = time.perf_counter()
            company_windows = [windows[i] for i in members]
            outputs = fresh.predict_many([each.history(model.reads) for each in company_windows])
            checked = [
                checked_probabilities(*each) for each in zip(outputs, company_windows, strict=True)
            ]
        except context.catch:
            continue
        if len(warned) > n_warned:
            continue
        share = time_shares(windows.n_customers[members])
        rows.seconds[positions[members], FIT_SECONDS] = (between - began) * share
        rows.seconds[positions[members], PREDICT_SECONDS] = (time.perf_counter() - between) * share
        note = _note_of(fresh)
        for i, output in zip(members, checked, strict=True):
            probabilities[windows.customers(i)] = output
            rows.note[int(positions[i])] = note
        predicted[members] = True
    return predicted


def _predict_one(
    window: CompanyWindow,
    model: NamedModel,
    context: PredictionContext,
    position: int,
    warned: list[warnings.WarningMessage],
) -> np.ndarray | None:
    """Return the model's probabilities, checked; None where its row says why there are none."""
    rows, n_warned = context.rows, len(warned)
    context.announce(window.company.company_id, window.window, model.name)
    rows.note[position] = ""
    try:
        output, note = _fit_predict(window, model, context, rows.seconds[position])
    except NoPrediction as declined:
        rows.set_status(position, *declined.row_texts())
        return None
    except context.catch as error:
        rows.set_status(position, *failure(error))
        return None
    names = sorted({each.category.__name__ for each in warned[n_warned:]})
    warning = f"warned {', '.join(names)}" if names else ""
    rows.note[position] = "; ".join(filter(None, [note, warning]))
    return output


def _fit_predict(
    window: CompanyWindow, model: NamedModel, context: PredictionContext, seconds: np.ndarray
) -> tuple[np.ndarray, str]:
    """Return the model's probabilities, checked, and its note; fill its two `seconds`."""
    seconds[[FIT_SECONDS, PREDICT_SECONDS]] = np.nan
    began = time.perf_counter()
    history = window.history(model.reads)
    if model.scope == "all":
        if context.fitted is None:
            raise ValueError(f"{model.name} is one model for all companies, and was not fitted")
        fresh = context.fitted(model, window.window)
    else:
        fresh = model.fresh()
        if model.draws:
            company_id = window.company.company_id
            seed_generators(
                fresh, random_state(context.seed, company_id, window.window, model.name)
            )
        fresh.fit(history)
    between = time.perf_counter()
    seconds[FIT_SECONDS] = between - began
    output = fresh.predict_proba(history)
    seconds[PREDICT_SECONDS] = time.perf_counter() - between
    return checked_probabilities(output, window), _note_of(fresh)


def _note_of(fitted: Any) -> str:
    note = getattr(fitted, "note_", "")
    return row_text(note) if note else ""
