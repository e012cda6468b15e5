"""Compiled fits against SciPy's and scikit-learn's, at companies of all kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scale_eval.datasets.instants import SIX_MONTHS, as_utc
from scale_eval.datasets.synthetic.generator import synthetic_company
from scale_eval.evaluation.company_windows import windows_of_companies
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.windows import Window
from scale_eval.models import (
    BGNBD,
    ClassifierModel,
    RidgeLogistic,
    bgnbd,
    bgnbd_compiled,
    rfm_features,
    ridge_logistic,
)

CENTRE = tuple(bgnbd.PRIOR_CENTRE)

company_customers = st.lists(
    st.tuples(st.integers(0, 2000), st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    min_size=1,
    max_size=40,
)


def histories(seed, indices):
    for index in indices:
        cutoff = as_utc(["2022-07-01", "2024-01-01"][index % 2])
        history = History(synthetic_company(seed, index), Window.at(cutoff), horizon=SIX_MONTHS)
        if history.n_customers >= 10:
            yield history


def days_of(history):
    known = history.summary
    return bgnbd_compiled.customers_in_days(
        known.n_purchase_days, known.first_purchase, known.last_purchase, history.cutoff_us
    )


def shift_of(params):
    return np.log(np.array(params) / CENTRE)


def posterior(params, customers, prior_sd):
    log_likelihood = bgnbd.log_likelihood(params, *customers).sum()
    return log_likelihood - (shift_of(params) ** 2).sum() / (2 * prior_sd**2)


def posterior_slope(shift, customers, prior_sd):
    params = bgnbd.Parameters(*(CENTRE * np.exp(shift)))
    return bgnbd.gradient(params, *customers).sum(axis=1) - shift / prior_sd**2


def fitted(customers, prior_sd=2.0):
    """Parameters by the compiled fit, which has to arrive."""
    x, t_x, T = customers
    arrays = np.asarray(x, np.int64), np.asarray(t_x, float), np.asarray(T, float)
    *params, n_steps = bgnbd_compiled.fit(*arrays, prior_sd, CENTRE)
    assert n_steps < bgnbd_compiled.MAX_STEPS
    return bgnbd.Parameters(*params)


def assert_equal_to_scipys(customers, prior_sd=2.0):
    ours, theirs = fitted(customers, prior_sd), bgnbd.fit_parameters(*customers, prior_sd=prior_sd)
    # SciPy's stops where the mean of the likelihood no longer rises; the root is exact.
    exact = root(posterior_slope, shift_of(theirs), args=(customers, prior_sd), tol=1e-13).x
    np.testing.assert_allclose(shift_of(ours), exact, rtol=1e-6, atol=1e-6)
    best = posterior(theirs, customers, prior_sd)
    assert posterior(ours, customers, prior_sd) >= best - 1e-13 * abs(best)
    ours, theirs = (bgnbd.probability_of_purchase(p, *customers, 182.0) for p in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_the_bgnbd_fit_equals_scipys():
    for history in histories(1, range(30)):
        assert_equal_to_scipys(days_of(history))


@pytest.mark.slow
def test_the_bgnbd_fit_equals_scipys_at_three_hundred_companies():
    for history in histories(2, range(300)):
        assert_equal_to_scipys(days_of(history))


@settings(max_examples=100, deadline=None)
@given(company_customers, st.sampled_from([0.5, 2.0]))
def test_no_company_is_too_strange_for_the_bgnbd_fit(rows, prior_sd):
    T, share, density = (np.array(column, float) for column in zip(*rows, strict=True))
    t_x = np.floor(share * T)
    x = np.ceil(density * t_x)
    t_x[x == 0] = 0.0
    customers = x.astype(np.int64), t_x, T
    slope = posterior_slope(shift_of(fitted(customers, prior_sd)), customers, prior_sd)
    assert np.abs(slope).max() <= 1e-7 * (1 + x.sum() + len(x))


@pytest.mark.parametrize("prior_sd", [2.0, np.inf])
@pytest.mark.parametrize(
    "customers",
    [
        [(0, 0.0, 0.0)],
        [(0, 0.0, 0.0)] * 10,
        [(0, 0.0, 300.0)],
        [(3, 100.0, 300.0)],
        [(1, 1.0, 1.0)],
        [(0, 0.0, float(T)) for T in range(20)],
        [(200, 300.0, 300.0)] * 5,
        [(5000, 5000.0, 5000.0), (5000, 5000.0, 9000.0)],
        [(0, 0.0, 300.0), (4000, 3000.0, 3000.0)],
        [(1, 1.0, float(T)) for T in range(1, 1000, 50)],
    ],
)
def test_degenerate_companies_are_fitted_as_well_as_scipy_does(customers, prior_sd):
    customers = tuple(np.array(customers, float).T)
    ours, theirs = fitted(customers, prior_sd), bgnbd.fit_parameters(*customers, prior_sd=prior_sd)
    best = posterior(theirs, customers, prior_sd)
    assert posterior(ours, customers, prior_sd) >= best - 1e-9 * (1 + abs(best))
    assert (np.abs(shift_of(ours)) <= bgnbd_compiled.FURTHEST + 1e-9).all()


def test_without_evidence_the_bgnbd_fit_stays_at_the_centre_of_the_prior():
    nothing = np.zeros(3)
    np.testing.assert_allclose(fitted((nothing, nothing, nothing)), CENTRE, rtol=1e-14)
    nobody = np.zeros(0)
    np.testing.assert_allclose(fitted((nobody, nobody, nobody)), CENTRE, rtol=1e-14)


def test_a_giant_is_fitted_as_its_customers_counted_by_kind():
    (history,) = histories(1, [3])
    customers = days_of(history)
    times = 100_000 // history.n_customers + 1
    giant = tuple(np.tile(column, times) for column in customers)
    ours, theirs = fitted(giant), bgnbd.fit_parameters(*giant)
    np.testing.assert_allclose(shift_of(ours), shift_of(theirs), rtol=1e-5, atol=1e-5)


@settings(max_examples=100, deadline=None)
@given(company_customers, st.lists(st.floats(-9.0, 9.0), min_size=4, max_size=4))
def test_the_compiled_probability_of_purchase_equals_the_plain_one(rows, shift):
    T, share, density = (np.array(column, float) for column in zip(*rows, strict=True))
    t_x = np.floor(share * T)
    x = np.ceil(density * t_x).astype(np.int64)
    t_x[x == 0] = 0.0
    params = bgnbd.Parameters(*(CENTRE * np.exp(shift)).tolist())
    for t in (0.0, 0.5, 182.0):
        compiled = bgnbd_compiled.probability_of_purchase(*params, x, t_x, T, t)
        plain = bgnbd.probability_of_purchase(params, x, t_x, T, t)
        np.testing.assert_allclose(compiled, plain, rtol=1e-10, atol=1e-12)
        assert ((compiled >= 0) & (compiled <= 1)).all()


@pytest.fixture(scope="module")
def labelled():
    """Histories, each with what a classifier may train on."""
    found = []
    for history in histories(1, range(40)):
        try:
            found.append((history, history.labelled().require_both_classes()))
        except Skipped:
            continue
    assert any(known.exponent != 1.0 for _, known in found)
    return found


def scikit_learns():
    logistic = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000, solver="newton-cholesky")
    return make_pipeline(StandardScaler(), logistic)


def test_the_logistic_fit_equals_scikit_learns(labelled):
    for history, known in labelled:
        ours = RidgeLogistic().fit(history)
        theirs = ClassifierModel(scikit_learns()).fit(history)
        coefficients = theirs.estimator_["logisticregression"]
        np.testing.assert_allclose(ours.fitted_[2, 1:], coefficients.coef_[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(ours.fitted_[2, :1], coefficients.intercept_, rtol=0, atol=1e-6)
        scaler = theirs.estimator_["standardscaler"]
        np.testing.assert_allclose(ours.fitted_[0, 1:], scaler.mean_, rtol=1e-12)
        np.testing.assert_allclose(ours.fitted_[1, 1:], scaler.scale_, rtol=1e-9)
        np.testing.assert_allclose(
            ours.predict_proba(history), theirs.predict_proba(history), rtol=0, atol=1e-6
        )
        assert ours.note_ == theirs.note_ == known.note


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 60),
    st.sampled_from([1e-3, 0.1, 1.0, 1e4]),
    st.sampled_from(["normal", "constant", "equal", "separable", "enormous"]),
)
def test_the_logistic_fit_equals_scikit_learns_at_strange_features(seed, n, C, kind):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    bought = rng.random(n) < rng.random()
    bought[:2] = True, False
    match kind:
        case "constant":
            features[:, :2] = 0.1, 1e9 / 3
        case "equal":
            features[:, 1] = features[:, 0]
        case "separable":
            features[:, 2] = bought
        case "enormous":
            features *= 1e100
    fit = ridge_logistic.fit(features, bought, C)
    logistic = LogisticRegression(C=C, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    theirs = make_pipeline(StandardScaler(), logistic).fit(features, bought)
    np.testing.assert_allclose(fit[2, 1:], logistic.coef_[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        ridge_logistic.probabilities_of(fit, features),
        theirs.predict_proba(features)[:, 1],
        rtol=0,
        atol=1e-6,
    )


def test_a_feature_that_does_not_vary_has_scale_1_and_no_weight():
    features = np.full((30, 4), 0.1)
    features[:, 3] = np.arange(30)
    fit = ridge_logistic.fit(features, np.arange(30) % 3 == 0, 0.1)
    np.testing.assert_array_equal(fit[1, :4], 1.0)
    np.testing.assert_allclose(fit[2, 1:4], 0.0, atol=1e-12)
    assert fit[2, 4] != 0.0


def test_the_logistic_fit_is_at_the_minimum_of_its_penalised_likelihood(labelled):
    for history, known in labelled:
        _, _, weights = RidgeLogistic().fit(history).fitted_
        scaled = StandardScaler().fit_transform(rfm_features(known.history))
        residuals = known.bought - 1 / (1 + np.exp(-(scaled @ weights[1:] + weights[0])))
        slope = scaled.T @ residuals - weights[1:] / 0.1
        assert abs(residuals.sum()) < 1e-5
        assert np.abs(slope).max() < 1e-5


@pytest.mark.parametrize("model", [BGNBD, RidgeLogistic])
def test_models_of_summaries_need_no_transactions(model):
    company, window = synthetic_company(1, 3), Window.at(as_utc("2024-01-01"))
    (company_window,) = windows_of_companies(
        [(company, [window])], PopulationRules(horizon=SIX_MONTHS)
    )
    whole, bare = company_window.history(), company_window.history(model.reads)
    with pytest.raises(AttributeError, match="summaries only"):
        _ = bare.transactions
    one, other = (model().fit(known).predict_proba(known) for known in (whole, bare))
    assert one.tobytes() == other.tobytes()
