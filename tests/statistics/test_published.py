"""Statistics that others published; each test names its source. Data of theirs: shared fixtures."""

import csv
import math

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from scale_eval.statistics.comparison import benjamini_hochberg, wilcoxon
from scale_eval.statistics.decomposition import corp
from scale_eval.statistics.prediction import confidence_distribution
from scale_eval.statistics.proportions import wilson_interval
from scale_eval.statistics.random_effects import generalised_q, q_profile, random_effects
from scale_eval.statistics.ranks import nemenyi_critical_difference
from scale_eval.statistics.shrinkage import shrink
from scale_eval.statistics.variance_components import variance_components
from tests.support.delong import auc_difference, delong
from tests.support.literature import (
    dersimonian_laird,
    friedman_of_mean_ranks,
    murphy,
    paule_mandel,
    prediction_interval,
    wald_interval,
)
from tests.support.paths import SHARED

FIXTURES = SHARED / "data/fixtures"


def rows_of(name: str) -> list[dict[str, str]]:
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with path.open() as file:
        return list(csv.DictReader(file))


# ── DeLong: pROC, roc.test(..., method = "delong", paired = TRUE) on its data set aSAH ──


@pytest.fixture(scope="module")
def asah():
    rows = rows_of("aSAH.csv")
    poor = np.array([row["outcome"] == "Poor" for row in rows])
    return poor, {m: np.array([float(r[m]) for r in rows]) for m in ("wfns", "s100b", "ndka")}


def test_aucs_and_their_variances_are_those_of_proc(asah):
    poor, markers = asah
    auc, covariance = delong(poor, np.stack([markers[m] for m in ("wfns", "s100b", "ndka")]))
    assert auc == pytest.approx([0.823678861788618, 0.731368563685637, 0.611957994579946])
    assert np.diag(covariance) == pytest.approx(
        [0.00146991470882363, 0.00266868245717244, 0.0031908105493913], rel=1e-10
    )


@pytest.mark.parametrize(
    ("first", "second", "z", "p"),
    [
        ("wfns", "s100b", 2.20898359, 0.02717578),
        ("wfns", "ndka", 2.79777592, 0.00514558),
        ("ndka", "s100b", -1.39077003, 0.16429518),
    ],
)
def test_paired_differences_of_aucs_are_those_of_proc(asah, first, second, z, p):
    poor, markers = asah
    test = auc_difference(poor, markers[first], markers[second])
    assert test.z == pytest.approx(z, abs=5e-9)
    assert test.p_value == pytest.approx(p, abs=5e-9)


def test_an_unpaired_z_would_have_been_another(asah):
    poor, markers = asah
    auc, covariance = delong(poor, np.stack([markers["wfns"], markers["s100b"]]))
    unpaired = (auc[0] - auc[1]) / math.sqrt(np.trace(covariance))
    assert unpaired == pytest.approx(1.435, abs=5e-4)  # never this one


# ── CORP (Dimitriadis, Gneiting & Jordan 2021) and Murphy 1973 with the terms within bins ──

SIX = np.array([0.4, 0.3, 0.2, 0.1, 0.5, 0.9]), np.array([0, 0, 0, 1, 1, 1])


def test_corp_splits_brier_score_and_log_loss():
    p, y = SIX
    parts = corp(p, y, 1 - y)
    assert parts["brier_score"] == pytest.approx((0.101667, 0.125, 0.25), abs=5e-7)
    assert parts["log_loss"] == pytest.approx((0.323733, 0.318257, 0.693147), abs=5e-7)


def test_murphys_parts_add_up_with_the_terms_within_bins():
    p, y = SIX
    parts = murphy(p, y, 1 - y, np.array([0.35]))
    assert parts == pytest.approx((0.011111, 0.027778, 0.25, 0.026667, 0.033333), abs=5e-7)
    rel, res, unc, wbv, wbc = parts
    assert rel - res + unc + wbv - wbc == pytest.approx(0.226667, abs=5e-7)


# ── Random effects: metafor (Viechtbauer 2010) ──


@pytest.fixture(scope="module")
def bcg():
    rows = rows_of("dat_bcg_yi_vi.csv")
    return np.array([float(r["yi"]) for r in rows]), np.array([float(r["vi"]) for r in rows])


