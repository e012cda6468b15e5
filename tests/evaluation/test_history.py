"""Histories and outcomes against a plain reading of the rules with pandas."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets import Transactions
from scale_eval.datasets.instants import SIX_MONTHS, Duration, as_utc, microseconds
from scale_eval.evaluation.company_windows import windows_of_companies
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.windows import Window

CUTOFF = as_utc("2020-06-01")
WINDOW = Window.at(CUTOFF, SIX_MONTHS)
RULES = {
    "non_negative": lambda v: v >= 0,
    "positive": lambda v: v > 0,
    "all": lambda v: np.ones(len(v), dtype=bool),
}

rows = st.lists(
    st.tuples(
        st.sampled_from(["001", "01", "1", "20e1738615", "é", "z"]),
        st.datetimes(pd.Timestamp("2019-01-01"), pd.Timestamp("2021-01-01")),
        st.sampled_from([-5.0, 0.0, 1.5, 20.0]),
    ),
    min_size=1,
    max_size=60,
)


def frame_of(drawn: list[tuple[str, object, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(drawn, columns=["customer_id", "timestamp", "value"])
    frame["timestamp"] = [as_utc(when) for when in frame["timestamp"]]
    return frame


def company_of(drawn: list[tuple[str, object, float]]) -> Transactions:
    return Transactions.from_frame("shop", frame_of(drawn))


@given(drawn=rows, rule=st.sampled_from(list(RULES)))
@settings(max_examples=200, deadline=None)
def test_population_labels_and_spend_are_what_the_rules_say(drawn, rule):
    frame = frame_of(drawn)
    purchase = frame[RULES[rule](frame["value"].to_numpy())]
    before = purchase[purchase["timestamp"] < CUTOFF]
    within = purchase[
        (purchase["timestamp"] >= CUTOFF) & (purchase["timestamp"] < WINDOW.horizon_end)
    ]
    population = sorted(before["customer_id"].unique(), key=lambda c: c.encode())
    spend = within.assign(value=within["value"].clip(lower=0)).groupby("customer_id")["value"].sum()

    company = company_of(drawn)
    history = History(company, WINDOW, purchase_rule=rule, horizon=SIX_MONTHS)
    (window,) = windows_of_companies([(company, [WINDOW])], PopulationRules(rule, None, SIX_MONTHS))
    outcomes = window.outcomes
    assert window.customer_ids.tolist() == population
    assert history.customers.tolist() == population
    assert outcomes.bought.tolist() == [c in set(within["customer_id"]) for c in population]
    assert outcomes.future_spend.tolist() == pytest.approx([spend.get(c, 0.0) for c in population])

    summary = history.summary
    grouped = before.groupby("customer_id")["timestamp"]
    assert summary.n_purchases.tolist() == [int(grouped.size()[c]) for c in population]
    assert summary.last_purchase.tolist() == [microseconds(grouped.max()[c]) for c in population]
    assert summary.first_purchase.tolist() == [microseconds(grouped.min()[c]) for c in population]


@given(drawn=rows)
@settings(max_examples=100, deadline=None)
def test_refunds_stay_in_the_history_for_models_to_see(drawn):
    history = History(company_of(drawn), WINDOW)
    frame = frame_of(drawn)
    known = frame[(frame["timestamp"] < CUTOFF) & frame["customer_id"].isin(history.customers)]
    assert len(history.transactions) == len(known)
    assert sorted(history.transactions["value"]) == sorted(known["value"])
    assert history.transactions["is_purchase"].tolist() == (history.values >= 0).tolist()


def test_a_purchase_at_the_cutoff_is_an_outcome_and_one_at_the_horizon_is_not():
    company = company_of(
        [
            ("a", "2020-05-31 23:59:59.999999", 1.0),
            ("b", "2020-01-01", 1.0),
            ("c", "2020-01-01", 1.0),
            ("b", "2020-06-01", 1.0),
            ("c", "2020-12-01", 1.0),
        ]
    )
    history = History(company, WINDOW)
    (window,) = windows_of_companies([(company, [WINDOW])], PopulationRules(horizon=SIX_MONTHS))
    outcomes = window.outcomes
    assert history.customers.tolist() == ["a", "b", "c"]
    assert outcomes.bought.tolist() == [False, True, False]


def test_a_lookback_narrows_the_population_but_not_the_past_of_those_in_it():
    company = company_of(
        [("a", "2019-02-01", 1.0), ("a", "2020-05-01", 2.0), ("b", "2019-02-01", 3.0)]
    )
    history = History(company, WINDOW, lookback=Duration(months=3))
    assert history.customers.tolist() == ["a"]
    assert history.values.tolist() == [1.0, 2.0]


def test_with_a_lookback_those_who_lapsed_since_still_count_in_the_window_to_train_on():
    gone = [(f"gone{i:02}", "2019-11-15", 1.0) for i in range(10)]
    loyal = [(f"loyal{i:02}", when, 1.0) for i in range(5) for when in ("2019-11-15", "2020-05-15")]
    company = company_of([("first", "2019-01-01", 1.0), *gone, *loyal])
    history = History(company, WINDOW, lookback=Duration(months=3), horizon=SIX_MONTHS)
    labelled = history.labelled()
    assert history.n_customers == 5
    assert labelled.history.n_customers == 15
    assert labelled.bought.sum() == 5


def test_an_empty_company_before_the_cutoff_has_no_population():
    assert History(company_of([("a", "2020-07-01", 1.0)]), WINDOW).n_customers == 0


def many(n: int, first: str, again: str | None = None) -> list[tuple[str, object, float]]:
    rows: list[tuple[str, object, float]] = [(f"{i:03}", first, 1.0) for i in range(n)]
    if again:
        rows += [(f"{i:03}", again, 1.0) for i in range(n // 2)]
    return rows


def test_the_window_to_train_on_is_one_horizon_back_where_the_past_is_long_enough():
    company = company_of(many(20, "2019-05-01", "2020-01-15"))
    labelled = History(company, WINDOW, horizon=SIX_MONTHS).labelled()
    assert labelled.history.cutoff == as_utc("2019-12-01")
    assert labelled.exponent == 1.0
    assert labelled.note == ""
    assert labelled.bought.sum() == 10


def test_a_short_past_is_halved_and_carried_to_the_horizon_by_constant_hazard():
    company = company_of(many(20, "2020-04-02", "2020-05-15"))
    labelled = History(company, WINDOW, horizon=SIX_MONTHS).labelled()
    assert labelled.history.cutoff == as_utc("2020-05-02")  # half of the 60 days
    assert labelled.exponent == pytest.approx(183 / 30)
    assert "30.0 days" in labelled.note
    p = np.array([0.0, 0.1, 1.0])
    assert labelled.to_horizon(p) == pytest.approx(1 - (1 - p) ** (183 / 30))


@given(drawn=rows)
@settings(max_examples=100, deadline=None)
def test_outcomes_to_train_on_lie_entirely_before_the_cutoff(drawn):
    company = company_of([*drawn, *many(10, "2019-01-01")])
    history = History(company, WINDOW, horizon=SIX_MONTHS)
    labelled = history.labelled()
    assert labelled.history.cutoff < labelled.history.horizon_end <= CUTOFF
    assert (labelled.history.timestamps < microseconds(labelled.history.cutoff)).all()


def test_too_few_customers_to_train_on_is_a_skip_with_its_reason():
    with pytest.raises(Skipped) as skip:
        History(company_of(many(9, "2019-05-01")), WINDOW, horizon=SIX_MONTHS).labelled()
    assert skip.value.reason == "history_too_short"


def test_one_class_to_train_on_is_a_skip_with_its_reason():
    labelled = History(company_of(many(20, "2019-05-01")), WINDOW, horizon=SIX_MONTHS).labelled()
    with pytest.raises(Skipped) as skip:
        labelled.require_both_classes()
    assert skip.value.reason == "history_one_class"


def test_what_a_model_does_to_its_arrays_is_refused():
    history = History(company_of(many(10, "2019-05-01")), WINDOW)
    with pytest.raises(ValueError, match="read-only"):
        history.values[0] = 7.0


def history_of_summaries() -> History:
    company = company_of(many(20, "2019-05-01", "2020-01-15"))
    (window,) = windows_of_companies([(company, [WINDOW])], PopulationRules(horizon=SIX_MONTHS))
    return window.history("summary")


@pytest.mark.parametrize(
    "name", ["codes", "timestamps", "values", "is_purchase", "customers", "transactions"]
)
def test_a_history_of_summaries_has_no_transactions_and_says_what_to_do(name):
    history = history_of_summaries()
    assert isinstance(history, History)
    with pytest.raises(AttributeError, match='declares reads = "summary"; remove the declaration'):
        getattr(history, name)
    with pytest.raises(AttributeError, match="no attribute 'customer_codes'"):
        _ = history.customer_codes  # type: ignore[attr-defined]


def test_a_history_of_summaries_answers_all_else_as_one_of_transactions_does():
    company = company_of(many(20, "2019-05-01", "2020-01-15"))
    whole, bare = History(company, WINDOW, horizon=SIX_MONTHS), history_of_summaries()
    for name in ("company_id", "cutoff", "horizon_end", "horizon_days", "first_timestamp"):
        assert getattr(whole, name) == getattr(bare, name)
    assert repr(whole) == repr(bare)
    assert whole.summary.last_purchase.tobytes() == bare.summary.last_purchase.tobytes()
    one, other = whole.labelled(), bare.labelled()
    assert one.bought.tobytes() == other.bought.tobytes()
    assert (one.exponent, one.n_bought, one.history.cutoff) == (
        other.exponent,
        other.n_bought,
        other.history.cutoff,
    )
    copied = pickle.loads(pickle.dumps(bare))
    assert copied.summary.spend.tobytes() == bare.summary.spend.tobytes()


def test_the_labelled_history_of_summaries_leads_no_further_back():
    with pytest.raises(AttributeError, match="has no earlier one"):
        history_of_summaries().labelled().history.labelled()
