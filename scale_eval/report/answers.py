"""What a run answers to the questions that are asked most often: figures, pairs, companies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.metrics.base import ESTIMANDS
from scale_eval.report.asked import names_of, require_metric, require_model, require_one_of
from scale_eval.results.directory import RunDirectory
from scale_eval.results.panel import COVERAGES
from scale_eval.spelling import did_you_mean, require_text

if TYPE_CHECKING:
    from scale_eval.datasets import Dataset
    from scale_eval.report.company import CompanyResults
    from scale_eval.report.comparison import Comparison
    from scale_eval.report.findings import Findings
    from scale_eval.report.leaderboard import Leaderboard


class Answers:
    """A run that can be asked for figures; `scale_eval.Run` adds its tables, plots and verdict."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    @property
    def path(self) -> str:
        """Return the place of the run."""
        return str(self.directory.store.root)

    @property
    def document(self) -> dict[str, Any]:
        """Return the content of `run.json`: settings, models, versions, conventions, timings."""
        return self.directory.document

    @cached_property
    def findings(self) -> Findings:
        """Return the findings, from which the verdict, the plots and the report are made.

        Raises `FileNotFoundError` before the run was reduced.
        """
        from scale_eval.report.findings import Findings

        return Findings.read(self.directory)

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
            One metric, by its name or its label such as ``AUC``; by default all of them, and a row
            of each.
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
        metric = require_metric(self.findings, metric)
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
            `losses`, `margin`, `equivalent` and so on; besides, `value_a` and `value_b`; `better`,
            the model that is better by more than chance and more than the margin, or "";
            `in_words`, what is known of `a`, such as "better" or "not known", or why there is no
            difference; and `direction`. It shows itself as a short table.

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

        figures = self.directory.company(require_text("company", company_id))
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
        trust: bool = False,
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
        trust : bool
            Read a model of all companies that was pickled into the run, which runs the code of
            whoever can write there.

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
            imported, or has changed, or was pickled and is not trusted.
        """
        from scale_eval.execution.recompute import recompute

        if isinstance(model, str):
            model = require_model(self.document, model)
        companies = None if company is None else names_of("company", company)
        for each in companies or []:
            self._require_company(each)
        return recompute(self.directory, model, companies, dataset, trust=trust)

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
