"""Variance components against dense matrices and grids of the likelihood."""

import itertools

import numpy as np
import pytest
from scipy import optimize

from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.variance_components import _Layout, variance_components


def crossed(k: int, c: int, seed: int, missing: float = 0.3):
    rng = np.random.default_rng(seed)
    company, cutoff = (x.ravel() for x in np.meshgrid(range(k), range(c), indexing="ij"))
    values = (
        0.7
        + rng.normal(0, 0.5, k)[company]
        + rng.normal(0, 0.3, c)[cutoff]
        + rng.normal(0, 0.4, k * c)
    )
    kept = rng.random(k * c) > missing
    return values[kept], company[kept], cutoff[kept]


@pytest.mark.parametrize("seed", range(3))
def test_components_are_at_the_top_of_the_restricted_likelihood_of_dense_matrices(seed):
    values, company, cutoff = crossed(14, 5, seed)
    n = len(values)
    same_company = (company[:, None] == company).astype(float)
    same_cutoff = (cutoff[:, None] == cutoff).astype(float)
    ones = np.ones(n)

    def minus(log_variances: np.ndarray) -> float:
        a, b, e = np.exp(log_variances)
        covariance = a * same_company + b * same_cutoff + e * np.eye(n)
        inverse = np.linalg.inv(covariance)
        total = ones @ inverse @ ones
        residual = values - (ones @ inverse @ values) / total
        return (
            np.linalg.slogdet(covariance)[1] + np.log(total) + residual @ inverse @ residual
        ) / 2

    best = optimize.minimize(
        minus,
        np.log([0.2, 0.1, 0.2]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4_000},
    )
    fit = variance_components(values, company, cutoff)
    found = np.array([fit.company, fit.cutoff, fit.residual])
    assert found == pytest.approx(np.exp(best.x), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_no_point_of_a_grid_is_better_than_the_components_found(seed):
    """Three companies and six cutoffs: the likelihood often has a second top at 0."""
    values, company, cutoff = crossed(3, 6, 900 + seed, missing=0.0)
    fit = variance_components(values, company, cutoff)

    def minus(a: float, b: float, e: float) -> float:
        same = [(label[:, None] == label).astype(float) for label in (company, cutoff)]
        covariance = a * same[0] + b * same[1] + e * np.eye(len(values))
        inverse = np.linalg.inv(covariance)
        residual = values - inverse.sum(axis=0) @ values / inverse.sum()
        return (
            np.linalg.slogdet(covariance)[1] + np.log(inverse.sum()) + residual @ inverse @ residual
        )

    found = minus(fit.company, fit.cutoff, fit.residual)
    grid = itertools.product([0, 0.02, 0.1, 0.4], [0, 0.02, 0.1, 0.4], [0.05, 0.15, 0.4])
    assert found <= min(minus(*point) for point in grid) + 1e-6


@pytest.mark.slow
def test_intervals_of_components_hold_the_truth():
    inside = np.zeros(2)
    for seed in range(150):
        fit = variance_components(*crossed(20, 6, 500 + seed))
        ends = (fit.company_interval, fit.cutoff_interval)
        inside += [
            low <= truth <= high for (low, high), truth in zip(ends, (0.25, 0.09), strict=True)
        ]
    assert inside / 150 == pytest.approx([0.95, 0.95], abs=0.05)


def test_components_move_with_units_and_not_with_labels_or_order():
    values, company, cutoff = crossed(12, 4, 4)
    one = variance_components(values, company, cutoff)
    order = np.random.default_rng(0).permutation(len(values))
    labels = np.array([f"company {99 - i}" for i in range(12)])
    other = variance_components(1e-4 * values[order], labels[company[order]], cutoff[order])
    assert other.company == pytest.approx(1e-8 * one.company, rel=1e-4)
    assert other.cutoff == pytest.approx(1e-8 * one.cutoff, rel=1e-4)


def test_companies_seen_once_cannot_be_told_from_noise():
    with pytest.raises(Undefined, match="no_repeated_cutoffs"):
        variance_components(np.arange(4.0), np.arange(4), np.array([0, 1, 0, 1]))
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        variance_components(np.arange(4.0), np.zeros(4), np.arange(4))
    constant = variance_components(np.ones(4), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert (constant.company, constant.cutoff, constant.residual) == (0, 0, 0)


def test_cutoffs_of_one_company_each_cannot_be_told_from_noise():
    """As lme4 does: three companies with nine cutoffs of their own, and one that two share."""
    company = np.repeat([0, 1, 2], 9)
    values = np.random.default_rng(1).normal(size=27)
    with pytest.raises(Undefined, match="cutoffs_not_shared"):
        variance_components(values, company, np.arange(27))
    one_shared = np.arange(27)
    one_shared[9] = 0
    with pytest.raises(Undefined, match="cutoffs_not_shared"):
        variance_components(values, company, one_shared)
    assert variance_components(values, company, np.tile(np.arange(9), 3)).residual > 0


@pytest.mark.parametrize("seed", range(40))
def test_the_best_of_several_tops_of_the_likelihood_is_found(seed):
    """Few and unequal values, where a search from one start ends at a lower top now and then."""
    rng = np.random.default_rng(700 + seed)
    company = np.repeat([0, 1, 2], [8, 7, 6])
    cutoff = np.concatenate([np.arange(8), np.arange(1, 8), np.arange(2, 8)])
    values = rng.standard_t(2, len(company)) + rng.normal(0, 1, 8)[cutoff]
    fit = variance_components(values, company, cutoff)
    found = np.sqrt(np.array([fit.company, fit.cutoff]) / fit.residual)
    layout = _Layout(values / values.std(), company, cutoff)
    grid = np.linspace(0, 6, 61)
    best = min(layout.deviance(np.array([a, b])) for a in grid for b in grid)
    assert layout.deviance(found) <= best + 1e-6
