"""Say from an earlier run how probably a planned run settles which of two models is better.

The leading model of the earlier run is compared with each other one by log loss at the average
company, at the margin of that run. Companies that the planned run evaluates are taken to be like
those of the earlier run, with as many windows each.

A run of a sample has large companies more often than its dataset. Its comparisons are those of the
table `sampled`, of all companies of the dataset. The variance of one company is then the square of
`std` there, which weighs companies by how many they represent. As sure as the sample, with standard
error s, are n companies drawn simply, where s^2 = variance (1 / n - 1 / population): for a run of
all companies, or of others, these n take the place of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scale_eval.datasets import Dataset
from scale_eval.metrics.base import EQUAL_COMPANY
from scale_eval.planning.plan import Plan
from scale_eval.results.directory import RunDirectory
from scale_eval.results.estimates import MIN_COMPANIES
from scale_eval.statistics.power import companies_to_settle, probability_of_settling, settled

DECIDED_BY = "log_loss"
"""The metric of the comparisons."""

PROBABILITIES = (0.5, 0.8, 0.95)
"""The probabilities for which numbers of companies are given."""


@dataclass(frozen=True)
class Lead:
    """The lead of the best model of a run over another one.

    Attributes
    ----------
    model, other : str
    value, std_error, low, high : float
        The lead in log loss at the average company, and its 95 % interval.
    margin : float
    n : int
        Companies that were compared.
    sd : float
        The standard deviation of one company; NaN where all were evaluated.
    population : float
        Companies of the dataset that a sample speaks of; infinite where all were evaluated.
    """

    model: str
    other: str
    value: float
    std_error: float
    low: float
    high: float
    margin: float
    n: int
    sd: float = np.nan
    population: float = np.inf

    @property
    def as_drawn_simply(self) -> tuple[float, float, float]:
        """Return value, error and number of companies as of a simple random sample of any."""
        if not np.isfinite(self.population) or not self.sd > 0:
            return self.value, self.std_error, float(self.n)
        n = 1 / ((self.std_error / self.sd) ** 2 + 1 / self.population)
        return self.value, self.sd / np.sqrt(n), n


def power_table(
    earlier: RunDirectory, plan: Plan, dataset: Dataset, *, seed: int, sampled: bool
) -> pd.DataFrame:
    """Return how many companies settle each comparison, and how probably the planned run does.

    Parameters
    ----------
    earlier : RunDirectory
        A finished run of the same dataset or another one.
    plan : Plan
    dataset : Dataset
        The dataset that is planned to be evaluated.
    seed : int
    sampled : bool
        Whether the plan is of a sample of the dataset, drawn with `seed`.

    Returns
    -------
    DataFrame
        Columns `model` and `model_b`; `lead` of the first over the second, `lead_low`, `lead_high`,
        `margin` and `n_companies` in the earlier run; `settled`, whether they settle it;
        `companies_50`, `companies_80`, `companies_95`, the numbers of companies that settle it with
        these probabilities; `among_them`, whether those of the earlier run are among these, as they
        are where the dataset is the same; `n_planned` companies of the plan that can be evaluated,
        and the `probability` that they settle it.

    Raises
    ------
    ValueError
        The earlier run is not finished, has one model, or too few companies.
    """
    leads = leads_of(earlier)
    settings = earlier.document["settings"]
    same = settings["data"] == dataset.content_hash
    if sampled:
        same &= "sample" in earlier.document and settings["seed"] == seed
    population = float(len(dataset.company_ids)) if sampled else np.inf
    n_planned = len(np.unique(plan.windows.company[plan.is_planned]))
    rows = []
    for lead in leads:
        simple = lead.as_drawn_simply
        value, error, n = (lead.value, lead.std_error, lead.n) if same and sampled else simple
        needed = {
            f"companies_{p:.0%}".removesuffix("%"): companies_to_settle(
                value, error, n, lead.margin, p, population=population, among_them=same
            )
            for p in PROBABILITIES
        }
        probability = probability_of_settling(
            value, error, n, lead.margin, n_planned, population=population, among_them=same
        )
        rows.append(
            {
                "model": lead.model,
                "model_b": lead.other,
                "lead": value,
                "lead_low": lead.low,
                "lead_high": lead.high,
                "margin": lead.margin,
                "n_companies": lead.n,
                "settled": settled(value, error, n - 1, lead.margin),
                **needed,
                "among_them": same,
                "n_planned": n_planned,
                "probability": probability,
            }
        )
    return pd.DataFrame(rows)


def leads_of(run: RunDirectory) -> list[Lead]:
    """Return the lead of a run's best model over each other model, the best of these first.

    Raises `ValueError` where the run is not finished, has one model, no interval, or fewer than
    `MIN_COMPANIES` companies that every model predicted.
    """
    place = run.store.root
    if run.document["status"] != "finished":
        raise ValueError(
            f"{place} is not finished: run the command that began it again, or give a finished run"
        )
    losses = _losses(run)
    if len(losses) < 2:
        raise ValueError(
            f"{place} compares no two models: give a run with two or more, and windows that each "
            "of them predicted"
        )
    best, *others = losses.sort_values(kind="stable").index
    leads = [_lead(run, best, other) for other in others]
    fewest = min(lead.n for lead in leads)
    if fewest < MIN_COMPANIES:
        raise ValueError(
            f"{place} compares models at {fewest} {'company' if fewest == 1 else 'companies'}: too "
            f"few to say how companies differ; give a run of {MIN_COMPANIES} or more"
        )
    unsure = next((lead for lead in leads if not np.isfinite(lead.std_error)), None)
    if unsure is not None:
        raise ValueError(
            f"{place} has no interval of the difference of {best} and {unsure.other}: give a run "
            "of more companies"
        )
    return leads


def _losses(run: RunDirectory) -> pd.Series:
    """Return the loss of each model at the average company, on the common coverage."""
    if "sample" in run.document:
        rows = _rows(run, "sampled", coverage="common", figure="value")
        rows = rows[rows["model_b"].isna()]
    else:
        rows = _rows(run, "pooled", coverage="common")
        rows = rows[rows["cutoff"].isna()]
    return rows.set_index("model")["value"].dropna()


def _lead(run: RunDirectory, best: str, other: str) -> Lead:
    a, b = sorted([best, other])
    row = _rows(run, "comparisons", stratum="all", model_a=a, model_b=b).iloc[0]
    value, n, more = row["mean_difference"], row["n_companies"], {}
    margin = float(row["margin"])
    if "sample" in run.document:
        figures = _rows(run, "sampled", model=a, model_b=b).set_index("figure")
        row = figures.loc["value"]
        value, n = row["value"], row["n_counted"]
        more = {"sd": figures.loc["std", "value"], "population": float(row["n_population"])}
    sign = -1.0 if best == a else 1.0  # the lower loss leads
    low, high = sorted([sign * row["ci_low"], sign * row["ci_high"]])
    return Lead(best, other, sign * value, row["std_error"], low, high, margin, int(n), **more)


def _rows(run: RunDirectory, table: str, **key: str) -> pd.DataFrame:
    rows = run.table(table)
    for column, value in {"metric": DECIDED_BY, "estimand": EQUAL_COMPANY, **key}.items():
        rows = rows[rows[column] == value]
    return rows
