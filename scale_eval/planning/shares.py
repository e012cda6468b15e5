"""Divide a plan into shares, for processes that do not communicate.

Where the machines of a batch system cannot talk to each other, each evaluates its share of the
companies with a cluster of its own, into the same run directory.
"""

from __future__ import annotations

import dataclasses
import heapq

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.file_layout import SHARED_FROM
from scale_eval.planning.calendar import PlannedWindows
from scale_eval.planning.cost_model import PER_COMPANY, Costs
from scale_eval.planning.plan import Plan, disk_order
from scale_eval.planning.share import Share


def share_of(plan: Plan, dataset: Dataset, share: Share) -> Plan:
    """Return the plan with the windows of one share only, and all companies."""
    mine = divide_companies(plan, disk_order(plan, dataset), share.of) == share.number - 1
    windows = {
        field.name: getattr(plan.windows, field.name)[mine[plan.windows.company]]
        for field in dataclasses.fields(PlannedWindows)
    }
    return dataclasses.replace(plan, windows=PlannedWindows(**windows))


def divide_companies(plan: Plan, order: np.ndarray, n: int) -> np.ndarray:
    """Return the share of each company, from 0 to n - 1; int64 of shape (n_companies,).

    The division depends only on the companies and windows of the plan, not on its models or on what
    is done already. Shares take about equally long. Where many companies share a file, a share
    holds neighbours, so that it reads few files.

    Parameters
    ----------
    order : ndarray of int, shape (n_companies,)
        Positions of the companies in the order in which their rows lie on disk.
    """
    window_seconds = dataclasses.replace(plan, models=("any",)).costs(Costs())
    seconds = np.bincount(plan.windows.company, window_seconds, minlength=len(order)) + PER_COMPANY
    shares = np.empty(len(order), np.int64)
    if len(order) >= SHARED_FROM:
        middle = np.cumsum(seconds[order]) - seconds[order] / 2
        shares[order] = np.minimum(middle * n / seconds.sum(), n - 1).astype(np.int64)
        return shares
    loads = [(0.0, share) for share in range(n)]
    for company in order[np.argsort(-seconds[order], kind="stable")].tolist():
        load, share = loads[0]  # the least loaded; the first of those
        shares[company] = share
        heapq.heapreplace(loads, (load + float(seconds[company]), share))
    return shares
