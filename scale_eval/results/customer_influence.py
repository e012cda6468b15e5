"""The uncertainty from customers' chance alone: these companies, in these half-years.

The models and cutoffs of a company share customers, so that variances come from the sums of
influence that each evaluation keeps, never from marginal standard errors: the variance of
sum_i c_i theta_i is G / (G - 1) sum_g (sum_i c_i IF_ig)^2, with the same G = 16 groups of customers
everywhere. The factor is there because a company's influences add to 0: two of its customers fall
into one group with a probability of 1 / G, and what they share is lost (measured: without it the
variance of a company's AUC is 6 % too small).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from scale_eval.metrics import N_GROUPS, Metric
from scale_eval.results.panel import Panel

DEGREES_OF_FREEDOM = N_GROUPS - 1
"""Degrees of freedom of the clustered variance of one company."""


def sums_by_company(
    panel: Panel,
    windows: np.ndarray,
    influence: np.ndarray,
    weight: np.ndarray,
    few: np.ndarray,
    *,
    own: bool,
) -> np.ndarray:
    """Sum, by company, what each group of customers moves a weighted sum over windows by.

    Parameters
    ----------
    windows : ndarray of int, shape (n,)
        Ascending positions in the panel.
    influence : ndarray of float32, shape (n_windows, n_groups)
        Influence sums of every window of the panel, of one model.
    weight : ndarray, shape (n_windows,)
        How much each window moves the figure; those of 0 or NaN stay out.
    few : ndarray, shape (n_windows,)
        From `small_sample_factor`.
    own : bool
        The figure is the company's own: its weights are divided by their sum.

    Returns
    -------
    ndarray of float32, shape (n_companies, n_groups)
        0 for companies without such a window.
    """
    sums = np.zeros((panel.n_companies, influence.shape[1]), influence.dtype)
    _add(panel.company, windows, influence, weight, few, own, sums)
    return sums


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _add(
    company: np.ndarray,
    windows: np.ndarray,
    influence: np.ndarray,
    weight: np.ndarray,
    few: np.ndarray,
    own: bool,
    sums: np.ndarray,
) -> None:
    begin = 0
    while begin < len(windows):
        c, end, total = company[windows[begin]], begin, 0.0
        while end < len(windows) and company[windows[end]] == c:
            if weight[windows[end]] > 0:
                total += weight[windows[end]]
            end += 1
        of_company = sums[c]
        for i in range(begin, end):
            window = windows[i]
            if weight[window] > 0:
                moves = weight[window] * few[window]
                if own:
                    moves /= total
                for group in range(len(of_company)):
                    of_company[group] += moves * influence[window, group]
        begin = end


class Variances(NamedTuple):
    """Variances from customers' chance: of the pooled figure and of the average company's."""

    pooled: float
    equal_company: float


@dataclass(frozen=True)
class InfluenceSums:
    """Influence sums are those of every window of one model.

    Attributes
    ----------
    sums : ndarray of float32, shape (n_windows, n_groups)
    squares : ndarray of float64, shape (n_windows,)
        The sums of the squares over groups. They are enough for a company with one window, as every
        company is at one cutoff; the sums themselves would have to be fetched one by one.
    """

    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, sums: np.ndarray) -> InfluenceSums:
        """Make them of these sums, with their squares."""
        squares = np.empty(len(sums))
        _add_squares(sums, squares)
        return cls(sums, squares)


def variances(
    panel: Panel,
    windows: np.ndarray,
    influence: InfluenceSums,
    weight: np.ndarray,
    own: np.ndarray,
    few: np.ndarray,
) -> Variances:
    """Return both variances; windows weigh by `weight` in the pooled figure, `own` in a company's.

    The other parameters are as for `sums_by_company`. NaN where nothing weighs.
    """
    moved = influence.sums, influence.squares
    return Variances(*_variances(panel.company, windows, *moved, weight, own, few))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _variances(
    company: np.ndarray,
    windows: np.ndarray,
    influence: np.ndarray,
    squared: np.ndarray,
    weight: np.ndarray,
    own: np.ndarray,
    few: np.ndarray,
) -> tuple[float, float]:
    moved, moved_own = np.zeros(influence.shape[1]), np.zeros(influence.shape[1])
    squares, squares_own, total, n_companies = 0.0, 0.0, 0.0, 0
    begin = 0
    while begin < len(windows):
        c, end, within = company[windows[begin]], begin, 0.0
        while end < len(windows) and company[windows[end]] == c:
            if own[windows[end]] > 0:
                within += own[windows[end]]
                total += weight[windows[end]]
            end += 1
        if within > 0:
            n_companies += 1
        if within > 0 and end == begin + 1:
            window = windows[begin]
            of_window = few[window] * few[window] * squared[window]
            squares += weight[window] * weight[window] * of_window
            squares_own += of_window
        elif within > 0:
            moved[:] = 0.0
            moved_own[:] = 0.0
            for i in range(begin, end):
                window = windows[i]
                if own[window] > 0:
                    pooled = weight[window] * few[window]
                    of_company = own[window] / within * few[window]
                    for group in range(len(moved)):
                        moved[group] += pooled * influence[window, group]
                        moved_own[group] += of_company * influence[window, group]
            for group in range(len(moved)):
                squares += moved[group] * moved[group]
                squares_own += moved_own[group] * moved_own[group]
        begin = end
    scale = len(moved) / (len(moved) - 1)
    return squares * scale / (total * total), squares_own * scale / (n_companies * n_companies)


def small_sample_factor(panel: Panel, metric: Metric, model: int) -> np.ndarray:
    """Return the factor by which influence understates the chance of few customers."""
    assert metric.influence is not None
    return metric.influence.small_sample_factor(lambda name: panel.columns[name][:, model])


def squared(sums: np.ndarray) -> np.ndarray:
    """Return the variance that each company's sums by group give; shape (n_companies,)."""
    squares = np.empty(len(sums))
    _add_squares(sums, squares)
    return squares * (N_GROUPS / DEGREES_OF_FREEDOM)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _add_squares(sums: np.ndarray, squares: np.ndarray) -> None:
    for company in range(len(sums)):
        of_company = 0.0
        for moved in sums[company]:
            of_company += np.float64(moved) * np.float64(moved)
        squares[company] = of_company
