"""Where metrics do not exist, what users bring, and what inputs are refused."""

import math
import pickle
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from scale_eval.metrics import (
    INFLUENCED,
    METRICS,
    STANDARD_ERRORS,
    Scores,
    Undefined,
    influence_sums,
    metric,
    score,
    user_metric,
)
from scale_eval.metrics.calibration import log_observed_expected_se

GAINS = ("lift_at_10", "gain_at_10")
SLOPE = ("calibration_slope", "calibration_slope_se")
RATIO = ("observed_expected_ratio", "log_observed_expected_se")


def reasons(y, p, spend=None, reference=0.5):
    """Why which metrics are undefined, by reason."""
    values, undefined = score(Scores(y, p, np.zeros(len(y)) if spend is None else spend, reference))
    assert {name for name, value in values.items() if value is None} == set(undefined)
    assert all(type(value) is float for value in values.values() if value is not None)
    by_reason = {}
    for name, reason in undefined.items():
        by_reason.setdefault(reason, set()).add(name)
    return by_reason


def test_the_metrics_stand_in_the_order_of_the_table():
    assert list(METRICS) == [
        "log_loss",
        "brier_score",
        "log_loss_skill",
        "brier_skill",
        "roc_auc",
        "average_precision",
        "calibration_intercept",
        "calibration_slope",
        "observed_expected_ratio",
        "lift_at_10",
        "gain_at_10",
        "value_captured_at_10",
    ]
    values, undefined = score(Scores([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1], [1, 0, 2, 0], 0.5))
    assert list(values) == [*METRICS, *STANDARD_ERRORS]
    assert undefined == {}


def test_of_no_customers_nothing_is_known():
    assert reasons([], []) == {
        "no_customers": {
            "log_loss",
            "brier_score",
            "log_loss_skill",
            "brier_skill",
            "roc_auc",
            "observed_expected_ratio",
            "log_observed_expected_se",
        },
        "no_positives": {"average_precision", "calibration_intercept", *SLOPE, *GAINS},
        "no_spend": {"value_captured_at_10"},
        "fewer_than_2_customers": {"log_loss_se", "brier_score_se"},
        "fewer_than_2_positives": {"roc_auc_se"},
    }
    sums = influence_sums(Scores([], [], []), np.empty(0, dtype=int))
    assert sums == dict.fromkeys(INFLUENCED)


def test_without_buyers_nothing_can_be_ranked():
    undefined = reasons([0, 0, 0], [0.1, 0.2, 0.3])
    assert undefined["no_positives"] == {
        "roc_auc",
        "average_precision",
        "calibration_intercept",
        *SLOPE,
        *GAINS,
        "log_observed_expected_se",
    }
    assert undefined["no_spend"] == {"value_captured_at_10"}
    scores = Scores([0, 0, 0], [0.1, 0.2, 0.3], np.zeros(3))
    assert score(scores)[0]["observed_expected_ratio"] == 0.0  # but its logarithm does not exist
    with pytest.raises(Undefined, match="no_positives"):
        log_observed_expected_se(scores)
    sums = influence_sums(scores, np.zeros(3, dtype=int))
    assert sums["roc_auc"] is sums["log_observed_expected"] is sums["calibration_slope"] is None
    assert sums["log_loss"].shape == (16,)


def test_where_everybody_buys_there_is_no_one_to_outrank():
    undefined = reasons([1, 1], [0.4, 0.8], [1, 1])
    assert undefined == {
        "no_negatives": {"roc_auc", "calibration_intercept", *SLOPE},
        "fewer_than_2_negatives": {"roc_auc_se"},
    }


def test_one_customer_has_a_loss_and_no_error():
    undefined = reasons([1], [0.25], [7])
    assert undefined["fewer_than_2_customers"] == {"log_loss_se", "brier_score_se"}
    assert undefined["fewer_than_2_positives"] == {"roc_auc_se"}
    values, _ = score(Scores([1], [0.25], [7]))
    assert values["log_loss"] == -math.log(0.25)
    assert values["gain_at_10"] == values["value_captured_at_10"] == 0.1


