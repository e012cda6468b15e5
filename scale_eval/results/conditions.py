"""On what an interval depends that the companies at hand cannot show.

A figure that weighs companies unequally rests on the largest weights. Where a company that was not
seen could weigh much more than any that was, the interval holds only on a condition, which the
column `ci_condition` names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scale_eval.metrics.base import EQUAL_COMPANY
from scale_eval.results.estimates import Estimate, Interval
from scale_eval.statistics.survey import Design
from scale_eval.statistics.tail import FEW, rests_on_few

NO_LARGER_COMPANY = "no_larger_company"
"""The next company is not larger than those seen."""

NO_BIGGER_SPENDERS = "no_bigger_spenders"
"""No company of the dataset has customers who buy or spend much more than those of the sample."""


def condition_of(interval: Interval, estimate: Estimate, estimand: str) -> str:
    """Return on what an interval about companies like these depends: a code, or "".

    Companies weigh by size (not at ``equal_company``), and as few, or with a heavy tail.
    """
    if interval.reason or estimand == EQUAL_COMPANY or estimate.weight is None:
        return ""
    return NO_LARGER_COMPANY if rests_on_few(estimate.weight) else ""


def condition_of_sample(design: Design, amounts: np.ndarray, sizes: Sequence[np.ndarray]) -> str:
    """Return on what an interval about all companies of a dataset depends: a code, or "".

    The sizes of all companies are known, and the largest are drawn with certainty: what the sample
    cannot show is how much a company weighs for its size. Those that were certain to be drawn leave
    nothing open.

    Parameters
    ----------
    amounts : ndarray, shape (n,)
        What each company of the sample weighs in the figure.
    sizes : sequence of ndarray, shape (n,)
        What it would weigh by its customers alone; for spend, by its buyers alone as well. Rates of
        buyers differ, but have a limit, and hide the tail of what a buyer spends: with Pareto spend
        of index 1.3, a quarter of samples of 500 pass by spend per customer alone.
    """

    def rests_on_spenders(size: np.ndarray) -> bool:
        counted = (amounts > 0) & (size > 0)
        drawn = counted & ~design.certain
        n = design.n_effective(np.where(counted, size, 0.0))
        # Where sizes alone leave few companies, `n_effective` is small whatever these spend.
        return rests_on_few(amounts[drawn] / size[drawn], n if n >= FEW else None)

    return NO_BIGGER_SPENDERS if any(map(rests_on_spenders, sizes)) else ""
