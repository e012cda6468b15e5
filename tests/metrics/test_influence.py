"""Sums of influence over groups of customers: the covariances of evaluations."""

import zlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets import customer_ids
from scale_eval.metrics import (
    METRICS,
    N_GROUPS,
    Scores,
    Undefined,
    influence_sums,
    influence_values,
    score,
)
from scale_eval.metrics.influence import jackknifed_sums, sums_of_function, without_each_group
from tests.support.paths import SHARED

COMPANY_1 = SHARED / "data/klaviyo/TransactionsCompany1.csv"


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 30, n) / 30
    return Scores(rng.random(n) < 0.2 + 0.5 * p, p, np.zeros(n))


def customer_groups(ids):
    return customer_ids.customer_groups(pa.array(ids, pa.string()))


def test_groups_are_those_of_crc32_whatever_the_process():
    ids = np.array(["0012345678", "20e1738615", "käufer"], dtype=object)
    assert customer_groups(ids).tolist() == [
        zlib.crc32(b"0012345678") % 16,
        zlib.crc32(b"20e1738615") % 16,
        zlib.crc32("käufer".encode()) % 16,
    ]
    assert zlib.crc32(b"0012345678") % 16 == 10  # typed in: a change would break stored sums
    assert customer_groups([]).shape == (0,)


def test_groups_are_nearly_even():
    groups = customer_groups([f"customer-{i}" for i in range(16_000)])
    assert np.bincount(groups, minlength=N_GROUPS).min() > 800
    assert customer_ids.N_CUSTOMER_GROUPS == N_GROUPS


def jackknife_of(function, scores, groups):
    """The sums of any metric, by calling it 17 times."""
    return sums_of_function(
        function, scores, function(scores), groups, without_each_group(scores, groups)
    )


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
@pytest.mark.parametrize("n", [2, 17, 300])
def test_the_jackknife_of_a_mean_gives_exactly_the_sums_of_its_influence(name, n):
    scores, groups = made(n), np.random.default_rng(n).integers(0, N_GROUPS, n)
    groups[:2] = 3, 8
    found = jackknife_of(METRICS[name].function, scores, groups)
    exact = influence_sums(scores, groups)[name]
    assert found == pytest.approx(exact, abs=1e-13 * METRICS[name].function(scores))
    assert (found[np.bincount(groups, minlength=N_GROUPS) == 0] == 0).all()


@pytest.mark.parametrize("name", ["roc_auc", "calibration_slope"])
def test_the_jackknife_of_a_smooth_metric_is_its_influence_to_first_order(name):
    n = 20_000
    scores, groups = made(n), np.arange(n) % N_GROUPS
    found = jackknife_of(METRICS[name].function, scores, groups)
    exact = influence_sums(scores, groups)[name]
    assert found == pytest.approx(exact, abs=0.1 * np.abs(exact).max())


def test_the_jackknife_of_a_total_errs_by_a_sixteenth():
    n, drawn = 1_600, np.random.default_rng(1)
    groups = np.arange(n) % N_GROUPS
    spend = drawn.gamma(1, 30, n)
    scores = Scores(np.ones(n, bool), np.full(n, 0.5), spend)
    found = jackknife_of(lambda of: float(of.future_spend.sum()), scores, groups)
    exact = np.bincount(groups, spend - spend.mean())
    assert found == pytest.approx(15 / 16 * exact)


def test_what_is_undefined_without_a_group_has_no_sums():
    scores = Scores([1, 0, 0], [0.9, 0.2, 0.1], [5.0, 0, 0])
    sums = influence_sums(scores, np.array([2, 3, 4]))
    assert sums["gain_at_10"] is None and sums["value_captured_at_10"] is None
    with pytest.raises(Undefined, match="no_positives"):
        jackknife_of(METRICS["gain_at_10"].function, scores, np.array([2, 3, 4]))
    with pytest.raises(Undefined, match="one_group_of_customers"):
        without_each_group(scores, np.array([5, 5, 5]))
    assert jackknifed_sums(0.1, np.full(N_GROUPS, 0.1 + 1e-17), np.arange(3)).tolist() == [0] * 16


@settings(database=None, deadline=None)
@given(st.integers(2, 200), st.integers(0, 10_000))
def test_sums_add_to_nothing_and_have_no_nan(n, seed):
    scores = made(n, seed)
    for sums in influence_sums(scores, np.arange(n) % N_GROUPS).values():
        if sums is not None:
            assert sums.shape == (N_GROUPS,)
            assert sums.sum() == pytest.approx(0, abs=1e-12)