def test_one_buyer_has_an_auc_and_no_error():
    undefined = reasons([1, 0, 0], [0.5, 0.5, 0.6], [1, 0, 0])
    assert undefined == {"fewer_than_2_positives": {"roc_auc_se"}, "separable": set(SLOPE)}


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_constant_predictions_rank_nobody(p):
    y, spend = np.arange(20) % 4 == 0, np.arange(20) % 4 == 0
    values, undefined = score(Scores(y, np.full(20, p), spend, 0.25))
    assert values["roc_auc"] == 0.5
    assert values["roc_auc_se"] == 0.0
    assert values["average_precision"] == 0.25
    assert values["gain_at_10"] == pytest.approx(0.1)
    assert values["value_captured_at_10"] == pytest.approx(0.1)
    clipped = min(max(p, 1e-15), 1 - 1e-15)
    assert values["calibration_intercept"] == pytest.approx(
        math.log(1 / 3) - math.log(clipped / (1 - clipped))
    )
    expected = dict.fromkeys(SLOPE, "constant_predictions")
    assert undefined == ({**expected, **dict.fromkeys(RATIO, "no_expected")} if not p else expected)


def test_predictions_that_differ_by_rounding_are_constant():
    assert reasons([1, 0, 0], [0.3, 0.1 + 0.2, 0.3])["constant_predictions"] == set(SLOPE)


def test_a_slope_needs_classes_that_overlap_in_either_direction():
    assert reasons([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1])["separable"] == set(SLOPE)
    assert reasons([0, 0, 1, 1], [0.9, 0.5, 0.5, 0.1])["separable"] == set(SLOPE)
    assert reasons([1, 0, 1, 0], [0.9, 0.6, 0.5, 0.1]).get("separable") is None


def test_what_the_clip_makes_equal_is_equal_for_the_slope():
    # In p neither class is below the other; at the clip, where the logits are, one is.
    assert reasons([1, 1, 0], [0.0, 0.5, 1e-16])["separable"] == set(SLOPE)


def test_probabilities_of_0_and_1_are_clipped_and_counted():
    scores = Scores([0, 1, 1, 0], [0.0, 1.0, 0.0, 0.4], np.zeros(4))
    assert scores.n_clipped == 3
    values, _ = score(scores)
    right, wrong = -math.log(1 - 1e-15), -math.log(1e-15)
    assert values["log_loss"] == pytest.approx((2 * right + wrong - math.log(0.6)) / 4)
    assert values["brier_score"] == pytest.approx((1 + 0.16) / 4)


def test_skill_needs_a_reference_that_can_be_wrong():
    skills = {"log_loss_skill", "brier_skill"}
    assert reasons([1, 0], [0.9, 0.1], [1, 0], reference=None)["no_reference"] == skills
    assert reasons([0, 0], [0.2, 0.1], reference=0.0)["reference_is_zero"] == skills
    assert reasons([1, 1], [0.2, 0.1], reference=1.0)["reference_is_zero"] == skills
    values, _ = score(Scores([1, 0], [0.9, 0.1], [1, 0], reference=0.0))
    assert values["brier_skill"] == pytest.approx(1 - 0.01 / 0.5)


def test_the_base_rate_itself_has_exactly_no_skill():
    y = np.arange(77) % 5 == 0
    values, _ = score(Scores(y, np.full(77, 0.213), y, reference=0.213))
    assert values["log_loss_skill"] == values["brier_skill"] == 0.0


def test_an_expected_number_near_0_is_none():
    assert reasons([1, 0], [5e-324, 0.0])["no_expected"] == set(RATIO)


@pytest.mark.parametrize(
    ("y", "p", "spend", "reference", "complaint"),
    [
        ([1, 0], [0.5], [0, 0], None, "shape"),
        ([[1], [0]], [[0.5], [0.5]], [[0], [0]], None, "shape"),
        ([1, 0], [0.5, np.nan], [0, 0], None, "probabilities"),
        ([1, 0], [0.5, 1.1], [0, 0], None, "probabilities"),
        ([1, 0], [0.5, 0.5], [0, -1], None, "future_spend"),
        ([1, 0], [0.5, 0.5], [0, np.inf], None, "future_spend"),
        ([1, 0], [0.5, 0.5], [0, 0], 1.5, "reference"),
    ],
)
def test_what_are_no_scores_is_refused(y, p, spend, reference, complaint):
    with pytest.raises(ValueError, match=complaint):
        Scores(y, p, spend, reference)


