"""Mergeable histograms: the same bits in any order, and bounds that hold."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scale_eval.metrics import (
    METRICS,
    Scores,
    Undefined,
    bin_of,
    histogram,
    ranking,
    score,
)
from scale_eval.metrics.histogram import EDGES, ScoreHistogram
from scale_eval.metrics.leaving_out import auc_without_each, average_precision_without_each

OF_ROWS = {m.name: m.row_form.value for m in METRICS.values() if m.row_form is not None}

BOUNDED = ("roc_auc", "average_precision", "lift_at_10", "gain_at_10", "value_captured_at_10")

# Of one bin, of its neighbours, of the outer bins, and anywhere.
probabilities = st.one_of(
    st.sampled_from([0.3, 0.3001, 0.3002, 0.3003, 0.302, 0.35]),
    st.sampled_from([0.0, 1e-300, 1e-12, 1e-8, 1 - 1e-9, 1.0]),
    st.floats(0, 1),
    st.floats(0, 1e-3),
)
customers = st.lists(
    st.tuples(st.booleans(), probabilities, st.floats(0, 100, width=32)), max_size=60
)


def scores_of(rows):
    y, p, spend = zip(*rows, strict=True) if rows else ((), (), ())
    return Scores(y, p, spend)


def merge(histograms: list[ScoreHistogram]) -> ScoreHistogram:
    """Return the histogram of the rows of all; bit-identical in any order and grouping."""
    none = np.empty(0, dtype=np.int64)
    parts = [ScoreHistogram(none.astype(np.int16), none, none, none), *histograms]
    return ScoreHistogram.from_rows(
        np.concatenate([part.bin for part in parts]),
        np.concatenate([part.n_positive for part in parts]),
        np.concatenate([part.n_negative for part in parts]),
        np.concatenate([part.spend_minor for part in parts]),
    )


def bits(merged):
    arrays = (merged.bin, merged.n_positive, merged.n_negative, merged.spend_minor)
    return [(array.dtype, array.tobytes()) for array in arrays]


def test_bins_are_even_on_the_logit_scale_and_hold_everything():
    assert bin_of(np.array([0.0, 1.0])).tolist() == [0, 4097]
    assert bin_of(EDGES[:3]).tolist() == [1, 2, 3]  # an edge begins the bin above it
    assert bin_of(np.nextafter(EDGES[:3], 0)).tolist() == [0, 1, 2]
    logits = np.log(EDGES / (1 - EDGES))
    assert np.diff(logits) == pytest.approx(1 / 128, rel=1e-6)
    assert logits[[0, -1]] == pytest.approx([-16, 16])
    assert bin_of(np.array([0.5])).dtype == np.int16


def test_a_histogram_counts_customers_and_minor_units():
    scores = Scores([1, 0, 1, 0], [0.3, 0.9, 0.3001, 0.9], [1.004, 0, 2.499, 0.1])
    made = histogram(scores)
    assert made.bin.tolist() == bin_of(np.array([0.3, 0.9])).tolist()
    assert made.n_positive.tolist() == [2, 0]
    assert made.n_negative.tolist() == [0, 2]
    assert made.spend_minor.tolist() == [100 + 250, 10]


@settings(database=None, deadline=None)
@given(customers, customers, customers)
def test_merging_is_the_same_to_the_last_bit_in_any_order(first, second, third):
    a, b, c = (histogram(scores_of(rows)) for rows in (first, second, third))
    whole = bits(histogram(scores_of(first + second + third)))
    assert bits(merge([a, b, c])) == whole
    assert bits(merge([c, a, b])) == whole
    assert bits(merge([merge([a, b]), c])) == whole
    assert bits(merge([a, merge([c, b])])) == whole


@settings(database=None, deadline=None, max_examples=400)
@given(customers)
@example([(False, 0.3001, 0.0), (True, 0.3, 9.0)] * 5)
@example([(True, 0.3001, 9.0), (False, 0.3, 0.0)] * 5)
def test_bounds_hold_whatever_the_order_inside_bins(rows):
    scores = scores_of(rows)
    values, undefined = score(scores)
    made = histogram(scores)
    for name in BOUNDED:
        if name == "value_captured_at_10" and not made.spend_minor.sum():
            continue  # fractions of a minor unit
        if values[name] is None:
            with pytest.raises(Undefined, match=undefined[name]):
                OF_ROWS[name](made)
        else:
            value, error_bound = OF_ROWS[name](made)
            assert abs(value - values[name]) <= error_bound + 1e-12


@pytest.mark.parametrize(
    ("name", "best_first"), [("roc_auc", True), ("roc_auc", False), ("gain_at_10", True)]
)
def test_bounds_are_met_by_the_extreme_order_inside_a_bin(name, best_first):
    p = np.linspace(EDGES[2000], EDGES[1999], 41)[1:]  # descending, all in bin 2000
    bought = np.arange(40) < 10 if best_first else np.arange(40) >= 30
    scores = Scores(bought, p, np.zeros(40))
    made = histogram(scores)
    assert made.bin.tolist() == [2000]
    value, error_bound = OF_ROWS[name](made)
    assert abs(value - score(scores)[0][name]) == pytest.approx(error_bound)


def test_average_precision_of_ties_above_all_others_is_within_its_bound():
    # The step form gives ties the precision at their end: more than any order without them.
    p = np.r_[np.full(5, 0.3005), np.full(5, 0.3)]
    above = np.full(3, 0.9)
    scores = Scores(np.r_[np.zeros(3), np.ones(5), np.zeros(5)], np.r_[above, p], np.zeros(13))
    value, error_bound = OF_ROWS["average_precision"](histogram(scores))
    assert score(scores)[0]["average_precision"] == pytest.approx(5 / 8)
    assert 5 / 8 - value == pytest.approx(error_bound)


def test_bins_of_one_customer_leave_nothing_uncertain():
    p = EDGES[100:4000:40]
    scores = Scores(np.arange(len(p)) % 3 == 0, p, np.arange(len(p)) % 3)
    values, _ = score(scores)
    for name in ("roc_auc", "gain_at_10", "lift_at_10"):
        value, error_bound = OF_ROWS[name](histogram(scores))
        assert value == pytest.approx(values[name], rel=1e-15)
        assert error_bound == pytest.approx(0, abs=1e-15)


def test_scores_that_are_all_small_keep_their_ranking():
    rng = np.random.default_rng(1)
    p = 0.02 * rng.beta(1, 8, 20_000)
    scores = Scores(rng.random(20_000) < p, p, rng.gamma(1, 9, 20_000))
    values, _ = score(scores)
    for name in BOUNDED:
        value, error_bound = OF_ROWS[name](histogram(scores))
        assert abs(value - values[name]) <= error_bound
        # What 200 even bins do here is an error of the AUC of .01 and more.
        assert error_bound < {"roc_auc": 0.002, "lift_at_10": 0.2}.get(name, 0.03)
    even = np.floor(200 * p) / 200
    assert abs(score(Scores(scores.outcomes, even, p))[0]["roc_auc"] - values["roc_auc"]) > 0.01


def test_three_companies_by_hand_have_their_row_auc_through_histograms():
    evaluations = {  # docs/reference/statistics.md: y; p of three companies at one cutoff or two
        "A1": ([1, 0, 1, 0], [0.8, 0.3, 0.4, 0.6]),
        "A2": ([1, 0, 0, 0], [0.5, 0.2, 0.7, 0.1]),
        "B1": ([1, 1, 0], [0.10, 0.05, 0.02]),
        "B2": ([0, 0, 0], [0.05, 0.04, 0.03]),
        "C1": ([1, 0], [0.9, 0.95]),
    }
    parts = [histogram(Scores(y, p, y)) for y, p in evaluations.values()]
    value, error_bound = OF_ROWS["roc_auc"](merge(parts))
    assert value == pytest.approx(0.666667, abs=5e-7)
    assert error_bound == 1 / 60  # .1 of B1 and A2, .05 of B1 and B2: two of 6 x 10 pairs


def test_calibration_is_that_of_the_rows_to_a_bin():
    rng = np.random.default_rng(2)
    p = rng.beta(1, 5, 5000)
    scores = Scores(rng.random(5000) < p**1.3, p, np.zeros(5000))
    values, _ = score(scores)
    for name in ("calibration_intercept", "calibration_slope"):
        value, error_bound = OF_ROWS[name](histogram(scores))
        assert value == pytest.approx(values[name], abs=1 / 256)
        assert error_bound is None


def test_what_is_undefined_of_rows_is_undefined_of_their_histogram():
    nobody = merge([])
    assert len(nobody.bin) == 0
    only_buyers = histogram(Scores([1, 1], [0.2, 0.4], [1, 1]))
    no_buyers = histogram(Scores([0, 0], [0.2, 0.4], [0, 0]))
    tied = histogram(Scores([1, 0], [0.2, 0.2], [1, 0]))
    for made, name, reason in [
        (nobody, "roc_auc", "no_customers"),
        (nobody, "average_precision", "no_positives"),
        (nobody, "value_captured_at_10", "no_spend"),
        (nobody, "calibration_slope", "no_positives"),
        (no_buyers, "roc_auc", "no_positives"),
        (no_buyers, "gain_at_10", "no_positives"),
        (no_buyers, "value_captured_at_10", "no_spend"),
        (only_buyers, "roc_auc", "no_negatives"),
        (only_buyers, "calibration_intercept", "no_negatives"),
        (tied, "calibration_slope", "constant_predictions"),
    ]:
        with pytest.raises(Undefined, match=reason):
            OF_ROWS[name](made)


def test_rows_of_the_table_make_the_same_histogram_in_any_order():
    rows = np.array([[7, 1, 0, 5], [3, 0, 2, 0], [7, 2, 2, 9], [3, 1, 0, 1]])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        bins, *counts = rows[order].T
        made = ScoreHistogram.from_rows(bins.astype(np.int16), *counts)
        assert made.bin.tolist() == [3, 7]
        assert made.n_positive.tolist() == [1, 3]
        assert made.n_negative.tolist() == [2, 2]
        assert made.spend_minor.tolist() == [1, 14]
        assert made.n_rows.tolist() == [3, 5]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_without_a_group_the_others_are_ranked_as_if_it_had_never_been(dtype):
    positives, negatives = np.random.default_rng(3).poisson([[[0.6]], [[2.0]]], (2, 5, 40))
    positives[1:] *= 1_000_000  # pairs beyond what float64 counts
    positives[1:, :3], negatives[1:, :3] = 0, 0  # empty blocks where group 0 is left out
    found = [
        without(positives.astype(dtype), negatives.astype(dtype))
        for without in (auc_without_each, average_precision_without_each)
    ]
    for g in range(5):
        p, n = (np.delete(counts, g, axis=0).sum(axis=0)[::-1] for counts in (positives, negatives))
        held = p + n > 0
        assert found[0][g] == ranking.auc_of_blocks(p[held], n[held])
        assert found[1][g] == pytest.approx(
            ranking.average_precision_of_blocks(p[held], n[held]), rel=1e-13
        )


def test_without_the_only_group_of_a_class_nothing_is_ranked():
    positives, negatives = np.array([[0, 3], [0, 0]]), np.array([[1, 0], [2, 1]])
    assert auc_without_each(positives, negatives) == pytest.approx([np.nan, 1.0], nan_ok=True)
    assert average_precision_without_each(positives, negatives) == pytest.approx(
        [np.nan, 1.0], nan_ok=True
    )


def test_every_rank_and_calibration_metric_has_a_pooled_form():
    sums_over_windows = {"log_loss", "brier_score", "log_loss_skill", "brier_skill"}
    assert set(OF_ROWS) == set(METRICS) - sums_over_windows - {"observed_expected_ratio"}