def test_with_every_customer_apart_they_give_the_standard_errors():
    n = 250
    scores = made(n)
    values, _ = score(scores)
    sums = influence_sums(scores, np.arange(n))
    for name in ("log_loss", "brier_score"):
        variance = (sums[name] ** 2).sum() * n / (n - 1)
        assert variance == pytest.approx(values[f"{name}_se"] ** 2, rel=1e-12)
    m, k = scores.n_positive, scores.n_negative
    of_class = np.where(scores.outcomes, m / (m - 1), k / (k - 1))
    variance = (sums["roc_auc"] ** 2 * of_class).sum()
    assert variance == pytest.approx(values["roc_auc_se"] ** 2, rel=1e-12)


def test_a_customers_influence_is_what_the_metric_loses_without_them():
    n = 400
    scores = made(n)
    influence, (values, _) = influence_values(scores), score(scores)
    for left_out in (0, 7, 123):
        rest = np.arange(n) != left_out
        without, _ = score(
            Scores(scores.outcomes[rest], scores.probabilities[rest], np.zeros(n - 1))
        )
        for name, of_customers in influence.items():
            if name == "log_observed_expected":
                lost = np.log(
                    values["observed_expected_ratio"] / without["observed_expected_ratio"]
                )
            else:
                lost = values[name] - without[name]
            # A customer far out moves the slope by more than to first order.
            rel = 0.35 if name == "calibration_slope" else 0.02
            assert lost == pytest.approx(of_customers[left_out], rel=rel, abs=1e-7)


def test_the_variance_of_a_difference_is_paired():
    # Two models of nearly the same scores: the marginal errors would hide what is sure.
    n = 4000
    coarse = made(n)
    p = 0.1 + 0.8 * coarse.probabilities
    one = Scores(coarse.outcomes, p, np.zeros(n))
    other = Scores(coarse.outcomes, p + 0.01, np.zeros(n))
    groups = customer_groups([str(i) for i in range(n)])
    difference = influence_sums(one, groups)["log_loss"] - influence_sums(other, groups)["log_loss"]
    paired = (one.losses_log - other.losses_log).std(ddof=1) / np.sqrt(n)
    assert np.sqrt((difference**2).sum()) == pytest.approx(paired, rel=0.6)  # of 16 groups only
    assert paired < 0.1 * score(one)[0]["log_loss_se"]


# docs/reference/metrics.md: recency AUC of company 1, mean of the 7 half-years from 2014-12
def test_the_mean_over_cutoffs_of_company_1_knows_that_they_share_customers():
    if not COMPANY_1.exists():
        pytest.skip(f"{COMPANY_1} is not here")
    rows = pd.read_csv(COMPANY_1, dtype={"CustomerID": str})
    when = pd.to_datetime(rows["Timestamp"], utc=True)
    purchase = rows["PurchaseValue"] >= 0
    aucs, errors, by_customer, by_group = [], [], [], []
    for cutoff in pd.date_range("2014-12-01", periods=7, freq="6MS", tz="UTC"):
        end = cutoff + pd.DateOffset(months=6)
        last = when[purchase & (when < cutoff)].groupby(rows["CustomerID"]).max()
        buyers = rows["CustomerID"][purchase & (when >= cutoff) & (when < end)]
        p = np.exp(-((cutoff - last) / (end - cutoff)).to_numpy())
        scores = Scores(last.index.isin(buyers), p, np.zeros(len(p)))
        values, _ = score(scores)
        aucs.append(values["roc_auc"])
        errors.append(values["roc_auc_se"])
        by_customer.append(pd.Series(influence_values(scores)["roc_auc"], last.index))
        by_group.append(influence_sums(scores, customer_groups(last.index))["roc_auc"])
    assert np.mean(aucs) == pytest.approx(0.603051, abs=5e-7)
    assert np.std(aucs, ddof=1) == pytest.approx(0.037609, abs=5e-7)
    clustered = pd.concat(by_customer, axis=1).sum(axis=1) / 7
    assert np.sqrt((clustered**2).sum()) == pytest.approx(0.00575, abs=5e-6)
    assert np.linalg.norm(errors) / 7 == pytest.approx(0.00526, abs=1e-5)  # wrongly independent
    of_groups = np.sum(by_group, axis=0) / 7
    assert np.sqrt((of_groups**2).sum()) == pytest.approx(0.00575, rel=0.4)  # 16 draws of it
