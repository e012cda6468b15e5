"""What models answer for the windows of companies: asked, checked, and told why they do not.

The package's own models are asked for all windows at once, fitted models of all companies for all
companies of a cutoff, and every other model window by window, with a history of its own.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scale_eval.evaluation.company_windows import CompanyWindow, CompanyWindows
from scale_eval.evaluation.history import Skipped
from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.windows import Window
from scale_eval.metrics.compiled.batch import are_probabilities

ALIKE_CUSTOMERS = 20
"""Seconds are shared as if each window had so many more customers: what it takes besides."""


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


class PredictionContext(NamedTuple):
    """How models are asked.

    Attributes
    ----------
    seed : int
        Of what models draw.
    rows : EvaluationRows
        Told how long it took, and why there is no answer.
    fitted, about, catch
        As `evaluate_companies` takes them.
    """

    seed: int
    rows: EvaluationRows
    fitted: Callable[[NamedModel, Window], Any] | None
    about: Callable[[str, Window, str], None] | None
    catch: type[BaseException] | tuple[type[BaseException], ...]


def predict_all(
    folds: CompanyWindows,
    asked: np.ndarray,
    models: Sequence[NamedModel],
    asking: PredictionContext,
    places: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Ask all models for all folds.

    Parameters
    ----------
    asked : ndarray of bool, shape (n_folds,)
        Where to ask.
    places : ndarray of int, shape (n_folds, n_models)
        Of the rows.

    Returns
    -------
    probabilities : ndarray of float64, shape (n_models, start[-1])
        As the arrays by customer in `Summaries`, of each fold's own window.
    answered : ndarray of bool, shape (n_folds, n_models)
        Where there are any; elsewhere the row says why not.
    """
    probabilities = np.empty((len(models), int(folds.found.start[-1])))
    answered = np.zeros(places.shape, np.bool_)
    if not asked.any():
        return probabilities, answered
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for m, model in enumerate(models):
            if model.fits_windows:
                answered[:, m] = _predict_windows(
                    folds, asked, model, probabilities[m], asking, places[:, m]
                )
            elif model.predicts_many:
                answered[:, m] = _predict_by_cutoff(
                    folds, asked, model, probabilities[m], asking, places[:, m], warned
                )
            for f in np.flatnonzero(asked & ~answered[:, m]).tolist():
                answer = _answer(folds[f], model, asking, int(places[f, m]), warned)
                if answer is not None:
                    probabilities[m, folds.found.population(int(folds.known.own[f]))] = answer
                    answered[f, m] = True
    return probabilities, answered


def shares(n_customers: np.ndarray) -> np.ndarray:
    """Of the seconds that evaluations took together, the share of each; sums to 1."""
    weight = n_customers + ALIKE_CUSTOMERS
    return np.asarray(weight / weight.sum())


def _predict_windows(
    folds: CompanyWindows,
    asked: np.ndarray,
    model: NamedModel,
    probabilities: np.ndarray,
    asking: PredictionContext,
    places: np.ndarray,
) -> np.ndarray:
    """Where such a model answers, bool of shape (n_folds,); what, is in `probabilities`.

    Whatever is not as it should be is left for each window to be asked for alone.
    """
    if asking.about is not None:
        asking.about(folds.companies[0].company_id, folds.windows[0], model.name)
    began = time.perf_counter()
    fresh, known, rows = model.fresh(), folds.known, asking.rows
    try:
        answered = np.asarray(fresh.fit_windows(known))
        between = time.perf_counter()
        fresh.predict_windows(known, answered, probabilities)
    except asking.catch:
        return np.zeros(len(folds), np.bool_)
    answered &= asked & are_probabilities(probabilities, known.start[known.own], folds.n_customers)
    share = shares(folds.n_customers)[answered]
    rows.seconds[places[answered], 1] = (between - began) * share
    rows.seconds[places[answered], 2] = (time.perf_counter() - between) * share
    if fresh.trains:
        for f in np.flatnonzero(answered & (known.exponent != 1.0)).tolist():
            rows.note[int(places[f])] = folds.training_note(f)
    return answered


