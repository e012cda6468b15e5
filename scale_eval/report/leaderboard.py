"""The leaderboard: the models at the average company, as numbers that show themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.report.findings import Findings
from scale_eval.report.names import short_names
from scale_eval.report.shown_frame import ShownFrame
from scale_eval.report.wording import (
    NEGLIGIBLE,
    companies,
    interval_step,
    metric_label,
    number,
    span,
    step_apart,
)

BUILT_IN = ("log_loss", "log_loss_skill", "roc_auc", "observed_expected_ratio")
"""The metrics of a leaderboard, after the one that decides; the user's follow."""

_LOW, _HIGH = "_ci_low", "_ci_high"


class Leaderboard(ShownFrame):
    """One row a model, best first, under its whole name: figures of the average company.

    Of each metric it has a column with the figure and two with the ends of its 95 % interval, such
    as ``log_loss``, ``log_loss_ci_low`` and ``log_loss_ci_high`` (NaN where there is none). The
    column `n_companies` has the number of companies that count.
    """

    @classmethod
    def of(cls, findings: Findings) -> Leaderboard:
        """Return the leaderboard of a run, by the windows that every model predicted."""
        rows = {
            metric: [findings.figure(metric, model) for model in findings.models]
            for metric in dict.fromkeys([findings.primary, *BUILT_IN, *findings.own_metrics])
        }
        columns = {
            f"{metric}{end}": [float(row[column]) for row in of]
            for metric, of in rows.items()
            for column, end in (("value", ""), ("ci_low", _LOW), ("ci_high", _HIGH))
        }
        n = [int(row["n_companies"]) for row in rows[findings.primary]]
        index = pd.Index(findings.models, name="model")
        return cls({**columns, "n_companies": n}, index=index)

    def shown(self) -> pd.DataFrame:
        """Return figures with their intervals in brackets; models have short names."""
        metrics = [c for c in self.columns if f"{c}{_LOW}" in self.columns]
        names = short_names(self.index)
        return pd.DataFrame(
            {metric_label(metric): self._texts(metric) for metric in metrics},
            index=pd.Index([names[name] for name in self.index], name="model"),
        )

    def caption(self) -> str:
        """Return what counts, and what stands beside a figure."""
        n = companies(int(self["n_companies"].max())) if len(self) else "no company"
        return (
            f"Each of {n} counts once, on the windows that every model predicted; beside a figure "
            "is its 95 % interval."
        )

    def _texts(self, metric: str) -> list[str]:
        values = self[metric].to_numpy(float)
        known = values[np.isfinite(values)]
        step = 0.01 if metric == "observed_expected_ratio" else 0.001
        if metric not in METRICS and len(known):  # of any size: three digits of the largest
            step = 10.0 ** (np.floor(np.log10(max(np.abs(known).max(), 1e-9))) - 2)
        elif metric in METRICS and METRICS[metric].better == "lower":
            step = step_apart(known, step)
        ends = zip(self[f"{metric}{_LOW}"], self[f"{metric}{_HIGH}"], strict=True)
        return [_text(value, *end, step) for value, end in zip(values, ends, strict=True)]


def _text(value: float, low: float, high: float, step: float) -> str:
    if np.isnan(value):
        return ""
    if not high - low > NEGLIGIBLE:  # null, or the figure of a model against itself
        return number(value, step)
    step = interval_step(value, low, high, step)
    return f"{number(value, step)} ({span(low, high, step)})"
