"""The check of a model: a rule of the contract for each way to break it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import scale_eval as se
from scale_eval.check_model import check_model
from tests.support.built_in import NAMES
from tests.support.models import Constant


class Sound:
    def fit(self, history):
        self.rate = 0.3

    def predict_proba(self, history):
        return np.full(history.n_customers, self.rate)


class Changes(Sound):
    def fit(self, history):
        super().fit(history)
        history.transactions["day"] = history.transactions["timestamp"].dt.day


class Draws(Sound):
    def predict_proba(self, history):
        return np.random.default_rng().random(history.n_customers)


class DrawsSeeded(Sound):
    random_state = None

    def predict_proba(self, history):
        return np.random.default_rng(self.random_state).random(history.n_customers)


class DrawsUnseeded(Sound):
    draws = False

    def predict_proba(self, history):
        return np.random.random(history.n_customers)


class Percents(Sound):
    def predict_proba(self, history):
        return super().predict_proba(history) * 100


class Short(Sound):
    def predict_proba(self, history):
        return super().predict_proba(history)[1:]


class NeedsTwo(Sound):
    def fit(self, history):
        super().fit(history)
        self.spread = np.diff(history.summary.spend)[0]


class Raises(Sound):
    def fit(self, history):
        self._look_up()

    def _look_up(self):
        return {}["rate"]


class Locked(Sound):
    def __init__(self):
        self.lock = threading.Lock()

    def __deepcopy__(self, memo):
        return Locked()


class Declines(Sound):
    def fit(self, history):
        raise se.Skipped("closed", "on Mondays")


def broken(checked) -> list[str]:
    return [check.rule for check in checked.checks if check.problem]


@pytest.mark.parametrize("model", [Sound, DrawsSeeded, Constant, *NAMES])
def test_a_sound_model_keeps_every_rule(shops, model):
    checked = check_model(model, shops)
    assert checked.passed, checked.checks
    assert len(checked.checks) == 7
    assert {"probabilities", "mean probability", "time"} <= set(checked.summary)


@pytest.mark.parametrize(
    ("model", "rule", "problem"),
    [
        (Changes, "it does not change the history", "it changed history.transactions"),
        (Draws, "it predicts the same again", "probabilities differ"),
        (DrawsUnseeded, "it predicts the same again", "probabilities differ"),
        (Percents, "one probability in [0, 1] for each customer", "outside_0_1"),
        (Short, "one probability in [0, 1] for each customer", "wrong_length"),
        (NeedsTwo, "for a company of one customer", "IndexError"),
        (Raises, "it fits and predicts", "KeyError: 'rate'"),
        (Locked, "it can be sent to workers", "TypeError"),
    ],
)
def test_a_model_that_breaks_a_rule_is_told_which(shops, model, rule, problem):
    checked = check_model(model, shops)
    assert not checked.passed
    (found,) = broken(checked)
    assert rule in found
    assert problem in next(check.problem for check in checked.checks if check.problem)


class AllBuy(Sound):
    """Ranks as the base rate does, and is far from the truth."""

    def predict_proba(self, history):
        return np.full(history.n_customers, 0.999)


def test_a_model_that_loses_more_than_the_base_rate_is_told_so(shops):
    worse = check_model(AllBuy, shops).summary
    assert worse["log loss"].endswith("worse than that here")
    assert "worse" not in worse["AUC"]
    assert "worse" not in check_model("base_rate", shops).summary["log loss"]


def test_the_traceback_is_whole_and_of_the_model_alone(shops):
    (check,) = check_model(Raises, shops).checks
    assert "in fit\n" in check.trace
    assert "in _look_up\n" in check.trace
    assert "check_model.py" not in check.trace.replace("test_check_model.py", "")
    assert check.trace.endswith("KeyError: 'rate'\n")


def test_a_model_that_declines_breaks_no_rule(shops):
    checked = check_model(Declines, shops)
    assert checked.passed
    assert "closed" in checked.checks[0].note


def test_the_company_is_of_middle_size_or_the_one_that_is_named(shops):
    """Of big, middle and small; tiny and young have no window."""
    assert check_model(Sound, shops).company_id == "middle"
    checked = check_model(Sound, shops, company="small")
    assert checked.company_id == "small"
    row = se.preview(shops, ["recency"]).windows.query("company_id == 'small'").iloc[-1]
    assert checked.cutoff == row["cutoff"]
    with pytest.raises(ValueError, match="did you mean 'small'"):
        check_model(Sound, shops, company="smal")
    with pytest.raises(ValueError, match="no window of young can be evaluated"):
        check_model(Sound, shops, company="young")
