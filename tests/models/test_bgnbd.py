"""BG/NBD: published numbers, and every formula against one that is computed another way."""

import importlib.metadata
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score

from scale_eval.datasets.instants import SIX_MONTHS, as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.company_windows import windows_of_companies
from scale_eval.evaluation.history import History
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.windows import Window
from scale_eval.models.bgnbd import (
    BGNBD,
    PRIOR_CENTRE,
    Parameters,
    fit_parameters,
    gradient,
    log_likelihood,
    probability_alive,
    probability_of_purchase,
)
from scale_eval.models.bgnbd_compiled import customers_in_days

# Fader, Hardie & Lee (2005), table 2: the 1/10 sample of CDNOW, in weeks.
PUBLISHED = Parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
PUBLISHED_LOG_LIKELIHOOD = -9582.429

positive = st.floats(0.05, 20.0)
some_parameters = st.builds(Parameters, r=positive, alpha=positive, a=positive, b=positive)
# x, t_x as a share of T, T
some_customers = st.lists(
    st.tuples(st.integers(0, 12), st.floats(0.0, 1.0), st.floats(0.1, 80.0)), min_size=1, max_size=8
)


def arrays_of(customers):
    x, share, T = np.array(customers, dtype=float).T
    return x, np.where(x > 0, share * T, 0.0), T


def days_of(history):
    """x, t_x and T of the customers of a history."""
    known = history.summary
    return customers_in_days(
        known.n_purchase_days, known.first_purchase, known.last_purchase, history.cutoff_us
    )


def from_lifetimes(name):
    """Return a file of the wheel of `lifetimes` (MIT), which carries CDNOW; never imported."""
    files = importlib.metadata.files("lifetimes") or []
    return next(file.locate() for file in files if file.name == name)


@pytest.fixture(scope="module")
def sample():
    """x, t_x, T in weeks of the 1/10 sample; the file rounds whole days to .01 weeks."""
    frame = pd.read_csv(from_lifetimes("cdnow_customers_summary.csv"))
    days = (frame[["recency", "T"]] * 7).round()
    return (
        frame["frequency"].to_numpy(),
        (days["recency"] / 7).to_numpy(),
        (days["T"] / 7).to_numpy(),
    )


@pytest.fixture(scope="module")
def cdnow():
    """All of CDNOW at 1998-01-01, and who bought within six months."""
    names = ["customer_id", "timestamp", "n_cds", "value"]
    frame = pd.read_csv(
        from_lifetimes("CDNOW_master.txt"),
        sep=r"\s+",
        skiprows=1,
        header=None,
        names=names,
        dtype=str,
    )
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], format="%Y%m%d")
    company = Transactions.from_frame("cdnow", frame)
    (company_window,) = windows_of_companies(
        [(company, [Window.at(as_utc("1998-01-01"))])], PopulationRules(horizon=SIX_MONTHS)
    )
    return company_window.history(), company_window.outcomes.bought


def log_loss(bought, probabilities):
    p = np.clip(probabilities, 1e-15, 1 - 1e-15)
    return -np.where(bought, np.log(p), np.log1p(-p)).mean()


def test_the_published_parameters_and_likelihood_of_the_cdnow_sample(sample):
    fitted = fit_parameters(*sample, prior_sd=np.inf)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(fitted, name) == pytest.approx(getattr(PUBLISHED, name), abs=5.1e-4)
    assert log_likelihood(fitted, *sample).sum() == pytest.approx(
        PUBLISHED_LOG_LIKELIHOOD, abs=5e-4
    )
    assert log_likelihood(PUBLISHED, *sample).sum() == pytest.approx(
        PUBLISHED_LOG_LIKELIHOOD, abs=5e-3
    )


def test_plain_maximum_likelihood_does_not_depend_on_the_unit_of_time(sample):
    x, t_x, T = sample
    weeks = fit_parameters(x, t_x, T, prior_sd=np.inf)
    days = fit_parameters(x, 7 * t_x, 7 * T, prior_sd=np.inf)
    assert days.alpha / 7 == pytest.approx(weeks.alpha, rel=1e-4)
    assert days.b == pytest.approx(weeks.b, rel=1e-4)


def test_all_of_cdnow_in_days_gives_the_known_fit_and_scores(cdnow):
    # Independent code: 23,570 customers, 5,374 positive, r .26557, alpha 38.0805, a .59912,
    # b 2.22898, AUC .7882, log loss .4244, accuracy .8206.
    history, bought = cdnow
    assert (history.n_customers, bought.sum()) == (23_570, 5_374)
    model = BGNBD(prior_sd=np.inf).fit(history)
    assert model.params_.r == pytest.approx(0.26557, abs=1e-5)
    assert model.params_.alpha == pytest.approx(38.0805, abs=5e-4)
    assert model.params_.a == pytest.approx(0.59912, abs=2e-5)
    assert model.params_.b == pytest.approx(2.22898, abs=1e-4)
    for fitted in (model, BGNBD().fit(history)):  # the weak prior weighs nothing here
        probabilities = fitted.predict_proba(history)
        assert roc_auc_score(bought, probabilities) == pytest.approx(0.7882, abs=3e-4)
        assert log_loss(bought, probabilities) == pytest.approx(0.4244, abs=3e-4)
        assert ((probabilities > 0.5) == bought).mean() == pytest.approx(0.8206, abs=3e-4)


