"""Shares: a plan divided among processes that do not communicate.

For sites where the machines of a batch system may not speak to each other: each evaluates its share
of the companies into the same run directory, with a cluster of its own.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.file_layout import SHARED_FROM
from scale_eval.planning.calendar import PlannedWindows
from scale_eval.planning.cost_model import PER_COMPANY, Costs
from scale_eval.planning.plan import Plan, disk_order


class Share(NamedTuple):
    """A share of a run: the `number`-th of `of` shares, counted from 1."""

    number: int
    of: int

    @property
    def name(self) -> str:
        """Return the name that its files have."""
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, given: str | Sequence[int]) -> Share:
        """Read ``"2/8"`` or ``(2, 8)``; raise `ValueError` where there is no such share."""
        parts = given.split("/") if isinstance(given, str) else list(given)
        try:
            number, of = (int(str(part)) for part in parts)
        except ValueError:
            number, of = 0, 0
        if not 1 <= number <= of:
            raise ValueError(f"share {given!r}: write which of how many, such as 2/8")
        return cls(number, of)


def share_of(plan: Plan, dataset: Dataset, share: Share) -> Plan:
    """Return the plan with the windows of a share only; its companies stay those of the whole."""
    mine = divided(plan, disk_order(plan, dataset), share.of) == share.number - 1
    windows = {
        field.name: getattr(plan.windows, field.name)[mine[plan.windows.company]]
        for field in dataclasses.fields(PlannedWindows)
    }
    return dataclasses.replace(plan, windows=PlannedWindows(**windows))


def divided(plan: Plan, order: np.ndarray, n: int) -> np.ndarray:
    """Divide companies into `n` shares: 0 to n - 1 for each, int64 of shape (n_companies,).

    The division depends on the companies and windows of the plan alone: not on its models, nor on
    what is done. Shares take about equally long. Where many companies share a file, a share holds
    neighbours, so that it reads few files.

    Parameters
    ----------
    order : ndarray of int, shape (n_companies,)
        Positions of the companies in the order in which their rows lie on disk.
    """
    of_windows = dataclasses.replace(plan, models=("any",)).costs(Costs())
    seconds = np.bincount(plan.windows.company, of_windows, minlength=len(order)) + PER_COMPANY
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
