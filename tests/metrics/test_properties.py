"""What holds on any scores."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scale_eval.metrics as room
from scale_eval.metrics import METRICS, Scores, score

probabilities = st.one_of(
    st.sampled_from([0.0, 1e-16, 1e-9, 0.02, 0.1, 0.5, 0.500001, 0.9, 1 - 1e-9, 1.0]),
    st.floats(0, 1),
)
customers = st.lists(
    st.tuples(st.booleans(), probabilities, st.floats(0, 1e4, width=32)), max_size=40
)

NOT_BY_BLOCK = {  # sums over customers in floating point, whose last bits follow their order
    "log_observed_expected_se",
    "log_loss",
    "brier_score",
    "log_loss_skill",
    "brier_skill",
    "observed_expected_ratio",
    "value_captured_at_10",
    "log_loss_se",
    "brier_score_se",
}


def scores_of(rows):
    y, p, spend = zip(*rows, strict=True) if rows else ((), (), ())
    return Scores(y, p, spend, reference=0.3)


@settings(database=None, deadline=None)
@given(customers, st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(rows, random):
    values, undefined = score(scores_of(rows))
    shuffled = random.sample(rows, len(rows))
    again, undefined_again = score(scores_of(shuffled))
    assert undefined_again == undefined
    for name, value in values.items():
        if name in NOT_BY_BLOCK and value is not None:
            assert again[name] == pytest.approx(value, rel=1e-12, abs=1e-12)
        else:
            assert again[name] == value


@settings(database=None, deadline=None)
@given(customers)
def test_values_lie_in_their_range_and_nulls_have_reasons(rows):
    values, undefined = score(scores_of(rows))
    for name, value in values.items():
        if value is None:
            assert undefined[name] not in ("not_converged", "exception:ZeroDivisionError")
            assert not undefined[name].startswith("exception")
        else:
            assert np.isfinite(value)
            if name in METRICS:
                assert METRICS[name].low - 1e-12 <= value <= METRICS[name].high + 1e-12


@settings(database=None, deadline=None)
@given(customers)
def test_turning_the_scores_round_turns_the_auc_round(rows):
    scores = scores_of([(y, p, v) for y, p, v in rows if p in (0.0, 1.0) or p > 1e-6])
    turned = Scores(scores.outcomes, 1 - scores.probabilities, scores.future_spend)
    if len(scores.block_rows) == len(turned.block_rows):  # 1 - p made no new ties
        here, there = score(scores)[0]["roc_auc"], score(turned)[0]["roc_auc"]
        assert (here is None and there is None) or here + there == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.walk_packages(room.__path__, room.__name__ + ".")]
)
def test_the_examples_in_the_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_the_example_at_the_door_runs():
    assert doctest.testmod(room).failed == 0
