"""The table `spread`: how much values differ between companies, between half-years, and by chance.

Values on the common coverage are mean + company + cutoff + residual, with crossed random effects,
fitted by REML. The residual is the interaction of company and half-year, and noise; `noise_sd` is
the part of it that chance among customers explains.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import stdtrit

from scale_eval.metrics import METRICS, WITH_INFLUENCE, Metric
from scale_eval.metrics.uncertainty import IDENTITY
from scale_eval.results.heterogeneity import enough_known
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import groups_of
from scale_eval.results.tables.base import RunTable
from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.variance_components import variance_components
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, Column

MAX_COMPANIES = 5_000
"""Most companies that are used, the first in a stable order: more would add no precision."""

MIN_CUTOFFS = 3

STD_ERRORS = {
    name: influence.std_error_column
    for name, influence in WITH_INFLUENCE.items()
    if influence.std_error_column is not None
}
"""The columns of the standard errors of evaluations, by metric."""


def spread_table(panel: Panel, groups: np.ndarray) -> pa.Table:
    """Make the table: one row a (model, metric) that has standard errors.

    Standard deviations are on `scale`. The interval from `next_cutoff_low` to `next_cutoff_high`
    holds the figure of the average company at the next half-year with a probability of 95 %. It is
    Student's prediction interval with cutoffs - 1 degrees of freedom, from the variance of cutoffs
    and that of the residual in a mean over companies, and is on the metric's own scale. Cutoffs
    that few companies have count for less (Kish's effective number).

    Parameters
    ----------
    groups : ndarray of int, shape (n_companies,)
        The group of each company, in a stable random order.

    Notes
    -----
    Reasons: ``fewer_than_2_companies``, ``no_repeated_cutoffs``, ``cutoffs_not_shared``, and for
    the next cutoff alone ``fewer_than_3_cutoffs`` and ``overlapping_windows``, whose half-years are
    not separate draws.
    """
    distinct, group = np.unique(groups, return_inverse=True)
    taken = group * panel.n_companies // max(len(distinct), 1) < MAX_COMPANIES
    panel = panel.holding(["overlaps"])
    parts = {}
    for name, std_error in STD_ERRORS.items():
        held = panel.holding([name, std_error])
        for model in range(len(panel.models)):
            parts[model, name] = _parts(held, model, METRICS[name], taken)
    rows = [
        {"model": name, "metric": metric} | parts[model, metric]
        for model, name in enumerate(panel.models)
        for metric in STD_ERRORS
    ]
    return pa.Table.from_pylist(rows, schema=SPREAD.schema)


def _parts(panel: Panel, model: int, metric: Metric, taken: np.ndarray) -> dict[str, Any]:
    assert metric.influence is not None
    scale = metric.effects or IDENTITY
    windows = np.flatnonzero(panel.common & panel.ok[:, model] & taken[panel.company])

    def column(name: str) -> np.ndarray:
        return panel.values(name, model, windows)

    with np.errstate(divide="ignore", invalid="ignore"):
        values, slope = scale.to(column(metric.name)), scale.slope(column(metric.name))
        error = column(STD_ERRORS[metric.name])
        error = error if metric.influence.log else error * slope
    counted = np.isfinite(values)
    if metric.effects is not None:
        counted &= enough_known(panel, metric, model)[windows] & (error > 0)
    windows, values, error = windows[counted], values[counted], error[counted]
    company, cutoff = panel.company[windows], panel.cutoff[windows]
    row: dict[str, Any] = {
        "scale": scale.name,
        "n_companies": len(np.unique(company)),
        "n_cutoffs": len(np.unique(cutoff)),
        "n_evaluations": len(values),
        "reason": "",
    }
    if np.isfinite(error).any():
        row["noise_sd"] = float(np.sqrt(np.nanmean(np.square(error))))
    try:
        parts = variance_components(values, company, cutoff)
    except Undefined as undefined:
        return row | {"reason": undefined.reason}
    for name in ("company", "cutoff", "residual"):
        row[f"{name}_sd"] = float(np.sqrt(getattr(parts, name)))
    for name in ("company", "cutoff"):
        interval = getattr(parts, f"{name}_interval")
        if interval is not None:
            low, high = np.sqrt(interval).tolist()
            row |= {f"{name}_sd_low": low, f"{name}_sd_high": high}
    companies = np.unique(cutoff, return_counts=True)[1]  # at each cutoff
    c = companies.sum() ** 2 / np.square(companies).sum()
    if c < MIN_CUTOFFS - 0.5:
        return row | {"reason": "fewer_than_3_cutoffs"}
    if panel.values("overlaps", model, windows).any():
        return row | {"reason": "overlapping_windows"}
    average_variance = parts.cutoff + parts.residual / companies.mean()
    half = stdtrit(c - 1, 0.975) * np.sqrt(average_variance * (1 + 1 / c))
    means = (
        np.bincount(company, weights=values)[np.unique(company)]
        / np.unique(company, return_counts=True)[1]
    )
    centre = means.mean()
    ends = np.clip(scale.back(centre + np.array([-half, half])), metric.low, metric.high)
    low, high = ends.tolist()
    return row | {"next_cutoff_low": low, "next_cutoff_high": high}


_REASON = "`reason` says why"

SPREAD = RunTable(
    "spread",
    row="model, metric",
    doc="How much of the differences between evaluations, on the common coverage, is due to the "
    "company, the cutoff, and the rest.",
    columns=(
        Column("model", TEXT, "The model."),
        Column("metric", TEXT, "The metric."),
        Column("scale", TEXT, "Scale of the standard deviations: logit, log or identity."),
        Column("n_companies", COUNT, "Companies that count."),
        Column("n_cutoffs", COUNT, "Cutoffs that count."),
        Column("n_evaluations", COUNT, "Evaluations that count."),
        Column("company_sd", NUMBER, "Standard deviation between companies.", null=_REASON),
        Column("company_sd_low", NUMBER, "Lower end of its 95 % interval.", null="it has none"),
        Column("company_sd_high", NUMBER, "Upper end of its 95 % interval.", null="it has none"),
        Column("cutoff_sd", NUMBER, "Standard deviation between cutoffs.", null=_REASON),
        Column("cutoff_sd_low", NUMBER, "Lower end of its 95 % interval.", null="it has none"),
        Column("cutoff_sd_high", NUMBER, "Upper end of its 95 % interval.", null="it has none"),
        Column(
            "residual_sd",
            NUMBER,
            "Standard deviation of what company and cutoff do together, and of noise.",
            null=_REASON,
        ),
        Column(
            "noise_sd",
            NUMBER,
            "The part of `residual_sd` that chance among customers explains.",
            null="no evaluation has a standard error",
        ),
        Column(
            "next_cutoff_low",
            NUMBER,
            "Lower end of the interval that holds the figure of the average company at the next "
            "cutoff with a probability of 95 %, on the metric's own scale.",
            null=_REASON,
        ),
        Column("next_cutoff_high", NUMBER, "Upper end of that interval.", null=_REASON),
        Column("reason", TEXT, "Why figures are null; empty where none is."),
    ),
    shown=(
        "model",
        "metric",
        "scale",
        "n_cutoffs",
        "company_sd",
        "cutoff_sd",
        "residual_sd",
        "noise_sd",
        "reason",
    ),
    make=lambda inputs: spread_table(inputs.panel, groups_of(inputs.panel, inputs.groups)),
    conventions={
        "spread": "crossed random effects by REML; next cutoff: Student's t, cutoffs - 1",
    },
)
