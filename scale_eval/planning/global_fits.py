"""Plan the fits of models of all companies: which are needed, and on which companies.

Before the evaluations of a cutoff, each model with ``scope = "all"`` is fitted once, on a sample of
companies as they were known at that cutoff.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.models import NamedModel
from scale_eval.planning.batches import EvaluationKey
from scale_eval.planning.calendar import ObservedSpans, misses_much
from scale_eval.planning.plan import Plan

MAX_COMPANIES = 2_000
"""Largest number of companies that a model of all companies is fitted on."""

SIZE_CLASSES = 10
"""Number of equally large strata of these companies, by number of customers."""


@dataclass(frozen=True)
class GlobalFit:
    """The fit of a model of all companies at one cutoff; like a `Batch` it is one Dask task.

    Attributes
    ----------
    model : str
    cutoff, horizon_end : int
        In microseconds since 1970 UTC.
    company_ids : tuple of str
        The companies that it is fitted on, in the order in which their rows lie on disk.
    """

    model: str
    cutoff: int
    horizon_end: int
    company_ids: tuple[str, ...]

    n_evaluations = 1
    writes = True
    cost = 0.0

    @property
    def key(self) -> str:
        """Return the name of the fit in `run.json`."""
        return fit_key(self.model, self.cutoff)

    @property
    def first(self) -> EvaluationKey:
        """Name the fit as if it were an evaluation."""
        return EvaluationKey("all companies", self.cutoff, self.model)

    def split(self, parts: int) -> list[GlobalFit]:
        """Return the fit itself: it cannot be split."""
        return [self]

    def without(self, evaluation: EvaluationKey) -> list[GlobalFit]:
        """Return nothing: a fit has no other part."""
        return []


def fit_key(model: str, cutoff: int) -> str:
    """Return the name of a fit in `run.json`."""
    return f"{model} {from_microseconds(cutoff).isoformat()}"


def plan_global_fits(
    plan: Plan,
    todo: np.ndarray,
    models: Mapping[str, NamedModel],
    recorded: Container[str],
    dataset: Dataset,
    seed: int,
) -> list[GlobalFit]:
    """List the fits that the evaluations to do need and that are not recorded yet.

    A model is fitted on companies that had ten customers one horizon before the cutoff, and were
    observed from then to the cutoff, but for a sixth of that time: equally many of each class of
    size, the first in a random order that depends only on the seed and the company.

    Parameters
    ----------
    todo : ndarray of bool, shape (n_windows, n_models)
        The evaluations of the plan to do.
    recorded : container of str
        The names (`GlobalFit.key`) of the fits that are done.
    """
    if all(model.scope != "all" for model in models.values()):
        return []  # the order of 100,000 companies takes a second
    fits = []
    disk_position = {name: i for i, name in enumerate(dataset.reading_order(plan.company_ids))}
    rank = np.array([_permanent_rank(seed, name) for name in plan.company_ids])
    for m, name in enumerate(plan.models):
        if name not in models or models[name].scope != "all":
            continue
        windows = np.flatnonzero(todo[:, m])
        cutoffs, first = np.unique(plan.windows.cutoff[windows], return_index=True)
        horizon_ends = plan.windows.horizon_end[windows[first]]
        for cutoff, horizon_end in zip(cutoffs.tolist(), horizon_ends.tolist(), strict=True):
            if fit_key(name, cutoff) in recorded:
                continue
            trainable = trainable_companies(plan.observed, cutoff, cutoff - (horizon_end - cutoff))
            chosen = _sample(trainable, plan.n_customers[trainable], rank[trainable])
            company_ids = sorted(
                (plan.company_ids[i] for i in chosen.tolist()), key=disk_position.__getitem__
            )
            fits.append(GlobalFit(name, cutoff, horizon_end, tuple(company_ids)))
    return fits


def trainable_companies(observed: ObservedSpans, cutoff: int, since: int) -> np.ndarray:
    """Return the companies whose customers from `since` to the cutoff are known."""
    companies = np.flatnonzero((observed.tenth_customer_at < since) & (observed.until >= cutoff))
    span = (np.full(len(companies), instant) for instant in (since, cutoff))
    return companies[~misses_much(observed.gaps, companies, *span)]


def _sample(companies: np.ndarray, size: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Take at most MAX_COMPANIES, equally many of each class of size; the first by `rank`."""
    if len(companies) <= MAX_COMPANIES:
        return companies
    by_size = np.lexsort((rank, size))
    chosen = [
        stratum[np.argsort(rank[stratum], kind="stable")][: MAX_COMPANIES // SIZE_CLASSES]
        for stratum in np.array_split(by_size, SIZE_CLASSES)
    ]
    return companies[np.concatenate(chosen)]


def _permanent_rank(seed: int, company_id: str) -> int:
    digest = hashlib.sha256(f"{seed}\n{company_id}".encode()).digest()
    return int.from_bytes(digest[:7], "little")
