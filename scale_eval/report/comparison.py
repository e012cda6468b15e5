"""Compare two models of a run by every metric, as numbers that show themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.names import short_names
from scale_eval.report.pair_in_words import HERE, in_words, surely_better
from scale_eval.report.shown_frame import ShownFrame
from scale_eval.report.wording import (
    companies,
    difference_with_interval,
    listed,
    metric_label,
    number,
    p_value,
    reason,
)
from scale_eval.results.tables.comparisons import COMPARISONS

_SWAPPED = {
    "wins": "losses",
    "mean_win": "mean_loss",
    "probability_a_better": "probability_b_better",
    "probability_a_better_by_margin": "probability_b_better_by_margin",
}
"""Columns of `comparisons` that change places where the models do."""

_NEGATED = {
    "mean_difference": "mean_difference",
    "ci_low": "ci_high",
    "prediction_low": "prediction_high",
}
"""Columns that change their signs, and their places where they are ends of an interval."""


class Comparison(ShownFrame):
    """Two models by every metric, from the side of `model_a`: one row a metric.

    The columns are those of the table `comparisons`, as if `model_a` were the first of the pair,
    and five more: `value_a` and `value_b`, the figures of the two over the same companies where
    these are all companies; `in_words`, what is known of `model_a`, or why nothing is; `better`,
    the model that is better by more than chance and more than the margin, or ""; and `direction`,
    ``"higher"``, ``"lower"`` or ``"target"``. A metric with a target is compared by the distance
    from it, and lower is better.
    """

    @classmethod
    def of(cls, findings: Findings, a: str, b: str, estimand: str, stratum: str) -> Comparison:
        """Return the comparison of `a` with `b`; without a row where they were not compared."""
        rows = findings.comparisons
        rows = rows[(rows["estimand"] == estimand) & (rows["stratum"] == stratum)]
        forward = (rows["model_a"] == a) & (rows["model_b"] == b)
        backward = (rows["model_a"] == b) & (rows["model_b"] == a)
        swapped = _swapped(rows[backward])
        rows = (pd.concat([rows[forward], swapped]) if len(swapped) else rows[forward]).copy()
        order = {metric: i for i, metric in enumerate(findings.metrics)}
        rows = rows.sort_values("metric", key=lambda names: names.map(order))
        for side, model in (("a", a), ("b", b)):
            figures = [findings.figure(metric, model, estimand) for metric in rows["metric"]]
            rows[f"value_{side}"] = [float(row["value"]) for row in figures]
        if stratum != "all":  # `pooled` has no figures of some companies
            rows[["value_a", "value_b"]] = np.nan
        pairs = [findings.pair(metric, a, b, estimand, stratum) for metric in rows["metric"]]
        rows["direction"] = [findings.better(metric) for metric in rows["metric"]]
        rows["better"] = ["" if p is None else surely_better(findings, p) for p in pairs]
        rows["in_words"] = [
            reason(str(code or "")) if p is None else in_words(findings, p)
            for p, code in zip(pairs, rows["reason"], strict=True)
        ]
        names = [c for c in COMPARISONS.schema.names if c in rows and c != "metric"]
        where = names.index("mean_difference")
        names[where:where] = ["value_a", "value_b"]
        where = names.index("mean_difference") + 1
        names[where:where] = ["direction", "better", "in_words"]
        return cls(rows.set_index("metric")[names])

    def shown(self) -> pd.DataFrame:
        """Return figures, differences with intervals, and what is known; short model names."""
        pair = self[["model_a", "model_b"]].iloc[0].tolist() if len(self) else ["a", "b"]
        names = short_names(pair)
        a, b = (names[model] for model in pair)
        rows = self.to_dict("records")
        by_company = [row for row in rows if not pd.isna(row["wins"])]
        shown = {
            a: [_number(row["value_a"]) for row in rows],
            b: [_number(row["value_b"]) for row in rows],
            f"{a} - {b}": [_difference(row) for row in rows],
            "in words": [row["in_words"] for row in rows],
            "p": [_p(row["mean_p_value"]) for row in rows],
            "win:tie:loss": [_counts(row) for row in rows] if by_company else None,
            "margin": [number(row["margin"], _step(row["margin"])) for row in rows],
            "equivalent": [_yes(row["equivalent"]) for row in rows],
        }
        kept = {name: cells for name, cells in shown.items() if cells and any(cells)}
        labels = [metric_label(metric) for metric in self.index]
        return pd.DataFrame(kept, index=pd.Index(labels, name="metric"))

    def caption(self) -> str:
        """Return what the columns are of."""
        if not len(self):
            return "The two models are not compared by any metric."
        first = self.iloc[0]
        names = short_names([first["model_a"], first["model_b"]])
        at_target = self.index[self["direction"] == "target"]
        distances = ""
        if len(at_target):
            metrics = listed([metric_label(metric) for metric in at_target])
            distances = (
                f" For {metrics}, the difference is one of distances from the target, of which "
                "less is better."
            )
        few = ""
        if self["in_words"].str.endswith(HERE).any():
            few = (
                ", and of the companies here alone, by their customers' chance: so few say little "
                "of other companies, of which the interval of 95 % speaks too"
            )
        return (
            f"Estimand {first['estimand']}, {companies(int(self['n_companies'].max()))} at the "
            "most, windows that every model predicted; beside a difference its 95 % interval. The "
            f"words are about {names[first['model_a']]}{few}. "
            f"win:tie:loss counts companies where {names[first['model_a']]} is better by more than "
            f"the margin, as good, or worse.{distances}"
        )


def _swapped(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `comparisons` with the two models in the other order."""
    rows = rows.assign(probability_b_better=1 - rows["probability_a_better"].astype(float))
    pairs = {"model_a": "model_b", **_SWAPPED}
    moved = {**pairs, **{b: a for a, b in pairs.items()}}
    new = {name: rows[other] for name, other in moved.items()}
    for name, other in _NEGATED.items():
        new[name], new[other] = -rows[other], -rows[name]
    for name in ("mean_win", "mean_loss"):
        new[name] = -new[name]
    return rows.assign(**new)


def _number(value: float) -> str:
    return "" if pd.isna(value) else number(value, min(_step(value), 0.001))


def _step(value: float) -> float:
    """Return the step that shows two digits of a value."""
    return 0.001 if not abs(value) > 0 else float(10 ** (np.floor(np.log10(abs(value))) - 1))


def _difference(row: dict[str, float]) -> str:
    value = row["mean_difference"]
    return "" if pd.isna(value) else difference_with_interval(value, row["ci_low"], row["ci_high"])


def _p(value: float) -> str:
    return "" if pd.isna(value) else p_value(value)


def _counts(row: dict[str, float]) -> str:
    counts = [row[name] for name in ("wins", "ties", "losses")]
    return "" if pd.isna(counts).any() else ":".join(f"{int(n):,}" for n in counts)


def _yes(value: object) -> str:
    return "" if pd.isna(value) else ("yes" if value else "no")
