"""Names and positions of the values, the reasons and the counts that `score_into` writes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

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
"""Columns of an evaluation's row that `score_into` fills, in its order: the metrics, their standard
errors, and the other columns that depend on the scores."""

(
    LOG_LOSS,
    BRIER,
    LOG_LOSS_SKILL,
    BRIER_SKILL,
    AUC,
    AVERAGE_PRECISION,
    INTERCEPT,
    SLOPE,
    RATIO,
    LIFT,
    GAIN,
    VALUE_CAPTURED,
    LOG_LOSS_SE,
    BRIER_SE,
    AUC_SE,
    SLOPE_SE,
    LOG_RATIO_SE,
    MEAN_PREDICTION,
    REFERENCE_LOG_LOSS,
    REFERENCE_BRIER,
    FUTURE_SPEND,
) = range(len(VALUES))

N_SCORED = LOG_RATIO_SE + 1
"""The number of `VALUES`, from the first, that are metrics or standard errors."""

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
"""Reasons why a value is null, by their code; code 0 means that it is not null."""

(
    DEFINED,
    NO_CUSTOMERS,
    NO_POSITIVES,
    NO_NEGATIVES,
    NO_REFERENCE,
    REFERENCE_IS_ZERO,
    NO_EXPECTED,
    CONSTANT,
    SEPARABLE,
    NOT_CONVERGED,
    NO_SPEND,
    FEWER_THAN_2_CUSTOMERS,
    FEWER_THAN_2_POSITIVES,
    FEWER_THAN_2_NEGATIVES,
) = range(len(REASONS))

COUNTS = ("n_positive", "n_clipped")


def undefined_text(reasons: np.ndarray) -> str:
    """Return ``metric:reason;...``, sorted by metric, for reasons of `score_into`; "" if none."""
    return _undefined_text(reasons[:N_SCORED].tobytes())


@lru_cache(maxsize=4096)
def _undefined_text(reasons: bytes) -> str:
    return ";".join(f"{name}:{why}" for name, why in sorted(undefined(reasons).items()))


def undefined(reasons: bytes) -> dict[str, str]:
    """Return the reason of every metric and standard error that is undefined, by its name."""
    return {
        name: REASONS[code] for name, code in zip(VALUES, reasons[:N_SCORED], strict=False) if code
    }
