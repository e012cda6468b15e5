"""All metrics of one evaluation, compiled: what `score` and `influence_sums` give, in microseconds.

The plain version, one expression a metric, is what these figures are held to; this one computes
them together, in a few passes over one sort, for the many evaluations that no model of a user's
takes part in. What is exact there (the pairs of the AUC) is exact here, and every null has the
same reason.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numba
import numpy as np

from scale_eval.metrics.calibration import NOTHING_EXPECTED
from scale_eval.metrics.compiled.calibration import intercept_of, slope_of
from scale_eval.metrics.compiled.elementary import log_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where
from scale_eval.metrics.compiled.tied_blocks import blocks_into
from scale_eval.metrics.influence import INFLUENCED, N_GROUPS
from scale_eval.metrics.scores import CLIP, Scores
from scale_eval.statistics.logistic import ROUNDING

VALUES = (
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
    "log_loss_se",
    "brier_score_se",
    "roc_auc_se",
    "calibration_slope_se",
    "log_observed_expected_se",
    "mean_prediction",
    "reference_log_loss",
    "reference_brier_score",
    "future_spend",
)
"""What `score_into` writes, in its order: the metrics, their standard errors, and what else an
evaluation's row holds of its scores."""

(
    _LOG_LOSS,
    _BRIER,
    _LOG_LOSS_SKILL,
    _BRIER_SKILL,
    _AUC,
    _AVERAGE_PRECISION,
    _INTERCEPT,
    _SLOPE,
    _RATIO,
    _LIFT,
    _GAIN,
    _VALUE_CAPTURED,
    _LOG_LOSS_SE,
    _BRIER_SE,
    _AUC_SE,
    _SLOPE_SE,
    _LOG_RATIO_SE,
    _MEAN_PREDICTION,
    _REFERENCE_LOG_LOSS,
    _REFERENCE_BRIER,
    _FUTURE_SPEND,
) = range(len(VALUES))

N_SCORED = _LOG_RATIO_SE + 1
"""The first so many of `VALUES` are metrics and standard errors: what `undefined_text` tells of."""

REASONS = (
    "",
    "no_customers",
    "no_positives",
    "no_negatives",
    "no_reference",
    "reference_is_zero",
    "no_expected",
    "constant_predictions",
    "separable",
    "not_converged",
    "no_spend",
    "fewer_than_2_customers",
    "fewer_than_2_positives",
    "fewer_than_2_negatives",
)
"""Why a value is null, by its code; 0 is that it is not."""

(
    _DEFINED,
    _NO_CUSTOMERS,
    _NO_POSITIVES,
    _NO_NEGATIVES,
    _NO_REFERENCE,
    _REFERENCE_IS_ZERO,
    _NO_EXPECTED,
    _CONSTANT,
    _SEPARABLE,
    _NOT_CONVERGED,
    _NO_SPEND,
    _FEWER_THAN_2_CUSTOMERS,
    _FEWER_THAN_2_POSITIVES,
    _FEWER_THAN_2_NEGATIVES,
) = range(len(REASONS))

NARROW_OVERLAP = 1e-3
"""Of the logits of those who bought with those of the others; see `_why_no_slope`."""

COUNTS = ("n_positive", "n_clipped")

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


