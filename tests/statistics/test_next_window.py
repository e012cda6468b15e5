"""One half-year of the next company is predicted less closely than its mean over half-years."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

from scale_eval.statistics.next_window import next_window_interval
from scale_eval.statistics.prediction import confidence_distribution
from scale_eval.statistics.variance_components import variance_components


def interval(prediction=(-1.0, 1.0), centre=0.0, **changed):
    given = {
        "cutoff_variance": 0.04,
        "interaction_variance": 0.09,
        "n_cutoffs": 6,
        "windows_per_company": 6.0,
    }
    return next_window_interval(prediction, centre, **given | changed)


def test_without_other_variance_it_is_the_interval_of_the_mean():
    assert interval(cutoff_variance=0.0, interaction_variance=0.0) == pytest.approx((-1.0, 1.0))
    assert interval(cutoff_variance=0.0, windows_per_company=1.0) == pytest.approx((-1.0, 1.0))


def test_each_side_widens_by_itself():
    low, high = interval((-1.0, 2.0), 0.5, interaction_variance=0.0)
    added = stdtrit(5, 0.975) ** 2 * 0.04 * 7 / 6
    assert low == pytest.approx(0.5 - np.sqrt(1.5**2 + added))
    assert high == pytest.approx(0.5 + np.sqrt(1.5**2 + added))


def test_it_is_wider_the_fewer_the_cutoffs_and_the_more_a_mean_averages():
    widths = [high - low for low, high in (interval(n_cutoffs=j) for j in (3, 4, 6, 12))]
    assert widths == sorted(widths, reverse=True)
    widths = [high - low for low, high in (interval(windows_per_company=m) for m in (1, 2, 8))]
    assert widths == sorted(widths)


def covered(rng, k: int, j: int, company: float, cutoff: float, both: float, noise: float) -> bool:
    """Plant normal effects, estimate them, and return whether a new half-year is inside."""
    effects = (
        rng.normal(0, company, (k, 1)) + rng.normal(0, cutoff, j) + rng.normal(0, both, (k, j))
    )
    values = effects + rng.normal(0, noise, (k, j))
    observed = rng.random((k, j)) < 0.8
    observed[np.arange(k), rng.integers(0, j, k)] = True
    m, at = observed.sum(axis=1), observed.sum(axis=0)
    means = np.where(observed, values, 0.0).sum(axis=1) / m
    parts = variance_components(values[observed], *np.nonzero(observed))
    prediction = confidence_distribution(means, noise**2 / m).interval()
    low, high = next_window_interval(
        prediction,
        sum(prediction) / 2,
        cutoff_variance=parts.cutoff,
        interaction_variance=max(parts.residual - noise**2, 0.0),
        n_cutoffs=at.sum() ** 2 / np.square(at).sum(),
        windows_per_company=m.mean(),
    )
    new = rng.normal(0, company) + rng.normal(0, cutoff) + rng.normal(0, both)
    return bool(low <= new <= high)


@pytest.mark.parametrize(
    ("k", "j", "company", "cutoff", "both"),
    [
        (30, 3, 0.3, 0.3, 0.1),
        pytest.param(30, 6, 0.1, 0.3, 0.1, marks=pytest.mark.slow),
        pytest.param(60, 6, 0.2, 0.1, 0.3, marks=pytest.mark.slow),
    ],
)
def test_it_holds_a_half_year_that_was_not_seen(k, j, company, cutoff, both):
    rng = np.random.default_rng(11)
    n = 120
    share = sum(covered(rng, k, j, company, cutoff, both, 0.25) for _ in range(n)) / n
    assert 0.90 <= share <= 0.999
