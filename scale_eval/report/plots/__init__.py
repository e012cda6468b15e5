"""The plots of a run, for a page and for a notebook: each takes findings and returns a Figure.

Models differ by shade, line and marker, so that a page printed in black and white can be read. Each
plot says how many companies or customers it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.differences import comparison, sizes
from scale_eval.report.plots.distribution import distribution
from scale_eval.report.plots.funnel import funnel
from scale_eval.report.plots.leaderboard import leaderboard
from scale_eval.report.plots.over_time import over_time
from scale_eval.report.plots.reliability import reliability
from scale_eval.report.plots.spread import spread

PLOTS: dict[str, Callable[..., Figure]] = {
    "leaderboard": leaderboard,
    "distribution": distribution,
    "funnel": funnel,
    "over_time": over_time,
    "reliability": reliability,
    "comparison": comparison,
    "sizes": sizes,
    "spread": spread,
}
"""All plots by name."""


def draw(name: str, findings: Findings, **choices: Any) -> Figure:
    """Draw one of `PLOTS`, with models under short names.

    A model among the `choices` is given by its whole name or its short one. A name such as
    ``$x$`` is a name, not mathematics.
    """
    findings = findings.short
    if choices.get("model") is not None:
        choices["model"] = findings.short_name(choices["model"])
    if choices.get("against"):
        choices["against"] = [findings.short_name(model) for model in choices["against"]]
    with mpl.rc_context({"text.parse_math": False}):
        return PLOTS[name](findings, **choices)