def test_being_alive_taken_for_buying_is_what_ruins_the_log_loss(cdnow):
    history, bought = cdnow
    alive = probability_alive(BGNBD(np.inf).fit(history).params_, *days_of(history))
    assert log_loss(bought, alive) == pytest.approx(17.981, abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(some_parameters, some_customers)
def test_the_likelihood_equals_equation_6_written_out_with_gamma_functions(params, customers):
    r, alpha, a, b = params.r, params.alpha, params.a, params.b

    def beta(p, q):
        return math.gamma(p) * math.gamma(q) / math.gamma(p + q)

    x, t_x, T = arrays_of(customers)
    for i, value in enumerate(log_likelihood(params, x, t_x, T)):
        n = r + x[i]
        both = math.gamma(n) * alpha**r / math.gamma(r) / beta(a, b)
        alive = beta(a, b + x[i]) / (alpha + T[i]) ** n
        dead = beta(a + 1, b + x[i] - 1) / (alpha + t_x[i]) ** n if x[i] > 0 else 0.0
        assert value == pytest.approx(math.log(both * (alive + dead)), rel=1e-9, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(some_parameters, some_customers)
def test_the_gradient_equals_finite_differences(params, customers):
    data = arrays_of(customers)
    step = 1e-5
    for i, name in enumerate(("r", "alpha", "a", "b")):

        def moved(by, name=name):
            return params._replace(**{name: getattr(params, name) * math.exp(by)})

        slope = (log_likelihood(moved(step), *data) - log_likelihood(moved(-step), *data)) / (
            2 * step
        )
        np.testing.assert_allclose(gradient(params, *data)[i], slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "t_x", "T", "t"), [(0, 0.0, 10.0, 26.0), (1, 3.0, 30.0, 26.0), (7, 28.0, 30.0, 4.0)]
)
def test_probability_of_purchase_equals_the_integral_over_rates_and_dropouts(x, t_x, T, t):
    params = Parameters(r=0.8, alpha=4.4, a=0.9, b=2.4)

    def mean(f, distribution):
        """Return the mean of f over customers' rates, or over their dropout probabilities."""
        low, high = distribution.support()
        value, _ = integrate.quad(
            lambda u: f(u) * distribution.pdf(u), low, high, epsabs=0, epsrel=1e-9, limit=200
        )
        return value

    # λ and p are independent, so that each integral is a product of two.
    rates, dropouts = stats.gamma(params.r, scale=1 / params.alpha), stats.beta(params.a, params.b)
    survives = mean(lambda p: (1 - p) ** x, dropouts)
    alive = mean(lambda lam: lam**x * math.exp(-lam * T), rates) * survives
    buys = mean(lambda lam: lam**x * math.exp(-lam * T) * -math.expm1(-lam * t), rates) * survives
    dead = 0.0
    if x > 0:
        dead = mean(lambda p: p * (1 - p) ** (x - 1), dropouts)
        dead *= mean(lambda lam: lam**x * math.exp(-lam * t_x), rates)

    customer = [np.array([float(value)]) for value in (x, t_x, T)]
    assert math.log(alive + dead) == pytest.approx(log_likelihood(params, *customer)[0], rel=1e-7)
    probability = probability_of_purchase(params, *customer, t)[0]
    assert probability == pytest.approx(buys / (alive + dead), rel=1e-7)
    still_there = probability_alive(params, *customer)[0]
    assert still_there == pytest.approx(alive / (alive + dead), rel=1e-7)


@pytest.mark.slow
def test_probability_of_purchase_equals_the_share_that_buys_in_a_simulation():
    rng = np.random.default_rng(0)
    params, n, T, t = Parameters(r=1.2, alpha=10.0, a=0.8, b=2.0), 200_000, 40.0, 20.0
    rate, dropout = rng.gamma(params.r, 1 / params.alpha, n), rng.beta(params.a, params.b, n)
    x, t_x, bought = np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
    clock, alive = np.zeros(n), np.ones(n, dtype=bool)
    while alive.any():
        clock[alive] += rng.exponential(1 / rate[alive])
        early, late = alive & (clock <= T), alive & (clock > T) & (clock <= T + t)
        x[early] += 1
        t_x[early] = clock[early]
        bought |= late
        alive &= early & (rng.random(n) > dropout)
    predicted = probability_of_purchase(params, x, t_x, np.full(n, T), t)
    fifths = np.argsort(predicted, kind="stable").reshape(5, -1)
    np.testing.assert_allclose(
        bought[fifths].mean(axis=1), predicted[fifths].mean(axis=1), atol=0.01
    )
    fitted = fit_parameters(x, t_x, np.full(n, T))
    assert fitted.r / fitted.alpha == pytest.approx(params.r / params.alpha, rel=0.03)


@settings(max_examples=50, deadline=None)
@given(some_parameters, some_customers, st.floats(0.0, 1000.0))
def test_buying_is_never_likelier_than_being_alive(params, customers, t):
    data = arrays_of(customers)
    alive = probability_alive(params, *data)
    buys = probability_of_purchase(params, *data, t)
    assert ((buys >= 0) & (buys <= alive) & (alive <= 1)).all()
    assert (alive[data[0] == 0] == 1).all()
    if t == 0:
        assert (buys == 0).all()


def test_thousands_of_purchases_do_no_harm():
    x, t_x, T = np.array([5000.0, 5000.0]), np.array([4999.0, 100.0]), np.array([5000.0, 5000.0])
    alive = probability_alive(PUBLISHED, x, t_x, T)
    buys = probability_of_purchase(PUBLISHED, x, t_x, T, 182.0)
    assert np.isfinite(log_likelihood(PUBLISHED, x, t_x, T)).all()
    assert np.isfinite(gradient(PUBLISHED, x, t_x, T)).all()
    np.testing.assert_allclose(alive, [0.99961, 0.0], atol=1e-4)
    np.testing.assert_allclose(buys, alive, atol=1e-12)
    assert np.isfinite(fit_parameters(x, t_x, T)).all()


@pytest.mark.parametrize("prior_sd", [2.0, np.inf])
@pytest.mark.parametrize(
    "customers",
    [
        [(0, 0.0, 0.0)],
        [(0, 0.0, 300.0)],
        [(3, 100.0, 300.0)],
        [(0, 0.0, float(T)) for T in range(20)],
        [(200, 300.0, 300.0)] * 5,
        [(0, 0.0, 300.0), (4000, 3000.0, 3000.0)],
    ],
)
def test_tiny_and_degenerate_companies_have_finite_parameters(customers, prior_sd):
    x, t_x, T = np.array(customers).T
    params = fit_parameters(x, t_x, T, prior_sd=prior_sd)
    assert all(math.isfinite(value) and value > 0 for value in params)
    buys = probability_of_purchase(params, x, t_x, T, 182.0)
    assert ((buys >= 0) & (buys <= 1)).all()


def test_without_evidence_the_fit_stays_at_the_centre_of_the_prior():
    nothing = np.zeros(3)
    assert fit_parameters(nothing, nothing, nothing) == PRIOR_CENTRE


def test_the_fit_is_where_likelihood_and_prior_pull_equally():
    x, t_x, T = (np.array(v, float) for v in ([0, 2, 5, 0], [0, 90, 200, 0], [50, 100, 300, 30]))
    params = fit_parameters(x, t_x, T, prior_sd=0.7)
    pull = np.log([params.r, params.alpha / 30, params.a, params.b]) / 0.7**2
    np.testing.assert_allclose(gradient(params, x, t_x, T).sum(axis=1), pull, atol=1e-5)


def test_weights_and_the_order_of_customers_are_counts_and_nothing_else(sample):
    x, t_x, T = (column[:300] for column in sample)
    shuffled = np.random.default_rng(0).permutation(300)
    twice = fit_parameters(np.tile(x, 2), np.tile(t_x, 2), np.tile(T, 2))
    assert fit_parameters(x, t_x, T, weights=np.full(300, 2.0)) == twice
    assert fit_parameters(x[shuffled], t_x[shuffled], T[shuffled]) == fit_parameters(x, t_x, T)


def test_days_are_counted_as_documented():
    stamps = ["2017-01-01 23:59", "2017-01-02 00:01", "2017-01-02 18:00", "2017-03-01 12:00"]
    frame = pd.DataFrame({"customer_id": "a", "timestamp": stamps, "value": 1.0})
    company = Transactions.from_frame("shop", frame)
    for cutoff, today in [("2017-04-01", "2017-03-31"), ("2017-04-01 09:00", "2017-04-01")]:
        history = History(company, Window.at(as_utc(cutoff)))
        x, t_x, T = days_of(history)
        assert (x[0], t_x[0]) == (2, 59)
        first = pd.Timestamp("2017-01-01", tz="UTC")
        assert first + pd.Timedelta(days=T[0]) == pd.Timestamp(today, tz="UTC")
        model = BGNBD().fit(history)
        days_ahead = (history.horizon_end - history.cutoff) / pd.Timedelta(days=1)
        expected = probability_of_purchase(model.params_, x, t_x, T, days_ahead)
        np.testing.assert_allclose(model.predict_proba(history), expected, rtol=1e-13)
