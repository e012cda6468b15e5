"""The table `gains`: what the customers ranked highest hold, at every depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import GroupedHistograms, ScoreHistogram
from scale_eval.metrics.base import ROW, WITHIN_COMPANY
from scale_eval.metrics.gain import gain_of_rows, held_at, value_captured_of_rows
from scale_eval.metrics.leaving_out import captured_without_each
from scale_eval.metrics.pooling import POSITIVES, SPEND, Amount
from scale_eval.results.company_curves import BUYERS as BUYERS_AT
from scale_eval.results.company_curves import CUSTOMERS as CUSTOMERS_AT
from scale_eval.results.company_curves import DEPTHS, MINOR_UNITS, CompanyCurves
from scale_eval.results.company_curves import SPEND as SPEND_AT
from scale_eval.results.conditions import condition_of
from scale_eval.results.estimates import Estimate, quotient_of_sums
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_figures import company_weight
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.base import INTERVAL_COLUMNS, N_EFFECTIVE_COLUMN, RunTable
from scale_eval.statistics.undefined import Undefined
from scale_eval.storage.columns import NUMBER, TEXT, Column


@dataclass(frozen=True)
class Counted:
    """What is counted among the customers ranked highest: buyers, or their spend.

    Attributes
    ----------
    name : str
    count : str
        The count of the histograms, of which `unit` are one.
    curve : callable
        (merged histogram, percent) -> the share held, and its error bound; raises `Undefined`.
    weight : Amount
        What a company weighs.
    at : int
        Its position in the arrays of `CompanyCurves`.
    none : str
        The reason why there is no share where nothing was counted.
    """

    name: str
    count: str
    unit: int
    curve: Callable[[ScoreHistogram, int], tuple[float, float]]
    weight: Amount
    at: int
    none: str


COUNTED = (
    Counted("buyers", "n_positive", 1, gain_of_rows, POSITIVES, BUYERS_AT, "no_positives"),
    Counted(
        "spend", "spend_minor", MINOR_UNITS, value_captured_of_rows, SPEND, SPEND_AT, "no_spend"
    ),
)


def gains_table(panel: Panel, scores: PooledHistograms) -> pa.Table:
    """Make one row for each model, estimand, depth, and what is counted."""
    panel = panel.holding([*POSITIVES.columns, *SPEND.columns])
    rows: list[dict[str, Any]] = []
    for model, coverage, grouped in scores.of_all_cutoffs():
        windows = panel.covered(coverage, model, panel.at(None))
        named = {"model": panel.models[model], "coverage": coverage}
        for counted in COUNTED:
            weight = company_weight(panel, counted.weight, model, windows)
            rows += [named | row for row in _of_rows(grouped, counted, weight)]
        if scores.by_company:
            curves = scores.company_curves(model, coverage)
            rows += [named | row for counted in COUNTED for row in _of_companies(curves, counted)]
    frame = pd.DataFrame(rows, columns=GAINS.schema.names)
    return pa.Table.from_pandas(frame, schema=GAINS.schema, preserve_index=False)


def _of_rows(
    grouped: GroupedHistograms, counted: Counted, weight: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Make the rows of one curve where all customers are ranked together."""
    merged = grouped.total
    amounts, customers = getattr(merged, counted.count)[::-1], merged.n_rows[::-1]
    total, n = float(amounts.sum()) / counted.unit, int(customers.sum())
    for percent in DEPTHS:
        try:
            share, bound = counted.curve(merged, percent)
            without = captured_without_each(grouped, counted.count, percent / 100)
            estimate = Estimate(
                share, error_bound=bound, weight=weight, replicates=without, smooth=False
            )
        except Undefined as undefined:
            estimate = Estimate(np.nan, undefined.reason, error_bound=np.nan)
        held = held_at(amounts, customers, percent) / counted.unit
        yield _row(counted, ROW, percent, n * percent / 100, held, total, estimate)


