"""What a model saves is split into terms that small samples do not feign."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.special import entr, expit, logit, stdtrit
from scipy.stats import binom

from scale_eval.metrics import INFLUENCED, N_BINS, N_GROUPS
from scale_eval.metrics.compiled.batch import score_windows_into
from scale_eval.metrics.compiled.values import (
    COUNTS,
    LOG_LOSS,
    RECALIBRATED_LOG_LOSS,
    REFERENCE_LOG_LOSS,
    VALUES,
)
from scale_eval.statistics.saved_loss import (
    EXPANSION_FROM,
    SavedLoss,
    entropy_bias,
    sampling_deviations,
    saved_loss,
)

WINDOWS = 8000

DRAWN = {
    "normal": lambda random, n: random.normal(size=n),
    "skewed": lambda random, n: random.exponential(size=n) - 1,
    "two grades": lambda random, n: np.where(random.random(n) < 0.1, 3.0, -1 / 3),
}
"""How what is known of customers is spread."""

PREDICTED = {
    # name: spread and excess of the true logits, and of the predicted ones
    "noise": ((0.0, 0.0), (0.7, 0.0)),
    "right": ((0.7, 0.0), (0.7, 0.0)),
    "too bold and too high": ((0.7, 0.0), (1.2, 0.3)),
    "one and the same": ((0.7, 0.0), (0.0, 0.3)),
}


def entropy(rate):
    return entr(rate) + entr(1 - rate)


def drawn(knowledge: str, predicted: str, rate: float, seed: int = 1):
    """Return the true and the predicted probabilities of 200,000 customers who may be drawn."""
    x = DRAWN[knowledge](np.random.default_rng(seed), 200_000)

    def probabilities(spread, excess):
        level = brentq(lambda a: expit(a + spread * x).mean() - rate, -40, 20)
        return expit(level + excess + spread * x)

    return (probabilities(*line) for line in PREDICTED[predicted])


def planted_terms(truth, predicted, known_rate) -> SavedLoss:
    """Return the terms of the true probabilities themselves, by SciPy's minimiser."""
    rate, x = truth.mean(), logit(predicted)

    def loss_of(line):
        eta = line[0] + line[1] * x
        return (np.logaddexp(0, eta) - truth * eta).mean()

    best = minimize(loss_of, [0.0, 0.0 if np.ptp(x) == 0 else 1.0]).fun
    loss = -(truth * np.log(predicted) + (1 - truth) * np.log1p(-predicted)).mean()
    reference = -(rate * np.log(known_rate) + (1 - rate) * np.log1p(-known_rate))
    return SavedLoss(reference - entropy(rate), entropy(rate) - best, loss - best)


def simulated(truth, predicted, n, known_rate, seed=2):
    """Draw windows of `n` customers, and return them as scored: values and counts."""
    random = np.random.default_rng(seed)
    customer = random.integers(0, len(truth), WINDOWS * n)
    bought = random.random(WINDOWS * n) < truth[customer]
    values = np.full((WINDOWS, len(VALUES)), np.nan)
    counts = np.zeros((WINDOWS, len(COUNTS)), np.int64)
    score_windows_into(
        np.ones((WINDOWS, 1), bool),
        predicted[customer][np.newaxis],
        np.arange(WINDOWS) * n,
        np.full(WINDOWS, n),
        np.zeros(WINDOWS * n, np.uint8),
        bought,
        np.zeros(WINDOWS * n),
        np.full(WINDOWS, known_rate),
        np.zeros((WINDOWS, 1), np.int64),
        np.zeros((1, N_BINS, 4), np.int64),
        values,
        np.zeros(values.shape, np.uint8),
        counts,
        np.zeros((WINDOWS, len(INFLUENCED), N_GROUPS), np.float32),
    )
    return values, counts


def terms_of(values, counts, n, known_rate) -> SavedLoss:
    """Return the terms of windows of `n` customers, one number or one for each."""
    return saved_loss(
        values[:, [LOG_LOSS]],
        values[:, REFERENCE_LOG_LOSS],
        values[:, [RECALIBRATED_LOG_LOSS]],
        np.broadcast_to(n, len(values)),
        counts[:, 0],
        np.broadcast_to(known_rate, len(values)),
        counts[:, [2]] == 1,
    )


@pytest.mark.parametrize("n", [1, 2, 3, 20, 50, 80, 200, 1000, 20_000])
def test_the_entropy_of_an_observed_rate_falls_short_as_binomials_say(n):
    rates = np.array([0, 1e-9, 1e-4, 0.002, 0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 0.99, 1])
    k = np.arange(n + 1)
    brute = [entropy(r) - (binom.pmf(k, n, r) * entropy(k / n)).sum() for r in rates]
    assert n * entropy_bias(np.full(len(rates), n), rates) == pytest.approx(
        n * np.array(brute), abs=1e-4
    )


def test_the_series_goes_on_where_the_sum_ends():
    n = 200.0
    at = EXPANSION_FROM / n
    summed, series = entropy_bias(np.full(2, n), np.array([at * (1 - 1e-9), at * (1 + 1e-9)]))
    assert summed == pytest.approx(series, abs=1e-4 / n)
    assert np.isnan(entropy_bias(np.array([5.0]), np.array([np.nan]))[0])