@_compiled
def score_into(
    outcomes: np.ndarray,
    probabilities: np.ndarray,
    future_spend: np.ndarray,
    reference: float,
    groups: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    counts: np.ndarray,
    influence: np.ndarray,
) -> None:
    """Score one evaluation.

    Parameters
    ----------
    outcomes, probabilities, future_spend : ndarray of bool, float64, float64, shape (n,)
        As `Scores` takes them, contiguous; they are not checked.
    reference : float
        What the base rate known at the cutoff predicts; NaN where there is none.
    groups : ndarray of uint8, shape (n,)
        From `customer_groups`.
    values : ndarray of float64, shape (len(VALUES),)
        Out, as all that follows; NaN where undefined.
    reasons : ndarray of uint8, shape (len(VALUES),)
        Places in `REASONS`.
    counts : ndarray of int64, shape (len(COUNTS),)
    influence : ndarray of float32, shape (len(INFLUENCED), N_GROUPS)
        As `influence_sums`; NaN where a metric has none.
    """
    n = len(outcomes)
    reasons[:] = _DEFINED
    counts[:] = 0
    if n == 0:
        _score_nobody(reference, values, reasons, influence)
        return
    integers = np.empty(5 * n + 1, dtype=np.int64)
    keys, spare = integers[:n], integers[n : 3 * n + 1]
    ends, cumulative = integers[3 * n + 1 : 4 * n + 1], integers[4 * n + 1 :]
    room = _padded(n)
    floats = np.empty(10 * room)
    shared = floats[:room]
    n_blocks = blocks_into(outcomes, probabilities, groups, keys, spare, shared, ends, cumulative)
    ends, cumulative = ends[:n_blocks], cumulative[:n_blocks]
    k = _padded(n_blocks)
    shared = shared[:k]
    p, q = floats[room:][:k], floats[2 * room :][:k]
    log_p, log_q, logit = floats[3 * room :][:k], floats[4 * room :][:k], floats[5 * room :][:k]
    positives, negatives = floats[6 * room :][:k], floats[7 * room :][:k]
    likely, unlikely = floats[8 * room :][:k], floats[9 * room :][:k]
    _blocks_as_floats(ends, cumulative, shared, positives, negatives)
    _logs_into(shared, p, q, log_p, log_q, logit)

    counts[0] = cumulative[-1]
    counts[1] = _n_clipped(shared, positives, negatives)
    expected = _losses(
        shared, log_p, log_q, positives, negatives, n, cumulative[-1], reference, values, reasons
    )
    _ranking(ends, cumulative, values, reasons)
    _spend(probabilities, future_spend, shared, ends, values, reasons)
    centre, information = _calibration(
        p, q, logit, positives, negatives, likely, unlikely, values, reasons
    )
    _influence_into(
        keys,
        ends,
        cumulative,
        shared,
        log_p,
        log_q,
        logit,
        likely,
        unlikely,
        values,
        reasons,
        expected,
        centre,
        information,
        influence,
    )
    for i in range(len(values)):
        if reasons[i] != _DEFINED:
            values[i] = np.nan


@_compiled
def _score_nobody(
    reference: float, values: np.ndarray, reasons: np.ndarray, influence: np.ndarray
) -> None:
    values[:] = np.nan
    influence[:] = np.nan
    reasons[:] = _NO_CUSTOMERS
    reasons[_AVERAGE_PRECISION] = reasons[_LIFT] = reasons[_GAIN] = _NO_POSITIVES
    reasons[_INTERCEPT] = reasons[_SLOPE] = reasons[_SLOPE_SE] = _NO_POSITIVES
    reasons[_VALUE_CAPTURED] = _NO_SPEND
    reasons[_LOG_LOSS_SE] = reasons[_BRIER_SE] = _FEWER_THAN_2_CUSTOMERS
    reasons[_AUC_SE] = _FEWER_THAN_2_POSITIVES
    values[_FUTURE_SPEND], reasons[_FUTURE_SPEND] = 0.0, _DEFINED
    if math.isnan(reference):
        reasons[_REFERENCE_LOG_LOSS] = reasons[_REFERENCE_BRIER] = _NO_REFERENCE


@_compiled
def _padded(n: int) -> int:
    """Arrays of floats are so long, by blocks of nobody: no loop has to end with single ones."""
    return (n + 2 * LANES - 1) // (2 * LANES) * (2 * LANES)


@_compiled
def _blocks_as_floats(
    ends: np.ndarray,
    cumulative: np.ndarray,
    shared: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
) -> None:
    """Customers of each block who bought, and who did not; blocks of nobody as padding."""
    above, bought_above = 0, 0
    for i in range(len(ends)):
        bought = cumulative[i] - bought_above
        positives[i] = bought
        negatives[i] = ends[i] - above - bought
        above, bought_above = ends[i], cumulative[i]
    for i in range(len(ends), len(shared)):
        positives[i] = negatives[i] = 0.0
        shared[i] = shared[len(ends) - 1]


