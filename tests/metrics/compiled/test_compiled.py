"""The compiled metrics are the plain ones: values, nulls and their reasons, influence, bins."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import entr, expit, logit
from sklearn import metrics as sklearn_metrics

from scale_eval.metrics import (
    INFLUENCED,
    METRICS,
    N_BINS,
    N_GROUPS,
    STANDARD_ERRORS,
    WITH_INFLUENCE,
    Scores,
    histogram,
    influence_sums,
    score,
)
from scale_eval.metrics.compiled import calibration
from scale_eval.metrics.compiled import histogram as compiled_histogram
from scale_eval.metrics.compiled.batch import APART, score_windows_into
from scale_eval.metrics.compiled.elementary import exp_of, log_of
from scale_eval.metrics.compiled.scoring import score_compiled
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where
from scale_eval.metrics.compiled.values import (
    COUNTS,
    LOG_LOSS,
    N_SCORED,
    REASONS,
    RECALIBRATED_LOG_LOSS,
    VALUES,
    undefined_text,
)
from scale_eval.metrics.histogram import EDGES, bin_of


def buyers(random, n, slope_kind="beta"):
    """Outcomes that follow the logit of what is predicted, more or less."""
    p = PREDICTED[slope_kind](random, n)
    steepness, level = random.choice([0.2, 1.0, 1.5]), random.choice([0.0, -1.0, 2.0])
    y = random.random(n) < expit(level + steepness * logit(np.clip(p, 1e-15, 1 - 1e-15)))
    spend = np.where(y | (random.random(n) < 0.05), random.gamma(1, 30, n), 0)
    return y, p, spend


def nearly_separable(random, n):
    return np.sort(random.random(n))


PREDICTED = {
    "beta": lambda r, n: expit(r.normal(size=n) * r.choice([0.1, 1, 3]) + r.choice([-6, -2, 0])),
    "recency": lambda r, n: np.exp(-r.integers(1, 1500, n) / 182.5),
    "ties": lambda r, n: np.round(expit(r.normal(size=n)), r.integers(1, 4)),
    "constant": lambda r, n: np.full(n, r.choice([0, 1, 0.3])),
    "extreme": lambda r, n: r.choice([0, 1, 0.5, 1e-16, 1 - 1e-16, 1e-14, 0.2], n),
    "tiny": lambda r, n: 10 ** (-r.random(n) * r.choice([300, 50, 40])),
    "wide": lambda r, n: expit(20 * r.normal(size=n)),
    "narrow": lambda r, n: 0.3 + r.random(n) * 10.0 ** -r.integers(1, 6),
    "certain": lambda r, n: r.random(n).round(),
    "clustered": lambda r, n: np.where(r.random(n) < 0.02, 1e-9, 0.5 + 1e-4 * r.random(n)),
}
COMPILED = [metric for metric in METRICS.values() if metric.compiled]
SIZES = [1, 2, 3, 5, 10, 30, 100, 400, 2000]


def assert_as_plain(y, p, spend, reference, groups):
    scores = Scores(y, p, spend, reference)
    values, undefined = score(scores, COMPILED)
    compiled, undefined_compiled, sums = score_compiled(scores, groups)
    assert undefined_compiled == undefined
    assert list(compiled) == list(values)
    for name, value in values.items():
        if value is None:
            assert compiled[name] is None
        elif name == "roc_auc":
            assert compiled[name] == value
        else:
            off = 1e-8 if name.startswith("calibration") else 1e-12
            off = 1e-9 if name.endswith("_se") and name != "calibration_slope_se" else off
            assert compiled[name] == pytest.approx(value, rel=off, abs=off), name
    for name, plain in influence_sums(scores, groups).items():
        if plain is None:
            assert sums[name] is None
        else:
            largest = max(np.abs(plain).max(), 1e-6)
            off = 5e-7 if name == "calibration_slope" else 1e-7
            np.testing.assert_allclose(sums[name], plain, rtol=0, atol=off * largest, err_msg=name)


@pytest.mark.parametrize("kind", PREDICTED)
@pytest.mark.parametrize("n", SIZES)
def test_every_value_null_and_influence_is_the_plain_one(kind, n):
    random = np.random.default_rng(list(PREDICTED).index(kind) * 10_000 + n)
    for reference in (None, 0.0, 0.2, 1.0):
        y, p, spend = buyers(random, n, kind)
        assert_as_plain(y, p, spend, reference, random.integers(0, N_GROUPS, n))


@pytest.mark.parametrize("n", [4, 10, 30, 300])
def test_classes_that_hardly_overlap_have_the_plain_slope(n):
    random = np.random.default_rng(n)
    for cut in range(1, n - 1, max(n // 10, 1)):
        y = np.arange(n) >= cut
        for swap in (0, 1):  # separable, and not
            y[[cut - swap, cut]] = y[[cut, cut - swap]]
            p = np.sort(random.random(n))
            assert_as_plain(y, p, np.zeros(n), 0.4, random.integers(0, N_GROUPS, n))


def test_overlaps_of_the_last_bits_are_judged_as_the_plain_version_judges_them():
    random = np.random.default_rng(3)
    seen = set()
    for _ in range(250):
        n = random.integers(2, 12)
        p = 0.3 + random.integers(-3, 4, n) * 5.5e-17 + random.choice([0, 0.1], n)
        scores = Scores(random.random(n) < 0.4, p, np.zeros(n))
        _, undefined = score(scores, COMPILED)
        assert score_compiled(scores, np.zeros(n, dtype=int))[1] == undefined
        seen.add(undefined.get("calibration_slope"))
    assert {None, "separable", "constant_predictions"} <= seen


@settings(database=None, deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from([0.0, -0.0, 1e-320, 1e-16, 1e-9, 0.02, 0.1, 0.5, 0.9, 1 - 1e-9, 1.0]),
            st.floats(0, 1e4, width=32),
            st.integers(0, N_GROUPS - 1),
        ),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([None, 0.0, 0.1, 1.0]),
)
def test_any_scores_at_all_are_scored_as_plainly(rows, reference):
    y, p, spend, groups = zip(*rows, strict=True)
    assert_as_plain(y, p, spend, reference, np.array(groups, dtype=int))


@pytest.mark.parametrize("kind", ["beta", "recency", "ties", "tiny", "clustered"])
def test_ranks_and_losses_are_scikit_learns(kind):
    random = np.random.default_rng(5)
    y, p, spend = buyers(random, 3000, kind)
    values, _, _ = score_compiled(Scores(y, p, spend), np.zeros(3000, dtype=int))
    expected = {
        "roc_auc": sklearn_metrics.roc_auc_score(y, p),
        "average_precision": sklearn_metrics.average_precision_score(y, p),
        "log_loss": sklearn_metrics.log_loss(y, np.clip(p, 1e-15, 1 - 1e-15)),
        "brier_score": sklearn_metrics.brier_score_loss(y, p),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-12)


def test_the_order_of_rows_changes_no_pair_and_no_reason():
    random = np.random.default_rng(6)
    for kind in PREDICTED:
        y, p, spend = buyers(random, 200, kind)
        values, undefined, _ = score_compiled(Scores(y, p, spend), np.zeros(200, dtype=int))
        order = random.permutation(200)
        shuffled = Scores(y[order], p[order], spend[order])
        again, undefined_again, _ = score_compiled(shuffled, np.zeros(200, dtype=int))
        assert again["roc_auc"] == values["roc_auc"]
        assert again["calibration_slope"] == values["calibration_slope"]
        assert undefined_again == undefined


def test_influences_add_to_0_and_their_groups_are_the_customers():
    random = np.random.default_rng(7)
    y, p, spend = buyers(random, 500)
    _, _, sums = score_compiled(Scores(y, p, spend), np.arange(500) % N_GROUPS)
    for name in INFLUENCED:
        assert abs(sums[name].sum()) <= 1e-6 * np.abs(sums[name]).max()
    _, _, sums = score_compiled(Scores(y, p, spend), np.full(500, 3))
    assert (np.delete(sums["roc_auc"], 3) == 0).all()


def test_the_values_are_the_compiled_metrics_and_their_errors_in_the_order_of_the_tables():
    assert VALUES[:N_SCORED] == (*(metric.name for metric in COMPILED), *STANDARD_ERRORS)
    assert len(set(REASONS)) == len(REASONS)


def test_a_metric_whose_evaluations_keep_its_influence_is_compiled():
    assert [name for name in WITH_INFLUENCE if not METRICS[name].compiled] == []


def scored(y, p, spend, reference=math.nan, histograms=None):
    """Score one evaluation, and return its values, reasons and counts.

    It is counted in the only one of `histograms`, or in one of its own.
    """
    values, reasons = np.empty((1, len(VALUES))), np.empty((1, len(VALUES)), dtype=np.uint8)
    counts = np.empty((1, len(COUNTS)), dtype=np.int64)
    score_windows_into(
        np.ones((1, 1), dtype=bool),
        p[np.newaxis].astype(float),
        np.zeros(1, dtype=np.int64),
        np.array([len(y)]),
        np.zeros(len(y), dtype=np.uint8),
        y,
        spend.astype(float),
        np.array([reference]),
        np.array([[APART if histograms is None else 0]]),
        np.zeros((0, N_BINS, 4), np.int64) if histograms is None else histograms,
        values,
        reasons,
        counts,
        np.empty((1, len(INFLUENCED), N_GROUPS), dtype=np.float32),
    )
    return values[0], reasons[0], counts[0]


@pytest.mark.parametrize("kind", PREDICTED)
@pytest.mark.parametrize("n", SIZES)
def test_the_loss_after_the_best_recalibration_is_the_plain_one_and_never_null(kind, n):
    random = np.random.default_rng(list(PREDICTED).index(kind) * 10_000 + n)
    for _ in range(4):
        y, p, spend = buyers(random, n, kind)
        scores = Scores(y, p, spend)
        values, _, counts = scored(y, p, spend)
        loss = values[RECALIBRATED_LOG_LOSS]
        assert loss == pytest.approx(scores.recalibrated_log_loss, rel=1e-12, abs=1e-15)
        rate = y.mean()
        uncertainty = entr(rate) + entr(1 - rate)
        assert 0 <= loss <= min(values[LOG_LOSS], uncertainty) * (1 + 1e-9) + 1e-15
        assert counts[COUNTS.index("n_distinct")] == len(np.unique(p))


def test_classes_that_meet_at_one_probability_leave_the_customers_in_doubt_there():
    y = np.array([False, False, True, False, True, True])
    p = np.array([0.1, 0.3, 0.3, 0.3, 0.3, 0.8])
    for outcomes in (y, ~y):
        values, _, _ = scored(outcomes, p, np.zeros(6))
        assert values[RECALIBRATED_LOG_LOSS] == pytest.approx(4 / 6 * math.log(2), rel=1e-14)
    clipped = np.array([0.0, 0.0, 1e-16, 0.0, 1e-16, 0.8])  # the first five have one logit
    values, _, _ = scored(y, clipped, np.zeros(6))
    assert values[RECALIBRATED_LOG_LOSS] == pytest.approx(
        -5 / 6 * 0.4 * math.log(0.4) - 5 / 6 * 0.6 * math.log(0.6)
    )


@pytest.mark.parametrize("reference", [math.nan, 0.2])
def test_what_else_a_row_holds_stands_behind_the_metrics(reference):
    y = np.array([True, False, True, False])
    p, spend = np.array([0.9, 1e-20, 0.4, 1.0]), np.array([5.25, 0.0, 2.0, 0.0])
    values, reasons, counts = scored(y, p, spend, reference)
    scores = Scores(y, p, spend, None if math.isnan(reference) else reference)
    assert dict(zip(COUNTS, counts, strict=True)) == {
        "n_positive": 2,
        "n_clipped": 2,
        "n_distinct": 4,
    }
    assert scores.n_clipped == 2
    found = dict(zip(VALUES, values, strict=True))
    assert found["mean_prediction"] == pytest.approx(p.mean(), rel=1e-15)
    assert found["future_spend"] == 7.25
    if math.isnan(reference):
        assert math.isnan(found["reference_log_loss"]) and math.isnan(
            found["reference_brier_score"]
        )
        assert REASONS[reasons[VALUES.index("reference_log_loss")]] == "no_reference"
    else:
        assert found["reference_log_loss"] == pytest.approx(scores.reference_log_loss, rel=1e-14)
        assert found["reference_brier_score"] == pytest.approx(scores.reference_brier_score)
    _, undefined = score(scores, COMPILED)
    text = ";".join(f"{name}:{why}" for name, why in sorted(undefined.items()))
    assert undefined_text(reasons) == text
    assert (reasons[:N_SCORED] > 0).tolist() == np.isnan(values[:N_SCORED]).tolist()


@numba.njit
def bins_into(p, bins):
    for i in range(len(p)):
        bins[i] = compiled_histogram.bin_of(p[i])


def test_bins_are_those_of_the_edges_to_the_last_bit():
    random = np.random.default_rng(8)
    beside = [np.nextafter(EDGES, 0), EDGES, np.nextafter(EDGES, 1)]
    anywhere = [random.random(20_000), expit(8 * random.normal(size=20_000)), [0.0, -0.0, 1.0]]
    rare = [1e-320, 1e-300, 1e-30, 1e-7, 1 - 1e-16, 1 - 1e-7, 0.5, np.nextafter(0.5, 0)]
    p = np.concatenate([*beside, *anywhere, rare])
    bins = np.empty(len(p), dtype=np.int64)
    bins_into(p, bins)
    assert (bins == bin_of(p)).all()


@pytest.mark.parametrize("kind", PREDICTED)
def test_histograms_are_the_plain_ones_and_add_up(kind):
    random = np.random.default_rng(9)
    total, expected = np.zeros((1, N_BINS, 4), dtype=np.int64), np.zeros((3, N_BINS), dtype=int)
    for n in SIZES:
        y, p, spend = buyers(random, n, kind)
        spend = np.round(spend, 3)
        scored(y, p, spend, histograms=total)
        plain = histogram(Scores(y, p, spend))
        expected[0, plain.bin] += plain.n_positive
        expected[1, plain.bin] += plain.n_negative
        expected[2, plain.bin] += plain.spend_minor
    assert (expected == total[0].T[:3]).all()


@numba.njit
def exps(x, out):
    for i in range(len(x)):
        out[i] = exp_of(x[i])


@numba.njit
def logs(x, out):
    for i in range(len(x)):
        out[i] = log_of(x[i])


@numba.njit
def by_eights(x, y, out):
    """exp and log of `x` and of `y`, and the smaller and larger of the two, in `out`."""
    for i in range(0, len(x), LANES):
        one, other = load(x, i), load(y, i)
        store(out[0], i, exp_of(one))
        store(out[1], i, log_of(other))
        store(out[2], i, min(one, other))
        store(out[3], i, max(other, one))
        store(out[4], i, min(max(one, -1.0), 1.0))


def test_eight_numbers_side_by_side_are_each_the_same_to_the_last_bit():
    random = np.random.default_rng(14)
    x = np.concatenate([random.normal(size=4000), -(10 ** random.uniform(-18, 4, 4000)), [0.0] * 8])
    y = 10 ** random.uniform(-300, 300, len(x))
    found, one = np.empty((5, len(x))), np.empty((2, len(x)))
    by_eights(x, y, found)
    exps(x, one[0])
    logs(y, one[1])
    assert (found[:2] == one).all()
    assert (found[2] == np.minimum(x, y)).all()
    assert (found[3] == np.maximum(x, y)).all()
    assert (found[4] == np.clip(x, -1, 1)).all()


def units_off(found, exact):
    """The largest error, in units in the last place."""
    return float(np.max(np.abs(found - exact) / np.spacing(np.abs(exact.astype(float)))))


def test_exponentials_and_logarithms_are_exact_but_for_the_last_bits():
    random = np.random.default_rng(10)
    x = np.concatenate([-700 * random.random(10**5), -(10 ** random.uniform(-18, 2.8, 10**5))])
    found = np.empty_like(x)
    exps(x, found)
    assert units_off(found, np.exp(x.astype(np.longdouble))) < 1.5
    x = np.concatenate(
        [
            10 ** -random.uniform(0, 300, 10**5),
            1 - 10 ** -random.uniform(0.01, 15, 10**5),
            random.uniform(0.5, 2, 10**5),
            2.0 ** np.arange(-60, 3)[np.arange(-60, 3) != 0],
        ]
    )
    found = np.empty_like(x)
    logs(x, found)
    assert units_off(found, np.log(x.astype(np.longdouble))) < 1.5
    assert log_of(1.0) == 0 and exp_of(0.0) == 1
    assert 0 < exp_of(-1e6) < 1e-307


def test_logits_near_ties_are_scipys_to_the_last_bit():
    random = np.random.default_rng(11)
    p = np.concatenate([random.random(5000), 10 ** -random.uniform(0, 15, 5000)])
    assert [calibration._logit(value) for value in p] == logit(p).tolist()


@numba.njit(error_model="numpy")
def in_lanes(one, other, out):
    added = lanes_of(0.0)
    for i in range(0, len(one), LANES):
        x, y = load(one, i), load(other, i)
        larger = where(x > y, x, y)
        store(out, i, 1.0 - larger / (x + y))
        added += x * y
        added -= larger
    return total(added)


def test_lanes_compute_what_numpy_computes_and_add_in_an_order_of_their_own():
    one, other = np.random.default_rng(5).uniform(0.1, 9.0, (2, 5 * LANES))
    out = np.empty(len(one))
    added = in_lanes(one, other, out)
    np.testing.assert_array_equal(out, 1.0 - np.maximum(one, other) / (one + other))
    lanes = np.zeros(LANES)
    for x, y in zip(one.reshape(-1, LANES), other.reshape(-1, LANES), strict=True):
        lanes += x * y
        lanes -= np.maximum(x, y)
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    assert added == lanes[0]
