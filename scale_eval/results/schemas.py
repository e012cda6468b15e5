"""The tables of a run, on whose columns others rely. Null means undefined or not counted."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.metrics import INFLUENCED, METRICS, N_GROUPS, STANDARD_ERRORS

KEY = ["company_id", "cutoff", "model"]
"""What an evaluation is."""

FAILED = ("error", "timeout", "killed")
"""Statuses of failed evaluations; the others are ``ok`` and ``skipped``."""


def evaluations_schema(user_metrics: Sequence[str] = ()) -> pa.Schema:
    """One row an evaluation; metrics of the user stand as columns at the end.

    In the files of a run a list is one value of 64 bytes, see `scale_eval.storage.packed_lists`.
    """
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
            (
                "n_lapsed",
                pa.int64(),
            ),  # customers without a purchase in one horizon before the cutoff
            ("future_spend", pa.float64()),
            *[(name, pa.float64()) for name in METRICS],
            *[(name, pa.float64()) for name in STANDARD_ERRORS],
            ("reference_log_loss", pa.float64()),  # of base_rate at the same company and cutoff
            ("reference_brier_score", pa.float64()),
            *[(f"{name}_influence", pa.list_(pa.float32(), N_GROUPS)) for name in INFLUENCED],
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


def coded(schema: pa.Schema) -> pa.Schema:
    """The same, texts as dictionary codes."""
    codes = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([f.with_type(codes) if pa.types.is_string(f.type) else f for f in schema])


SCORES_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("cutoff", TIMESTAMP),
        ("company_group", pa.int32()),
        ("answered_by", pa.string()),  # models that are ok at these windows, as far as known: "a;b"
        ("bin", pa.int32()),
        ("n_positive", pa.int64()),
        ("n_negative", pa.int64()),
        ("spend_minor", pa.int64()),  # future spend of the bin's customers, in hundredths
    ]
)
"""Histograms of scores by group of companies; the edges are those of `scale_eval.metrics`."""

SCORE_KEYS = SCORES_SCHEMA.names[:5]
"""What they are counted by; the rest are the counts."""

COMPANIES_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("model", pa.string()),
        ("metric", pa.string()),
        ("n_customers", pa.int64()),  # at the latest cutoff that is ok
        ("n_positive", pa.int64()),
        ("n_evaluations", pa.int64()),  # planned or refused, whatever came of them
        ("n_cutoffs", pa.int64()),  # evaluations that are ok
        ("n_defined", pa.int64()),  # of these, where the metric is defined
        ("mean", pa.float64()),
        ("std_error", pa.float64()),  # of `mean`: customers' chance, clustered by customer
        ("std", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("latest", pa.float64()),
        ("shrunk", pa.float64()),
        ("shrinkage_weight", pa.float64()),
    ]
)

_DISTRIBUTION = ["mean", "std", "mad", "iqr", "min", "p05", "p25", "p50", "p75", "p95", "max"]

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
        ("ci_reason", pa.string()),  # why they are null
        ("sampling_std_error", pa.float64()),  # customers' chance alone: these companies, then
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
        ("constant_floor", pa.float64()),  # roc_auc, row: what a constant per company reaches
        *[(name, pa.float64()) for name in _DISTRIBUTION],
        ("n_heterogeneity", pa.int64()),  # companies that the columns from here on stand on
        ("tau", pa.float64()),
        ("tau_low", pa.float64()),
        ("tau_high", pa.float64()),
        ("tau_scale", pa.string()),
        ("i_squared", pa.float64()),
        ("expected", pa.float64()),  # mean of the random effects, on the metric's scale
        ("expected_low", pa.float64()),
        ("expected_high", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("heterogeneity_reason", pa.string()),  # why they, or the last two, are null
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
        ("std_error", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("ci_reason", pa.string()),
        ("sampling_std_error", pa.float64()),  # customers' chance alone, paired
        ("n_effective", pa.float64()),
        ("margin", pa.float64()),
        ("wins", pa.int64()),
        ("ties", pa.int64()),
        ("losses", pa.int64()),
        ("p_value", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("p_reason", pa.string()),
        ("n_heterogeneity", pa.int64()),
        ("tau", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("probability_a_better", pa.float64()),
        ("probability_a_better_by_margin", pa.float64()),
        ("probability_b_better_by_margin", pa.float64()),
        ("heterogeneity_reason", pa.string()),
        ("equivalent", pa.bool_()),
    ]
)

RELIABILITY_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("probability", pa.float64()),  # as the model said it; ascending within a model
        ("recalibrated", pa.float64()),  # what came of it: isotonic (CORP)
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n_customers", pa.int64()),  # nearest to this probability
        ("n_positive", pa.int64()),
    ]
)
"""All customers of the common windows in one; at most 64 points a model."""

DECOMPOSITIONS_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("loss", pa.string()),  # log_loss or brier_score
        ("value", pa.float64()),
        ("miscalibration", pa.float64()),
        ("discrimination", pa.float64()),
        ("uncertainty", pa.float64()),
    ]
)
"""value = miscalibration - discrimination + uncertainty, of the rows of RELIABILITY_SCHEMA."""

SPREAD_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("metric", pa.string()),
        ("scale", pa.string()),  # on which the standard deviations are
        ("n_companies", pa.int64()),
        ("n_cutoffs", pa.int64()),
        ("n_evaluations", pa.int64()),
        ("company_sd", pa.float64()),
        ("company_sd_low", pa.float64()),
        ("company_sd_high", pa.float64()),
        ("cutoff_sd", pa.float64()),
        ("cutoff_sd_low", pa.float64()),
        ("cutoff_sd_high", pa.float64()),
        ("residual_sd", pa.float64()),  # company and cutoff together, and noise
        ("noise_sd", pa.float64()),  # the part of it that is customers' chance
        ("next_cutoff_low", pa.float64()),  # equal_company value at the next cutoff
        ("next_cutoff_high", pa.float64()),
        ("reason", pa.string()),
    ]
)
"""The parts of the spread of evaluations on the common coverage: company, cutoff, residual."""

PERIODS_SCHEMA = pa.schema(
    [
        ("cutoff", TIMESTAMP),
        ("companies", pa.string()),  # "all", or "same": those with every cutoff of the "same" rows
        ("model", pa.string()),
        ("n_companies", pa.int64()),
        ("n_customers", pa.int64()),
        ("n_positive", pa.int64()),
        ("observed_rate", pa.float64()),  # of all their customers
        ("share_lapsed", pa.float64()),  # without a purchase in one horizon before the cutoff
        ("log_loss", pa.float64()),  # means over companies, from here on
        ("log_loss_skill", pa.float64()),
        ("brier_score", pa.float64()),
        ("roc_auc", pa.float64()),
        ("observed_expected_ratio", pa.float64()),  # geometric
        ("reference_log_loss", pa.float64()),
        ("uncertainty", pa.float64()),  # log loss of the rate that came
        ("drift", pa.float64()),  # reference_log_loss - uncertainty
        ("saved", pa.float64()),  # reference_log_loss - the model's, on the reference's windows
    ]
)
"""Cutoff by cutoff on the common coverage; a null cutoff is all of them, each company once."""
