"""The tables `evaluations` and `scores`, on whose columns others rely."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from scale_eval.metrics import INFLUENCED, METRICS, N_GROUPS, STANDARD_ERRORS, WITH_INFLUENCE
from scale_eval.metrics.uncertainty import influence_column
from scale_eval.storage.columns import COUNT, FLAG, NUMBER, TEXT, TIME, Column, schema_of

INFLUENCE_TYPE = pa.list_(pa.float32(), N_GROUPS)
"""The type of columns of sums of influence."""

KEY = ["company_id", "cutoff", "model"]
"""The columns that identify an evaluation."""

FAILED = ("error", "timeout", "killed")
"""Statuses of failed evaluations; the others are ``ok`` and ``skipped``."""

_NOT_OK = "the evaluation is not ok"
_UNDEFINED = "the evaluation is not ok, or the metric is undefined: `undefined` says why"
_NO_JACKKNIFE = (
    "the evaluation is not ok, or the metric is undefined, or it is so without one of the groups; "
    "or an earlier version made the row"
)
_NOT_RUN = "no worker ran the evaluation"

EVALUATION_COLUMNS = (
    Column("company_id", TEXT, "The company."),
    Column(
        "cutoff",
        TIME,
        "The cutoff: the model sees what came before it.",
        null="the company has no whole window",
    ),
    Column(
        "horizon_end",
        TIME,
        "The end of the label window, which begins at the cutoff.",
        null="the company has no whole window",
    ),
    Column("model", TEXT, "The model."),
    Column("status", TEXT, "How it ended: `ok`, `skipped`, `error`, `timeout` or `killed`."),
    Column("reason", TEXT, "Why it is not ok; empty where it is."),
    Column("note", TEXT, "Details for people: the error's text, or what the model assumed."),
    Column("undefined", TEXT, 'Undefined metrics: "metric:reason;...", sorted.'),
    Column("overlaps", FLAG, "Whether its label window overlaps another of the company."),
    Column("n_customers", COUNT, "Customers of the population.", null=_NOT_OK),
    Column("n_positive", COUNT, "Customers who bought in the label window.", null=_NOT_OK),
    Column("n_clipped", COUNT, "Probabilities that were moved off 0 or 1.", null=_NOT_OK),
    Column("n_distinct", COUNT, "Distinct probabilities.", null=_NOT_OK),
    Column("observed_rate", NUMBER, "n_positive / n_customers.", null=_NOT_OK),
    Column("mean_prediction", NUMBER, "Mean of the probabilities.", null=_NOT_OK),
    Column(
        "n_lapsed",
        COUNT,
        "Customers without a purchase in one horizon before the cutoff.",
        null=_NOT_OK,
    ),
    Column("future_spend", NUMBER, "Spend of all customers in the label window.", null=_NOT_OK),
    *(Column(name, NUMBER, f"The metric `{name}`.", null=_UNDEFINED) for name in METRICS),
    *(
        Column(name, NUMBER, f"Standard error of `{name.removesuffix('_se')}`.", null=_UNDEFINED)
        for name in STANDARD_ERRORS
    ),
    Column(
        "reference_log_loss",
        NUMBER,
        "Log loss of `base_rate` at the same company and cutoff.",
        null="`base_rate` gives no probabilities there",
    ),
    Column(
        "reference_brier_score",
        NUMBER,
        "Brier score of `base_rate` at the same company and cutoff.",
        null="`base_rate` gives no probabilities there",
    ),
    Column(
        "known_rate",
        NUMBER,
        "The rate of buyers known at the cutoff: what `base_rate` predicts of every customer.",
        null="`base_rate` gives no probabilities there",
    ),
    Column(
        "recalibrated_log_loss",
        NUMBER,
        "Log loss after the best recalibration in hindsight, intercept and slope on the logit.",
        null=_NOT_OK,
    ),
    *(
        Column(
            influence_column(name),
            INFLUENCE_TYPE,
            f"Influence of customers on `{name}`, summed over {N_GROUPS} groups of customers.",
            null=_NO_JACKKNIFE if WITH_INFLUENCE[metric].is_jackknifed else _UNDEFINED,
        )
        for metric, name in zip(WITH_INFLUENCE, INFLUENCED, strict=True)
    ),
    Column("history_seconds", NUMBER, "Seconds to make the history.", null=_NOT_RUN),
    Column("fit_seconds", NUMBER, "Seconds to fit the model.", null=_NOT_RUN),
    Column("predict_seconds", NUMBER, "Seconds to predict.", null=_NOT_RUN),
    Column("score_seconds", NUMBER, "Seconds to score the predictions.", null=_NOT_RUN),
    Column("attempts", pa.int32(), "The number of attempts so far, this one included."),
    Column("worker", TEXT, "Address of the worker.", null=_NOT_RUN),
    Column("evaluated_at", TIME, "When the row was made."),
)
"""The table `evaluations`, one row an evaluation; a user's metrics follow as further columns, and
then their sums of influence.

In the files of a run a list is one value of 64 bytes, see `scale_eval.storage.fixed_size_lists`.
"""

SCORE_COLUMNS = (
    Column("model", TEXT, "The model."),
    Column("cutoff", TIME, "The cutoff."),
    Column("company_group", pa.int32(), "The group of companies."),
    Column(
        "answered_by",
        TEXT,
        'Models that are ok at these windows, of those that the task evaluated: "a;b".',
    ),
    Column("bin", pa.int32(), "The bin of the score; the edges are those of `scale_eval.metrics`."),
    Column("n_positive", COUNT, "Customers in the bin who bought."),
    Column("n_negative", COUNT, "Customers in the bin who did not."),
    Column("spend_minor", COUNT, "Future spend of the bin's customers, in hundredths."),
    Column(
        "score",
        NUMBER,
        "The score that all customers of the bin have; it makes `error_bound` smaller.",
        null="they have several, or a window with several has fewer than four customers for each",
    ),
)
"""The table `scores`: histograms of scores, one row a (model, cutoff, group of companies, bin)."""

SCORES_SCHEMA = schema_of(SCORE_COLUMNS)

SCORE_KEYS = SCORES_SCHEMA.names[:5]
"""The columns by which scores are counted; the rest are the counts and the one score of a bin."""

CONVENTIONS = {
    "roc_auc_se": "DeLong 1988, ddof 1",
    "influence": f"sums over {N_GROUPS} groups of customers, group = crc32(customer_id) mod "
    f"{N_GROUPS}; a variance is {N_GROUPS} / {N_GROUPS - 1} of the sum of their squares; of "
    "the top tenth and of users' metrics by a delete-a-group jackknife (Kott 2001)",
}
"""The methods behind the figures of an evaluation, as recorded in `run.json`."""


def evaluations_schema(user_metrics: Sequence[str] = ()) -> pa.Schema:
    """Return the schema of the table `evaluations`, with two columns for each of `user_metrics`."""
    fields = [pa.field(name, pa.float64()) for name in user_metrics]
    fields += [pa.field(influence_column(name), INFLUENCE_TYPE) for name in user_metrics]
    return pa.schema([*schema_of(EVALUATION_COLUMNS), *fields])


def coded(schema: pa.Schema) -> pa.Schema:
    """Return the same schema, with texts as dictionary codes."""
    codes = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([f.with_type(codes) if pa.types.is_string(f.type) else f for f in schema])
