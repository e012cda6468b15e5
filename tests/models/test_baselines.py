"""The baselines against their formulas, computed customer by customer."""

import math

import numpy as np
import pandas as pd
import pytest

from scale_eval.datasets.instants import SIX_MONTHS, as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.windows import Window
from scale_eval.models import BaseRate, Frequency, Recency

CUTOFF = as_utc("2017-12-01")


def history_of(rows, cutoff=CUTOFF):
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "value"])
    company = Transactions.from_frame("shop", frame)
    return History(company, Window.at(cutoff), horizon=SIX_MONTHS)


def eleven_customers(first="2016-01-01", again="2017-08-01", n_again=3):
    """Eleven customers who came on `first`, `n_again` of whom came again."""
    rows = [(f"c{i:02}", first, 10.0) for i in range(11)]
    return rows + [(f"c{i:02}", again, 10.0) for i in range(n_again)]


def test_base_rate_is_the_smoothed_rate_of_the_labelled_window():
    history = history_of(eleven_customers())
    model = BaseRate().fit(history)
    assert model.predict_proba(history).tolist() == [3.5 / 12] * 11
    assert model.note_ == ""


def test_base_rate_is_never_0_or_1_where_nobody_or_everybody_bought():
    assert BaseRate().fit(history_of(eleven_customers(n_again=0))).rate_ == 0.5 / 12
    assert BaseRate().fit(history_of(eleven_customers(n_again=11))).rate_ == 11.5 / 12


def test_base_rate_of_a_short_window_is_carried_to_the_horizon_by_constant_hazard():
    # First row 100 days before the cutoff: half of the span is 50 days, the horizon 182 days.
    first, again = CUTOFF - pd.Timedelta(days=100), CUTOFF - pd.Timedelta(days=20)
    history = history_of(eleven_customers(first, again))
    model = BaseRate().fit(history)
    assert model.rate_ == pytest.approx(1 - (1 - 3.5 / 12) ** (182 / 50), rel=1e-14)
    assert "50.0 days" in model.note_


def test_base_rate_declines_a_history_too_short_to_train_on():
    with pytest.raises(Skipped) as skipped:
        BaseRate().fit(history_of(eleven_customers()[:9]))
    assert skipped.value.reason == "history_too_short"


def test_recency_keeps_microseconds_and_is_neither_clipped_nor_rounded():
    just_now = CUTOFF - pd.Timedelta(microseconds=1)
    long_ago = as_utc("1997-12-01 12:34:56.789")
    history = history_of([("a", just_now, 1), ("b", long_ago, 1), ("b", "1990-01-01", 1)])
    horizon = 182 * 86_400_000_000  # until 2018-06-01
    age = round((CUTOFF - long_ago) / pd.Timedelta(microseconds=1))
    expected = [math.exp(-1 / horizon), math.exp(-age / horizon)]
    found = Recency().fit(history).predict_proba(history)
    assert found == pytest.approx(expected, rel=4e-16, abs=0)
    assert found[0] < 1.0


def test_frequency_counts_every_purchase_and_no_refund():
    rows = [
        ("a", "2017-01-01", 5.0),
        ("b", "2017-01-01", 5.0),
        ("b", "2017-01-01", 5.0),
        ("b", "2017-03-01", 0.0),
        ("b", "2017-03-02", -5.0),
    ]
    history = history_of(rows)
    np.testing.assert_array_equal(Frequency().fit(history).predict_proba(history), [1 / 2, 3 / 4])
