"""Models of all companies: what each is fitted on, and where it is kept.

Before the evaluations of a cutoff, each model with ``scope = "all"`` is fitted once, on a sample of
companies as they were known then. It is kept in the run's directory under the hash of its content,
so that a run that is resumed, and every worker, has the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.company_windows import training_history
from scale_eval.evaluation.history import History, Skipped
from scale_eval.evaluation.predict import NotFitted, failure, random_state_of, seed_generators, text
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import FAILED
from scale_eval.evaluation.windows import Window
from scale_eval.models import NamedModel
from scale_eval.planning.plan import Plan
from scale_eval.storage import Store

SAMPLE = 2_000
"""Companies that a model of all is fitted on, at most."""

SIZE_CLASSES = 10
"""Strata of the sample: companies by number of customers, as many of each."""


@dataclass(frozen=True)
class GlobalFit:
    """A model of all companies at one cutoff, to be fitted; like a `Batch` a task of its own.

    Attributes
    ----------
    model : str
    cutoff, horizon_end : int
        Cutoff and end of the horizon, in microseconds since 1970 UTC.
    company_ids : tuple of str
        What it is fitted on, in the order in which their rows lie on disk.
    """

    model: str
    cutoff: int
    horizon_end: int
    company_ids: tuple[str, ...]

    @property
    def key(self) -> str:
        """How it is called in `run.json`."""
        return key_of(self.model, self.cutoff)


class GlobalFitResult(NamedTuple):
    """What came of a fit: the name of what is kept, or why there is nothing.

    Attributes
    ----------
    digest : str
        SHA-256 of the fitted model as it is kept; "" where it failed.
    status, reason, note : str
        As its evaluations have them then.
    seconds : float
    """

    digest: str
    status: str = "ok"
    reason: str = ""
    note: str = ""
    seconds: float = 0.0


def key_of(model: str, cutoff: int) -> str:
    """How a fit is called in `run.json`."""
    return f"{model} {from_microseconds(cutoff).isoformat()}"


def recorded_fits(
    recorded: Mapping[str, Sequence[Any]], run: Store, *, retry: bool
) -> dict[str, GlobalFitResult]:
    """Those that `run.json` records and that need not be done again.

    What was fitted must be there, and be what was written; a failure stands, unless it is to be
    tried again.
    """
    standing = {}
    for key, of in recorded.items():
        fitted = GlobalFitResult(*of)
        if fitted.digest:
            with contextlib.suppress(FileNotFoundError, ValueError):
                _kept(run, fitted.digest)
                standing[key] = fitted
        elif not (retry and fitted.status in FAILED):
            standing[key] = fitted
    return standing


def _kept(run: Store, digest: str) -> bytes:
    """A fitted model as it is kept; raises `ValueError` where it is not what was written."""
    name = f"models/{digest}.pickle"
    content = run.read(name)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{name} is damaged; the same run, begun again, fits it anew")
    return content


def fits_of(
    plan: Plan,
    todo: np.ndarray,
    models: Mapping[str, NamedModel],
    done: Mapping[str, Any],
    dataset: Dataset,
    seed: int,
) -> list[GlobalFit]:
    """The fits that evaluations of a run need and that are not `done` (`todo`: see `make_batches`).

    A company is fit to train on where it had ten customers one horizon before the cutoff. The
    sample holds as many companies of each class of size, the first of a random order that depends
    on the seed and the company alone.
    """
    fits = []
    order = {name: i for i, name in enumerate(dataset.reading_order(plan.company_ids))}
    rank = np.array([_permanent(seed, name) for name in plan.company_ids])
    for m, name in enumerate(plan.models):
        if name not in models or models[name].scope != "all":
            continue
        windows = np.flatnonzero(todo[:, m])
        cutoffs = np.unique(plan.windows.cutoff[windows])
        for cutoff in cutoffs.tolist():
            if key_of(name, cutoff) in done:
                continue
            horizon_end = int(
                plan.windows.horizon_end[windows[plan.windows.cutoff[windows] == cutoff][0]]
            )
            known = np.flatnonzero(
                plan.observed.tenth_customer_at < cutoff - (horizon_end - cutoff)
            )
            chosen = _sample(known, plan.n_customers[known], rank[known])
            names = sorted((plan.company_ids[i] for i in chosen.tolist()), key=order.__getitem__)
            fits.append(GlobalFit(name, cutoff, horizon_end, tuple(names)))
    return fits


def _sample(companies: np.ndarray, size: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """At most SAMPLE of `companies`, as many of each class of size; the first by `rank`."""
    if len(companies) <= SAMPLE:
        return companies
    by_size = companies[np.lexsort((rank, size))]
    of = dict(zip(companies.tolist(), rank.tolist(), strict=True))
    chosen = [
        sorted(stratum.tolist(), key=of.__getitem__)[: SAMPLE // SIZE_CLASSES]
        for stratum in np.array_split(by_size, SIZE_CLASSES)
    ]
    return np.concatenate(chosen)


def _permanent(seed: int, company_id: str) -> int:
    digest = hashlib.sha256(f"{seed}\n{company_id}".encode()).digest()
    return int.from_bytes(digest[:7], "little")


class Histories:
    """The histories of a fit's companies, read one by one, as often as they are gone through.

    A company that cannot be read is left out: its own evaluations say so.
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
            yield training_history(
                company,
                window,
                rules.horizon,
                purchase_rule=rules.purchase_rule,
                lookback=rules.lookback,
                reads=self._reads,
            )


def fit_one(
    fit: GlobalFit, model: NamedModel, dataset: Dataset, rules: Rules, run: Store
) -> GlobalFitResult:
    """Fit a model of all companies, and keep it in the run."""
    began = time.perf_counter()
    fresh = model.fresh()
    state = random_state_of(f"{rules.seed}\n{fit.model}\n{fit.cutoff}")
    seed_generators(fresh, state)
    try:
        fresh.fit(Histories(dataset, fit, model.reads, rules))
    except Skipped as skipped:
        return GlobalFitResult("", "skipped", text(skipped.reason), text(skipped.note))
    except BaseException as error:
        status, reason, note = failure(error)
        return GlobalFitResult("", status, reason, text(f"fitting: {note}"))
    content = cloudpickle.dumps(fresh)
    digest = hashlib.sha256(content).hexdigest()
    run.write(f"models/{digest}.pickle", content)
    return GlobalFitResult(digest, seconds=time.perf_counter() - began)


class FittedModels:
    """The fitted models of a run, each read once."""

    def __init__(self, run: Store, fitted: Mapping[str, GlobalFitResult]) -> None:
        self._fitted = fitted
        self._read = lru_cache(maxsize=64)(lambda digest: pickle.loads(_kept(run, digest)))

    def __call__(self, model: NamedModel, window: Window) -> Any:
        """The model as it was fitted for a cutoff.

        Raises
        ------
        NotFitted
            Its fitting came to something else.
        """
        fitted = self._fitted[key_of(model.name, window.cutoff_us)]
        if not fitted.digest:
            raise NotFitted(fitted.status, fitted.reason, fitted.note)
        return self._read(fitted.digest)
