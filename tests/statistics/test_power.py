"""The number of companies that settles a comparison, against formulas, brute force, simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.power import ANY, FLAT, OURS, PLUG_IN, measure
from scale_eval.statistics.comparison import equivalence
from scale_eval.statistics.power import companies_to_settle, probability_of_settling, settled
from scale_eval.statistics.undefined import Undefined

KNOWN = 10_000_000
"""Companies so far that leave nothing open about difference and standard deviation."""


def brute_force(
    difference: float, std_error: float, n: int, margin: float, more: int, *, among_them=True
) -> float:
    """Draw truths from the posterior and companies from the truths; count what is settled."""
    rng = np.random.default_rng(0)
    draws = 200_000
    squares = (n - 1) * n * std_error**2
    sigma = np.sqrt(squares / rng.chisquare(n - 1, draws))
    truth = difference + sigma / np.sqrt(n) * rng.normal(size=draws)
    prior = stats.cauchy.pdf(truth, scale=margin)
    chosen = rng.choice(draws, draws, p=prior / prior.sum())
    truth, sigma = truth[chosen], sigma[chosen]
    added = more - n if among_them else more
    mean = truth + sigma / np.sqrt(added) * rng.normal(size=draws)
    of_added = sigma**2 * rng.chisquare(added - 1, draws)
    if among_them:
        of_added += squares + n * added / more * (mean - difference) ** 2
        mean = (n * difference + added * mean) / more
    error = np.sqrt(of_added / (more - 1) / more)
    beyond = np.abs(mean) > stats.t.ppf(0.975, more - 1) * error
    within = np.abs(mean) < margin - stats.t.ppf(0.95, more - 1) * error
    return float((beyond | within).mean())


@pytest.mark.parametrize("among_them", [True, False])
@pytest.mark.parametrize(
    ("difference", "n", "margin"), [(0.3, 30, 0.5), (0.35, 10, 0.5), (0.1, 10, 0.1), (0.02, 100, 1)]
)
def test_the_probability_is_that_of_truths_and_companies_drawn_one_by_one(
    difference, n, margin, among_them
):
    std_error = 1 / np.sqrt(n)
    for more in (int(1.5 * n), 3 * n, 10 * n):
        told = probability_of_settling(
            difference, std_error, n, margin, more, among_them=among_them
        )
        drawn = brute_force(difference, std_error, n, margin, more, among_them=among_them)
        assert told == pytest.approx(drawn, abs=0.025)


def test_where_the_difference_is_known_it_is_the_number_of_the_textbook():
    """(z of 97.5 % + z of 80 %)^2 sigma^2 / difference^2."""
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    told = companies_to_settle(0.1, 1 / np.sqrt(KNOWN), KNOWN, 0.001, 0.8, among_them=False)
    assert told == pytest.approx((z / 0.1) ** 2, rel=0.02)


def test_where_models_are_known_to_be_equal_it_is_the_number_of_equivalence():
    """(z of 95 % + z of 90 %)^2 sigma^2 / margin^2 (Julious 2004), and what is beyond by chance."""
    told = companies_to_settle(0.0, 1e-9, KNOWN, 0.1 * 1e-9 * np.sqrt(KNOWN), 0.8, among_them=False)
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.9)
    assert (z / 0.1) ** 2 * 0.9 < told < (z / 0.1) ** 2
    z = stats.norm.ppf(0.95) + stats.norm.ppf((1 + 0.8 - 0.05) / 2)  # 5 % leave out 0
    assert told == pytest.approx((z / 0.1) ** 2, rel=0.02)


def test_a_comparison_is_settled_by_its_interval_or_by_equivalence():
    rng = np.random.default_rng(3)
    for _ in range(200):
        difference, error, df = rng.normal(0, 0.02), rng.uniform(0.001, 0.02), 20
        half = stats.t.ppf(0.975, df) * error
        expected = abs(difference) > half or equivalence(difference, error, df, 0.01).equivalent
        assert settled(difference, error, df, 0.01) == expected


def test_it_depends_neither_on_the_unit_nor_on_the_sign_of_the_difference():
    one = companies_to_settle(0.004, 0.006, 60, 0.002, 0.8)
    assert companies_to_settle(-0.004, 0.006, 60, 0.002, 0.8) == one
    assert companies_to_settle(4.0, 6.0, 60, 2.0, 0.8) == pytest.approx(one, abs=1)


def test_more_companies_settle_it_more_probably():
    known = (0.004, 0.006, 60, 0.002)
    needed = [companies_to_settle(*known, p) for p in (0.2, 0.5, 0.8, 0.95)]
    assert needed == sorted(needed) and needed[0] > 60
    for p, n in zip((0.2, 0.5, 0.8, 0.95), needed, strict=True):
        assert probability_of_settling(*known, n) >= p
        assert probability_of_settling(*known, 0.97 * n) < p


def test_what_is_settled_needs_no_more_companies():
    assert companies_to_settle(0.02, 0.006, 60, 0.002, 0.95) == 60
    assert companies_to_settle(0.0, 0.0005, 60, 0.002, 0.95) == 60
    assert companies_to_settle(0.0, 0.0, 60, 0.002, 0.95) == 60  # the models are identical
    assert probability_of_settling(0.02, 0.006, 60, 0.002, 60) == 1
    assert probability_of_settling(0.004, 0.006, 60, 0.002, 60) == 0


def test_what_no_number_settles_is_infinite():
    assert companies_to_settle(0.0, 0.0, 60, 0.0, 0.5) == np.inf  # identical, and no margin
    assert companies_to_settle(0.0, 0.006, 60, 0.0, 0.5) < companies_to_settle(
        0.0, 0.006, 60, 0.0, 0.999
    )


def test_a_population_taken_whole_settles_it():
    known = (0.001, 0.006, 60, 0.002)
    limited = companies_to_settle(*known, 0.95, population=500)
    assert 60 < limited <= 500 < companies_to_settle(*known, 0.95)
    assert probability_of_settling(*known, 500, population=500) == 1
    assert companies_to_settle(*known, 0.95, population=1e9) == pytest.approx(
        companies_to_settle(*known, 0.95), rel=0.01
    )


def test_of_a_finite_population_the_probability_is_that_of_drawing_from_it():
    """A simple sample of 40 of 200 companies, and 80 of the same 200 that hold it."""
    rng = np.random.default_rng(5)
    n, more, population, margin, told, shown = 40, 80, 200, 0.15, [], []

    def seen(values: np.ndarray) -> tuple[float, float]:
        left = 1 - len(values) / population
        return values.mean(), values.std(ddof=1) * np.sqrt(left / len(values))

    while len(told) < 400:
        companies = margin * rng.standard_cauchy() + rng.normal(size=population)
        pilot = seen(companies[:n])
        if settled(*pilot, n - 1, margin):
            continue
        told.append(probability_of_settling(*pilot, n, margin, more, population=population))
        shown.append(settled(*seen(companies[:more]), more - 1, margin))
    assert np.mean(shown) == pytest.approx(np.mean(told), abs=0.06)


def test_without_an_interval_it_is_undefined():
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        companies_to_settle(0.1, 0.1, 1, 0.1, 0.8)
    with pytest.raises(Undefined, match="not_a_number"):
        companies_to_settle(0.1, np.nan, 10, 0.1, 0.8)


def share(table, method: str) -> float:
    return table.query("method == @method and probability == 0.8")["settled"].mean()


def test_the_number_stated_settles_it_about_as_often_as_said():
    """A short version of `benchmarks.power`: 40 pilots, so a band of two standard errors."""
    table = measure(
        40, kinds=("normal",), truths=(ANY,), sizes=(30,), margins=(0.2,), n_processes=1
    )
    assert share(table, OURS) == pytest.approx(0.8, abs=0.13)
    assert share(table, PLUG_IN) < 0.7


@pytest.mark.slow
def test_the_number_stated_settles_it_with_pilots_of_any_size_and_any_truth():
    table = measure(150, kinds=("normal",), truths=(ANY,), margins=(0.1,), n_processes=1)
    for p in (0.5, 0.8, 0.95):
        ours = table.query("method == @OURS and probability == @p")["settled"]
        assert ours.mean() == pytest.approx(p, abs=0.07)
    assert share(table, FLAT) < share(table, OURS) - 0.1


@pytest.mark.long
def test_whatever_the_truth_is_the_number_is_never_far_too_small():
    table = measure(
        80, kinds=("normal", "skewed"), truths=(0.0, 0.5, 1.0, 2.0), margins=(0.1,), n_processes=1
    )
    ours = table.query("method == @OURS and probability == 0.8")
    by_truth = ours.groupby("truth")["settled"].mean()
    assert by_truth.mean() == pytest.approx(0.8, abs=0.07)
    assert by_truth.min() > 0.55  # in the middle of the margin both tests have to be sharp
    assert by_truth[2.0] > 0.9
