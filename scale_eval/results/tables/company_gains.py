"""The table `company_gains`: what the customers that a company ranks highest hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from scale_eval.results.company_curves import (
    BUYERS,
    CUSTOMERS,
    DEPTHS,
    SPEND,
    CompanyCurves,
)
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.base import RunTable
from scale_eval.storage.columns import NUMBER, TEXT, Column

KEPT = (1, 2, 5, 10, 20, 30, 50)
"""The depths of the table, in percent of the customers of each window."""


def company_gains_table(panel: Panel, scores: PooledHistograms) -> pa.Table:
    """Make one row for each company, model and depth; none where scores were kept by group."""
    parts = [COMPANY_GAINS.schema.empty_table()]
    if scores.by_company:
        for model, coverage, _ in scores.of_all_cutoffs():
            curves = scores.company_curves(model, coverage)
            parts.append(_rows(panel, panel.models[model], curves))
    return pa.concat_tables(parts).sort_by("company_id")


def _rows(panel: Panel, model: str, curves: CompanyCurves) -> pa.Table:
    """Return the rows of the companies for which a model has windows."""
    present = np.flatnonzero(curves.total[:, CUSTOMERS])
    depths = np.array([DEPTHS.index(percent) for percent in KEPT])
    held, total = curves.held[np.ix_(present, depths)], curves.total[present, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(total > 0, held / total, np.nan)
    columns = {
        "company_id": np.repeat(panel.company_ids[present], len(KEPT)),
        "model": np.repeat([model], len(present) * len(KEPT)),
        "depth": np.tile(np.array(KEPT) / 100, len(present)),
        "n_customers": held[..., CUSTOMERS].ravel(),
        "n_positive": held[..., BUYERS].ravel(),
        "spend": held[..., SPEND].ravel(),
        "share_of_buyers": shares[..., BUYERS].ravel(),
        "share_of_spend": shares[..., SPEND].ravel(),
    }
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True)
        for field in COMPANY_GAINS.schema
    ]
    return pa.Table.from_arrays(arrays, schema=COMPANY_GAINS.schema)


COMPANY_GAINS = RunTable(
    "company_gains",
    row="company, model, depth",
    doc="What the customers that each company ranks highest hold of its later buyers and their "
    "spend: the same share of its customers at every cutoff, summed over cutoffs. Scores are kept "
    "by company in runs of up to 4,096 companies; in larger ones the table is empty.",
    columns=(
        Column("company_id", TEXT, "The company."),
        Column("model", TEXT, "The model."),
        Column(
            "depth",
            NUMBER,
            "Share of the customers at each cutoff, those ranked highest: .01, .02, .05, .1, .2, "
            ".3 or .5.",
        ),
        Column(
            "n_customers",
            NUMBER,
            "Customers to that depth, over the windows that every model "
            "predicted (all windows of the model, where these cannot be separated).",
        ),
        Column("n_positive", NUMBER, "Buyers among them."),
        Column("spend", NUMBER, "Their later spend, in the unit of the data."),
        Column("share_of_buyers", NUMBER, "Share of all buyers.", null="nobody bought"),
        Column("share_of_spend", NUMBER, "Share of all spend.", null="there was no spend"),
    ),
    shown=(
        "company_id",
        "model",
        "depth",
        "n_customers",
        "n_positive",
        "share_of_buyers",
        "share_of_spend",
    ),
    make=lambda inputs: company_gains_table(inputs.panel, inputs.scores),
)
