"""The tables over time and of calibration, recomputed from the evaluations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.support.tables import (
    WINDOWS,
    common,
    of_model,
    pooled,
)


def test_periods_compare_the_same_companies_and_split_the_reference_loss(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd")
    at = rows[rows["cutoff"] == WINDOWS[-1].cutoff]
    rate = at["observed_rate"]
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    told = tables["periods"].query("companies == 'all' and model == 'bgnbd'")
    told = told[told["cutoff"] == WINDOWS[-1].cutoff].iloc[0]
    assert told["uncertainty"] == pytest.approx(entropy.mean())
    assert told["reference_log_loss"] == pytest.approx(at["reference_log_loss"].mean())
    terms = told["drift"] + told["discrimination"] - told["miscalibration"]
    assert told["saved"] == pytest.approx(terms, abs=1e-14)
    assert told["share_lapsed"] == pytest.approx(at["n_lapsed"].sum() / at["n_customers"].sum())
    same = tables["periods"].query("companies == 'same' and model == 'bgnbd'")
    assert same["n_companies"].nunique() == 1


def test_each_model_is_compared_with_the_leader_on_the_same_companies(shops):
    tables, _ = shops
    models = tables["periods"]["model"].unique()
    rows = pd.concat([common(tables, model) for model in models])
    by_company = rows.groupby(["model", "company_id"])["log_loss"].mean().groupby("model").mean()
    leader = by_company.idxmin()
    told = tables["periods"].query("companies == 'all'").set_index(["cutoff", "model"])
    for cutoff, at in rows.groupby("cutoff"):
        losses = at.pivot(index="company_id", columns="model", values="log_loss")
        for model in losses:
            behind = losses[model] - losses[leader]
            row = told.loc[(cutoff, model)]
            assert row["behind_leader"] == pytest.approx(behind.mean(), abs=1e-15)
            half = stats.t.ppf(0.975, len(behind) - 1) * behind.std() / np.sqrt(len(behind))
            ends = [behind.mean() - half, behind.mean() + half]
            assert row[["behind_leader_low", "behind_leader_high"]].tolist() == pytest.approx(ends)


def test_lapsed_customers_did_not_buy_in_one_horizon_before_the_cutoff(shops):
    tables, _ = shops
    rows = of_model(tables, "recency")
    assert (rows["n_lapsed"] < rows["n_customers"]).all()
    assert (rows["n_lapsed"] > 0).any()


def test_reliability_curves_rise_and_the_decomposition_adds_up(shops):
    tables, _ = shops
    for model, curve in tables["reliability"].groupby("model"):
        assert curve["probability"].is_monotonic_increasing
        assert curve["recalibrated"].is_monotonic_increasing
        assert (curve["ci_low"] <= curve["recalibrated"] + 1e-3).all()
        assert (curve["ci_high"] >= curve["recalibrated"] - 1e-3).all()
        assert curve["n_customers"].sum() == common(tables, model)["n_customers"].sum()
    parts = tables["decompositions"]
    total = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
    assert total.tolist() == pytest.approx(parts["value"].tolist())
    for _, row in parts.iterrows():
        told = pooled(tables, row["loss"], "row", row["model"], coverage="common")["value"]
        assert row["value"] == pytest.approx(told, rel=0.01)  # probabilities are known to a bin
