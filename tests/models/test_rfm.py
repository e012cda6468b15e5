"""RFM features against a loop over customers, and on histories with little to tell."""

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.instants import as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.history import History
from scale_eval.evaluation.windows import Window
from scale_eval.models.rfm import FEATURES, rfm_features

CUTOFF = as_utc("2017-12-01")

rows = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(1, 10**15).map(lambda us: CUTOFF - pd.Timedelta(microseconds=us)),
        st.sampled_from([0.0, -0.0, 1e-300, 1.0, 19.99, 1e300, -1.0, -1e300]),
    ),
    min_size=1,
    max_size=12,
)
rules = st.sampled_from(["non_negative", "positive", "all"])


def history_of(rows, rule="non_negative"):
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "value"])
    company = Transactions.from_frame("shop", frame)
    return History(company, Window.at(CUTOFF), purchase_rule=rule)


@settings(max_examples=50, deadline=None)
@given(rows, rules)
def test_features_equal_a_loop_over_customers(rows, rule):
    history = history_of(rows, rule)
    expected = []
    for _, own in history.transactions.groupby("customer_id"):
        bought = own[own["is_purchase"]]
        expected.append(
            [
                (CUTOFF - bought["timestamp"].max()) / pd.Timedelta(days=1),
                math.log(bought["timestamp"].dt.normalize().nunique()),
                np.mean([math.log1p(max(value, 0.0)) for value in bought["value"]]),
                math.log1p(len(own) - len(bought)),
            ]
        )
    features = rfm_features(history)
    assert features.dtype == np.float64
    assert features.shape == (history.n_customers, len(FEATURES))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features, np.reshape(expected, features.shape), rtol=1e-12)


def test_purchases_on_both_sides_of_midnight_utc_are_two_days():
    stamps = ["2017-11-01 23:59:59.999999", "2017-11-02 00:00:00", "2017-11-02 23:00:00"]
    features = rfm_features(history_of([("a", as_utc(stamp), 1.0) for stamp in stamps]))
    assert features[0, FEATURES.index("log_purchase_days")] == math.log(2)
