"""The plot of rates at each company, cutoff by cutoff: who bought, and what models said."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.dates import DateFormatter

from scale_eval.report.figure import Figure
from scale_eval.report.names import short_names
from scale_eval.report.plots.style import INK, WIDTH, add_heading, simplify
from scale_eval.report.wording import companies

MOST_COMPANIES = 6
"""Largest number of companies that are drawn, those with the most customers."""

COLUMNS = ("company_id", "cutoff", "model", "n_customers", "observed_rate", "mean_prediction")
"""The columns of the evaluations that are drawn."""

_LOOKS = (("#0b3c5d", "s--"), ("#d1495b", "^:"), ("#4b8f4a", "D-."), ("#8a6d3b", "v--"))


def rates(evaluations: pd.DataFrame, models: Sequence[str]) -> Figure:
    """Draw the observed rate of buyers at each cutoff, and the mean prediction of some models.

    `evaluations` are those of these models that are ok.
    """
    sizes = evaluations.groupby("company_id")["n_customers"].max()
    drawn = sorted(sizes.sort_values(ascending=False, kind="stable").index[:MOST_COMPANIES])
    n_columns = min(len(drawn), 3)
    n_rows = -(-len(drawn) // n_columns)
    figure = Figure(figsize=(WIDTH, 0.8 + 2.3 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
    names = short_names(models)
    for axis, company_id in zip(axes, drawn, strict=False):
        mine = evaluations[evaluations["company_id"] == company_id]
        observed = mine.drop_duplicates("cutoff").sort_values("cutoff")
        axis.plot(observed["cutoff"], observed["observed_rate"], "o-", color=INK, label="bought")
        for model, (color, line) in zip(models, _LOOKS, strict=False):
            curve = mine[mine["model"] == model].sort_values("cutoff")
            label = f"{names[model]} said, on average"
            axis.plot(curve["cutoff"], curve["mean_prediction"], line, color=color, label=label)
        axis.set_title(company_id, fontsize=9, parse_math=False)
        axis.set_xticks(sorted({observed["cutoff"].iloc[0], observed["cutoff"].iloc[-1]}))
        axis.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))
        simplify(axis, both=True)
    for axis in axes[len(drawn) :]:
        axis.set_axis_off()
    axes[0].set_ylim(0, None)
    axes[0].set_ylabel("share of customers", fontsize=8)
    axes[len(drawn) - 1].legend(fontsize=7, frameon=False)
    n = len(sizes)
    of = f", the largest {len(drawn)} of {companies(n)}" if len(drawn) < n else ""
    add_heading(figure, f"Who bought, and what was said{of}", "one point a cutoff")
    return figure
