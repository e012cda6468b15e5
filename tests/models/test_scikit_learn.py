"""Classifiers as models: what they are trained on, and what becomes of their probabilities."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from scale_eval.datasets.instants import SIX_MONTHS, as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.windows import Window
from scale_eval.models import ClassifierModel, RidgeLogistic, resolve, rfm_gradient_boosting

CUTOFF = as_utc("2017-12-01")


def history_of(company, cutoff=CUTOFF):
    return History(company, Window.at(cutoff), horizon=SIX_MONTHS)


def random_company(seed=0, n_rows=600, n_customers=120, days=900):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(0, n_customers, n_rows).astype(str),
            "timestamp": CUTOFF - pd.to_timedelta(rng.uniform(-180, days, n_rows), unit="D"),
            "value": rng.normal(20, 15, n_rows).round(2),
        }
    )
    return Transactions.from_frame("shop", frame)


class Constant(ClassifierMixin, BaseEstimator):
    """Knows nothing but one probability; its classes are the wrong way round."""

    def __init__(self, probability=0.2, random_state=None, n_jobs=None):
        self.probability = probability
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X, y):
        self.shape_, self.bought_ = X.shape, y
        self.classes_ = np.array([True, False])
        return self

    def predict_proba(self, X):
        return np.tile([self.probability, 1 - self.probability], (len(X), 1))


def test_it_trains_on_the_labelled_window_and_takes_the_probability_of_true():
    history = history_of(random_company())
    model = ClassifierModel(Constant(), features=lambda h: np.ones((h.n_customers, 3)))
    probabilities = model.fit(history).predict_proba(history)
    labelled = history.labelled()
    assert model.estimator_.shape_ == (labelled.history.n_customers, 3)
    np.testing.assert_array_equal(model.estimator_.bought_, labelled.bought)
    np.testing.assert_array_equal(probabilities, np.full(history.n_customers, 0.2))
    assert model.note_ == ""


def test_probabilities_of_a_short_window_are_carried_to_the_horizon():
    history = history_of(random_company(days=200))
    model = ClassifierModel(Constant()).fit(history)
    exponent = history.labelled().exponent
    assert exponent > 1.5
    np.testing.assert_allclose(model.predict_proba(history), 1 - 0.8**exponent, rtol=1e-14)
    assert model.note_ == history.labelled().note != ""


def test_the_estimator_given_is_never_touched_and_its_copy_is_seeded_and_single_threaded():
    estimator = make_pipeline(StandardScaler(), Constant())
    model = ClassifierModel(estimator)
    model.random_state = 17
    model.fit(history_of(random_company()))
    assert model.estimator_["constant"].get_params() == {
        "probability": 0.2,
        "random_state": 17,
        "n_jobs": 1,
    }
    assert not hasattr(estimator["constant"], "classes_")
    assert estimator["constant"].random_state is None


def test_the_random_state_alone_decides_what_a_random_forest_predicts():
    history = history_of(random_company())

    def predict(random_state):
        model = ClassifierModel(RandomForestClassifier(n_estimators=10, n_jobs=2))
        model.random_state = random_state
        return model.fit(history).predict_proba(history).tobytes()

    assert predict(1) == predict(1) != predict(2)


def test_a_classifier_without_probabilities_is_refused_when_it_is_given():
    with pytest.raises(TypeError, match=r"LinearSVC has no predict_proba.*Calibrated"):
        ClassifierModel(LinearSVC())


LOGISTIC, HINGE = LogisticRegression(), SGDClassifier(random_state=0)


@pytest.mark.parametrize(
    "estimator",
    [
        StackingClassifier([("lr", LOGISTIC), ("svc", LinearSVC())], cv=3),
        make_pipeline(StandardScaler(), StackingClassifier([("lr", LOGISTIC)], cv=3)),
        GridSearchCV(HINGE, {"loss": ["log_loss"]}, cv=3),
        GridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=3),
        VotingClassifier([("lr", LOGISTIC)], voting="soft"),
        CalibratedClassifierCV(LinearSVC(), cv=3),
        FixedThresholdClassifier(LOGISTIC),
        OneVsRestClassifier(LOGISTIC),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_classifier_whose_probabilities_come_with_fitting_is_a_model(estimator):
    history = history_of(random_company())
    model = resolve(estimator).fresh()
    probabilities = model.fit(history).predict_proba(history)
    assert probabilities.shape == (history.n_customers,)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert not hasattr(estimator, "classes_")


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (HINGE, r"SGDClassifier has no predict_proba.*\(probability estimates are not available"),
        (GridSearchCV(LOGISTIC, {"C": [1.0]}, cv=2, refit=False), r"\(.*refit=False"),
        (GridSearchCV(HINGE, {"alpha": [0.1]}, cv=2), "not available for loss=.hinge."),
        (VotingClassifier([("lr", LOGISTIC)]), r"voting='hard'"),
        (StackingClassifier([("lr", LOGISTIC)], RidgeClassifier(), cv=2), "StackingClassifier has"),
        (RidgeClassifier(), "RidgeClassifier has no predict_proba.*CalibratedClassifierCV"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_classifier_that_has_none_even_then_is_refused_with_the_reason(estimator, why):
    with pytest.raises(ValueError, match=why):
        resolve(estimator)


def test_a_classifier_that_random_rows_do_not_suit_is_left_to_the_evaluations():
    class Picky(StackingClassifier):
        def fit(self, X, y):
            raise ValueError("these rows do not suit")

    assert resolve(Picky([("lr", LOGISTIC)])).name == "Picky"


def test_a_labelled_window_of_one_class_is_skipped():
    rows = [(f"c{i}", "2016-01-01", 1.0) for i in range(12)]
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "value"])
    with pytest.raises(Skipped) as skipped:
        RidgeLogistic().fit(history_of(Transactions.from_frame("shop", frame)))
    assert skipped.value.reason == "history_one_class"


def test_it_is_named_after_its_estimator_unless_told_otherwise():
    assert ClassifierModel(LogisticRegression()).name == "LogisticRegression"
    assert ClassifierModel(LogisticRegression(), "mine").name == "mine"


def test_warnings_of_an_estimator_are_left_to_the_evaluation_but_for_n_jobs():
    history = history_of(random_company())
    ClassifierModel(make_pipeline(StandardScaler(), LogisticRegression())).fit(history)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ClassifierModel(LogisticRegression(max_iter=1)).fit(history)
    assert [w.category.__name__ for w in caught] == ["ConvergenceWarning"]


@pytest.mark.parametrize("make", [RidgeLogistic, rfm_gradient_boosting])
def test_two_fits_are_equal_bit_for_bit(make):
    history = history_of(random_company(1))
    one, two = (make().fit(history).predict_proba(history) for _ in range(2))
    assert one.tobytes() == two.tobytes()
    assert len(np.unique(one)) > 10


@pytest.mark.parametrize("make", [RidgeLogistic, rfm_gradient_boosting])
def test_the_order_in_which_rows_were_read_does_not_matter(make):
    company = random_company(2)
    frame = pd.DataFrame(
        {
            "customer_id": company.customers.to_pandas().to_numpy()[company.codes],
            "timestamp": pd.to_datetime(company.timestamps, unit="us", utc=True),
            "value": company.values,
        }
    )
    shuffled = Transactions.from_frame("shop", frame.sample(frac=1.0, random_state=3))
    one, two = (
        make().fit(history).predict_proba(history)
        for history in (history_of(company), history_of(shuffled))
    )
    assert one.tobytes() == two.tobytes()
