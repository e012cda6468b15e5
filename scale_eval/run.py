"""A run, opened: its tables, what they say in words, and its plots."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.results.directory import PLAN, RunDirectory, open_run_directory
from scale_eval.results.fingerprint import fingerprint
from scale_eval.storage import open_store, read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scale_eval.report.findings import Findings
    from scale_eval.report.verdict import Verdict


class Run:
    """The results of a run; open one with `open_run`, or get it from `evaluate`.

    The tables are those of its directory, as DataFrames.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"Run({str(self.directory.store.root)!r}, {self.document['status']})"

    def _repr_html_(self) -> str | None:
        """The headline and the leaderboard, where there are tables."""
        from scale_eval.report.notebook import leaderboard_html, sentences_html

        try:
            headline = sentences_html(self.verdict.headline, [], [])
            return headline + (leaderboard_html(self.findings) if self.findings.models else "")
        except FileNotFoundError:
            return None  # a notebook then shows the text

    @property
    def path(self) -> str:
        """Where the run lies."""
        return str(self.directory.store.root)

    @property
    def document(self) -> dict[str, Any]:
        """What `run.json` says: what was asked, models, versions, conventions, timings."""
        return self.directory.document

    @property
    def finished(self) -> bool:
        """Whether every planned evaluation has a row."""
        return bool(self.document["status"] == "finished")

    @cached_property
    def plan(self) -> pd.DataFrame:
        """One row an evaluation that was planned or refused."""
        return read_table(self.directory.store, PLAN).to_pandas()

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row a (company, cutoff, model)."""
        return self.directory.evaluations().to_pandas()

    @cached_property
    def companies(self) -> pd.DataFrame:
        """One row a (company, model, metric)."""
        return self.directory.table("companies")

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """One row a (model, metric, cutoff, estimand, coverage)."""
        return self.directory.table("pooled")

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """One row a (metric, model_a, model_b, estimand, stratum)."""
        return self.directory.table("comparisons")

    @cached_property
    def sampled(self) -> pd.DataFrame:
        """What all companies of the dataset would give, from a run of a sample of them.

        One row a (metric, model, model_b, estimand, coverage, figure). Raises `FileNotFoundError`
        for a run that is of no sample.
        """
        if "sample" not in self.directory.document:
            raise FileNotFoundError(f"{self.path} is a run of all companies, not of a sample")
        return self.directory.table("sampled")

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """One row a (model, point of its reliability curve)."""
        return self.directory.table("reliability")

    @cached_property
    def decompositions(self) -> pd.DataFrame:
        """One row a (model, loss): miscalibration, discrimination, uncertainty."""
        return self.directory.table("decompositions")

    @cached_property
    def spread(self) -> pd.DataFrame:
        """One row a (model, metric): standard deviations of company, cutoff and residual."""
        return self.directory.table("spread")

    @cached_property
    def periods(self) -> pd.DataFrame:
        """One row a (cutoff, all or the same companies, model)."""
        return self.directory.table("periods")

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Evaluations that failed, with their reason and note."""
        return self.directory.failures()

    def fingerprint(self) -> str:
        """A hash that two runs share where they found the same, bit for bit.

        Raises `FileNotFoundError` for a run that is not finished.
        """
        _ = self.pooled  # or say what to do first
        if self.document["status"] == "running":
            raise FileNotFoundError(
                f"{self.path} is not finished, and its tables are of an earlier state; run the "
                "command that began it again, or 'scale-eval reduce'"
            )
        return fingerprint(self.directory)

    @cached_property
    def findings(self) -> Findings:
        """What the verdict and the plots read; raises `FileNotFoundError` before the tables are."""
        from scale_eval.report.findings import Findings

        return Findings.read(self.directory)

    @cached_property
    def verdict(self) -> Verdict:
        """Which model to choose, for whom, what to expect of it; `verdict.sentences` says it."""
        from scale_eval.report.verdict import verdict

        return verdict(self.findings)

    def leaderboard(self) -> pd.DataFrame:
        """Models at the average company, best first, with 95 % intervals: as text, to be read.

        The numbers are in `pooled`.
        """
        from scale_eval.report.notebook import leaderboard

        return leaderboard(self.findings)

    def report(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Write the report as one HTML page; ``report.html`` in the run if not said.

        Returns
        -------
        Path
            Where it is. It stands alone, below 2 MB, for three companies or 100,000.
        """
        from scale_eval.report.page import page

        text = page(self.findings)
        path = Path(self.path) / "report.html" if out is None else Path(out)
        open_store(path.parent).write(path.name, text.encode())
        return path

    def plot_leaderboard(self) -> Figure:
        """Figures of the average company, their intervals, and the next company's; as a Figure.

        Every plot of a run is a `matplotlib.figure.Figure`: a notebook shows it.
        """
        return self._plot("leaderboard")

    def plot_distribution(self) -> Figure:
        """How companies' own figures are spread, by model."""
        return self._plot("distribution")

    def plot_funnel(self, model: str | None = None) -> Figure:
        """AUC of each company against its number of buyers; of the best model if not said."""
        return self._plot("funnel", model=self._known(model))

    def plot_over_time(self) -> Figure:
        """Cutoff by cutoff, the same companies at each."""
        return self._plot("over_time")

    def plot_reliability(self) -> Figure:
        """What came of the probabilities that models gave."""
        return self._plot("reliability")

    def plot_comparison(self, metric: str = "log_loss", model: str | None = None) -> Figure:
        """One model, the best if not said, against each other."""
        return self._plot("comparison", metric=metric, model=self._known(model))

    def plot_sizes(self, metric: str = "log_loss", model: str | None = None) -> Figure:
        """The same by class of company size: which model for whom."""
        return self._plot("sizes", metric=metric, model=self._known(model))

    def plot_spread(self, metric: str = "roc_auc") -> Figure:
        """What makes evaluations differ: companies, half-years, the rest, and chance."""
        return self._plot("spread", metric=metric)

    def _plot(self, name: str, **choices: Any) -> Figure:
        from scale_eval.report.plots import draw

        if not self.findings.models:
            raise ValueError("there is nothing to plot: no window was answered by every model")
        return draw(name, self.findings, **choices)

    def _known(self, model: str | None) -> str | None:
        if model is not None and model not in self.findings.models:
            raise ValueError(
                f"no model {model!r} is compared; there are {', '.join(self.findings.models)}"
            )
        return model


def open_run(place: str | os.PathLike[str]) -> Run:
    """The run at `place`; raises `FileNotFoundError` where there is none."""
    return Run(open_run_directory(place))
