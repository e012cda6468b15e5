"""Everything that a run says of one company."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from scale_eval.html_repr import facts_and_table
from scale_eval.metrics import METRICS
from scale_eval.report.findings import Findings
from scale_eval.report.names import short_names
from scale_eval.report.wording import count, metric_label

_OF_WINDOW = ("n_customers", "n_positive", "observed_rate", "n_lapsed", "future_spend")
_SHOWN = ("log_loss", "roc_auc", "gain_at_10", "observed_expected_ratio")


@dataclass(frozen=True)
class CompanyResults:
    """The windows, the evaluations and the figures of one company; from `Run.company`.

    Attributes
    ----------
    company_id : str
    evaluations : DataFrame
        The company's rows of the table `evaluations`.
    figures : DataFrame
        The company's rows of the table `companies`, by `metric`, `model` and `coverage`.
    findings : Findings
        Those of the run: they say by which metric models are sorted.
    """

    company_id: str
    evaluations: pd.DataFrame
    figures: pd.DataFrame
    findings: Findings

    @cached_property
    def windows(self) -> pd.DataFrame:
        """Return one row a window, in order of time.

        The columns `cutoff`, `horizon_end` (UTC), `n_customers`, `n_positive`, `observed_rate`,
        `n_lapsed` and `future_spend` are those of `evaluations`, null where no model is ok; `n_ok`
        counts the models that are, and `not_ok` says why others are not.
        """
        rows = [
            self._window(cutoff, mine)
            for cutoff, mine in self.evaluations.groupby("cutoff", dropna=False, sort=True)
        ]
        return pd.DataFrame(rows)

    @cached_property
    def models(self) -> pd.DataFrame:
        """Return the company's figures: one row a model, the best first, and one column a metric.

        Each is a mean over the windows of the company that every model predicted, see the table
        `companies`.
        """
        common = self.figures["mean"].reset_index("coverage").query("coverage == 'common'")
        table = common["mean"].unstack("metric")
        table = table[[metric for metric in self.findings.metrics if metric in table]]
        primary = self.findings.primary
        if primary in table:
            order = self.findings.distance(primary, table[primary]).sort_values(kind="stable")
            table = table.loc[order.index]
        return table

    def _window(self, cutoff: pd.Timestamp, mine: pd.DataFrame) -> dict[str, Any]:
        ok = mine[mine["status"] == "ok"]
        others = mine[mine["status"] != "ok"]
        names = short_names(mine["model"])
        reasons = others.groupby(["status", "reason"])["model"].agg(list)
        told = [
            f"{status} {reason}: {', '.join(names[m] for m in models)}"
            for (status, reason), models in reasons.items()
        ]
        return {
            "cutoff": cutoff,
            "horizon_end": mine["horizon_end"].iloc[0],
            **{name: ok[name].iloc[0] if len(ok) else None for name in _OF_WINDOW},
            "n_ok": len(ok),
            "not_ok": "; ".join(told),
        }

    def __repr__(self) -> str:
        n = count(int((self.windows["n_ok"] > 0).sum()), "window")
        return f"CompanyResults({self.company_id!r}, {n}, {count(len(self.models), 'model')})"

    def _repr_html_(self) -> str:
        windows = self.windows.drop(columns=["horizon_end", "n_lapsed", "future_spend"])
        windows = windows.assign(
            cutoff=windows["cutoff"].dt.strftime("%Y-%m-%d"),
            observed_rate=[f"{r:.3f}" if pd.notna(r) else "" for r in windows["observed_rate"]],
        )
        for name in ("n_customers", "n_positive"):
            windows[name] = [f"{int(n):,}" if pd.notna(n) else "" for n in windows[name]]
        windows = windows.rename(columns=lambda name: name.replace("_", " "))
        own = (m for m in self.models if m not in METRICS)
        shown = dict.fromkeys([self.findings.primary, *_SHOWN, *own])
        models = self.models[[m for m in shown if m in self.models]].round(3)
        models.columns = pd.Index([metric_label(m) for m in models])
        names = short_names(models.index)
        models.insert(0, "model", [names[m] for m in models.index])
        facts = [count(len(windows), "window"), count(len(models), "model")]
        return facts_and_table(f"Company {self.company_id}", facts, windows) + facts_and_table(
            "Means over the windows that every model predicted", [], models
        )