def _of_companies(curves: CompanyCurves, counted: Counted) -> Iterator[dict[str, Any]]:
    """Make the rows of one curve where each company ranks its own customers."""
    total = curves.total[:, counted.at]
    for at, percent in enumerate(DEPTHS):
        held, customers = curves.held[:, at, counted.at], curves.held[:, at, CUSTOMERS_AT]
        if total.any():
            estimate = replace(quotient_of_sums(held, total), error_bound=np.nan)
        else:
            estimate = Estimate(np.nan, counted.none, error_bound=np.nan)
        yield _row(
            counted,
            WITHIN_COMPANY,
            percent,
            float(customers.sum()),
            float(held.sum()),
            float(total.sum()),
            estimate,
        )


def _row(
    counted: Counted,
    estimand: str,
    percent: int,
    n_customers: float,
    held: float,
    total: float,
    estimate: Estimate,
) -> dict[str, Any]:
    interval = estimate.interval(0, 1)
    return {
        "estimand": estimand,
        "counted": counted.name,
        "depth": percent / 100,
        "n_customers": n_customers,
        "held": held,
        "total": total,
        "share": estimate.value,
        "reason": estimate.reason,
        "error_bound": estimate.error_bound,
        "std_error": interval.std_error,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_reason": interval.reason,
        "ci_condition": condition_of(interval, estimate, estimand),
        "n_effective": estimate.n_effective,
    }


GAINS = RunTable(
    "gains",
    row="model, estimand, what is counted, depth",
    doc="What the customers ranked highest hold of the later buyers and of their spend, over all "
    "cutoffs. At a depth of .1 the shares of the estimand `row` are its `gain_at_10` and "
    "`value_captured_at_10` in `pooled`; those of `within_company` differ from these by the bins "
    "of scores. In a run of a sample they are of the companies in the sample.",
    columns=(
        Column("model", TEXT, "The model."),
        Column(
            "estimand",
            TEXT,
            "`row`: all customers of all companies are ranked together; `within_company`: each "
            "company ranks its own at each cutoff, and all go to the same depth. The latter where "
            "scores are kept by company: up to 4,096 of them.",
        ),
        Column(
            "coverage",
            TEXT,
            "`common`: windows that every model predicted; `own`: all windows of the model, where "
            "the histograms of the common ones cannot be separated.",
        ),
        Column("counted", TEXT, "What is counted: `buyers` or `spend`."),
        Column(
            "depth",
            NUMBER,
            "Share of the customers, those ranked highest: .01 to .1 by .01, then to 1 by .05.",
        ),
        Column("n_customers", NUMBER, "Customers to that depth; a fraction of one may be in it."),
        Column(
            "held",
            NUMBER,
            "Buyers among them, or their spend in the unit of the data; customers of one bin of "
            "scores hold equal parts.",
        ),
        Column("total", NUMBER, "Buyers, or spend, of all customers."),
        Column("share", NUMBER, "`held` / `total`.", null="`reason` says why"),
        Column("reason", TEXT, "Why the share is null: `no_positives` or `no_spend`."),
        Column(
            "error_bound",
            NUMBER,
            "Largest distance from the share of the scores themselves, which are in bins here.",
            null="the share is null, or the estimand `within_company`",
        ),
        Column(
            "std_error",
            NUMBER,
            "Standard error of the share over companies.",
            null="`ci_reason` says why",
        ),
        *INTERVAL_COLUMNS,
        N_EFFECTIVE_COLUMN,
    ),
    shown=(
        "model",
        "estimand",
        "counted",
        "depth",
        "n_customers",
        "held",
        "share",
        "ci_low",
        "ci_high",
    ),
    make=lambda inputs: gains_table(inputs.panel, inputs.scores),
    conventions={
        "gains": "histograms of logit scores, bins of 1/128; linear inside a bin; interval by the "
        "delete-a-group jackknife, to first order, as for the row figures of gain; within_company: "
        "linearised",
    },
)
