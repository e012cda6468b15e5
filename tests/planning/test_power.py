"""How many companies a planned run needs, by an earlier run whose tables are known."""

from __future__ import annotations

import numpy as np
import pytest

from scale_eval.planning.plan import plan_run
from scale_eval.planning.power import Lead, leads_of, power_table
from scale_eval.planning.settings import Settings
from scale_eval.statistics import survey
from scale_eval.statistics.power import companies_to_settle, probability_of_settling
from scale_eval.statistics.survey import Design
from scale_eval.storage import write_table
from tests.support.companies import dataset_of, shop
from tests.support.earlier_runs import FIGURE, a_run, two_models
from tests.support.planted import like_companies, planted_tables


def a_sample(value, error, std, n, population) -> dict[str, list[dict]]:
    """A run of a sample; the companies drawn, not weighed, say the contrary."""
    sampled = [
        FIGURE | {"model": m, "figure": "value", "value": v}
        for m, v in {"weak": 0.4 + value, "good": 0.4}.items()
    ]
    both = FIGURE | {"model": "good", "model_b": "weak", "n_population": population}
    ends = {"ci_low": -value - 2 * error, "ci_high": -value + 2 * error}
    sampled += [
        both | {"figure": "value", "value": -value, "std_error": error, "n_counted": n} | ends,
        both | {"figure": "std", "value": std},
    ]
    return {**two_models(-0.05, 0.001, n), "sampled": sampled}


def power(directory, dataset, *, sampled=False, **settings):
    plan = plan_run(dataset, ["good", "weak"], Settings(**settings))
    return power_table(directory, plan, dataset, seed=0, sampled=sampled).iloc[0]


def test_the_numbers_are_those_of_the_comparison_at_the_margin_of_the_run(shops, tmp_path):
    row = power(a_run(tmp_path, two_models()), shops)
    assert (row["model"], row["model_b"]) == ("good", "weak")
    assert (row["lead"], row["lead_low"], row["lead_high"]) == pytest.approx((0.001, -0.005, 0.007))
    for p in (50, 80, 95):
        expected = companies_to_settle(0.001, 0.003, 40, 0.002, p / 100, among_them=False)
        assert row[f"companies_{p}"] == expected
    assert row["n_planned"] == 3  # two of the five companies have no window
    assert row["probability"] == probability_of_settling(
        0.001, 0.003, 40, 0.002, 3, among_them=False
    )


def test_companies_of_the_same_dataset_are_counted_once(shops, tmp_path):
    row = power(a_run(tmp_path, two_models(), data=shops.content_hash), shops)
    assert row["companies_80"] == companies_to_settle(0.001, 0.003, 40, 0.002, 0.8)
    assert row["among_them"] and row["probability"] == 0  # no company is left
    settled = power(
        a_run(tmp_path / "settled", two_models(by=0.02), data=shops.content_hash), shops
    )
    assert settled["settled"] and settled["companies_95"] == 40 and settled["probability"] == 1


def test_of_a_sample_the_figures_of_all_companies_are_used(shops, tmp_path):
    tables = a_sample(0.001, 0.003, 0.02, 40, 500)
    (lead,) = leads_of(a_run(tmp_path, tables, sample=40, population=500))
    assert (lead.model, lead.value, lead.std_error) == ("good", 0.001, 0.003)
    value, error, n = lead.as_drawn_simply
    assert n == pytest.approx(1 / ((0.003 / 0.02) ** 2 + 1 / 500))
    assert error == pytest.approx(0.02 / np.sqrt(n)) and value == 0.001


def test_a_simple_random_sample_is_as_sure_as_its_number_of_companies():
    rng = np.random.default_rng(2)
    design, values = Design(np.zeros(40, np.int64), np.array([500])), rng.normal(size=40)
    mean, std = survey.mean(design, values), survey.std(design, values)
    error = design.error(mean.influence).std_error
    lead = Lead("a", "b", mean.value, error, 0, 0, 0.1, 40, sd=std.value, population=500)
    _, simple, n = lead.as_drawn_simply
    assert n == pytest.approx(40, rel=0.05)
    assert simple == pytest.approx(values.std(ddof=1) / np.sqrt(40), rel=0.02)


def test_a_larger_sample_of_the_dataset_is_judged_by_the_interval_of_its_companies(tmp_path):
    companies = [shop(f"s{i:02}", 20, seed=i) for i in range(12)]
    dataset = dataset_of(companies, tmp_path / "dozen")
    tables = a_sample(0.001, 0.003, 0.02, n=8, population=12)
    facts = {"data": dataset.content_hash, "sample": 8, "population": 12}
    earlier = a_run(tmp_path / "run", tables, **facts)
    row = power(earlier, dataset, sampled=True)
    expected = companies_to_settle(0.001, 0.003, 8, 0.002, 0.95, population=12)
    assert row["companies_95"] == expected <= 12
    assert row["n_planned"] == 12 and row["probability"] == 1  # then nothing is left to chance
    whole = power(earlier, dataset)
    assert whole["companies_95"] > 12 and whole["probability"] < 0.5


@pytest.mark.parametrize(
    ("tables", "facts", "message"),
    [
        (two_models(), {"status": "running"}, "is not finished: run the command that began it"),
        (two_models(), {"status": "unfinished"}, "is not finished"),
        (two_models(n=4), {}, "compares models at 4 companies: too few"),
        (two_models(n=1), {}, "compares models at 1 company: too few"),
        ({"pooled": two_models()["pooled"][:1]}, {}, "compares no two models"),
        (two_models(std_error=None), {}, "no interval of the difference of good and weak"),
    ],
)
def test_a_run_that_says_nothing_of_it_is_refused(tables, facts, message, shops, tmp_path):
    directory = a_run(tmp_path, tables, **facts)
    with pytest.raises(ValueError, match=message):
        power(directory, shops)


def test_models_are_compared_with_the_one_that_leads(shops, tmp_path):
    windows = like_companies(12, 60, 0.2, {"truth": 1.0, "high": 1.5, "low": 0.7}, spread=1.0)
    tables = planted_tables(windows)
    directory = a_run(tmp_path, {})
    for name in ("pooled", "comparisons"):
        write_table(directory.store, f"{name}.parquet", tables[name])
    leads = leads_of(directory)
    assert {lead.model for lead in leads} == {"truth"}
    assert [lead.value for lead in leads] == sorted(lead.value for lead in leads)
    assert all(lead.low < lead.value < lead.high and lead.value > 0 for lead in leads)
