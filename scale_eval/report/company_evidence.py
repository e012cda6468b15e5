"""Read from the evaluations what the result tables do not say of single companies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from scale_eval.evaluation.training_window import training_days
from scale_eval.metrics import Metric
from scale_eval.results.company_differences import company_differences
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import Parts


@dataclass(frozen=True)
class CompanyEvidence:
    """What the evaluations of a run say of single companies; for runs of few of them.

    Attributes
    ----------
    parts : callable or None
        Reads columns of the evaluations; None where there are result tables alone, and then all
        that it says is empty.
    metric : Metric
        The metric that decides.
    """

    parts: Parts | None
    metric: Metric
    _differences: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

    def differences(self, a: str, b: str) -> pd.DataFrame:
        """Return how much better `a` is than `b` at each company, see `company_differences`.

        Models are called by their whole names.
        """
        if self.parts is None:
            return pd.DataFrame(columns=["better_by", "low", "high"])
        if (a, b) not in self._differences:
            self._differences[a, b] = company_differences(self._panel, self.metric, a, b)
        return self._differences[a, b]

    @cached_property
    def buyers(self) -> dict[str, int]:
        """Return the buyers of each company in all windows that every model predicted."""
        if self.parts is None:
            return {}
        panel = self._panel
        at = np.flatnonzero(panel.common)
        first = int(np.flatnonzero(panel.ok.any(axis=0))[0])  # the same for every model
        positive = panel.values("n_positive", first, at)
        sums = np.bincount(panel.company[at], positive, minlength=panel.n_companies)
        return dict(zip(panel.company_ids.tolist(), sums.astype(int).tolist(), strict=True))

    @cached_property
    def days_of_reference(self) -> dict[str, list[float]]:
        """Return, by company, from how many days the base rate was known where these are few.

        One number for each common window whose base rate was carried to the horizon from less.
        """
        if self.parts is None:
            return {}
        common = self._panel.common_windows
        found: dict[str, list[float]] = {}
        for part in self.parts(["company_id", "cutoff", "model", "status", "note"]):
            rows = part.to_pandas()
            rows = rows[(rows["model"] == "base_rate") & (rows["status"] == "ok")]
            for row in rows.itertuples():
                days = training_days(row.note) if isinstance(row.note, str) else None
                if days is not None and (row.company_id, row.cutoff) in common:
                    found.setdefault(row.company_id, []).append(days)
        return found

    @cached_property
    def _panel(self) -> Panel:
        assert self.parts is not None
        return Panel.of(self.parts).holding(self.metric.columns)
