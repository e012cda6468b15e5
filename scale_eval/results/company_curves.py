"""What the customers that each company ranks highest hold, counted from its histograms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scale_eval.compiling import compiled

MINOR_UNITS = 100
"""Histograms keep spend in hundredths, see `ScoreHistogram`."""

DEPTHS = (*range(1, 10), *range(10, 101, 5))
"""The depths of the curves, in percent of the customers of each window."""

CUSTOMERS, BUYERS, SPEND = range(3)
"""What is counted, as positions in the arrays of `CompanyCurves`."""


class CompanyCurves(NamedTuple):
    """Customers, buyers and spend of each company: to each of `DEPTHS`, and in all its windows.

    Attributes
    ----------
    held : ndarray, shape (n_companies, n_depths, 3)
        Each depth is a share of the customers of each window, those ranked highest. Customers of
        one bin of scores hold equal parts.
    total : ndarray, shape (n_companies, 3)
    """

    held: np.ndarray
    total: np.ndarray

    @classmethod
    def of(
        cls, chosen: np.ndarray, rows: dict[str, np.ndarray], company_of_group: np.ndarray
    ) -> CompanyCurves:
        """Count the `chosen` rows of histograms; those of a window together, its scores ascending.

        `company_of_group` gives the company of each group, of shape (n_companies,).
        """
        columns = ("group", "cutoff", "n_positive", "n_negative", "spend_minor")
        percents = np.array(DEPTHS, dtype=np.float64)
        held, total = _added_to_depths(
            chosen, *(rows[name] for name in columns), percents, company_of_group
        )
        for counts in (held, total):
            counts[..., SPEND] /= MINOR_UNITS
        return cls(held, total)


@compiled(error_model="python")
def _added_to_depths(
    chosen: np.ndarray,
    group: np.ndarray,
    cutoff: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    spend: np.ndarray,
    percents: np.ndarray,
    company_of_group: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts to each depth of each window, and in all, added up by company."""
    n_companies = len(company_of_group)
    held, total = np.zeros((n_companies, len(percents), 3)), np.zeros((n_companies, 3))
    begin = 0
    while begin < len(chosen):
        first = chosen[begin]
        company, end, n = company_of_group[group[first]], begin, 0.0
        while (
            end < len(chosen)
            and group[chosen[end]] == group[first]
            and cutoff[chosen[end]] == cutoff[first]
        ):
            row = chosen[end]
            n += positive[row] + negative[row]
            total[company, 1] += positive[row]
            total[company, 2] += spend[row]
            end += 1
        total[company, 0] += n
        customers, buyers, spent = 0.0, 0.0, 0.0  # of whole bins inside
        at = end - 1
        for d in range(len(percents)):
            depth = n * percents[d] / 100
            row = chosen[at]
            while at > begin and customers + positive[row] + negative[row] <= depth:
                customers += positive[row] + negative[row]
                buyers += positive[row]
                spent += spend[row]
                at -= 1
                row = chosen[at]
            size = positive[row] + negative[row]
            part = min(1.0, (depth - customers) / size) if size else 0.0
            held[company, d, 0] += depth
            held[company, d, 1] += buyers + part * positive[row]
            held[company, d, 2] += spent + part * spend[row]
        begin = end
    return held, total