FOUR = Scores([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1], [5.0, 0.0, 2.0, 0.0])


def hits(outcomes, probabilities, future_spend):
    return ((probabilities > 0.5) == outcomes).mean()


def test_a_plain_function_is_a_metric_by_its_name():
    values, _ = score(FOUR, [hits])
    assert list(values) == ["hits", *STANDARD_ERRORS]
    assert values["hits"] == 0.5
    assert type(values["hits"]) is float


def test_a_decorated_function_says_how_it_is_read():
    @metric(name="spend_at_risk", higher_is_better=False, low=0, margin=0.5)
    def at_risk(outcomes, probabilities, future_spend):
        return ((1 - probabilities) * future_spend).sum()

    assert (at_risk.name, at_risk.better, at_risk.margin) == ("spend_at_risk", "lower", 0.5)
    assert (at_risk.label, at_risk.estimands) == ("spend at risk", ("equal_company",))
    assert score(FOUR, [*METRICS.values(), at_risk])[0]["spend_at_risk"] == pytest.approx(1.7)
    assert user_metric(hits, target=0.5).better == "target"


def test_targets_are_compared_by_their_distance_and_ratios_on_logs():
    ratios = METRICS["observed_expected_ratio"].distance(np.array([2.0, 0.5, 1.0, 0.0, np.nan]))
    assert ratios[:3] == pytest.approx([math.log(2), math.log(2), 0])
    assert np.isnan(ratios[3:]).all()
    assert METRICS["calibration_slope"].distance(np.array([0.8])) == pytest.approx([0.2])
    assert METRICS["roc_auc"].distance(np.array([0.8])) == [0.8]


def test_a_users_metric_travels_to_a_worker():
    sent = pickle.loads(pickle.dumps(user_metric(hits)))
    assert score(FOUR, [sent])[0]["hits"] == 0.5


def test_what_a_users_metric_cannot_say_is_null_with_a_reason():
    def nan(outcomes, probabilities, future_spend):
        return np.nan

    def infinity(outcomes, probabilities, future_spend):
        return math.inf

    def nothing(outcomes, probabilities, future_spend):
        return None

    def declines(outcomes, probabilities, future_spend):
        raise Undefined("too_few_to_say")

    def fails(outcomes, probabilities, future_spend):
        raise KeyError("no")

    def meddles(outcomes, probabilities, future_spend):
        probabilities[:] = 0.5

    values, undefined = score(FOUR, [nan, infinity, nothing, declines, fails, meddles, hits])
    words = {name: " ".join(reason.split()[:1]) for name, reason in undefined.items()}
    assert words == {
        "nan": "not_a_number",
        "infinity": "infinite",
        "nothing": "exception:TypeError",
        "declines": "too_few_to_say",
        "fails": "exception:KeyError",
        "meddles": "exception:ValueError",
    }
    assert undefined["fails"] == "exception:KeyError 'no'"
    assert all(values[name] is None for name in undefined)
    assert values["hits"] == 0.5


class Wordless(Exception):  # noqa: N818 - for this test
    def __str__(self):
        raise AttributeError("no words")


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (np.nan, "not_a_number"),
        (np.float32("nan"), "not_a_number"),
        (-math.inf, "infinite"),
        (None, "exception:TypeError it returned None (NoneType), not a number"),
        (pd.NA, "exception:TypeError it returned <NA> (NAType), not a number"),
        ("0.5", "exception:TypeError it returned the text '0.5', not a number"),
        (b"1", "exception:TypeError it returned the text b'1', not a number"),
        (1j, "exception:TypeError it returned a value of type complex, not a number"),
        (
            np.zeros(3),
            "exception:TypeError it returned a value of type ndarray of shape (3,), not a number",
        ),
        ([0.5], "exception:TypeError it returned a value of type list of shape (1,), not a number"),
        ({"a": 1}, "exception:TypeError it returned {'a': 1} (dict), not a number"),
        (10**5000, "exception:OverflowError it returned a number (int) that is too large for a"),
        (np.ma.masked, "not_a_number"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:20],
)
def test_what_a_metric_returns_that_is_no_number_is_named(returned, reason):
    metric = user_metric(lambda outcomes, probabilities, future_spend: returned, "odd")
    values, undefined = score(FOUR, [metric, METRICS["log_loss"]])
    assert values["odd"] is None
    assert undefined["odd"].startswith(reason)
    assert values["log_loss"] is not None