def test_bcg_by_reml_as_metafor_has_it(bcg):
    fit = random_effects(*bcg)
    assert fit.k == 13
    assert fit.mu == pytest.approx(-0.7145, abs=5e-5)
    assert fit.std_error == pytest.approx(0.1798, abs=5e-5)
    assert fit.tau2 == pytest.approx(0.3132, abs=5e-5)
    assert 100 * fit.i_squared == pytest.approx(92.22, abs=5e-3)
    assert 1 / (1 - fit.i_squared) == pytest.approx(12.86, abs=5e-3)  # H2
    assert generalised_q(*bcg, 0.0) == pytest.approx(152.2330, abs=5e-5)
    assert wald_interval(fit) == pytest.approx((-1.0669, -0.3622), abs=5e-5)
    assert fit.interval() == pytest.approx((-1.1084, -0.3206), abs=5e-5)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [("z", -1.8667, 0.4376), ("t(k-1)", -1.9960, 0.5670), ("t(k-2)", -2.0091, 0.5800)],
)
def test_bcg_predicts_as_metafor_does(bcg, method, low, high):
    interval = prediction_interval(random_effects(*bcg), method)
    assert interval == pytest.approx((low, high), abs=1e-4)


def test_bcg_by_dersimonian_and_laird_and_by_paule_and_mandel(bcg):
    moments = dersimonian_laird(*bcg)
    assert moments.tau2 == pytest.approx(0.3088, abs=5e-5)
    assert moments.mu == pytest.approx(-0.7141, abs=5e-5)
    assert paule_mandel(*bcg).tau2 == pytest.approx(0.31807, abs=2e-5)


def test_the_interval_of_bcgs_tau2_is_that_of_viechtbauer_2007(bcg):
    """metafor, confint(rma(yi, vi, data = dat.bcg)): .1197 to 1.1115."""
    assert q_profile(*bcg) == pytest.approx((0.1197, 1.1115), abs=5e-5)


@pytest.fixture(scope="module")
def raudenbush():
    rows = rows_of("raudenbush1985.csv")
    return np.array([float(r["yi"]) for r in rows]), np.array([float(r["vi"]) for r in rows])


def test_raudenbush_1985_as_metafor_has_it(raudenbush):
    fit = random_effects(*raudenbush)
    q = generalised_q(*raudenbush, 0.0)
    assert (fit.mu, fit.tau2, q) == pytest.approx((0.0837, 0.0188, 35.8295), abs=5e-5)
    assert prediction_interval(fit, "z") == pytest.approx((-0.2036, 0.3710), abs=5e-5)
    shrunk, weight = shrink(*raudenbush, fit.mu, fit.tau2)
    assert (shrunk.min(), shrunk.max()) == pytest.approx((-0.0293, 0.2485), abs=5e-5)
    assert ((weight > 0) & (weight < 1)).all()


# ── EuroSCORE: metamisc, valmeta (Debray et al. 2019) ──


def number(row: dict[str, str], name: str) -> float:
    return float(row[name]) if row[name] not in ("", "NA") else math.nan


def test_the_concordance_of_euroscore_as_metamisc_has_it():
    effects, variances = [], []
    z = norm.ppf(0.975)
    for row in rows_of("euroscore.csv"):
        c, n, events = (number(row, name) for name in ("c.index", "n", "n.events"))
        error, low, high = (
            number(row, name) for name in ("se.c.index", "c.index.95CIl", "c.index.95CIu")
        )
        if not math.isnan(error):
            variance = (error / (c * (1 - c))) ** 2
        elif not math.isnan(low):
            variance = ((logit(high) - logit(low)) / (2 * z)) ** 2
        else:  # Hanley & McNeil 1982, modified by Newcombe 2006
            m = (events + (n - events)) / 2 - 1
            variance = (1 + m * (1 - c) / (2 - c) + m * c / (1 + c)) / (
                c * (1 - c) * events * (n - events)
            )
        effects.append(logit(c))
        variances.append(variance)
    fit = random_effects(np.array(effects), np.array(variances))
    assert expit(fit.mu) == pytest.approx(0.7889, abs=1e-4)
    assert expit(fit.interval()) == pytest.approx((0.7649, 0.8110), abs=2e-4)
    assert expit(prediction_interval(fit, "t(k-2)")) == pytest.approx((0.6793, 0.8683), abs=5e-4)


def test_observed_over_expected_of_euroscore_as_metamisc_has_it():
    rows = rows_of("euroscore.csv")
    observed = np.array([number(row, "n.events") for row in rows])
    expected = np.array([number(row, "e.events") for row in rows])
    n = np.array([number(row, "n") for row in rows])
    share = np.array([number(row, "Pe") for row in rows])
    expected = np.where(np.isnan(expected), share * n, expected)
    fit = random_effects(np.log(observed / expected), 1 / observed - 1 / n)
    assert math.exp(fit.mu) == pytest.approx(1.1076, abs=2e-4)
    assert np.exp(fit.interval()) == pytest.approx((0.8999, 1.3632), abs=2e-4)
    assert np.exp(prediction_interval(fit, "t(k-2)")) == pytest.approx((0.4295, 2.8561), abs=2e-3)


