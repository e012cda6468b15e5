"""The plots of a run, for a page and for a notebook: each takes findings and returns a Figure.

Models differ by shade, line and marker, so that a page printed in black and white can be read. Each
plot says how many companies or customers it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl

from scale_eval.planning.metric_names import choose_metric
from scale_eval.report.choices import choose_model
from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.differences import comparison, sizes
from scale_eval.report.plots.distribution import distribution
from scale_eval.report.plots.funnel import funnel
from scale_eval.report.plots.gains import gains
from scale_eval.report.plots.leaderboard import leaderboard
from scale_eval.report.plots.over_time import over_time
from scale_eval.report.plots.reliability import reliability
from scale_eval.report.plots.scores import scores
from scale_eval.report.plots.spread import spread

PLOTS: dict[str, Callable[..., Figure]] = {
    "leaderboard": leaderboard,
    "distribution": distribution,
    "funnel": funnel,
    "over_time": over_time,
    "reliability": reliability,
    "gains": gains,
    "scores": scores,
    "comparison": comparison,
    "sizes": sizes,
    "spread": spread,
}
"""All plots by name."""


def draw(name: str, findings: Findings, **choices: Any) -> Figure:
    """Draw one of `PLOTS`, with models under short names.

    A model and a metric among the `choices` are given by their names or as they are displayed, such
    as ``AUC``. A name such as ``$x$`` is a name, not mathematics. Raises `ValueError`, with the
    nearest name, for one that is not compared.
    """
    if choices.get("model") is not None:
        choices["model"] = choose_model(choices["model"], findings.models)
    if choices.get("metric") is not None:
        choices["metric"] = _drawn_metric(name, findings, choices["metric"])
    findings = findings.short
    if choices.get("model") is not None:
        choices["model"] = findings.short_name(choices["model"])
    if choices.get("against"):
        choices["against"] = [findings.short_name(model) for model in choices["against"]]
    with mpl.rc_context({"text.parse_math": False}):
        return PLOTS[name](findings, **choices)


def _drawn_metric(name: str, findings: Findings, metric: str) -> str:
    """Return the metric that is meant; raise `ValueError` where this plot has no figures of it."""
    chosen = choose_metric(metric, findings.metrics)
    table = findings.spread if name == "spread" else findings.comparisons
    drawn = list(table["metric"].unique())
    if chosen not in drawn:
        raise ValueError(f"the plot {name} has no figures of {chosen}, but of {', '.join(drawn)}")
    return chosen
