"""On what intervals depend: larger companies, and, in a sample, companies of bigger spenders."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from benchmarks.population import LogNormal, Pareto
from benchmarks.sampled_population import make_population
from scale_eval.metrics import METRICS
from scale_eval.planning.company_sample import SamplingFrame
from scale_eval.results.conditions import (
    NO_BIGGER_SPENDERS,
    NO_LARGER_COMPANY,
    condition_of,
    condition_of_sample,
)
from scale_eval.results.estimates import Estimate, Interval
from scale_eval.results.tables.finite_population import sampled_of, sampled_table
from scale_eval.statistics import survey
from scale_eval.statistics.survey import Design

SIZES = {"log-normal": LogNormal(100, 1.4), "Pareto": Pareto(40, 1.1)}
SPEND = {"log-normal": LogNormal(20, 1.0), "Pareto": Pareto(10, 1.3)}


def test_companies_that_weigh_by_size_depend_on_larger_ones_and_those_that_count_once_do_not():
    weight = Pareto(40, 1.2).quantile(np.random.default_rng(1).random(200))
    pareto = Estimate(0.3, influence=np.zeros(200), weight=weight)
    assert condition_of(Interval(0.1, 0.2, 0.4, 99), pareto, "row") == NO_LARGER_COMPANY
    assert condition_of(Interval(0.1, 0.2, 0.4, 99), pareto, "equal_company") == ""
    assert condition_of(Interval(reason="no_spread"), pareto, "row") == ""
    alike = Estimate(0.3, influence=np.zeros(200), weight=np.full(200, 80.0))
    assert condition_of(Interval(0.1, 0.2, 0.4, 99), alike, "row") == ""


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_by_customers_alone_are_never_conditional_in_a_sample(sizes):
    rng = np.random.default_rng(2)
    for n in (12, 100, 500):
        size = SIZES[sizes].quantile(rng.random(n))
        design = Design(np.zeros(n, dtype=int), np.array([10_000]))
        assert condition_of_sample(design, size, [size]) == ""
        shares = (size / size.sum() + 3 * size / (3 * size).sum()) / 2  # as of a difference
        assert condition_of_sample(design, shares, [size]) == ""


def test_companies_that_were_certain_to_be_drawn_leave_nothing_open():
    rng = np.random.default_rng(3)
    spend = SPEND["Pareto"].quantile(rng.random(300))
    whole = Design(np.zeros(300, dtype=int), np.array([300]))
    assert condition_of_sample(whole, spend, [np.ones(300)]) == ""
    giants = spend > np.quantile(spend, 0.3)  # the others spend nearly alike
    of_giants = Design((~giants).astype(int), np.array([giants.sum(), 5_000]))
    assert condition_of_sample(of_giants, spend, [np.ones(300)]) == ""
    by_chance = Design(np.zeros(300, dtype=int), np.array([20_000]))
    assert condition_of_sample(by_chance, spend, [np.ones(300)]) == NO_BIGGER_SPENDERS


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("spend", SPEND)
def test_intervals_without_a_condition_hold_the_figure_of_all_companies(sizes, spend):
    """A figure weighted with spend, which goes with size and spend: 300 of 5,000 companies."""
    n, rng = 5_000, np.random.default_rng(6)
    u, v = rng.random((2, n))
    size = SIZES[sizes].quantile(u).astype(np.int64)
    amounts = size * SPEND[spend].quantile(v)
    figures = 0.5 * np.tanh(3 * (u - 0.5)) + 0.4 * np.tanh(3 * (v - 0.5)) + rng.normal(size=n)
    truth = float(amounts @ figures / amounts.sum())
    manifest = pa.table(
        {
            "company_id": [f"company-{i:06}" for i in range(n)],
            "n_customers": size,
            "n_rows": 3 * size,
            "first_timestamp": np.zeros(n, dtype=np.int64),
            "last_timestamp": np.full(n, 10**15),
        }
    )
    held, told = [], []
    for seed in range(100):
        sample = SamplingFrame(manifest, seed).sample(300)
        at = np.array([int(company[-6:]) for company in sample.company_ids])
        figure = survey.ratio(sample.design, amounts[at] * figures[at], amounts[at])
        _, low, high = figure.interval(sample.design)
        held.append(low <= truth <= high)
        told.append(condition_of_sample(sample.design, amounts[at], [size[at]]))
    if spend == "Pareto":
        assert np.mean(np.array(told) == NO_BIGGER_SPENDERS) > 0.95
    else:
        assert set(told) == {""}
        assert np.mean(held) > 0.9


@pytest.mark.parametrize("spend", SPEND)
def test_the_table_of_a_sample_says_which_figures_rest_on_bigger_spenders(spend):
    population = make_population(1_500, seed=3, sizes=Pareto(40, 1.1), spend=SPEND[spend])
    sample = SamplingFrame(population.manifest, seed=2).sample(300)
    panel, scores = population.of(np.array([int(c[-6:]) for c in sample.company_ids]))
    rows = [
        row
        for metric in METRICS.values()
        for row in sampled_of(panel, metric, scores, panel.influences(metric), sample.design)
    ]
    table = sampled_table(rows).to_pandas()
    assert table["ci_condition"].isin(["", NO_BIGGER_SPENDERS]).all()
    marked = table[table["ci_condition"] != ""]
    assert set(marked["metric"]) == ({"value_captured_at_10"} if spend == "Pareto" else set())
    weighted = table[(table["metric"] == "value_captured_at_10") & (table["ci_reason"] == "")]
    weighted = weighted[weighted["estimand"] != "equal_company"]
    assert len(marked) == (len(weighted) if spend == "Pareto" else 0)


def test_what_buyers_spend_is_seen_through_rates_that_differ():
    rng = np.random.default_rng(7)
    by_customers = []
    for _ in range(50):
        size = SIZES["log-normal"].quantile(rng.random(500))
        buyers = size * expit(-1.6 + 0.8 * rng.normal(size=500))
        design = Design(np.zeros(500, dtype=int), np.array([20_000]))
        spend = buyers * SPEND["Pareto"].quantile(rng.random(500))
        by_customers.append(condition_of_sample(design, spend, [size]) != "")
        assert condition_of_sample(design, spend, [size, buyers]) == NO_BIGGER_SPENDERS
    assert np.mean(by_customers) < 0.95