@pytest.mark.parametrize(("n", "rate", "off"), [(80, 0.0125, 0.25), (80, 0.1, 0.1)])
@pytest.mark.parametrize("predicted", PREDICTED)
@pytest.mark.parametrize(
    "knowledge", ["normal", "two grades", pytest.param("skewed", marks=pytest.mark.slow)]
)
def test_terms_of_small_windows_are_right_on_average(knowledge, predicted, n, rate, off):
    truth, said = drawn(knowledge, predicted, rate)
    for known_rate in (rate, 1.5 * rate):
        planted = planted_terms(truth, said, known_rate)
        terms = terms_of(*simulated(truth, said, n, known_rate), n, known_rate)
        for name, term in terms._asdict().items():
            allowed = (0.05 if name == "drift" else off) / n + 4 * term.std() / WINDOWS**0.5
            assert term.mean() == pytest.approx(getattr(planted, name), abs=allowed), name
    assert planted.drift > 0


def test_without_the_correction_noise_would_pass_for_discrimination_and_no_drift_for_drift():
    n, rate = 80, 0.1
    truth, said = drawn("normal", "noise", rate)
    values, counts = simulated(truth, said, n, rate)
    uncertainty = entropy(counts[:, 0] / n)
    assert n * (values[:, REFERENCE_LOG_LOSS] - uncertainty).mean() == pytest.approx(0.5, abs=0.05)
    assert n * (uncertainty - values[:, RECALIBRATED_LOG_LOSS]).mean() == pytest.approx(
        0.5, abs=0.05
    )


def test_windows_in_which_nobody_bought_have_terms_and_the_mean_needs_them():
    n, rate = 80, 0.0125
    truth, said = drawn("normal", "right", rate)
    values, counts = simulated(truth, said, n, rate)
    nobody = counts[:, 0] == 0
    assert 0.3 < nobody.mean() < 0.5
    drift = terms_of(values, counts, n, rate).drift[:, 0]
    assert np.isfinite(drift).all()
    assert abs(n * drift.mean()) < 0.05
    assert abs(n * drift[~nobody].mean()) > 0.1


def test_the_terms_add_up_to_what_is_saved_whatever_they_are():
    random = np.random.default_rng(3)
    n = random.integers(1, 300, 500)
    loss, best = random.random((2, 500, 3))
    reference, known = random.random((2, 500))
    is_constant = random.random((500, 3)) < 0.2
    positive = random.integers(0, n + 1)
    terms = saved_loss(loss, reference, best, n, positive, known, is_constant)
    assert terms.drift + terms.discrimination - terms.miscalibration == pytest.approx(
        reference[:, np.newaxis] - loss, abs=1e-12
    )
    assert (terms.discrimination[is_constant] == 0).all()


@pytest.mark.parametrize("predicted", PREDICTED)
def test_the_deviation_over_other_customers_is_that_of_many_draws(predicted):
    n, rate = 200, 0.1
    truth, said = drawn("normal", predicted, rate)
    terms = terms_of(*simulated(truth, said, n, 1.5 * rate), n, 1.5 * rate)
    sizes = np.full((WINDOWS, 1), n)
    deviations = sampling_deviations(terms, sizes, np.full(sizes.shape, np.ptp(said) == 0))
    for name, term in terms._asdict().items():
        told = np.sqrt(np.square(getattr(deviations, name)).mean())
        assert 0.9 * term.std() <= told <= 1.5 * term.std() + 1e-9, name


def companies_of_skewed_sizes(random, n_companies):
    """Draw a window of each company, whose level moved unforeseen; return the terms and sizes."""
    sizes = np.clip(random.lognormal(np.log(110), 1.39, n_companies), 20, 5000).astype(np.int64)
    company = np.repeat(np.arange(n_companies), sizes)
    level = random.normal(-2, 0.7, n_companies)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    known_rate = expit(level[:, np.newaxis] + 0.8 * nodes) @ weights / weights.sum()
    logits = level[company] + 0.8 * random.normal(size=len(company))
    truth = expit(logits + random.normal(0, 0.4, n_companies)[company])
    values, counts = np.full((n_companies, len(VALUES)), np.nan), np.zeros((n_companies, 3), int)
    score_windows_into(
        np.ones((n_companies, 1), bool),
        expit(logits)[np.newaxis],
        np.cumsum(sizes) - sizes,
        sizes,
        np.zeros(len(company), np.uint8),
        random.random(len(company)) < truth,
        np.zeros(len(company)),
        known_rate,
        np.zeros((n_companies, 1), np.int64),
        np.zeros((1, N_BINS, 4), np.int64),
        values,
        np.zeros(values.shape, np.uint8),
        counts,
        np.zeros((n_companies, len(INFLUENCED), N_GROUPS), np.float32),
    )
    return terms_of(values, counts, sizes, known_rate), sizes


def test_the_wider_of_two_intervals_holds_the_truth_of_companies_of_skewed_sizes():
    random, k = np.random.default_rng(9), 30
    truth = np.array([term.mean() for term in companies_of_skewed_sizes(random, 15_000)[0]])
    held = []
    for _ in range(150):
        terms, sizes = companies_of_skewed_sizes(random, k)
        means = np.array([term.mean() for term in terms])
        deviations = sampling_deviations(terms, sizes[:, np.newaxis], np.zeros((k, 1)))
        between = [stdtrit(k - 1, 0.975) * term.std(ddof=1) / np.sqrt(k) for term in terms]
        chance = [1.96 * np.sqrt(np.square(of).sum()) / k for of in deviations]
        held.append(np.abs(means - truth) < np.maximum(between, chance))
    assert (np.mean(held, axis=0) > 0.87).all()  # .93 to .95 in 1,000 runs
