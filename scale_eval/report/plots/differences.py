"""The plots of one model against others: over all companies, and by size of company."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.plots.style import (
    INK,
    MOST_MODELS,
    WIDTH,
    add_heading,
    draw_interval,
    label_rows,
    simplify,
)
from scale_eval.report.wording import companies, metric_label


def comparison(findings: Findings, metric: str | None = None, model: str | None = None) -> Figure:
    """Draw one model, by default the best, against each other model."""
    metric, best = metric or findings.primary, model or findings.models[0]
    pairs = [
        (other, pair)
        for other in findings.models[: MOST_MODELS + 1]
        if other != best and (pair := findings.pair(metric, best, other)) is not None
    ]
    figure = _forest_plot(
        [(f"against {other}", pair) for other, pair in pairs],
        f"by how much the {metric_label(metric)} of {best} is better (right) or worse",
    )
    n = max((pair.n for _, pair in pairs), default=0)
    add_heading(
        figure,
        f"{best} against each other model, {companies(n)}",
        f"line: 95 % interval of the average company; {_key_of_bands(pairs)}strip around 0: ties",
    )
    return figure


def sizes(
    findings: Findings,
    metric: str | None = None,
    model: str | None = None,
    against: Sequence[str] | None = None,
) -> Figure:
    """Draw the best model against the next two, or others, by class of company size."""
    metric, best = metric or findings.primary, model or findings.models[0]
    rivals = against or [m for m in findings.models if m != best][:2]
    rows: list[tuple[str, Pair]] = []
    for stratum in ["all", *findings.strata]:
        for rival in rivals:
            pair = findings.pair(metric, best, rival, stratum=stratum)
            if pair is not None:
                label = f"{'all companies' if stratum == 'all' else stratum}: against {rival}"
                rows.append((label, pair))
    figure = _forest_plot(
        rows, f"by how much the {metric_label(metric)} of {best} is better (right) or worse"
    )
    title = f"Which model for which size of company: {best}"
    add_heading(
        figure,
        title if against else f"{title} and the next",
        f"customers at the company's latest cutoff; {_key_of_bands(rows)}line: 95 % interval",
    )
    return figure


def _key_of_bands(rows: list[tuple[str, Pair]]) -> str:
    """Return what grey bands are, where any is drawn."""
    drawn = any(pair.next_low <= pair.next_high for _, pair in rows)
    return "grey band: 95 % for the next company's truth; " if drawn else ""


def _forest_plot(rows: list[tuple[str, Pair]], label: str) -> Figure:
    figure = Figure(figsize=(WIDTH, 1.5 + 0.4 * max(len(rows), 1)), layout="constrained")
    axis = figure.subplots()
    for y, (_, pair) in enumerate(rows):
        draw_interval(axis, y, pair.next_low, pair.next_high, 7, "#c9c9c9")
        draw_interval(axis, y, pair.low, pair.high, 2.2, INK)
        axis.plot(pair.better_by, y, "o", color=INK, markersize=5)
        counts = f"{pair.wins}:{pair.ties}:{pair.losses}"
        axis.annotate(
            counts,
            (1.01, y),
            xycoords=axis.get_yaxis_transform(),
            fontsize=8,
            verticalalignment="center",
        )
    axis.axvline(0, color=INK, linewidth=0.8)
    if rows:
        margin = rows[0][1].margin
        axis.axvspan(-margin, margin, color="#9a9a9a", alpha=0.25, linewidth=0)
        middle = [pair.better_by for _, pair in rows]
        ends = [e for _, p in rows for e in (p.next_low, p.next_high) if np.isfinite(e)]
        low, high = min([*middle, *ends, 0.0]), max([*middle, *ends, 0.0])
        room = max(high - low, 4 * margin)  # an interval that is wider than that is cut
        ends = [e for _, p in rows for e in (p.low, p.high) if np.isfinite(e)]
        low, high = (
            min([low, *(e for e in ends if e > low - room)]),
            max([high, *(e for e in ends if e < high + room)]),
        )
        axis.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axis.annotate("better:tie:worse", (1.01, 1.02), xycoords="axes fraction", fontsize=7)
    label_rows(axis, [name for name, _ in rows])
    axis.set_xlabel(label)
    simplify(axis)
    return figure