def test_an_async_metric_is_refused_as_nobody_would_await_it():
    async def awaited(outcomes, probabilities, future_spend):
        return 1.0

    with pytest.raises(ValueError, match="the metric awaited is async"):
        user_metric(awaited)


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (True, 1.0),
        (np.bool_(False), 0.0),
        (np.float32(0.5), 0.5),
        (np.array(0.25), 0.25),
        (Decimal("0.5"), 0.5),
        (3, 3.0),
    ],
)
def test_any_real_number_that_a_metric_returns_is_taken(returned, value):
    metric = user_metric(lambda outcomes, probabilities, future_spend: returned, "odd")
    assert score(FOUR, [metric])[0]["odd"] == value


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Wordless(), "exception:Wordless no message"),
        (GeneratorExit("out"), "exception:GeneratorExit out"),
        (SystemExit(7), "exception:SystemExit 7"),
        (ValueError("two\n lines; and 0x7f"), "exception:ValueError two lines and"),
        (ValueError("\ud800"), "exception:ValueError ?"),
    ],
)
def test_whatever_a_metric_raises_is_named_and_harms_no_other(error, reason):
    def breaks(outcomes, probabilities, future_spend):
        raise error

    values, undefined = score(FOUR, [breaks, hits])
    assert undefined["breaks"] == reason
    assert values["hits"] == 0.5


def of_two(y_true, y_score, *, sample_weight=None):
    return 0.0


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (of_two, r"of_two\(y_true, y_score, sample_weight\) .* def my_of_two\(outcomes,"),
        (sklearn.metrics.roc_auc_score, r"roc_auc_score\(y_true, .*write def my_roc_auc_score"),
        (sklearn.metrics.brier_score_loss, "write def my_brier_score_loss"),
        (lambda outcomes: 1.0, "the metric <lambda>.*write def hits"),
        (partial(hits, 1), "the metric hits.*write def my_hits"),
        (lambda a, b, c, d: 1.0, "missing a required argument: 'd'"),
        (Decimal, r"Decimal is a class.*such as Decimal\(\)"),
        (42, "a metric is a function of .*, not 42"),
        (None, "not None"),
        ({"hits": hits}, "not {'hits'"),
    ],
    ids=lambda value: getattr(value, "__name__", "") or str(value)[:20],
)
def test_what_cannot_be_called_with_three_arrays_is_refused_before_a_run(thing, words):
    with pytest.raises(ValueError, match=words):
        user_metric(thing)


class Accuracy:
    def __init__(self, at):
        self.at = at

    def __call__(self, outcomes, probabilities, future_spend):
        return ((probabilities >= self.at) == outcomes).mean()


def accuracy(outcomes, probabilities, future_spend, at):
    return Accuracy(at)(outcomes, probabilities, future_spend)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Accuracy(0.5), "Accuracy"),
        (partial(accuracy, at=0.5), "accuracy"),
        (partial(partial(accuracy), at=0.5), "accuracy"),
        (lambda *arrays: Accuracy(0.5)(*arrays), "named"),
    ],
)
def test_objects_that_are_called_and_partials_are_metrics_by_their_names(function, name):
    metric = user_metric(function, "named" if name == "named" else None)
    assert metric.name == name
    assert score(FOUR, [metric])[0][name] == score(FOUR, [user_metric(hits)])[0]["hits"]


def test_the_callers_arrays_stay_writeable():
    p = np.array([0.5, 0.25])
    Scores([1, 0], p, [0, 0])
    p[0] = 0.75


def test_a_metric_without_a_name_of_its_own_is_refused():
    with pytest.raises(ValueError, match="name becomes a column"):
        user_metric(lambda outcomes, probabilities, future_spend: 1.0)
    with pytest.raises(ValueError, match="two metrics are called 'roc_auc'"):
        score(FOUR, [*METRICS.values(), user_metric(hits, name="roc_auc")])
