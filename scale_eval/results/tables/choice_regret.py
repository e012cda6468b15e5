"""The table `choice_regret`: what a choice of model promised, and how much of it was kept.

The best of several models is favoured by being picked: part of its lead is luck (the winner's
curse). How large that part is shows where the choice is made on some windows and judged on later
ones. A company has to be on both sides, so that the two differ in time and not in companies; and
the choice sees the windows that had ended by the cutoff at which it is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.results.estimates import mean_of
from scale_eval.results.panel import Panel
from scale_eval.results.tables.base import RunInputs, RunTable
from scale_eval.statistics import survey
from scale_eval.statistics.survey import Design
from scale_eval.statistics.undefined import Undefined
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, TIME, Column

CHOSEN_BY = "log_loss"
"""The metric by which the model is chosen and judged."""

OVERALL = "overall"
"""The rule that chooses one model for all companies: the best at the average company."""

BASE_RATE = "base_rate"


def choice_regret_table(panel: Panel, design: Design | None = None) -> pa.Table:
    """Make the table: for each cutoff from the second, and for companies' own last windows.

    Companies weigh the same, or as `design` says, by which a sample was drawn.
    """
    panel = panel.holding([CHOSEN_BY, "horizon_end"])
    models = np.flatnonzero(panel.ok.any(axis=0))
    windows = np.flatnonzero(panel.common)
    windows = windows[np.isfinite(panel.columns[CHOSEN_BY][windows][:, models]).all(axis=1)]
    judged: list[tuple[pd.Timestamp | None, np.ndarray]] = [
        (panel.cutoffs[cutoff], windows[panel.cutoff[windows] == cutoff])
        for cutoff in np.unique(panel.cutoff[windows])[1:].tolist()
    ]
    is_last = np.diff(panel.company[windows], append=-1) != 0
    judged.append((None, windows[is_last]))
    rows = [
        {"rule": OVERALL, "cutoff": cutoff} | row
        for cutoff, at in judged
        for row in _rows(panel, models, windows, at, design)
    ]
    frame = pd.DataFrame(rows, columns=CHOICE_REGRET.schema.names)
    return pa.Table.from_pandas(frame, schema=CHOICE_REGRET.schema, preserve_index=False)


def _rows(
    panel: Panel,
    models: np.ndarray,
    windows: np.ndarray,
    judged: np.ndarray,
    design: Design | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one choice, which is judged at one window a company."""
    if len(models) < 2:
        yield {"against": "runner_up", "n_companies": 0, "reason": "fewer_than_2_models"}
        return
    cutoffs = np.full(panel.n_companies, -np.inf)
    cutoffs[panel.company[judged]] = panel.cutoffs.as_unit("us").asi8[panel.cutoff[judged]]
    ended = panel.values("horizon_end", int(models[0]), windows)
    earlier = windows[ended <= cutoffs[panel.company[windows]]]
    choosing = _company_means(panel, models, earlier)
    judging = _company_means(panel, models, judged)
    both = np.isfinite(choosing[:, 0]) & np.isfinite(judging[:, 0])
    if not both.any():
        yield {"against": "runner_up", "n_companies": 0, "reason": "no_earlier_window"}
        return
    choosing[~both], judging[~both] = np.nan, np.nan
    yield from _Choice([panel.models[m] for m in models.tolist()], choosing, judging, design).rows()


@dataclass(frozen=True)
class _Choice:
    """A choice of one of the models for all companies.

    `choosing` and `judging` are the companies' mean losses by model on the windows that choose and
    on those that judge, shape (n_companies, n_models), NaN for companies that do not count.
    """

    models: list[str]
    choosing: np.ndarray
    judging: np.ndarray
    design: Design | None

    def rows(self) -> Iterator[dict[str, Any]]:
        expected = self._averages(self.choosing)
        chosen, *others = np.argsort(expected, kind="stable").tolist()
        runner_up = next((other for other in others if self._differ(chosen, other)), None)
        if runner_up is None:
            yield {"against": "runner_up", "n_companies": 0, "reason": "identical_models"}
            return
        best = int(np.argmin(self._averages(self.judging)))
        shared = {
            "model": self.models[chosen],
            "n_companies": int(np.isfinite(self.judging[:, 0]).sum()),
            "model_best": self.models[best],
            "reason": "",
            **self._figure("regret", self.judging[:, chosen] - self.judging[:, best]),
        }
        led = {"runner_up": runner_up}
        if BASE_RATE in self.models and self._differ(chosen, self.models.index(BASE_RATE)):
            led["base_rate"] = self.models.index(BASE_RATE)
        for against, other in led.items():
            promised = self.choosing[:, other] - self.choosing[:, chosen]
            kept = self.judging[:, other] - self.judging[:, chosen]
            yield shared | {
                "against": against,
                "model_b": self.models[other],
                "promised": float(expected[other] - expected[chosen]),
                **self._figure("kept", kept),
                **self._figure("curse", promised - kept),
            }

    def _differ(self, a: int, b: int) -> bool:
        """Return whether the losses of two models differ at some company."""
        return not all(
            np.array_equal(losses[:, a], losses[:, b], equal_nan=True)
            for losses in (self.choosing, self.judging)
        )

    def _averages(self, losses: np.ndarray) -> np.ndarray:
        """Return the mean over companies for each model; shape (n_models,)."""
        counted = ~np.isnan(losses[:, 0])
        weights = None if self.design is None else self.design.weights[counted]
        return np.asarray(np.average(losses[counted], axis=0, weights=weights))

    def _figure(self, name: str, values: np.ndarray) -> dict[str, Any]:
        value, low, high, reason = self._mean(values)
        return {name: value, f"{name}_low": low, f"{name}_high": high, "ci_reason": reason}

    def _mean(self, values: np.ndarray) -> tuple[float, float, float, str]:
        """Return the mean over companies, its interval, and why it has none."""
        counted = ~np.isnan(values)
        if self.design is None or np.count_nonzero(counted) < 2:
            estimate = mean_of(values[counted])
            interval = estimate.interval()
            return estimate.value, interval.low, interval.high, interval.reason
        figure = survey.mean(self.design, values)
        try:
            _, low, high = figure.interval(self.design)
        except Undefined as undefined:
            return figure.value, np.nan, np.nan, undefined.reason
        return figure.value, low, high, ""


