"""No model can see what happened at the cutoff or after it; and every model answers properly."""

import warnings
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.instants import SIX_MONTHS, as_utc, microseconds
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.windows import Window
from scale_eval.models import resolve
from tests.support.built_in import NAMES

CUTOFF = as_utc("2017-12-01")
COLUMNS = ["customer_id", "timestamp", "value"]
REASONS = {"history_too_short", "history_one_class"}


def random_rows(seed, n_customers=None):
    """Make a small company: 1 to 60 customers, up to 200 rows in two years around the cutoff."""
    rng = np.random.default_rng(seed)
    n_customers = n_customers or rng.integers(1, 61)
    n_rows = rng.integers(n_customers, 200)
    days = rng.uniform(-180, rng.choice([60, 400, 900]), n_rows)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:02}" for i in rng.integers(0, n_customers, n_rows)],
            "timestamp": (CUTOFF - pd.to_timedelta(days, unit="D")).as_unit("us"),
            "value": rng.choice([0.0, -5.0, 9.99, 120.0], n_rows, p=[0.1, 0.1, 0.5, 0.3]),
        }
    )


def history_of(rows, rule="non_negative"):
    company = Transactions.from_frame("shop", rows[COLUMNS])
    return History(company, Window.at(CUTOFF), purchase_rule=rule, horizon=SIX_MONTHS)


def answer(name, history):
    """Return what the model predicts, or the reason for which it does not."""
    model = resolve(name)
    learnt_from = [history] if model.scope == "all" else history
    try:
        return model.fresh().fit(learnt_from).predict_proba(history)
    except Skipped as skipped:
        return skipped.reason


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), rule=st.sampled_from(["non_negative", "positive", "all"]))
def test_every_model_gives_a_probability_for_each_customer_or_a_known_reason(name, seed, rule):
    history = history_of(random_rows(seed), rule)
    if history.n_customers == 0:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given_answer = answer(name, history)
    if isinstance(given_answer, str):
        assert given_answer in REASONS
        assert name not in {"recency", "frequency", "bgnbd"}
    else:
        assert given_answer.shape == (history.n_customers,)
        assert given_answer.dtype == np.float64
        assert ((given_answer >= 0) & (given_answer <= 1)).all()


def deleted(rows, rng):
    return rows.iloc[:0]


def shuffled(rows, rng):
    return rows.assign(customer_id=rng.permutation(rows["customer_id"]))


def replaced(rows, rng):
    at = CUTOFF + pd.to_timedelta(rng.integers(0, 10**12, 50), unit="us")
    ids = [f"{kind}{i:02}" for i, kind in enumerate(rng.choice(["c", "a", "z"], 50))]
    return pd.DataFrame({"customer_id": ids, "timestamp": at.as_unit("us"), "value": 1e6})


@pytest.mark.parametrize("change", [deleted, shuffled, replaced])
@pytest.mark.parametrize("name", NAMES)
def test_whatever_happens_from_the_cutoff_on_predictions_are_equal_bit_for_bit(name, change):
    n_predicted = 0
    for seed in range(8):
        rows = random_rows(seed, n_customers=20 + seed)
        later = rows["timestamp"] >= CUTOFF
        assert later.any()
        future = change(rows[later], np.random.default_rng(seed))
        one = answer(name, history_of(rows))
        two = answer(name, history_of(pd.concat([future, rows[~later]])))
        assert type(one) is type(two)
        if isinstance(one, str):
            assert one == two
        else:
            n_predicted += 1
            assert one.tobytes() == two.tobytes()
    assert n_predicted >= 4


class Cheat:
    """Walks through everything that can be reached from an object, to the bottom of its memory."""

    def __init__(self):
        self.arrays, self.memory, self.seen = [], [], {}

    def walk(self, thing):
        if id(thing) in self.seen or isinstance(thing, type):
            return self
        self.seen[id(thing)] = thing
        if isinstance(thing, np.ndarray):
            self.arrays.append(thing)
            self.memory.append(
                repr(thing.tolist()).encode() if thing.dtype == object else thing.tobytes()
            )
            self.walk(thing.base)
        elif isinstance(thing, pa.Array):
            self.memory += [buffer.to_pybytes() for buffer in thing.buffers() if buffer is not None]
        elif isinstance(thing, pd.DataFrame):
            for name in thing:
                self.walk(thing[name].to_numpy())
        elif isinstance(thing, (list, tuple, set)):
            for part in thing:
                self.walk(part)
        elif isinstance(thing, dict):
            self.walk([*thing, *thing.values()])
        elif type(thing).__module__.startswith("scale_eval"):
            self.walk(vars(thing))
            for name, member in vars(type(thing)).items():
                if isinstance(member, (property, cached_property)):
                    self.walk(getattr(thing, name))
        return self

    def found(self, bytes_):
        return any(bytes_ in memory for memory in self.memory)

    def latest(self):
        """Return the latest instant in an array of 64-bit integers, floats left out."""
        end = microseconds(as_utc("2200-01-01"))
        arrays = (array.ravel() for array in self.arrays if array.dtype == np.int64)
        return max(instants.max() for a in arrays if (instants := a[a < end]).size)


@pytest.fixture
def company():
    """Fifteen customers known at the cutoff; after it, telling times, values and a new customer."""
    rows = [(f"c{i:02}", CUTOFF - pd.Timedelta(days=30 * i + 1), 10.0) for i in range(15)]
    rows += [(f"c{i:02}", CUTOFF - pd.Timedelta(days=600), 10.0) for i in range(15)]
    rows += [("c03", CUTOFF, 4711.25), ("future-customer", CUTOFF + pd.Timedelta(days=3), 4711.25)]
    return Transactions.from_frame("shop", pd.DataFrame(rows, columns=COLUMNS))


FUTURE_VALUE, FUTURE_ID = np.float64(4711.25).tobytes(), b"future-customer"


def test_a_cheat_that_walks_everything_reachable_finds_no_row_from_the_cutoff_on(company):
    history = History(company, Window.at(CUTOFF), horizon=SIX_MONTHS)
    for reachable in (
        [history],
        [history, history.labelled(), history.transactions, history.summary],
    ):
        cheat = Cheat().walk(reachable)
        assert len(cheat.arrays) > 5
        assert cheat.latest() == microseconds(CUTOFF) - 86_400_000_000  # c00, the day before
        assert not cheat.found(np.int64(microseconds(CUTOFF)).tobytes())
        assert not cheat.found(FUTURE_VALUE)
        assert not cheat.found(FUTURE_ID)
    assert FUTURE_ID.decode() not in history.customers


def test_the_cheat_is_good_enough_to_see_through_a_slice(company):
    n_known = int((company.timestamps < microseconds(CUTOFF)).sum())
    history = History(company, Window.at(CUTOFF), horizon=SIX_MONTHS)
    history._company_before = replace(
        company,
        timestamps=company.timestamps[:n_known],
        values=company.values[:n_known],
        ids=company.ids.slice(0, 15),
    )
    cheat = Cheat().walk(history)
    assert cheat.latest() >= microseconds(CUTOFF)
    assert cheat.found(FUTURE_VALUE)
    assert cheat.found(FUTURE_ID)
