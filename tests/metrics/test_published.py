"""Numbers that others published, or that were worked by hand; typed in as facts."""

import csv
import math

import numpy as np
import pytest
from scipy.stats import norm

from scale_eval.metrics import Scores, influence_values, score
from tests.support.paths import SHARED

ASAH = SHARED / "data/fixtures/aSAH.csv"


def scored(y, p, spend=None, reference=None):
    values, _ = score(Scores(y, p, np.zeros(len(y)) if spend is None else spend, reference))
    return values


@pytest.fixture(scope="module")
def asah():
    """Scores of the three markers of pROC's data set aSAH; the outcome is a poor one.

    A thousandth of the markers, for scores lie in [0, 1]; ranks and ties stay what they are.
    """
    if not ASAH.exists():
        pytest.skip(f"{ASAH} is not here")
    with ASAH.open() as file:
        rows = list(csv.DictReader(file))
    poor = np.array([row["outcome"] == "Poor" for row in rows])
    return {
        marker: Scores(poor, [float(row[marker]) / 1000 for row in rows], np.zeros(len(rows)))
        for marker in ("wfns", "s100b", "ndka")
    }


# pROC: roc(aSAH$outcome, aSAH$wfns), var(roc, method = "delong")
@pytest.mark.parametrize(
    ("marker", "auc", "variance"),
    [
        ("wfns", 0.823678861788618, 0.00146991470882363),
        ("s100b", 0.731368563685637, 0.00266868245717244),
        ("ndka", 0.611957994579946, 0.0031908105493913),
    ],
)
def test_the_auc_and_its_delong_variance_are_those_of_proc(asah, marker, auc, variance):
    values, _ = score(asah[marker])
    assert values["roc_auc"] == pytest.approx(auc, rel=1e-14)
    assert values["roc_auc_se"] ** 2 == pytest.approx(variance, rel=1e-12)


# pROC: roc.test(roc1, roc2, paired = TRUE, method = "delong")
@pytest.mark.parametrize(
    ("first", "second", "z", "p_value"),
    [
        ("wfns", "s100b", 2.20898359, 0.02717578),
        ("wfns", "ndka", 2.79777592, 0.00514558),
        ("ndka", "s100b", -1.39077003, 0.16429518),
    ],
)
def test_influence_values_reproduce_the_paired_delong_test(asah, first, second, z, p_value):
    one, other = asah[first], asah[second]
    difference = influence_values(one)["roc_auc"] - influence_values(other)["roc_auc"]
    # Influence values have ddof 0 in each class; DeLong's components have ddof 1.
    m, k = one.n_positive, one.n_negative
    correction = np.where(one.outcomes, m / (m - 1), k / (k - 1))
    se = math.sqrt((difference**2 * correction).sum())
    found = (score(one)[0]["roc_auc"] - score(other)[0]["roc_auc"]) / se
    assert found == pytest.approx(z, abs=5e-9)
    assert 2 * norm.sf(abs(found)) == pytest.approx(p_value, abs=5e-9)


def test_the_log_loss_of_scikit_learns_docstring():
    values = scored([1, 0, 0, 1], [0.9, 0.1, 0.2, 0.65])
    assert values["log_loss"] == pytest.approx(0.21616, abs=5e-6)


def test_the_brier_score_of_scikit_learns_docstring():
    assert scored([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])["brier_score"] == pytest.approx(0.0375)


def test_the_average_precision_of_scikit_learns_docstring():
    values = scored([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert values["average_precision"] == pytest.approx(0.83, abs=0.005)
    assert values["average_precision"] == pytest.approx(5 / 6, rel=1e-15)


def test_gain_and_lift_read_the_tie_averaged_curve_at_exactly_a_tenth():
    y = [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    p = [0.9, 0.8, 0.8, 0.8, 0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1]
    values = scored(y, p)
    assert values["gain_at_10"] == pytest.approx(0.291667, abs=5e-7)
    assert values["lift_at_10"] == pytest.approx(2.916667, abs=5e-7)
    assert values["roc_auc"] == 0.75
    assert area_under_the_gain_curve(Scores(y, p, y)) == pytest.approx(0.683333, abs=5e-7)


def area_under_the_gain_curve(scores):
    customers = np.append(0, np.cumsum(scores.block_rows)) / scores.n_customers
    buyers = np.append(0, np.cumsum(scores.block_positives)) / scores.n_positive
    return np.trapezoid(buyers, customers)


def test_the_area_under_the_gain_curve_follows_from_the_auc():
    rng = np.random.default_rng(4)
    for n in (2, 11, 300):
        y, p = np.arange(n) % 3 == 0, rng.integers(0, 9, n) / 10
        scores = Scores(y, p, y)
        rate, auc = y.mean(), score(scores)[0]["roc_auc"]
        assert area_under_the_gain_curve(scores) == pytest.approx(rate / 2 + (1 - rate) * auc)


def test_scores_with_an_auc_of_875_can_still_be_separable():
    values, undefined = score(Scores([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.5], np.zeros(4)))
    assert values["roc_auc"] == 0.875
    assert values["calibration_slope"] is None
    assert undefined["calibration_slope"] == undefined["calibration_slope_se"] == "separable"


def test_three_companies_by_hand_taken_as_rows_of_one():
    #      A1          A2          B1       B2       C1
    y = [1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0]
    p = [0.8, 0.3, 0.4, 0.6, 0.5, 0.2, 0.7, 0.1, 0.10, 0.05, 0.02, 0.05, 0.04, 0.03, 0.9, 0.95]
    values = scored(y, p)
    assert values["roc_auc"] == pytest.approx(0.666667, abs=5e-7)
    assert values["brier_score"] == pytest.approx(0.2669, abs=5e-5)
    assert values["observed_expected_ratio"] == pytest.approx(1.045296, abs=5e-7)
