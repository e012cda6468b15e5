"""Names and positions of the values, the reasons and the counts that `score_into` writes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from scale_eval.metrics.built_in import BUILT_IN, STANDARD_ERRORS

VALUES = (
    *(metric.name for metric in BUILT_IN if metric.compiled),
    *STANDARD_ERRORS,
    "mean_prediction",
    "reference_log_loss",
    "reference_brier_score",
    "known_rate",
    "future_spend",
    "recalibrated_log_loss",
)
"""Columns of an evaluation's row that `score_into` fills, in its order: the metrics, their standard
errors, and the other columns that depend on the scores."""

N_SCORED = VALUES.index("mean_prediction")
"""Number of `VALUES`, from the first, that are metrics or standard errors and may be undefined."""

LOG_LOSS = VALUES.index("log_loss")
BRIER = VALUES.index("brier_score")
LOG_LOSS_SKILL = VALUES.index("log_loss_skill")
BRIER_SKILL = VALUES.index("brier_skill")
AUC = VALUES.index("roc_auc")
AVERAGE_PRECISION = VALUES.index("average_precision")
INTERCEPT = VALUES.index("calibration_intercept")
SLOPE = VALUES.index("calibration_slope")
RATIO = VALUES.index("observed_expected_ratio")
LIFT = VALUES.index("lift_at_10")
GAIN = VALUES.index("gain_at_10")
VALUE_CAPTURED = VALUES.index("value_captured_at_10")
LOG_LOSS_SE = VALUES.index("log_loss_se")
BRIER_SE = VALUES.index("brier_score_se")
AUC_SE = VALUES.index("roc_auc_se")
SLOPE_SE = VALUES.index("calibration_slope_se")
LOG_RATIO_SE = VALUES.index("log_observed_expected_se")
MEAN_PREDICTION = VALUES.index("mean_prediction")
REFERENCE_LOG_LOSS = VALUES.index("reference_log_loss")
REFERENCE_BRIER = VALUES.index("reference_brier_score")
KNOWN_RATE = VALUES.index("known_rate")
FUTURE_SPEND = VALUES.index("future_spend")
RECALIBRATED_LOG_LOSS = VALUES.index("recalibrated_log_loss")

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

COUNTS = ("n_positive", "n_clipped", "n_distinct")


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
