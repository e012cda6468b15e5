"""Fit models of all companies, keep them in the run, and give them to the evaluations.

A fitted model is stored in the run's directory under the hash of its content, so that every worker,
and a run that is resumed, uses the same. `scale_eval.planning.global_fits` decides which fits are
needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import cloudpickle

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import NotFitted, Skipped, failure, row_text
from scale_eval.evaluation.random_state import random_state_of, seed_generators
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import FAILED
from scale_eval.evaluation.training_history import training_history
from scale_eval.evaluation.windows import Window
from scale_eval.models import NamedModel
from scale_eval.planning.global_fits import GlobalFit, fit_key
from scale_eval.storage import Store


class GlobalFitResult(NamedTuple):
    """The result of a fit: the name of the fitted model, or why there is none.

    Attributes
    ----------
    digest : str
        SHA-256 of the fitted model's file; "" where the fit failed.
    status, reason, note : str
        Those of the evaluations that need the fit, where it failed.
    seconds : float
    """

    digest: str
    status: str = "ok"
    reason: str = ""
    note: str = ""
    seconds: float = 0.0


def recorded_fits(
    recorded: Mapping[str, Sequence[Any]], run: Store, *, retry: bool
) -> dict[str, GlobalFitResult]:
    """Return the fits that `run.json` records and that need not be done again.

    The file of a fitted model must be undamaged; a failed fit counts, unless `retry` is set.
    """
    valid = {}
    for key, fields in recorded.items():
        fitted = GlobalFitResult(*fields)
        if fitted.digest:
            with contextlib.suppress(FileNotFoundError, ValueError):
                _read_fitted(run, fitted.digest)
                valid[key] = fitted
        elif not (retry and fitted.status in FAILED):
            valid[key] = fitted
    return valid


def _read_fitted(run: Store, digest: str) -> bytes:
    """Read the file of a fitted model; raise `ValueError` where it is damaged."""
    name = f"models/{digest}.pickle"
    content = run.read(name)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{name} is damaged; run the same command again to fit it again")
    return content


class Histories:
    """The histories of a fit's companies, read one by one in each iteration.

    A company that cannot be read is left out; its own evaluations report that.
    """

    def __init__(self, dataset: Dataset, fit: GlobalFit, reads: str, rules: Rules) -> None:
        self._dataset, self._fit, self._reads, self._rules = dataset, fit, reads, rules

    def __len__(self) -> int:
        return len(self._fit.company_ids)

    def __iter__(self) -> Iterator[History]:
        rules, fit = self._rules, self._fit
        window = Window(from_microseconds(fit.cutoff), from_microseconds(fit.horizon_end))
        for _, company in self._dataset.read_many(fit.company_ids):
            if isinstance(company, Exception):
                continue
            yield training_history(company, window, rules.population, self._reads)


def fit_one(
    fit: GlobalFit, model: NamedModel, dataset: Dataset, rules: Rules, run: Store
) -> GlobalFitResult:
    """Fit a model of all companies, and write it into the run."""
    started = time.perf_counter()
    fresh = model.fresh()
    state = random_state_of(f"{rules.seed}\n{fit.model}\n{fit.cutoff}")
    seed_generators(fresh, state)
    try:
        fresh.fit(Histories(dataset, fit, model.reads, rules))
    except Skipped as skipped:
        return GlobalFitResult("", "skipped", row_text(skipped.reason), row_text(skipped.note))
    except BaseException as error:
        status, reason, note = failure(error)
        return GlobalFitResult("", status, reason, row_text(f"fitting: {note}"))
    content = cloudpickle.dumps(fresh)
    digest = hashlib.sha256(content).hexdigest()
    run.write(f"models/{digest}.pickle", content)
    return GlobalFitResult(digest, seconds=time.perf_counter() - started)


class FittedModels:
    """The fitted models of a run, each read when it is first needed."""

    def __init__(self, run: Store, fitted: Mapping[str, GlobalFitResult]) -> None:
        self._fitted = fitted
        self._read = lru_cache(maxsize=64)(lambda digest: pickle.loads(_read_fitted(run, digest)))

    def __call__(self, model: NamedModel, window: Window) -> Any:
        """Return the model as it was fitted for a cutoff; raise `NotFitted` where that failed."""
        fitted = self._fitted[fit_key(model.name, window.cutoff_us)]
        if not fitted.digest:
            raise NotFitted(fitted.status, fitted.reason, fitted.note)
        return self._read(fitted.digest)
