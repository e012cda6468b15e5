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

    In the files of a run a list is one value of 64 bytes, see `storage.fixed_size_lists`.
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
