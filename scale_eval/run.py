"""Open a run: its tables, its verdict in words, its plots and its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.report.answers import Answers
from scale_eval.report.asked import (
    names_of,
    require_compared,
    require_metric,
    require_model,
    require_one_of,
)
from scale_eval.results.broken_metrics import BrokenMetric, broken_metrics
from scale_eval.results.directory import open_run_directory
from scale_eval.results.fingerprint import fingerprint
from scale_eval.results.tables import TABLES
from scale_eval.spelling import did_you_mean, require_text
from scale_eval.storage import open_store

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

    from scale_eval.report.verdict import Verdict


class Run(Answers):
    """The results of a run; open one with `open_run`, or get it from `evaluate`.

    Every result table is an attribute that is read when it is first used, as a DataFrame:
    ``run.companies``, ``run.pooled``, ``run.comparisons``, ``run.reliability``,
    ``run.decompositions``, ``run.gains``, ``run.company_gains``, ``run.score_spread``,
    ``run.spread``, ``run.periods``, ``run.choice_regret``, and ``run.sampled`` if the run is of a
    sample of the companies. `scale_eval.results.tables` documents them and their columns.
    `figures`, `compare`, `company` and `leaderboard` select what is asked most often.

    A table raises `FileNotFoundError` before the run was reduced.
    """

    def __repr__(self) -> str:
        broken = ", ".join(sorted({each.metric for each in self.broken_metrics}))
        more = f"; without a value in some evaluations: {broken}" if broken else ""
        return f"Run({self.path!r}, {self.document['status']}{more})"

    def _repr_html_(self) -> str | None:
        """Return the headline and the leaderboard, where there are tables."""
        from scale_eval.report.notebook import leaderboard_html, sentences_html

        try:
            headline = sentences_html(self.verdict.headline, self.verdict.uses, [], [])
            return headline + (leaderboard_html(self.findings) if self.findings.models else "")
        except FileNotFoundError:
            return None  # a notebook then shows the text

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Read a result table, and keep it."""
        if name not in TABLES:
            raise AttributeError(f"a run has no {name!r}; its tables are {', '.join(TABLES)}")
        if TABLES[name].only_of_samples and "sample" not in self.document:
            raise FileNotFoundError(
                f"{self.path} is a run of all companies, not of a sample: it has no table {name!r}"
            )
        frame = self.directory.table(name)
        self.__dict__[name] = frame
        return frame

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *TABLES]

    def arrow(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        *,
        model: str | None = None,
        metric: str | None = None,
        company: str | None = None,
    ) -> pa.Table:
        """Return one of the tables, or a part of it, as Arrow: for runs of many companies.

        ``run.companies`` and ``run.evaluations`` of 100,000 companies need several GB as
        DataFrames. This reads only the columns and rows that are asked for, and texts come as
        dictionary codes: ``run.arrow("companies", ["company_id", "mean"], metric="roc_auc",
        model="bgnbd").to_pandas()``. The rows of one company are in ``run.company(...)``.

        Parameters
        ----------
        table : str
            ``evaluations`` or a result table.
        columns : sequence of str, optional
            All by default.
        model, metric, company : str, optional
            Only rows of these, by the names in the table.

        Raises
        ------
        ValueError
            There is no such table, or it has no such column.
        """
        names = ["evaluations", *TABLES]
        require_one_of("table", table, names)
        schema = self.directory.schema if table == "evaluations" else TABLES[table].schema
        asked = {"model": model, "metric": metric, "company_id": company}
        where: Mapping[tuple[str, ...], str] = {
            (column,): text for column, text in asked.items() if text is not None
        }
        for column in [*(columns or ()), *(each for (each,) in where)]:
            if column not in schema.names:
                raise ValueError(
                    f"the table {table} has no column {column!r}"
                    f"{did_you_mean(column, schema.names)}; its columns are "
                    f"{', '.join(schema.names)}"
                )
        return self.directory.arrow(table, columns, where)

    @property
    def finished(self) -> bool:
        """Return whether every planned evaluation has a row."""
        return bool(self.document["status"] == "finished")

    @cached_property
    def plan(self) -> pd.DataFrame:
        """Return the plan: one row per evaluation, planned or refused."""
        return self.directory.plan().to_pandas()

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """Return the evaluations: one row per (company, cutoff, model)."""
        return self.directory.evaluations().to_pandas()

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Return the evaluations that failed, with their reason and note."""
        return self.directory.failures()

    @cached_property
    def broken_metrics(self) -> list[BrokenMetric]:
        """Return your own metrics that raised an exception, or returned no finite number.

        Printed, each says why, and in how many evaluations. A metric that has no value for some
        data is not broken if it raises `scale_eval.Undefined`.
        """
        return broken_metrics(self.directory)

    def fingerprint(self) -> str:
        """Return a hash of the results: equal for two runs whose results are equal, bit for bit.

        Raises `FileNotFoundError` for a run that is not finished.
        """
        _ = self.pooled  # raises where nothing was reduced yet
        if self.document["status"] == "running":
            raise FileNotFoundError(
                f"{self.path} is not finished, and its tables are of an earlier state; run the "
                "command that began it again, or 'scale-eval reduce'"
            )
        return fingerprint(self.directory)

    @cached_property
    def verdict(self) -> Verdict:
        """Return the verdict: which model to choose, for whom, and what to expect of it.

        `verdict.sentences` puts it into words.
        """
        from scale_eval.report.verdict import verdict

        return verdict(self.findings)

    def report(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Write the report as one HTML page, into ``report.html`` of the run by default.

        Of more than 5,000 companies the page holds the worst, the best and the largest; all are
        then in ``report-companies.csv`` beside it.

        Returns
        -------
        Path
            The page. It is self-contained and below 2 MB, for three companies or 100,000.
        """
        from scale_eval.report.page import write_page

        path = Path(self.path) / "report.html" if out is None else Path(out)
        write_page(self.findings, open_store(path.parent), path.name)
        return path

    def plot_leaderboard(self) -> Figure:
        """Plot the figures of the average company, their intervals, and the next company's.

        Every plot of a run is a `matplotlib.figure.Figure`: a notebook shows it.
        """
        return self._plot("leaderboard")

    def plot_distribution(self) -> Figure:
        """Plot how companies' own figures are spread, by model."""
        return self._plot("distribution")

    def plot_funnel(self, model: str | None = None) -> Figure:
        """Plot each company's AUC against its number of buyers, of the best model by default."""
        return self._plot("funnel", model=require_compared(self.findings, model))

    def plot_over_time(self) -> Figure:
        """Plot figures cutoff by cutoff, of the same companies at each."""
        return self._plot("over_time")

    def plot_rates(self, models: Sequence[str] = ("base_rate",)) -> Figure:
        """Plot who bought, and what up to four models said, at each company and cutoff.

        The largest companies are drawn. Raises `ValueError` for a model that the run does not have,
        or that predicted nothing.
        """
        from scale_eval.report import rates

        names = [require_model(self.document, model) for model in names_of("model", models)]
        columns = [*rates.COLUMNS]
        wanted: list[Mapping[tuple[str, ...], str]] = [
            {("model",): model, ("status",): "ok"} for model in dict.fromkeys(names)
        ]
        parts = (self.directory.arrow("evaluations", columns, where) for where in wanted)
        rows = pd.concat(
            [part.to_pandas().astype({"company_id": "str", "model": "str"}) for part in parts],
            ignore_index=True,
        )
        if rows.empty:
            raise ValueError(f"there is nothing to plot: no window was predicted by {names}")
        return rates.rates(rows, names)

    def plot_reliability(self) -> Figure:
        """Plot the observed rates of buyers against the predicted probabilities."""
        return self._plot("reliability")

    def plot_gains(
        self,
        cost: float | None = None,
        margin: float | None = None,
        estimand: str | None = None,
    ) -> Figure:
        """Plot what the customers ranked highest hold of later buyers and spend, by depth.

        With `cost` and `margin` it plots the profit from contacting these customers, per 1,000
        customers, and marks the depth with the most:

            1,000 / customers * (margin * spend of those contacted - cost * number contacted)

        A customer who is not contacted counts as one who spends nothing: the data say who buys, not
        who buys because of the contact. The best of many depths is picked on these data, which
        flatters its profit.

        Parameters
        ----------
        cost : float, optional
            Cost of contacting a customer, in the unit of the spend.
        margin : float, optional
            Share of the spend that is profit, such as .3.
        estimand : str, optional
            ``within_company``: each company ranks its own customers at each cutoff, and contacts
            the same share of them. ``row``: all customers are ranked together. By default the
            first, where scores were kept by company (up to 4,096 companies).

        Raises
        ------
        ValueError
            One of `cost` and `margin` is given without the other, or the estimand is not kept.
        """
        return self._plot("gains", cost=cost, margin=margin, estimand=estimand)

    def plot_scores(self) -> Figure:
        """Plot how each model's probabilities are spread, for those who bought and for others."""
        return self._plot("scores")

    def plot_comparison(self, metric: str | None = None, model: str | None = None) -> Figure:
        """Plot one model, the best by default, against each other model.

        `metric` is the one that decides by default.
        """
        metric = require_metric(self.findings, metric)
        return self._plot("comparison", metric=metric, model=require_compared(self.findings, model))

    def plot_sizes(
        self,
        metric: str | None = None,
        model: str | None = None,
        against: Sequence[str] | None = None,
    ) -> Figure:
        """Plot one model against others, by class of company size.

        By default it is the best model against the next two, by the metric that decides.
        """
        metric = require_metric(self.findings, metric)
        others = [
            require_compared(self.findings, other) for other in names_of("model", against or [])
        ]
        model = require_compared(self.findings, model)
        return self._plot("sizes", metric=metric, model=model, against=others)

    def plot_spread(self, metric: str = "roc_auc") -> Figure:
        """Plot what makes evaluations differ: companies, cutoffs, the rest, and chance."""
        chosen = require_metric(self.findings, require_text("metric", metric))
        return self._plot("spread", metric=chosen)

    def _plot(self, name: str, **choices: Any) -> Figure:
        from scale_eval.report.plots import draw

        if not self.findings.models:
            raise ValueError("there is nothing to plot: no window was predicted by every model")
        return draw(name, self.findings, **choices)


def open_run(place: str | os.PathLike[str]) -> Run:
    """Open the run at `place`.

    Raises
    ------
    FileNotFoundError
        There is no run.
    OtherFormat
        Another version wrote it in a format that this one does not read (a `ValueError`).
    """
    return Run(open_run_directory(place))