def _why(declined: Skipped | WrongOutput | NotFitted) -> tuple[str, str, str]:
    """Status, reason and note of a row for which there is no answer, and why is known."""
    if isinstance(declined, NotFitted):
        return declined.status, declined.reason, declined.note
    status = "skipped" if isinstance(declined, Skipped) else "error"
    return status, text(declined.reason), text(declined.note)


def _predict_by_cutoff(
    folds: CompanyWindows,
    asked: np.ndarray,
    model: NamedModel,
    probabilities: np.ndarray,
    asking: PredictionContext,
    places: np.ndarray,
    warned: list[warnings.WarningMessage],
) -> np.ndarray:
    """As `_predict_windows`, of a fitted model that predicts for many companies in one call.

    Whatever is not as it should be is left for each company to be asked for alone.
    """
    answered = np.zeros(len(folds), np.bool_)
    rows, start = asking.rows, folds.found.start
    by_window: dict[Window, list[int]] = {}
    for f in np.flatnonzero(asked).tolist():
        by_window.setdefault(folds.windows[f], []).append(f)
    for window, members in by_window.items():
        if asking.about is not None:
            asking.about(folds.companies[members[0]].company_id, window, model.name)
        told_before, began = len(warned), time.perf_counter()
        try:
            assert asking.fitted is not None
            fresh = asking.fitted(model, window)
            between = time.perf_counter()
            several = [folds[f] for f in members]
            outputs = fresh.predict_many([fold.history(model.reads) for fold in several])
            checked = [_checked(*each) for each in zip(outputs, several, strict=True)]
        except asking.catch:
            continue
        if len(warned) > told_before:
            continue
        share = shares(folds.n_customers[members])
        rows.seconds[places[members], 1] = (between - began) * share
        rows.seconds[places[members], 2] = (time.perf_counter() - between) * share
        note = getattr(fresh, "note_", "")
        for f, answer in zip(members, checked, strict=True):
            own = start[folds.known.own[f]]
            probabilities[own : own + len(answer)] = answer
            rows.note[int(places[f])] = text(note) if note else ""
        answered[members] = True
    return answered


def _answer(
    fold: CompanyWindow,
    model: NamedModel,
    asking: PredictionContext,
    place: int,
    warned: list[warnings.WarningMessage],
) -> np.ndarray | None:
    """What the model predicts, checked; or nothing, and its row says why."""
    rows, told_before = asking.rows, len(warned)
    if asking.about is not None:
        asking.about(fold.company.company_id, fold.window, model.name)
    rows.note[place] = ""
    try:
        answer, note = _asked(fold, model, asking, rows.seconds[place])
    except (Skipped, WrongOutput, NotFitted) as declined:
        rows.tell(place, *_why(declined))
        return None
    except asking.catch as error:
        rows.tell(place, *failure(error))
        return None
    rows.note[place] = "; ".join(filter(None, [note, _told(warned[told_before:])]))
    return answer


def _asked(
    fold: CompanyWindow, model: NamedModel, asking: PredictionContext, seconds: np.ndarray
) -> tuple[np.ndarray, str]:
    """What the model predicts, checked, and its note; seconds of fitting and predicting are set."""
    seconds[1:3] = np.nan
    began = time.perf_counter()
    history = fold.history(model.reads)
    if model.scope == "all":
        if asking.fitted is None:
            raise ValueError(f"{model.name} is one model for all companies, and nobody fitted it")
        fresh = asking.fitted(model, fold.window)
    else:
        fresh = model.fresh()
        if model.draws:
            state = random_state(asking.seed, fold.company.company_id, fold.window, model.name)
            seed_generators(fresh, state)
        fresh.fit(history)
    between = time.perf_counter()
    seconds[1] = between - began
    output = fresh.predict_proba(history)
    seconds[2] = time.perf_counter() - between
    note = getattr(fresh, "note_", "")
    return _checked(output, fold), text(note) if note else ""


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


def seed_generators(model: Any, state: int) -> None:
    """Seed what the model may draw from: its own `random_state`, and the global generators."""
    if hasattr(model, "random_state"):
        model.random_state = state
    random.seed(state)
    np.random.seed(state)


def _checked(output: Any, fold: CompanyWindow) -> np.ndarray:
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