@_compiled
def _logs_into(
    shared: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    logit: np.ndarray,
) -> None:
    """Of the probability that each block shares: p clipped, 1 - p, their logarithms, the logit."""
    for i in range(0, len(shared), LANES):
        clipped = min(max(load(shared, i), CLIP), 1 - CLIP)
        others = 1.0 - clipped
        store(p, i, clipped)
        store(q, i, others)
        log_clipped, log_others = log_of(clipped), log_of(others)
        store(log_p, i, log_clipped)
        store(log_q, i, log_others)
        store(logit, i, log_clipped - log_others)


@_compiled
def _n_clipped(shared: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> int:
    """Blocks fall: what is clipped lies at their ends."""
    clipped, first, last = 0.0, 0, len(shared)
    while first < last and shared[first] > 1 - CLIP:
        clipped += positives[first] + negatives[first]
        first += 1
    while first < last and shared[last - 1] < CLIP:
        last -= 1
        clipped += positives[last] + negatives[last]
    return int(clipped)


@_compiled
def _losses(
    shared: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    n: int,
    n_positive: int,
    reference: float,
    values: np.ndarray,
    reasons: np.ndarray,
) -> float:
    """Losses, skills, O / E, and their standard errors; returns E."""
    surprise = squares = expectation = lanes_of(0.0)
    for i in range(0, len(shared), LANES):
        p, y, others = load(shared, i), load(positives, i), load(negatives, i)
        surprise += y * load(log_p, i) + others * load(log_q, i)
        squares += y * ((1.0 - p) * (1.0 - p)) + others * (p * p)
        expectation += (y + others) * p
    n_negative = n - n_positive
    log_loss, brier, expected = -total(surprise) / n, total(squares) / n, total(expectation)
    ratio = n_positive / expected if expected >= NOTHING_EXPECTED else 0.0
    of_log_losses = of_briers = of_ratios = lanes_of(0.0)
    for i in range(0, len(shared), LANES):
        p, y, others = load(shared, i), load(positives, i), load(negatives, i)
        if_bought, if_not = load(log_p, i) + log_loss, load(log_q, i) + log_loss
        of_log_losses += y * (if_bought * if_bought) + others * (if_not * if_not)
        if_bought, if_not = (1.0 - p) * (1.0 - p) - brier, p * p - brier
        of_briers += y * (if_bought * if_bought) + others * (if_not * if_not)
        in_expected = ratio * p
        short = 1.0 - in_expected
        of_ratios += y * short * short + others * in_expected * in_expected
    of_log_loss, of_brier, of_ratio = total(of_log_losses), total(of_briers), total(of_ratios)
    values[_LOG_LOSS] = log_loss
    values[_BRIER] = brier
    values[_RATIO] = ratio
    values[_MEAN_PREDICTION] = expected / n
    if n > 1:
        values[_LOG_LOSS_SE] = math.sqrt(of_log_loss / (n - 1) / n)
        values[_BRIER_SE] = math.sqrt(of_brier / (n - 1) / n)
    else:
        reasons[_LOG_LOSS_SE] = reasons[_BRIER_SE] = _FEWER_THAN_2_CUSTOMERS
    if expected < NOTHING_EXPECTED:
        reasons[_RATIO] = reasons[_LOG_RATIO_SE] = _NO_EXPECTED
    elif n_positive == 0:
        reasons[_LOG_RATIO_SE] = _NO_POSITIVES
    else:
        values[_LOG_RATIO_SE] = math.sqrt(of_ratio) / n_positive
    if math.isnan(reference):
        reasons[_LOG_LOSS_SKILL] = reasons[_BRIER_SKILL] = _NO_REFERENCE
        reasons[_REFERENCE_LOG_LOSS] = reasons[_REFERENCE_BRIER] = _NO_REFERENCE
        return expected
    clipped = min(max(reference, CLIP), 1 - CLIP)
    of_reference = -(n_positive * math.log(clipped) + n_negative * math.log(1 - clipped)) / n
    values[_REFERENCE_LOG_LOSS] = of_reference
    if of_reference <= 2 * CLIP:
        reasons[_LOG_LOSS_SKILL] = _REFERENCE_IS_ZERO
    else:
        values[_LOG_LOSS_SKILL] = 1 - log_loss / of_reference
    missed = 1 - reference
    of_reference = (n_positive * (missed * missed) + n_negative * (reference * reference)) / n
    values[_REFERENCE_BRIER] = of_reference
    if of_reference <= 0:
        reasons[_BRIER_SKILL] = _REFERENCE_IS_ZERO
    else:
        values[_BRIER_SKILL] = 1 - brier / of_reference
    return expected


@_compiled
def _ranking(
    ends: np.ndarray, cumulative: np.ndarray, values: np.ndarray, reasons: np.ndarray
) -> None:
    """AUC and its standard error, average precision, gain and lift."""
    n, m = ends[-1], cumulative[-1]
    k = n - m
    if m == 0:
        reasons[_AVERAGE_PRECISION] = reasons[_GAIN] = reasons[_LIFT] = _NO_POSITIVES
    if m == 0 or k == 0:
        reasons[_AUC] = _NO_POSITIVES if m == 0 else _NO_NEGATIVES
    if m < 2 or k < 2:
        reasons[_AUC_SE] = _FEWER_THAN_2_POSITIVES if m < 2 else _FEWER_THAN_2_NEGATIVES
    if m == 0:
        return
    pairs_twice, precision = np.int64(0), 0.0
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        bought = cumulative[i] - bought_above
        # Of those who did not buy: all, less those above, less those here but for half of them.
        pairs_twice += bought * (2 * k - (ends[i] - cumulative[i]) - (above - bought_above))
        precision += bought * (cumulative[i] / ends[i])
        above, bought_above = ends[i], cumulative[i]
    values[_AVERAGE_PRECISION] = precision / m
    block, start = _end_of_top_tenth(ends)
    before = cumulative[block - 1] if block else np.int64(0)
    share = (n / 10 - start) / (ends[block] - start)
    values[_GAIN] = (before + share * (cumulative[block] - before)) / m
    values[_LIFT] = 10 * values[_GAIN]
    if k == 0:
        return
    auc = pairs_twice / (2 * m * k)
    values[_AUC] = auc
    if m < 2 or k < 2:
        return
    # Twice as many others, buyers, as the mean buyer outranks, and as outrank the mean other.
    mean_10, mean_01 = 2 * k * auc, 2 * m * auc
    var_10, var_01 = 0.0, 0.0
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        bought = cumulative[i] - bought_above
        others = ends[i] - above - bought
        v10 = (2 * k - (ends[i] - cumulative[i]) - (above - bought_above)) - mean_10
        v01 = (cumulative[i] + bought_above) - mean_01
        var_10 += bought * (v10 * v10)
        var_01 += others * (v01 * v01)
        above, bought_above = ends[i], cumulative[i]
    var_10 /= 4.0 * k * k * (m - 1)
    var_01 /= 4.0 * m * m * (k - 1)
    values[_AUC_SE] = math.sqrt(var_10 / m + var_01 / k)


@_compiled
def _end_of_top_tenth(ends: np.ndarray) -> tuple[int, int]:
    """The block in which the first tenth of the customers ends, and how many are above it."""
    tenth = ends[-1] / 10
    block, start = 0, 0
    while ends[block] < tenth:
        start = ends[block]
        block += 1
    return block, start


@_compiled
def _spend(
    probabilities: np.ndarray,
    future_spend: np.ndarray,
    shared: np.ndarray,
    ends: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
) -> None:
    """Future spend, and the share of it that the first tenth captures."""
    block, start = _end_of_top_tenth(ends)
    limit = shared[block]
    nothing = aboves = ties = belows = lanes_of(0.0)
    whole = len(probabilities) // LANES * LANES
    for i in range(0, whole, LANES):
        p, of_each = load(probabilities, i), load(future_spend, i)
        is_above, is_below = p > limit, limit > p
        aboves += where(is_above, of_each, nothing)
        belows += where(is_below, of_each, nothing)
        ties += where(is_above, nothing, where(is_below, nothing, of_each))
    above, tied, below = total(aboves), total(ties), total(belows)
    for i in range(whole, len(probabilities)):
        p, spend = probabilities[i], future_spend[i]
        above += spend if p > limit else 0.0
        tied += spend if p == limit else 0.0
        below += spend if p < limit else 0.0
    all_spend = above + tied + below
    values[_FUTURE_SPEND] = all_spend
    if all_spend == 0:
        reasons[_VALUE_CAPTURED] = _NO_SPEND
        return
    share = (len(probabilities) / 10 - start) / (ends[block] - start)
    values[_VALUE_CAPTURED] = (above + share * tied) / all_spend


@_compiled
def _calibration(
    p: np.ndarray,
    q: np.ndarray,
    logit: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    likely: np.ndarray,
    unlikely: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
) -> tuple[float, float]:
    """Intercept and slope; returns the slope's weighted mean logit and its information.

    `likely` and `unlikely` are then the recalibrated probabilities, and 1 less these.
    """
    all_positives = all_negatives = all_expected = all_others = lanes_of(0.0)
    for i in range(0, len(p), LANES):
        y, others = load(positives, i), load(negatives, i)
        all_positives += y
        all_negatives += others
        all_expected += (y + others) * load(p, i)
        all_others += (y + others) * load(q, i)
    n_positive, n_negative = total(all_positives), total(all_negatives)
    expected, others_expected = total(all_expected), total(all_others)
    if n_positive == 0 or n_negative == 0:
        reason = _NO_POSITIVES if n_positive == 0 else _NO_NEGATIVES
        reasons[_INTERCEPT] = reasons[_SLOPE] = reasons[_SLOPE_SE] = reason
        return math.nan, math.nan
    level = math.log(n_positive / n_negative)
    # Were all logits the highest, or all the lowest, the root would lie 1 inside these ends.
    low, high = level - logit[0] - 1, level - logit[-1] + 1
    start = level - math.log(expected / others_expected)
    intercept = intercept_of(p, q, positives, negatives, low, high, start)
    values[_INTERCEPT] = intercept
    reason = _why_no_slope(p, positives, negatives, logit)
    if reason != _DEFINED:
        reasons[_SLOPE] = reasons[_SLOPE_SE] = reason
        return math.nan, math.nan
    n = n_positive + n_negative
    without = n_positive * math.log(n_positive / n) + n_negative * math.log(n_negative / n)
    if -n * values[_LOG_LOSS] > without:
        line_intercept, line_slope = intercept, 1.0
        odds = math.exp(intercept)
        for i in range(len(p)):
            raised = odds * p[i]
            likely[i] = raised / (raised + q[i])
            unlikely[i] = q[i] / (raised + q[i])
    else:
        line_intercept, line_slope = level, 0.0
        likely[:] = n_positive / n
        unlikely[:] = n_negative / n
    slope, std_error, centre, information, converged = slope_of(
        logit, positives, negatives, line_intercept, line_slope, likely, unlikely
    )
    if not converged:
        reasons[_SLOPE] = reasons[_SLOPE_SE] = _NOT_CONVERGED
    values[_SLOPE] = slope
    values[_SLOPE_SE] = std_error
    return centre, information


@_compiled
def _why_no_slope(
    p: np.ndarray, positives: np.ndarray, negatives: np.ndarray, logit: np.ndarray
) -> int:
    """A place in `REASONS`.

    Where the classes hardly overlap, everything hangs on the last bits of the logits: these are
    then made the plain version's.
    """
    if _logit(p[0]) - _logit(p[-1]) <= ROUNDING:
        return _CONSTANT
    first_bought, first_other, last_bought, last_other = 0, 0, len(p) - 1, len(p) - 1
    while positives[first_bought] == 0:
        first_bought += 1
    while negatives[first_other] == 0:
        first_other += 1
    while positives[last_bought] == 0:
        last_bought -= 1
    while negatives[last_other] == 0:
        last_other -= 1
    overlap = min(
        _logit(p[first_bought]) - _logit(p[last_other]),
        _logit(p[first_other]) - _logit(p[last_bought]),
    )
    if overlap <= 0:
        return _SEPARABLE
    if overlap < NARROW_OVERLAP:
        for i in range(len(p)):
            logit[i] = _logit(p[i])
    return _DEFINED


@_compiled
def _logit(p: float) -> float:
    """As SciPy's `logit`, to the last bit."""
    if p < 0.3 or p > 0.65:
        return math.log(p / (1 - p))
    twice = 2 * (p - 0.5)
    return math.log1p(twice) - math.log1p(-twice)


@_compiled
def _influence_into(
    keys: np.ndarray,
    ends: np.ndarray,
    cumulative: np.ndarray,
    shared: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    logit: np.ndarray,
    likely: np.ndarray,
    unlikely: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    expected: float,
    centre: float,
    information: float,
    influence: np.ndarray,
) -> None:
    """Sums of `influence_values` over the groups of customers."""
    n, m = ends[-1], cumulative[-1]
    k = n - m
    log_loss, brier = values[_LOG_LOSS], values[_BRIER]
    ranked = reasons[_AUC] == _DEFINED
    auc, of_bought, of_other = 0.0, 0.0, 0.0
    if ranked:
        auc, of_bought, of_other = values[_AUC], 1 / m, 1 / k
    related = reasons[_LOG_RATIO_SE] == _DEFINED
    of_observed, of_expected = (1 / m, 1 / expected) if related else (0.0, 0.0)
    fitted = reasons[_SLOPE] == _DEFINED
    of_slope = 1 / information if fitted else 0.0
    sums = np.zeros((N_GROUPS, len(INFLUENCED)))
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        p = shared[i]
        lever = (logit[i] - centre) * of_slope if fitted else 0.0
        v10 = (2 * k - (ends[i] - cumulative[i]) - (above - bought_above)) * (of_other / 2) - auc
        v01 = (cumulative[i] + bought_above) * (of_bought / 2) - auc
        for j in range(above, ends[i]):
            bought = (keys[j] & 1) == 1
            group = (keys[j] >> 1) & (N_GROUPS - 1)
            sums[group, 0] -= (log_p[i] if bought else log_q[i]) + log_loss
            sums[group, 1] += ((p - 1) * (p - 1) if bought else p * p) - brier
            sums[group, 2] += v10 * of_bought if bought else v01 * of_other
            sums[group, 3] += (of_observed if bought else 0.0) - p * of_expected
            sums[group, 4] += (unlikely[i] if bought else -likely[i]) * lever
        above, bought_above = ends[i], cumulative[i]
    for group in range(N_GROUPS):
        influence[0, group] = sums[group, 0] / n
        influence[1, group] = sums[group, 1] / n
        influence[2, group] = sums[group, 2] if ranked else np.nan
        influence[3, group] = sums[group, 3] if related else np.nan
        influence[4, group] = sums[group, 4] if fitted else np.nan


def undefined_text(reasons: np.ndarray) -> str:
    """``metric:reason;...``, sorted by metric, of what `score_into` wrote; "" if all is defined."""
    return _undefined_text(reasons[:N_SCORED].tobytes())


@lru_cache(maxsize=4096)
def _undefined_text(reasons: bytes) -> str:
    return ";".join(f"{name}:{why}" for name, why in sorted(_undefined(reasons).items()))


def _undefined(reasons: bytes) -> dict[str, str]:
    return {
        name: REASONS[code] for name, code in zip(VALUES, reasons[:N_SCORED], strict=False) if code
    }


def score_compiled(
    scores: Scores, groups: np.ndarray
) -> tuple[dict[str, float | None], dict[str, str], dict[str, np.ndarray | None]]:
    """What `score` and `influence_sums` give, by `score_into`; groups of int, shape (n,)."""
    values = np.empty(len(VALUES))
    reasons = np.empty(len(VALUES), dtype=np.uint8)
    counts = np.empty(len(COUNTS), dtype=np.int64)
    influence = np.empty((len(INFLUENCED), N_GROUPS), dtype=np.float32)
    reference = math.nan if scores.reference is None else float(scores.reference)
    score_into(  # copies, for arrays that cannot be written to would be compiled for anew
        scores.outcomes.copy(),
        scores.probabilities.copy(),
        scores.future_spend.copy(),
        reference,
        np.array(groups, dtype=np.uint8),
        values,
        reasons,
        counts,
        influence,
    )
    named = {
        name: None if code else value
        for name, value, code in zip(VALUES[:N_SCORED], values.tolist(), reasons, strict=False)
    }
    sums = {
        name: None if np.isnan(row).any() else row
        for name, row in zip(INFLUENCED, influence, strict=True)
    }
    return named, _undefined(reasons.tobytes()), sums
