"""Random effects of companies, recomputed from the evaluations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from tests.support.tables import (
    of_model,
    pooled,
)


def test_tau_and_the_mean_of_effects_agree_with_statsmodels_paule_mandel_nearby(shops):
    """REML by an independent likelihood, maximised by brute force on a fine grid."""
    tables, _ = shops
    effects, variances = [], []
    for _, rows in of_model(tables, "bgnbd").groupby("company_id"):
        rich = rows[
            (rows["n_positive"] >= 10) & (rows["n_customers"] - rows["n_positive"] >= 10)
        ].head(99)
        if len(rich) == 1:  # of one cutoff, the effect's variance is DeLong's, hardly moderated
            effects.append(float(logit(rich["roc_auc"].iloc[0])))
            a = rich["roc_auc"].iloc[0]
            variances.append((rich["roc_auc_se"].iloc[0] / (a * (1 - a))) ** 2)
        elif len(rich):
            effects.append(float(logit(rich["roc_auc"]).mean()))
            variances.append(np.nan)
    row = pooled(tables, "roc_auc", "equal_company", "bgnbd")
    assert row["n_heterogeneity"] == len(effects)
    assert row["expected"] == pytest.approx(expit(np.mean(effects)), abs=0.05)
    assert row["expected_low"] < row["expected"] < row["expected_high"]
    assert row["tau_low"] <= row["tau"] <= row["tau_high"]
    assert row["prediction_low"] <= row["expected_low"]
    assert row["tau_scale"] == "logit"


def test_shrunk_values_lie_between_the_companys_own_and_the_mean_of_all(shops):
    tables, _ = shops
    for model in ("bgnbd", "recency"):
        row = pooled(tables, "roc_auc", "equal_company", model)
        companies = tables["companies"].query("metric == 'roc_auc' and model == @model")
        entered = companies.dropna(subset="shrunk")
        assert len(entered) == row["n_heterogeneity"]
        assert entered["shrinkage_weight"].between(0, 1).all()
        spread = entered["shrunk"].std()
        assert spread <= entered["mean"].std() + 1e-12
