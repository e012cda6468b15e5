"""Fit models of all companies, keep them in the run, and give them to the evaluations.

A fitted model is stored in the run's directory under the hash of its content, so that every worker
uses the same. A model that gives its fit as arrays is stored as these; any other is pickled.
Reading a pickle runs whatever code it holds: a run that is resumed reads the arrays of earlier
sessions, and their pickles only if it is told to trust them. `scale_eval.planning.global_fits`
decides which fits are needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

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
from scale_eval.results.fitted_files import arrays_file, pickle_file
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
    recorded: Mapping[str, Sequence[Any]],
    run: Store,
    *,
    retry: bool,
    is_trusted: Callable[[str], bool],
) -> dict[str, GlobalFitResult]:
    """Return the fits that `run.json` records and that need not be done again.

    The file of a fitted model must be undamaged, and hold arrays or be trusted by its digest; a
    failed fit counts, unless `retry` is set.
    """
    valid = {}
    for key, fields in recorded.items():
        fitted = GlobalFitResult(*fields)
        if fitted.digest:
            if is_pickled(run, fitted.digest) and not is_trusted(fitted.digest):
                continue
            with contextlib.suppress(FileNotFoundError, ValueError):
                _read_fitted(run, fitted.digest)
                valid[key] = fitted
        elif not (retry and fitted.status in FAILED):
            valid[key] = fitted
    return valid


def is_pickled(run: Store, digest: str) -> bool:
    """Return whether reading a fitted model would run code."""
    return not run.exists(arrays_file(digest))


def _read_fitted(run: Store, digest: str) -> tuple[bytes, bool]:
    """Read the file of a fitted model, and whether it is a pickle.

    Raises `ValueError` where it is damaged.
    """
    pickled = is_pickled(run, digest)
    name = pickle_file(digest) if pickled else arrays_file(digest)
    content = run.read(name)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{name} is damaged; run the same command again to fit it again")
    return content, pickled


def _stored(fitted: Any) -> tuple[bytes, Callable[[str], str]]:
    """Return a fitted model as bytes, and what names their file after their hash."""
    arrays = fitted.fitted_arrays() if hasattr(fitted, "fitted_arrays") else None
    if arrays is None:
        return cloudpickle.dumps(fitted), pickle_file
    return _bytes_of(arrays), arrays_file


def _bytes_of(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays as NumPy's archive; raise `TypeError` for one of Python objects."""
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in plain.items():
        if array.dtype.hasobject:
            raise TypeError(f"fitted_arrays: {name!r} holds Python objects; give numbers or texts")
    file = io.BytesIO()
    np.savez(file, **plain)  # type: ignore[arg-type]
    return file.getvalue()


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
        content, name_of = _stored(fresh)
    except Skipped as skipped:
        return GlobalFitResult("", "skipped", row_text(skipped.reason), row_text(skipped.note))
    except BaseException as error:
        status, reason, note = failure(error)
        return GlobalFitResult("", status, reason, row_text(f"fitting: {note}"))
    digest = hashlib.sha256(content).hexdigest()
    run.write(name_of(digest), content)
    return GlobalFitResult(digest, seconds=time.perf_counter() - started)


class FittedModels:
    """The fitted models of a run, each read when it is first needed.

    Their digests come from the coordinator, which decides what is read.
    """

    def __init__(self, run: Store, fitted: Mapping[str, GlobalFitResult]) -> None:
        self._run, self._fitted = run, fitted
        self._models: dict[str, NamedModel] = {}
        self._read = lru_cache(maxsize=64)(self._restored)

    def __call__(self, model: NamedModel, window: Window) -> Any:
        """Return the model as it was fitted for a cutoff; raise `NotFitted` where that failed."""
        fitted = self._fitted[fit_key(model.name, window.cutoff_us)]
        if not fitted.digest:
            raise NotFitted(fitted.status, fitted.reason, fitted.note)
        self._models[model.name] = model
        return self._read(model.name, fitted.digest)

    def _restored(self, name: str, digest: str) -> Any:
        content, pickled = _read_fitted(self._run, digest)
        if pickled:
            return pickle.loads(content)
        fresh = self._models[name].fresh()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            fresh.restore(dict(arrays))
        return fresh
