"""The table `periods` splits what a model saves, and says how sure each term is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from tests.support.planted import Planted, planted_tables

TERMS = ("drift", "discrimination", "miscalibration")


def companies(n_companies, n_customers, known, came, predict, seed=1):
    """Draw companies whose customers differ; `predict(random, truth)` makes the model's scores."""
    random = np.random.default_rng(seed)
    windows = []
    for i in range(n_companies):
        truth = expit(logit(came) - 0.25 + 0.8 * random.normal(size=n_customers))
        said = {"model": predict(random, truth)}
        windows.append(Planted(f"company-{i:04}", random.random(n_customers) < truth, said, known))
    return windows


def all_cutoffs(tables, model="model"):
    rows = tables["periods"].to_pandas()
    return rows[rows["cutoff"].isna() & (rows["model"] == model)].iloc[0]


@pytest.fixture(scope="module")
def of_truth():
    return planted_tables(companies(300, 80, 0.1, 0.1, lambda _, truth: truth))


@pytest.fixture(scope="module")
def of_noise():
    noise = lambda random, truth: expit(logit(0.1) + 0.8 * random.normal(size=len(truth)))  # noqa: E731
    return planted_tables(companies(300, 80, 0.1, 0.1, noise))


def test_where_nothing_drifts_and_the_model_is_right_all_of_it_is_discrimination(of_truth):
    row = all_cutoffs(of_truth)
    for term in ("drift", "miscalibration"):
        assert abs(row[term]) < 3 * row[f"{term}_std_error"]
        assert abs(row[term]) < 0.0025  # 1 / (2 n) is .00625
    assert row["saved"] == pytest.approx(row["discrimination"], abs=0.004)
    assert row["discrimination"] > 5 * row["discrimination_std_error"]


def test_noise_does_not_discriminate(of_noise):
    row = all_cutoffs(of_noise)
    assert abs(row["discrimination"]) < 3 * row["discrimination_std_error"]
    assert row["saved"] == pytest.approx(-row["miscalibration"], abs=0.004)


def test_the_base_rate_is_miscalibrated_by_its_drift_and_discriminates_nothing(of_truth):
    row = all_cutoffs(of_truth, "base_rate")
    assert row["saved"] == pytest.approx(0, abs=1e-15)
    assert row["discrimination"] == row["discrimination_std_error"] == 0
    assert row["miscalibration"] == pytest.approx(row["drift"], abs=1e-15)
    assert row["discrimination_sampling_std_error"] == 0


def test_terms_add_up_in_every_row_and_drift_is_less_than_the_plain_difference(of_truth, of_noise):
    for tables in (of_truth, of_noise):
        rows = tables["periods"].to_pandas()
        terms = rows["drift"] + rows["discrimination"] - rows["miscalibration"]
        assert rows["saved"].tolist() == pytest.approx(terms.tolist(), abs=1e-14)
        plain = rows["reference_log_loss"] - rows["uncertainty"]
        assert (plain - rows["drift"]).tolist() == pytest.approx([1 / 160] * len(rows), rel=0.05)


def test_standard_errors_are_the_spread_of_the_companies_means(of_truth):
    rows = of_truth["evaluations"].to_pandas().query("model == 'model'")
    n, y = rows["n_customers"], rows["n_positive"]
    rate = y / n
    uncertainty = -(y * np.log(rate.clip(lower=1e-300)) / n + (1 - rate) * np.log1p(-rate))
    apart = uncertainty - rows["recalibrated_log_loss"]  # less a constant
    row = all_cutoffs(of_truth)
    assert row["discrimination_std_error"] == pytest.approx(
        apart.std(ddof=1) / np.sqrt(len(rows)), rel=1e-6
    )
    # Companies alike differ by chance alone.
    for term in TERMS:
        ratio = row[f"{term}_sampling_std_error"] / row[f"{term}_std_error"]
        assert 0.8 < ratio < 1.6


def test_windows_of_one_class_count():
    rare = planted_tables(companies(400, 60, 0.02, 0.02, lambda _, truth: truth))
    rows = rare["evaluations"].to_pandas().query("model == 'model'")
    assert (rows["n_positive"] == 0).sum() > 50
    assert (rows.loc[rows["n_positive"] == 0, "recalibrated_log_loss"] == 0).all()
    row = all_cutoffs(rare)
    assert row["n_companies"] == 400
    for term in ("drift", "miscalibration"):
        assert abs(row[term]) < 3 * row[f"{term}_std_error"]


def test_a_level_that_nobody_foresaw_is_drift_and_miscalibration_alike():
    def blind(_, truth):
        return expit(logit(truth) - logit(0.2) + logit(0.1))

    row = all_cutoffs(planted_tables(companies(100, 200, 0.1, 0.2, blind)))
    assert row["drift"] > 10 * row["drift_std_error"]
    assert row["miscalibration"] == pytest.approx(row["drift"], rel=0.15)
    assert row["saved"] == pytest.approx(row["discrimination"], rel=0.15)


def test_of_one_company_there_is_no_spread_but_there_is_chance():
    row = all_cutoffs(planted_tables(companies(1, 500, 0.1, 0.1, lambda _, truth: truth)))
    for term in TERMS:
        assert np.isnan(row[f"{term}_std_error"]) and row[f"{term}_sampling_std_error"] > 0