def _company_means(panel: Panel, models: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Return the mean loss of each model at each company; shape (n_companies, n_models)."""
    company = panel.company[windows]
    n = np.bincount(company, minlength=panel.n_companies)
    means = np.full((panel.n_companies, len(models)), np.nan)
    for i, model in enumerate(models.tolist()):
        losses = panel.values(CHOSEN_BY, model, windows)
        sums = np.bincount(company, weights=losses, minlength=panel.n_companies)
        np.divide(sums, n, out=means[:, i], where=n > 0)
    return means


def _make(inputs: RunInputs) -> pa.Table:
    return choice_regret_table(inputs.panel, inputs.design)


_NO_CHOICE = "`reason` says why"
_NO_INTERVAL = "`ci_reason` says why"

CHOICE_REGRET = RunTable(
    "choice_regret",
    row="rule of choosing, cutoff or companies' own last windows, model that is led",
    doc="What a choice of model promised on earlier windows, and how much of it was kept at a "
    "later one: the winner's curse, and the regret. Choosing and judging are by the mean log loss "
    "at the average company, on the common coverage. A company counts if it has the window that "
    "judges, and earlier ones that had ended by its cutoff, which choose: the same companies are "
    "on both sides. In a run of a sample, companies weigh by how many they represent.",
    columns=(
        Column("rule", TEXT, "How it is chosen: `overall`, the best model at the average company."),
        Column(
            "cutoff",
            TIME,
            "The cutoff at which the choice is judged: each from the second.",
            null="each company is judged at its own last window, whenever that is",
        ),
        Column("model", TEXT, "The model chosen.", null=_NO_CHOICE),
        Column(
            "against",
            TEXT,
            "Which model it is compared with: `runner_up`, the second best on the windows that "
            "choose, of models that are not identical to it; or `base_rate`, where that is not "
            "the model chosen.",
        ),
        Column("model_b", TEXT, "That model.", null=_NO_CHOICE),
        Column("n_companies", COUNT, "Companies that count."),
        Column(
            "promised",
            NUMBER,
            "By how much the log loss of the model chosen was lower than the other's, on the "
            "windows that choose. It has no interval: the choice has picked it.",
            null=_NO_CHOICE,
        ),
        Column(
            "kept", NUMBER, "By how much it is lower on the windows that judge.", null=_NO_CHOICE
        ),
        Column("kept_low", NUMBER, "Lower end of the 95 % interval of `kept`.", null=_NO_INTERVAL),
        Column("kept_high", NUMBER, "Upper end of that interval.", null=_NO_INTERVAL),
        Column(
            "curse",
            NUMBER,
            "promised - kept: the luck in the lead of the model chosen, and what changed since.",
            null=_NO_CHOICE,
        ),
        Column(
            "curse_low",
            NUMBER,
            "Lower end of the 95 % interval of `curse`, paired by company.",
            null=_NO_INTERVAL,
        ),
        Column("curse_high", NUMBER, "Upper end of that interval.", null=_NO_INTERVAL),
        Column(
            "model_best",
            TEXT,
            "The model with the lowest mean log loss on the windows that judge.",
            null=_NO_CHOICE,
        ),
        Column(
            "regret",
            NUMBER,
            "By how much the log loss of the model chosen is higher than that of `model_best`; not "
            "below 0, because that one is picked with hindsight.",
            null=_NO_CHOICE,
        ),
        Column(
            "regret_low",
            NUMBER,
            "Lower end of the 95 % interval of `regret`, paired by company.",
            null=_NO_INTERVAL,
        ),
        Column("regret_high", NUMBER, "Upper end of that interval.", null=_NO_INTERVAL),
        Column("reason", TEXT, "Why no model is chosen; empty where one is."),
        Column("ci_reason", TEXT, "Why there are no intervals; empty otherwise.", null=_NO_CHOICE),
    ),
    shown=(
        "rule",
        "cutoff",
        "against",
        "model",
        "model_b",
        "n_companies",
        "promised",
        "kept",
        "curse",
        "regret",
    ),
    make=_make,
    conventions={
        "choice_regret": "chosen by the mean log loss at the average company on earlier windows, "
        "judged on a later one, at the same companies; curse = promised - kept; regret against the "
        "best model with hindsight; intervals of Student's t over companies, by the design in a "
        "run of a sample",
    },
)