# ── Prediction: Nagashima, Noma & Furukawa 2019, as simulated for the definitions ──


@pytest.mark.slow
def test_the_confidence_distribution_covers_where_t_with_k_2_does_not():
    """k = 30, v log-normal (median .04, sigma .9), tau .1: .943 against .835."""
    rng = np.random.default_rng(7)
    n, k, tau = 2_000, 30, 0.1
    ours, literature = 0, 0
    for _ in range(n):
        v = np.exp(rng.normal(math.log(0.04), 0.9, k))
        y = rng.normal(0, tau, k) + rng.normal(0, np.sqrt(v))
        truth = rng.normal(0, tau)
        low, high = confidence_distribution(y, v).interval()
        ours += low <= truth <= high
        low, high = prediction_interval(random_effects(y, v), "t(k-2)")
        literature += low <= truth <= high
    assert ours / n == pytest.approx(0.943, abs=0.013)
    assert literature / n == pytest.approx(0.835, abs=0.025)


# ── Variance components: lme4 by REML (Bates et al. 2015) ──


def test_penicillin_as_lme4_has_it():
    rows = rows_of("penicillin.csv")
    fit = variance_components(
        np.array([float(row["diameter"]) for row in rows]),
        np.array([row["plate"] for row in rows]),
        np.array([row["sample"] for row in rows]),
    )
    assert fit.company == pytest.approx(0.716908, rel=1e-4)
    assert fit.cutoff == pytest.approx(3.730918, rel=1e-4)
    assert fit.residual == pytest.approx(0.302415, rel=1e-4)
    sds = np.sqrt([fit.company, fit.cutoff, fit.residual])
    assert sds == pytest.approx([0.8467, 1.9316, 0.5499], abs=1e-4)
    # lme4's profile of the likelihood: plates .634 to 1.171, samples 1.096 to 3.556 (SDs); ours, of
    # Q, are a little wider, for REML is larger than maximum likelihood with few samples.
    assert np.sqrt(fit.company_interval) == pytest.approx((0.634, 1.171), abs=0.05)
    low, high = np.sqrt(fit.cutoff_interval)
    assert low == pytest.approx(1.096, abs=0.15)
    assert high > 3.556


def test_dyestuff_as_lme4_has_it():
    rows = rows_of("dyestuff.csv")
    batches = np.array([row["Batch"] for row in rows])
    fit = variance_components(
        np.array([float(row["Yield"]) for row in rows]), batches, np.zeros(len(rows))
    )
    assert fit.company == pytest.approx(1764.05, rel=1e-4)
    assert fit.residual == pytest.approx(2451.25, rel=1e-4)
    assert fit.cutoff == 0 and fit.cutoff_interval is None


# ── Comparisons ──


def test_darwins_maize_by_wilcoxon():
    """Fisher 1935 on Darwin's pairs of plants; SciPy's documentation has the numbers."""
    d = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], dtype=float)
    statistic, p = wilcoxon(d)
    assert statistic == 24
    assert p == pytest.approx(0.0412598, abs=5e-8)


def test_benjamini_and_hochberg_1995_reject_four():
    p = np.array(
        [
            0.0001,
            0.0004,
            0.0019,
            0.0095,
            0.0201,
            0.0278,
            0.0298,
            0.0344,
            0.0459,
            0.3240,
            0.4262,
            0.5719,
            0.6528,
            0.7590,
            1.000,
        ]
    )
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4


def test_demsar_2006_has_his_ranks_chi_squared_f_and_critical_difference():
    test = friedman_of_mean_ranks(np.array([3.143, 2.0, 2.893, 1.964]), 14)
    assert test.chi_squared == pytest.approx(9.28, abs=0.005)
    assert test.f == pytest.approx(3.69, abs=0.005)
    assert test.f_p_value < 0.05
    assert nemenyi_critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_wilsons_interval_is_newcombes_example():
    """Newcombe 1998, table I, method 3: 81 of 263 is .2553 to .3662; 0 of 20 is 0 to .1611."""
    low, high = wilson_interval(np.array([81, 0]), np.array([263, 20]))
    assert low == pytest.approx([0.2553, 0.0], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1611], abs=5e-5)
