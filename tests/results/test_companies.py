"""The table `companies`, recomputed from the evaluations."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.tables import pooled


def test_companies_are_compared_on_the_windows_that_every_model_predicted(shops):
    tables, _ = shops
    evaluations = tables["evaluations"]
    ok = evaluations[evaluations["status"] == "ok"]
    predicting = ok["model"].nunique()
    n_models = ok.groupby(["company_id", "cutoff"])["model"].transform("nunique")
    windows_of = {"common": ok[n_models == predicting], "own": ok}
    compared = 0
    for (name, coverage), rows in tables["companies"].groupby(["model", "coverage"]):
        windows = windows_of[coverage]
        of_model = windows[windows["model"] == name]
        expected = of_model.groupby("company_id")["log_loss"].agg(["mean", "count"])
        found = rows[rows["metric"] == "log_loss"].set_index("company_id")
        expected = expected.reindex(found.index)
        np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-12)
        assert found["n_defined"].tolist() == expected["count"].fillna(0).tolist()
        compared += 1
    assert compared > predicting  # some model has windows of its own


def test_the_mean_over_companies_is_the_pooled_figure_of_the_same_coverage(shops):
    tables, _ = shops
    rows = tables["companies"].query("metric == 'roc_auc'")
    for (model, coverage), companies in rows.groupby(["model", "coverage"]):
        row = pooled(tables, "roc_auc", "equal_company", model, coverage)
        assert companies["mean"].mean() == pytest.approx(row["value"])


def test_rows_of_its_own_windows_are_left_out_where_they_would_repeat_the_common_ones(shops):
    tables, _ = shops
    companies = tables["companies"]
    for model, rows in companies[companies["metric"] == "log_loss"].groupby("model"):
        figures = {c: part.set_index("company_id") for c, part in rows.groupby("coverage")}
        if "own" in figures:
            own, common = figures["own"]["n_cutoffs"], figures["common"]["n_cutoffs"]
            assert (own >= common).all(), model
            assert (own > common).any(), model
