"""Intervals hold the truth about as often as they say, at companies whose truth is known.

A short version of `benchmarks.coverage`, with bands as wide as its few replicates ask for. The
naive alternatives must fail by far: a test that they passed could not tell good intervals from bad.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.coverage import falling_short, measure, reliability, summary
from benchmarks.judged_half_years import fixed_companies, spread_of_cutoffs
from benchmarks.judged_intervals import JUDGED, Judged, held
from benchmarks.population import POPULATIONS, LogNormal, Population

ALIKE = next(p for p in POPULATIONS if p.name == "alike")


def of(table: pd.DataFrame, method: str = "ours", **chosen) -> pd.DataFrame:
    shown = table["n_sure"] + table["n_marked"]
    rows = table[(table["method"] == method) & (table["n_refused"] < shown)]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    assert len(rows)
    return rows


@pytest.fixture(scope="module")
def quick() -> pd.DataFrame:
    """30 samples of 30 companies of nearly one size."""
    population = Population("even", LogNormal(250, 0.5))
    return measure(population, [30], 600, 30, n_processes=1, curves=30, tilted=0)[0]


def test_an_interval_holds_its_ends():
    ends = (0.0, 1.0)
    assert [held("", "", "", ends, t, 50).right for t in (0, 1, 1.01)] == [1, 1, 0]
    assert held("", "", "", ends, np.array([0.5, 2]), 50).right == 0.5
    assert np.isnan(held("", "", "", (np.nan, np.nan), 0.5, 50).right)


def judged(rights: list[float], n_effective: float = 50, condition: str = "") -> list[tuple]:
    one = Judged("pooled", "log_loss", "row", "ours", 0, n_effective, condition, 1, 0)
    return [("p", 300, i, *one._replace(right=right)) for i, right in enumerate(rights)]


def test_intervals_that_are_marked_or_refused_do_not_count_as_sure():
    of_few = judged([0.0, 0.0], n_effective=29.9)
    conditional = judged([0.0], condition="no_larger_company")
    (row,) = summary([*judged([1.0, 1.0]), *of_few, *conditional, *judged([np.nan])]).itertuples()
    assert (row.sure, row.marked, row.coverage) == (1.0, 0.0, 0.4)
    assert (row.n_sure, row.n_marked, row.n_refused) == (2, 3, 1)


def test_what_falls_short_beyond_chance_is_listed_as_such():
    assert falling_short(summary(judged([1.0] * 95 + [0.0] * 5))).empty
    by_chance = falling_short(summary(judged([1.0] * 18 + [0.0] * 2)))
    assert by_chance["beyond_chance"].tolist() == [False]
    beyond = falling_short(summary(judged([1.0] * 160 + [0.0] * 40)))
    assert beyond["beyond_chance"].tolist() == [True]


def test_probabilities_are_compared_with_how_often_they_are_true():
    said = pd.DataFrame({"k": 30, "said": [0.01, 0.09, 0.55, 1.0], "true": [0.0, 0.2, 0.5, 0.9]})
    table = reliability(said)
    assert table["tenth"].tolist() == [0, 5, 9]
    assert table["said"].tolist() == pytest.approx([0.05, 0.55, 1.0])
    assert table["true"].tolist() == pytest.approx([0.1, 0.5, 0.9])


@pytest.mark.slow
def test_intervals_of_pooled_figures_and_differences_cover(quick):
    for what in ("pooled", "difference"):
        coverage = of(quick, what=what)["coverage"]
        assert coverage.mean() == pytest.approx(0.95, abs=0.05)
        assert coverage.min() > 0.70


@pytest.mark.slow
def test_predictions_hold_the_truths_of_other_companies(quick):
    for what in ("next company", "next difference"):
        assert of(quick, what=what)["coverage"].mean() == pytest.approx(0.94, abs=0.05)


@pytest.mark.slow
def test_customers_taken_for_independent_cover_far_too_little(quick):
    assert of(quick, "rows", what="pooled")["coverage"].max() < 0.7


@pytest.mark.slow
def test_unpaired_differences_are_far_too_wide(quick):
    ours = of(quick, what="difference", metric="log_loss", estimand="equal_company")["width"]
    unpaired = of(quick, "unpaired", what="difference", metric="log_loss")["width"]
    assert unpaired.iloc[0] > 2 * ours.iloc[0]


@pytest.mark.long
def test_small_companies_alike_bias_neither_the_expected_ratio_nor_the_difference():
    """Entry by outcome held the true O:E in a fifth of samples of 300 such companies."""
    table, said = measure(ALIKE, [300], 1_500, 30, n_processes=1, curves=100, tilted=10)
    for metric in ("log_loss", "brier_score"):
        ours = of(table, what="difference", metric=metric, estimand="equal_company")
        assert ours["coverage"].iloc[0] >= 0.85
        ahead = of(table, what="next difference", metric=metric)
        assert ahead["coverage"].iloc[0] >= 0.9
    for what in ("expected", "pooled", "next company"):
        ratio = of(table, what=what, metric="observed_expected_ratio", estimand="equal_company")
        assert ratio["coverage"].iloc[0] >= 0.85
    sure_of_it = said[said["which"] == "probability_a_better"].query("metric == 'log_loss'")
    assert sure_of_it["true"].to_numpy() == pytest.approx(1)
    assert (sure_of_it["said"] > 0.95).all()


@pytest.mark.slow
def test_the_next_half_year_falls_inside_as_often_as_it_should():
    ones = [("", 15, seed, *one) for seed in range(80) for one in spread_of_cutoffs(15, 4, seed)]
    table = summary(ones)
    assert of(table, estimand="next half-year")["coverage"].iloc[0] == pytest.approx(0.95, abs=0.06)
    assert of(table, estimand="cutoff sd")["coverage"].iloc[0] == pytest.approx(0.95, abs=0.06)


@pytest.mark.slow
def test_other_customers_of_the_same_companies_fall_inside_as_often_as_they_should():
    draws = enumerate(fixed_companies(POPULATIONS[0], 15, 30, seed=3))
    table = summary([("", 15, draw, *one) for draw, ones in draws for one in ones])
    assert table["coverage"].mean() == pytest.approx(0.95, abs=0.04)


@pytest.mark.long
def test_with_unequal_companies_intervals_cover_where_enough_of_them_count():
    """120 samples: coverage is known to .02, and 4 standard errors are allowed."""
    table, _ = measure(POPULATIONS[1], [3, 100], 1_500, 120, curves=100, tilted=0)
    ours = of(table)
    enough = (ours["n_sure"] >= 60) & ours["what"].isin(["pooled", "difference"])
    sure = ours[enough]
    assert set(sure["metric"]) == set(JUDGED)
    assert sure["sure"].between(0.95 - 0.09, 1.0).all()
    assert sure["sure"].mean() == pytest.approx(0.95, abs=0.02)
    three = ours[(ours["k"] == 3) & (ours["what"] == "pooled")]
    assert (three["coverage"] > 0.86).all()  # honest, for what is shown at all
    refused = table[(table["k"] == 3) & (table["estimand"].isin(["row", "within_company"]))]
    shown = refused.query("method == 'ours'")[["n_sure", "n_marked"]]
    assert (shown == 0).all(axis=None)
    ahead = table.query("k == 3 and what == 'next company' and method == 'ours'")
    assert (ahead[["n_sure", "n_marked"]] == 0).all(axis=None)
