"""Figures of all companies of a dataset stand in the findings on a sample, and their tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from scale_eval.report.population import with_population_figures
from scale_eval.report.wording import condition_of
from scale_eval.results.tables.comparisons import COMPARISONS
from scale_eval.results.tables.finite_population import SAMPLED
from scale_eval.results.tables.pooled import POOLED

KEY = {"metric": "log_loss", "estimand": "equal_company"}
MARGIN = 0.003


def replaced(estimates: list[tuple[float, float, float]]) -> pd.DataFrame:
    """Comparisons of `a` with others; `estimates` are differences, errors and degrees of freedom.

    In the sample itself every difference is .1, and not equivalent.
    """
    others = [f"model_{i}" for i in range(len(estimates))]
    of_sample = {"mean_difference": 0.1, "mean_p_value": 0.9, "equivalent": False, "stratum": "all"}
    comparisons = pd.DataFrame(
        [
            {**KEY, **of_sample, "model_a": "a", "model_b": b, "margin": MARGIN, "p_value": 0.5}
            for b in others
        ]
    ).reindex(columns=COMPARISONS.schema.names)
    comparisons["equivalent"] = comparisons["equivalent"].astype("boolean")
    sampled = pd.DataFrame(
        [
            {
                **KEY,
                "model": "a",
                "model_b": b,
                "coverage": "common",
                "figure": "value",
                "value": value,
                "std_error": error,
                "degrees_of_freedom": df,
            }
            for b, (value, error, df) in zip(others, estimates, strict=True)
        ]
    ).reindex(columns=SAMPLED.schema.names)
    pooled = pd.DataFrame(columns=POOLED.schema.names)
    return with_population_figures(pooled, comparisons, sampled)[1]


def test_tests_of_a_mean_are_those_of_the_mean_that_stands_there():
    estimates = [(0.002, 0.0004, 30.0), (0.0021, 0.002, 12.0), (-0.02, 0.004, 7.5)]
    rows = replaced(estimates)
    p_values = [2 * stats.t.sf(abs(value) / error, df) for value, error, df in estimates]
    assert rows["mean_difference"].tolist() == [value for value, _, _ in estimates]
    assert rows["mean_p_value"].tolist() == pytest.approx(p_values)
    adjusted = multipletests(p_values, method="fdr_bh")[1]
    assert rows["mean_p_adjusted"].tolist() == pytest.approx(adjusted)
    assert rows["equivalent"].tolist() == [
        abs(value) + stats.t.ppf(0.95, df) * error < MARGIN for value, error, df in estimates
    ]
    assert list(rows.columns) == COMPARISONS.schema.names


def test_what_has_no_interval_has_no_tests():
    rows = replaced([(0.002, np.nan, np.nan)])
    assert rows["equivalent"].isna().all() and rows["mean_p_value"].isna().all()


def test_a_difference_that_is_known_exactly_is_equivalent_or_not_and_has_no_p_value():
    rows = replaced([(0.002, 0.0, np.inf), (0.004, 0.0, np.inf)])
    assert rows["equivalent"].tolist() == [True, False] and rows["mean_p_value"].isna().all()


def test_the_condition_and_weight_of_an_interval_are_those_of_the_sample():
    key = {**KEY, "estimand": "row", "model": "a", "coverage": "common"}
    of_companies = {"value": 0.4, "ci_condition": "no_larger_company", "n_effective": 9.0}
    pooled = pd.DataFrame(
        [{**key, **of_companies}, {**key, **of_companies, "coverage": "own"}]
    ).reindex(columns=POOLED.schema.names)
    of_all = {"figure": "value", "value": 0.3, "ci_condition": "", "n_effective": 150.0}
    sampled = pd.DataFrame([{**key, **of_all}]).reindex(columns=SAMPLED.schema.names)
    sampled["model_b"] = None
    comparisons = pd.DataFrame(columns=COMPARISONS.schema.names, dtype=object)
    rows = with_population_figures(pooled, comparisons, sampled)[0]
    assert rows["ci_condition"].tolist() == ["", "no_larger_company"]
    assert rows["n_effective"].tolist() == [150.0, 9.0]
    sampled["ci_condition"] = "no_bigger_spenders"
    rows = with_population_figures(pooled, comparisons, sampled)[0]
    assert condition_of(rows.iloc[0]).startswith("no company has customers who buy or spend")
    assert condition_of(rows.iloc[1]) == "no company is larger than those seen"
