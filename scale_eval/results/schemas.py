"""The tables of a run, on whose columns others rely. Null means undefined or not counted."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.metrics import METRICS, N_GROUPS, STANDARD_ERRORS

KEY = ["company_id", "cutoff", "model"]
"""What an evaluation is."""

FAILED = ("error", "timeout", "killed")
"""Statuses of failed evaluations; the others are ``ok`` and ``skipped``."""

INFLUENCES = ("log_loss_influence", "brier_score_influence", "roc_auc_influence")


def evaluations_schema(user_metrics: Sequence[str] = ()) -> pa.Schema:
    """One row an evaluation; metrics of the user stand as columns at the end."""
    return pa.schema(
        [
            ("company_id", pa.string()),
            ("cutoff", TIMESTAMP),
            ("horizon_end", TIMESTAMP),
            ("model", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("note", pa.string()),
            ("undefined", pa.string()),  # "metric:reason;..." sorted
            ("overlaps", pa.bool_()),
            ("n_customers", pa.int64()),
            ("n_positive", pa.int64()),
            ("n_clipped", pa.int64()),
            ("observed_rate", pa.float64()),
            ("mean_prediction", pa.float64()),
            ("future_spend", pa.float64()),
            *[(name, pa.float64()) for name in METRICS],
            *[(name, pa.float64()) for name in STANDARD_ERRORS],
            ("reference_log_loss", pa.float64()),  # of base_rate at the same company and cutoff
            ("reference_brier_score", pa.float64()),
            *[(name, pa.list_(pa.float64(), N_GROUPS)) for name in INFLUENCES],
            ("history_seconds", pa.float64()),
            ("fit_seconds", pa.float64()),
            ("predict_seconds", pa.float64()),
            ("score_seconds", pa.float64()),
            ("attempts", pa.int32()),
            ("worker", pa.string()),
            ("evaluated_at", TIMESTAMP),
            *[(name, pa.float64()) for name in user_metrics],
        ]
    )


SCORES_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("cutoff", TIMESTAMP),
        ("company_group", pa.int32()),
        ("bin", pa.int32()),
        ("n_positive", pa.int64()),
        ("n_negative", pa.int64()),
        ("spend_minor", pa.int64()),  # future spend of the bin's customers, in hundredths
    ]
)
"""Histograms of scores by group of companies; the edges are those of `scale_eval.metrics`."""

COMPANIES_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("model", pa.string()),
        ("metric", pa.string()),
        ("n_evaluations", pa.int64()),  # planned or refused, whatever came of them
        ("n_cutoffs", pa.int64()),  # evaluations that are ok
        ("n_defined", pa.int64()),  # of these, where the metric is defined
        ("mean", pa.float64()),
        ("std", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("latest", pa.float64()),
        ("shrunk", pa.float64()),
        ("shrinkage_weight", pa.float64()),
    ]
)

_DISTRIBUTION = ["mean", "std", "mad", "iqr", "min", "p05", "p25", "p50", "p75", "p95", "max"]
_HETEROGENEITY = ["tau", "tau_scale", "i_squared", "prediction_low", "prediction_high"]

POOLED_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("metric", pa.string()),
        ("cutoff", TIMESTAMP),  # null: all cutoffs
        ("estimand", pa.string()),
        ("coverage", pa.string()),
        ("value", pa.float64()),
        ("reason", pa.string()),  # why `value` is null
        ("std_error", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n_companies", pa.int64()),  # with at least one evaluation in the coverage
        ("n_companies_defined", pa.int64()),  # of these, where the metric is defined
        ("n_defined", pa.int64()),  # evaluations
        ("n_undefined", pa.int64()),
        ("undefined_reasons", pa.string()),  # "reason:count;..." sorted
        ("n_skipped", pa.int64()),
        ("n_failed", pa.int64()),
        ("n_not_common", pa.int64()),  # ok, but not for every model: out of the common coverage
        ("n_effective", pa.float64()),
        ("error_bound", pa.float64()),
        *[(name, pa.float64()) for name in _DISTRIBUTION],
        *[(name, pa.string() if name == "tau_scale" else pa.float64()) for name in _HETEROGENEITY],
    ]
)

COMPARISONS_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("model_a", pa.string()),
        ("model_b", pa.string()),
        ("estimand", pa.string()),
        ("stratum", pa.string()),
        ("n_companies", pa.int64()),
        ("mean_difference", pa.float64()),
        ("reason", pa.string()),  # why it is null
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("margin", pa.float64()),
        ("wins", pa.int64()),
        ("ties", pa.int64()),
        ("losses", pa.int64()),
        ("p_value", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("probability_a_better", pa.float64()),
        ("equivalent", pa.bool_()),
    ]
)
