"""Open a run: its tables, its verdict in words, its plots and its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.metrics.base import ESTIMANDS
from scale_eval.report.asked import (
    require_compared,
    require_metric,
    require_model,
    require_one_of,
)
from scale_eval.results.directory import PLAN, RunDirectory, open_run_directory
from scale_eval.results.fingerprint import fingerprint
from scale_eval.results.panel import COVERAGES
from scale_eval.results.tables import TABLES
from scale_eval.spelling import did_you_mean
from scale_eval.storage import open_store, read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scale_eval.datasets import Dataset
    from scale_eval.report.company import CompanyResults
    from scale_eval.report.comparison import Comparison
    from scale_eval.report.findings import Findings
    from scale_eval.report.leaderboard import Leaderboard
    from scale_eval.report.verdict import Verdict


class Run:
    """The results of a run; open one with `open_run`, or get it from `evaluate`.

    Every result table is an attribute that is read when it is first used, as a DataFrame:
    ``run.companies``, ``run.pooled``, ``run.comparisons``, ``run.reliability``,
    ``run.decompositions``, ``run.spread``, ``run.periods``, ``run.choice_regret``, and
    ``run.sampled`` if the run is of a sample of the companies. `scale_eval.results.tables`
    documents them and their columns. `figures`, `compare`, `company` and `leaderboard` select what
    is asked most often.

    A table raises `FileNotFoundError` before the run was reduced.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"Run({self.path!r}, {self.document['status']})"

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

    @property
    def path(self) -> str:
        """Return the place of the run."""
        return str(self.directory.store.root)

    @property
    def document(self) -> dict[str, Any]:
        """Return the content of `run.json`: settings, models, versions, conventions, timings."""
        return self.directory.document

    @property
    def finished(self) -> bool:
        """Return whether every planned evaluation has a row."""
        return bool(self.document["status"] == "finished")

    @cached_property
    def plan(self) -> pd.DataFrame:
        """Return the plan: one row per evaluation, planned or refused."""
        return read_table(self.directory.store, PLAN).to_pandas()

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """Return the evaluations: one row per (company, cutoff, model)."""
        return self.directory.evaluations().to_pandas()

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Return the evaluations that failed, with their reason and note."""
        return self.directory.failures()

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
    def findings(self) -> Findings:
        """Return the findings, from which the verdict, the plots and the report are made.

        Raises `FileNotFoundError` before the run was reduced.
        """
        from scale_eval.report.findings import Findings

        return Findings.read(self.directory)

    @cached_property
    def verdict(self) -> Verdict:
        """Return the verdict: which model to choose, for whom, and what to expect of it.

        `verdict.sentences` puts it into words.
        """
        from scale_eval.report.verdict import verdict

        return verdict(self.findings)

    def leaderboard(self) -> Leaderboard:
        """Return the models at the average company, best first, with 95 % intervals.

        It is a DataFrame of numbers, indexed by model: ``run.leaderboard()["log_loss"]`` and, for
        the ends of its interval, ``["log_loss_ci_low"]`` and ``["log_loss_ci_high"]``; likewise of
        `log_loss_skill`, `roc_auc`, `observed_expected_ratio`, the metric that decides and the
        user's metrics. Printed, or shown in a notebook, it is a table of figures with their
        intervals.
        """
        from scale_eval.report.leaderboard import Leaderboard

        return Leaderboard.of(self.findings)

    def figures(
        self,
        metric: str | None = None,
        *,
        estimand: str = "equal_company",
        coverage: str = "common",
    ) -> pd.DataFrame:
        """Return figures over all companies and cutoffs: one row a model, best first.

        Parameters
        ----------
        metric : str, optional
            One metric; by default all of them, and a row of each.
        estimand : ``"equal_company"``, ``"row"`` or ``"within_company"``
            The average company, all customers, or pairs of customers of one company and cutoff.
        coverage : ``"common"`` or ``"own"``
            The windows that every model predicted, or all that the model of the row did.

        Returns
        -------
        DataFrame
            The rows and columns of the table `pooled`, indexed by `model`, without a `metric` by
            metric and model: the figure `value`, its interval `ci_low` to `ci_high`, `std_error`,
            `n_companies` and so on. In a run of a sample of the companies, value and interval are
            for all companies, from the table `sampled`.

        Raises
        ------
        ValueError
            There is no such metric, estimand or coverage, or the metric has no such estimand.
        """
        require_metric(self.findings, metric)
        require_one_of("estimand", estimand, ESTIMANDS)
        require_one_of("coverage", coverage, COVERAGES)
        rows = self.findings.figures(estimand, coverage)
        if metric is not None:
            rows = rows[rows["metric"] == metric]
            if rows.empty:
                raise ValueError(f"{metric} has no figures of the estimand {estimand!r}")
        order = {"metric": self.findings.metrics, "model": self.findings.models}
        index = ["model"] if metric is not None else ["metric", "model"]
        rows = rows.sort_values(
            index,
            key=lambda names: _positions(names, order[str(names.name)]),
        )
        keys = ["cutoff", "estimand", "coverage", *(["metric"] if metric is not None else [])]
        return rows.drop(columns=keys).set_index(index)

    def compare(
        self, a: str, b: str, *, estimand: str = "equal_company", stratum: str = "all"
    ) -> Comparison:
        """Compare two models by every metric, from the side of `a`.

        Parameters
        ----------
        a, b : str
            The models, by their names in the tables or in the report.
        estimand : ``"equal_company"``, ``"row"`` or ``"within_company"``
        stratum : str
            The companies: ``"all"``, or a class of company size as in the table `comparisons`.

        Returns
        -------
        DataFrame
            One row a metric. The columns are those of `comparisons`, with `a` as the first model:
            `mean_difference` (a - b), `ci_low`, `ci_high`, `mean_p_value`, `wins`, `ties`,
            `losses`, `margin`, `equivalent` and so on; besides, `value_a`, `value_b`, and `better`,
            the model that the difference favours. It shows itself as a short table.

        Raises
        ------
        ValueError
            There is no such model, estimand or stratum, or `a` and `b` are one model.
        """
        from scale_eval.report.comparison import Comparison

        a, b = require_model(self.document, a), require_model(self.document, b)
        if a == b:
            raise ValueError(f"{a!r} cannot be compared with itself; name two models")
        require_one_of("estimand", estimand, ESTIMANDS)
        require_one_of("stratum", stratum, ["all", *self.findings.strata])
        return Comparison.of(self.findings, a, b, estimand, stratum)

    def company(self, company_id: str) -> CompanyResults:
        """Return all about one company; it shows itself in a notebook.

        Returns
        -------
        CompanyResults
            With the DataFrames `windows` (one row a cutoff: its customers, its buyers, and why a
            model is not ok there), `models` (one row a model, best first, one column a metric: the
            mean over the windows that every model predicted), `figures` (the rows of the table
            `companies`, by metric, model and coverage) and `evaluations`.

        Raises
        ------
        ValueError
            The run has no such company; the message has the nearest name.
        """
        from scale_eval.report.company import CompanyResults

        figures = self.directory.company(company_id)
        evaluations = self.directory.evaluations(company_id=company_id).to_pandas()
        if evaluations.empty:
            self._require_company(company_id)
        return CompanyResults(
            company_id,
            evaluations,
            figures.drop(columns="company_id").set_index(["metric", "model", "coverage"]),
            self.findings,
        )

    def predictions(
        self,
        model: Any,
        company: str | Sequence[str] | None = None,
        *,
        dataset: Dataset | str | os.PathLike[str] | None = None,
    ) -> pd.DataFrame:
        """Return each customer's probability, by evaluating the model again in this process.

        A run keeps figures, not probabilities (unless it was made with `save_predictions`). They
        are computed again with the same random states, and give the same log loss.

        Parameters
        ----------
        model : str or model
            Its name, or the model itself where it was given to `evaluate` as an object.
        company : str or sequence of str, optional
            All companies by default; of a large run, name some.
        dataset : Dataset or path, optional
            The dataset of the run, where it is in another place now.

        Returns
        -------
        DataFrame
            One row a customer and window that is ok in the run: `company_id`, `cutoff` (UTC),
            `customer_id`, `probability`, `bought`, and `spend`, what the customer spent within the
            horizon, gross of refunds.

        Raises
        ------
        FileNotFoundError
            The dataset is no longer where it was.
        ValueError
            There is no such model or company; the dataset has other data; the model cannot be
            imported, or has changed.
        """
        from scale_eval.execution.recompute import recompute

        if isinstance(model, str):
            model = require_model(self.document, model)
        companies = [company] if isinstance(company, str) else company
        for each in companies or []:
            self._require_company(each)
        return recompute(self.directory, model, companies, dataset)

    def report(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Write the report as one HTML page, into ``report.html`` of the run by default.

        Returns
        -------
        Path
            The page. It is self-contained and below 2 MB, for three companies or 100,000.
        """
        from scale_eval.report.page import page

        text = page(self.findings)
        path = Path(self.path) / "report.html" if out is None else Path(out)
        open_store(path.parent).write(path.name, text.encode())
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
        from scale_eval.report.rates import rates

        names = [require_model(self.document, model) for model in models]
        ok = self.evaluations[self.evaluations["status"] == "ok"]
        rows = ok[ok["model"].isin(names)]
        if rows.empty:
            raise ValueError(f"there is nothing to plot: no window was predicted by {names}")
        return rates(rows, names)

    def plot_reliability(self) -> Figure:
        """Plot the observed rates of buyers against the predicted probabilities."""
        return self._plot("reliability")

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
        others = [require_compared(self.findings, other) for other in against or []]
        model = require_compared(self.findings, model)
        return self._plot("sizes", metric=metric, model=model, against=others)

    def plot_spread(self, metric: str = "roc_auc") -> Figure:
        """Plot what makes evaluations differ: companies, cutoffs, the rest, and chance."""
        return self._plot("spread", metric=require_metric(self.findings, metric))

    def _plot(self, name: str, **choices: Any) -> Figure:
        from scale_eval.report.plots import draw

        if not self.findings.models:
            raise ValueError("there is nothing to plot: no window was predicted by every model")
        return draw(name, self.findings, **choices)

    def _require_company(self, company_id: str) -> None:
        """Raise `ValueError` where the run has no such company, with the nearest name."""
        if company_id not in self._company_ids:
            near = did_you_mean(company_id, self._company_ids)
            raise ValueError(f"there is no company {company_id!r} in {self.path}{near}")

    @cached_property
    def _company_ids(self) -> dict[str, int]:
        return self.directory.company_groups()


def _positions(names: pd.Series, order: Sequence[str]) -> pd.Series:
    """Return where each name stands in `order`; others come after all of it."""
    position = {name: i for i, name in enumerate(order)}
    return names.map(lambda name: position.get(name, len(order)))


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
