"""Metrics of calibration: whether the probabilities can be taken at face value.

An `observed_expected_ratio` of 1.2 means a fifth more buyers than expected; an intercept above 0
means underprediction at the given spread; a slope below 1 means scores that are too extreme.

Source: Cox 1958; TRIPOD.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.metrics.base import EQUAL_COMPANY, ROW, WITHIN_COMPANY, Metric
from scale_eval.metrics.histogram import GroupedHistograms, ScoreHistogram, mid_logit
from scale_eval.metrics.pooling import (
    CUSTOMERS,
    EXPECTED_POSITIVES,
    POSITIVES,
    RARER_CLASS,
    Pooling,
    RatioPooling,
)
from scale_eval.metrics.row_form import (
    RowForm,
    WeightedFigure,
    WeightedRows,
    classes_by_block,
    figure_by_row,
)
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import IDENTITY, LOG, Influence
from scale_eval.statistics import logistic, logistic_many, weighted_blocks
from scale_eval.statistics.common_slope import common_slope
from scale_eval.statistics.undefined import Undefined

ENOUGH_FOR_A_SLOPE = 100
"""Buyers, and non-buyers, below which the slope of one company is biased by 1 % and more, and now
and then far off (Collins, Ogundimu & Altman 2016)."""

NOTHING_EXPECTED = 1e-300
"""An expected number of buyers below it is 0: O / E would leave float64."""


def observed_expected_ratio(scores: Scores) -> float:
    """Return O / E: buyers over the sum of probabilities; 0 where nobody bought.

    Undefined: ``no_customers``; ``no_expected`` where E = 0.
    """
    if not scores.n_customers:
        raise Undefined("no_customers")
    expected = float(scores.probabilities.sum())
    if expected < NOTHING_EXPECTED:
        raise Undefined("no_expected")
    return scores.n_positive / expected


def calibration_intercept(scores: Scores) -> float:
    """Return the intercept of the logistic regression of outcomes with the logit of p as offset.

    Undefined: ``no_positives``, ``no_negatives``.
    """
    return logistic.intercept(scores.block_logit, scores.block_positives, scores.block_negatives)


def calibration_slope(scores: Scores) -> float:
    """Return the slope of the logistic regression of outcomes on the logit of p.

    Undefined: ``no_positives``, ``no_negatives``; ``constant_predictions``; ``separable``, where
    the highest p of one class is not above the lowest of the other; ``not_converged``.
    """
    return scores.recalibration.slope


def log_observed_expected_influence(scores: Scores) -> np.ndarray:
    """Return y_i / O - p_i / E of each customer, the influence on log(O / E).

    Undefined: as O / E, and ``no_positives``, for the logarithm.
    """
    observed_expected_ratio(scores)
    if not scores.n_positive:
        raise Undefined("no_positives")
    expected = float(scores.probabilities.sum())
    return np.asarray(scores.y / scores.n_positive - scores.probabilities / expected)


def log_observed_expected_se(scores: Scores) -> float:
    """Return the SE of log(O / E), sqrt(sum of (y / O - p / E)^2).

    Each customer moves O and E together. The variance equals (O - 2 R sum(y p) + R^2 sum(p^2)) /
    O^2 with R = O / E. The usual 1/O - 1/n is 12 to 60 % too large for a model that discriminates.

    Undefined: as O / E, and ``no_positives``, for the logarithm.
    """
    ratio = observed_expected_ratio(scores)
    if not scores.n_positive:
        raise Undefined("no_positives")
    influence = (scores.y - ratio * scores.probabilities) / scores.n_positive
    return math.sqrt(np.square(influence).sum())


def calibration_slope_influence(scores: Scores) -> np.ndarray:
    """Return the influence of each customer on the slope, see `logistic.slope_influence`.

    Undefined: as `calibration_slope`.
    """
    positive_values, negative_values = logistic.slope_influence(
        scores.block_logit, scores.block_positives, scores.block_negatives, scores.recalibration
    )
    return scores.by_class(positive_values, negative_values)


def calibration_slope_se(scores: Scores) -> float:
    """Return the SE from the Fisher information at the maximum.

    Undefined: as `calibration_slope`.
    """
    return scores.recalibration.std_error


def _bias_of_intercept(n_positive: np.ndarray, n_negative: np.ndarray) -> np.ndarray:
    """Return the bias of the maximum-likelihood intercept, (1 / n_negative - 1 / n_positive) / 2.

    It is that of a logit (Cox & Snell 1968), and of an intercept where predictions hardly differ.
    """
    return np.asarray((1 / n_negative - 1 / n_positive) / 2)


def _intercept_of_rows(merged: ScoreHistogram) -> tuple[float, None]:
    """Return the intercept over all rows, logits grouped to 1/128 by the middle of their bin.

    Logits beyond 16 count as 16. There is no error bound.
    """
    return logistic.intercept(mid_logit(merged.bin), merged.n_positive, merged.n_negative), None


def _slope_of_rows(merged: ScoreHistogram) -> tuple[float, None]:
    """Return the slope over all rows in one stage, grouped as in `_intercept_of_rows`."""
    return logistic.fit(mid_logit(merged.bin), merged.n_positive, merged.n_negative).slope, None


def _intercepts_without_each(grouped: GroupedHistograms) -> np.ndarray:
    return logistic_many.intercepts(*_without_each(grouped))


def _slopes_without_each(grouped: GroupedHistograms) -> np.ndarray:
    return logistic_many.slopes(*_without_each(grouped))


def _without_each(grouped: GroupedHistograms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    total = grouped.total
    positives, negatives = (
        total.n_positive - grouped.n_positive,
        total.n_negative - grouped.n_negative,
    )
    return mid_logit(grouped.bin), positives, negatives


def _weighted_intercept(rows: WeightedRows) -> WeightedFigure:
    blocks = rows.block_logit, *classes_by_block(rows)
    return figure_by_row(rows, weighted_blocks.calibration_intercept(*blocks))


def _weighted_slope(rows: WeightedRows) -> WeightedFigure:
    blocks = rows.block_logit, *classes_by_block(rows)
    return figure_by_row(rows, weighted_blocks.calibration_slope(*blocks))


METRICS = (
    Metric(
        "calibration_intercept",
        calibration_intercept,
        "target",
        margin=0.05,
        target=0,
        label="calibration intercept",
        pooling=Pooling(CUSTOMERS),
        estimands=(ROW, EQUAL_COMPANY),
        row_form=RowForm(_intercept_of_rows, _intercepts_without_each, _weighted_intercept),
        first_order_bias=_bias_of_intercept,
        reasons=("no_positives", "no_negatives"),
        compiled=True,
    ),
    Metric(
        "calibration_slope",
        calibration_slope,
        "target",
        margin=0.05,
        target=1,
        label="calibration slope",
        pooling=Pooling(CUSTOMERS),
        estimands=(ROW, WITHIN_COMPANY, EQUAL_COMPANY),
        row_form=RowForm(
            _slope_of_rows,
            _slopes_without_each,
            _weighted_slope,
            within_windows=common_slope,
        ),
        influence=Influence(
            "calibration_slope", RARER_CLASS, calibration_slope_influence, calibration_slope_se
        ),
        effects=IDENTITY,
        expected_of_each=ENOUGH_FOR_A_SLOPE,
        is_mean_of_effects=True,
        reasons=(
            "no_positives",
            "no_negatives",
            "constant_predictions",
            "separable",
            "not_converged",
        ),
        compiled=True,
    ),
    Metric(
        "observed_expected_ratio",
        observed_expected_ratio,
        "target",
        margin=0.05,
        target=1,
        low=0,
        label="observed / expected",
        pooling=RatioPooling(numerator=POSITIVES, denominator=EXPECTED_POSITIVES),
        estimands=(ROW, EQUAL_COMPANY),
        influence=Influence(
            "log_observed_expected",
            POSITIVES,
            log_observed_expected_influence,
            log_observed_expected_se,
            log=True,
        ),
        effects=LOG,
        reasons=("no_customers", "no_expected"),
        compiled=True,
    ),
)
"""The metrics of calibration, in the order of the tables."""
