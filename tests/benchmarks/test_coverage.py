"""Intervals hold the truth about as often as they say, at companies whose truth is known.

A short version of `benchmarks.coverage`, with bands as wide as its few replicates ask for. The
naive alternatives must fail by far: a test that they passed could not tell good intervals from bad.
"""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.coverage import measure, spread_of_cutoffs, summary
from benchmarks.judged_intervals import JUDGED
from benchmarks.population import Population


def of(table: pd.DataFrame, method: str = "ours", **chosen) -> pd.DataFrame:
    rows = table[(table["method"] == method) & (table["refused"] < 0.5)]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    assert len(rows)
    return rows


@pytest.fixture(scope="module")
def quick() -> pd.DataFrame:
    """30 samples of 30 companies of nearly one size."""
    population = Population(sigma=0.5, median_size=150)
    return measure([(population, [30])], n_companies=400, replicates=30, n_processes=1, curves=30)


@pytest.mark.slow
def test_intervals_of_pooled_figures_and_differences_cover(quick):
    for what in ("pooled", "difference"):
        coverage = of(quick, what=what)["coverage"]
        assert coverage.mean() == pytest.approx(0.95, abs=0.05)
        assert coverage.min() > 0.70


@pytest.mark.slow
def test_predictions_hold_the_truths_of_other_companies(quick):
    for what in ("next company", "next difference"):
        assert of(quick, what=what)["coverage"].mean() == pytest.approx(0.945, abs=0.025)


@pytest.mark.slow
def test_customers_taken_for_independent_cover_far_too_little(quick):
    assert of(quick, "rows", what="pooled")["coverage"].max() < 0.7
    assert of(quick, "rows (DeLong)", what="pooled")["coverage"].max() < 0.7


@pytest.mark.slow
def test_unpaired_differences_are_far_too_wide(quick):
    ours = of(quick, what="difference", metric="log_loss", estimand="equal_company")["width"]
    unpaired = of(quick, "unpaired", what="difference", metric="log_loss")["width"]
    assert unpaired.iloc[0] > 2 * ours.iloc[0]


@pytest.mark.slow
def test_the_next_half_year_falls_inside_as_often_as_it_should():
    judged = [(0.0, 40, *one) for i in range(80) for one in spread_of_cutoffs(15, 4, i)]
    table = summary(judged)
    assert of(table, estimand="next half-year")["coverage"].iloc[0] == pytest.approx(0.95, abs=0.06)
    assert of(table, estimand="cutoff")["coverage"].iloc[0] == pytest.approx(0.95, abs=0.06)


@pytest.mark.long
def test_with_unequal_companies_intervals_cover_where_enough_of_them_count():
    """120 samples: coverage is known to .02, and 4 standard errors are allowed."""
    table = measure([(Population(), [3, 100])], n_companies=1_500, replicates=120, curves=100)
    ours = of(table)
    sure = ours[(ours["n_effective"] >= 30) & ours["what"].isin(["pooled", "difference"])]
    assert set(sure["metric"]) == JUDGED
    assert sure["coverage"].between(0.95 - 0.08, 1.0).all()
    assert sure["coverage"].mean() == pytest.approx(0.95, abs=0.02)
    three = ours[(ours["k"] == 3) & (ours["what"] == "pooled")]
    assert (three["coverage"] > 0.86).all()  # honest, for what is shown at all
    refused = table[(table["k"] == 3) & (table["estimand"].isin(["row", "within_company"]))]
    assert (refused.query("method == 'ours'")["refused"] == 1).all()
    ahead = table.query("k == 3 and what == 'next company' and method == 'ours'")
    assert (ahead["refused"] == 1).all()
