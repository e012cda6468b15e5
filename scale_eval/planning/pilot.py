"""Choose the pilot: companies that are evaluated first, to learn what the others will cost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scale_eval.planning.cost_model import Costs
from scale_eval.planning.plan import Plan

PILOT_COMPANIES = 40

PILOT_FROM = 5_000
"""Number of evaluations from which a pilot is worth its time."""


def needs_pilot(models: Iterable[str], costs: Costs, n_todo: int, granularity: str) -> bool:
    """Return whether many evaluations are to be batched whose models were never timed."""
    untimed = set(models) - set(costs.models)
    return bool(untimed) and n_todo >= PILOT_FROM and granularity in ("auto", "batch")


def pilot_evaluations(plan: Plan, todo: np.ndarray) -> np.ndarray:
    """Choose the evaluations of companies of all sizes; bool, of the shape of `todo`."""
    companies = np.unique(plan.windows.company[todo.any(axis=1)])
    chosen = companies_of_all_sizes(companies, plan.n_customers[companies], PILOT_COMPANIES)
    return np.repeat(np.isin(plan.windows.company, chosen)[:, None], todo.shape[1], axis=1)


def companies_of_all_sizes(companies: np.ndarray, n_customers: np.ndarray, n: int) -> np.ndarray:
    """Choose `n` companies evenly by rank of size, without the giants, which take too long."""
    by_size = companies[np.argsort(n_customers, kind="stable")]
    ranks = np.linspace(0, 0.99 * (len(by_size) - 1), n).astype(int)
    return np.asarray(by_size[np.unique(ranks)])
