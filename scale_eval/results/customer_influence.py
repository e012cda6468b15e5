"""The uncertainty from chance among customers alone: these companies, in these half-years.

The models and cutoffs of a company share customers, so variances come from the sums of influence
that each evaluation keeps, never from marginal standard errors: the variance of
sum_i c_i theta_i is G / (G - 1) sum_g (sum_i c_i IF_ig)^2, with the same G = 16 groups of customers
everywhere. The factor corrects for a company's influences adding to 0: two of its customers fall
into one group with a probability of 1 / G, and what they share is lost (without the factor, the
measured variance of a company's AUC is 6 % too small).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scale_eval.compiling import compiled_for_many
from scale_eval.metrics import N_GROUPS, Metric
from scale_eval.results.panel import Panel

DEGREES_OF_FREEDOM = N_GROUPS - 1
"""Degrees of freedom of the clustered variance of one company."""


def sums_by_company(
    panel: Panel,
    windows: np.ndarray,
    influence: np.ndarray,
    weight: np.ndarray,
    correction: np.ndarray,
    *,
    own: bool,
) -> np.ndarray:
    """Sum the influence of each group of customers on a weighted sum over windows, by company.

    Parameters
    ----------
    windows : ndarray of int, shape (n,)
        Ascending positions in the panel.
    influence : ndarray of float32, shape (n_windows, n_groups)
        Influence sums of every window of the panel, of one model.
    weight : ndarray, shape (n_windows,)
        How much each window moves the figure; windows with 0 or NaN are left out.
    correction : ndarray, shape (n_windows,)
        From `small_sample_factor`.
    own : bool
        Whether the figure is the company's own: its weights are then divided by their sum.

    Returns
    -------
    ndarray of float32, shape (n_companies, n_groups)
        0 for companies without such a window.
    """
    sums = np.zeros((panel.n_companies, influence.shape[1]), influence.dtype)
    _add_sums(panel.company, windows, influence, weight, correction, own, sums)
    return sums


@compiled_for_many
def _add_sums(
    company: np.ndarray,
    windows: np.ndarray,
    influence: np.ndarray,
    weight: np.ndarray,
    correction: np.ndarray,
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
        company_sums = sums[c]
        for i in range(begin, end):
            window = windows[i]
            if weight[window] > 0:
                moves = weight[window] * correction[window]
                if own:
                    moves /= total
                for group in range(len(company_sums)):
                    company_sums[group] += moves * influence[window, group]
        begin = end


class Variances(NamedTuple):
    """The variances that chance among customers gives the pooled figure and the company mean."""

    pooled: float
    equal_company: float


@dataclass(frozen=True)
class InfluenceSums:
    """The influence sums of every window of one model.

    Attributes
    ----------
    sums : ndarray of float32, shape (n_windows, n_groups)
    squares : ndarray of float64, shape (n_windows,)
        The sums of the squares over groups. They are enough for a company with one window, as each
        company has at one cutoff; reading the sums themselves would be slower.
    """

    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, sums: np.ndarray) -> InfluenceSums:
        """Keep these sums, and compute their squares."""
        squares = np.empty(len(sums))
        _sum_squares(sums, squares)
        return cls(sums, squares)


def variances(
    panel: Panel,
    windows: np.ndarray,
    influence: InfluenceSums,
    weight: np.ndarray,
    own: np.ndarray,
    correction: np.ndarray,
) -> Variances:
    """Return both variances; windows weigh `weight` in the pooled figure, `own` in a company's.

    The other parameters are as for `sums_by_company`. NaN where nothing weighs.
    """
    return Variances(
        *_variances(
            panel.company, windows, influence.sums, influence.squares, weight, own, correction
        )
    )


@compiled_for_many
def _variances(
    company: np.ndarray,
    windows: np.ndarray,
    influence: np.ndarray,
    influence_squares: np.ndarray,
    weight: np.ndarray,
    own: np.ndarray,
    correction: np.ndarray,
) -> tuple[float, float]:
    pooled_sums, own_sums = np.zeros(influence.shape[1]), np.zeros(influence.shape[1])
    squares, squares_own, total = np.float64(0.0), np.float64(0.0), np.float64(0.0)
    n_companies = 0
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
            window_variance = correction[window] * correction[window] * influence_squares[window]
            squares += weight[window] * weight[window] * window_variance
            squares_own += window_variance
        elif within > 0:
            for group in range(len(pooled_sums)):
                pooled_sums[group] = own_sums[group] = 0.0
            for i in range(begin, end):
                window = windows[i]
                if own[window] > 0:
                    pooled_factor = weight[window] * correction[window]
                    own_factor = own[window] / within * correction[window]
                    for group in range(len(pooled_sums)):
                        pooled_sums[group] += pooled_factor * influence[window, group]
                        own_sums[group] += own_factor * influence[window, group]
            for group in range(len(pooled_sums)):
                squares += pooled_sums[group] * pooled_sums[group]
                squares_own += own_sums[group] * own_sums[group]
        begin = end
    scale = len(pooled_sums) / (len(pooled_sums) - 1)
    return squares * scale / (total * total), squares_own * scale / (n_companies * n_companies)


def small_sample_factor(panel: Panel, metric: Metric, model: int) -> np.ndarray:
    """Return the factor by which influence understates chance among few customers."""
    influence = metric.influence
    assert influence is not None
    return panel.once(
        ("small_sample_factor", metric.name, model),
        lambda: influence.small_sample_factor(lambda name: panel.columns[name][:, model]),
    )


def sampling_factor(panel: Panel, metric: Metric, model: int) -> np.ndarray:
    """Return `small_sample_factor`, NaN at companies with too little of what the metric rests on.

    What counts is the sum over the windows where the model is ok: several windows of few buyers
    give a good standard error of their mean.
    """
    factor, influence = small_sample_factor(panel, metric, model), metric.influence
    assert influence is not None
    if not influence.enough:
        return factor

    def where_enough() -> np.ndarray:
        amount = influence.rests_on.of(lambda name: panel.columns[name][:, model])
        ok = panel.ok[:, model] & ~np.isnan(amount)
        of_company = np.bincount(panel.company[ok], amount[ok], minlength=panel.n_companies)
        return np.where(of_company[panel.company] < influence.enough, np.nan, factor)

    return panel.once(("sampling_factor", metric.name, model), where_enough)


def company_variances(sums: np.ndarray) -> np.ndarray:
    """Return the variance of each company's figure from its sums by group; (n_companies,)."""
    squares = np.empty(len(sums))
    _sum_squares(sums, squares)
    return squares * (N_GROUPS / DEGREES_OF_FREEDOM)


@compiled_for_many
def _sum_squares(sums: np.ndarray, squares: np.ndarray) -> None:
    for company in range(len(sums)):
        total = 0.0
        for value in sums[company]:
            total += np.float64(value) * np.float64(value)
        squares[company] = total
