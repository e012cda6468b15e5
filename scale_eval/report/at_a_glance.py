"""Say of each company, where they are few, which model is best there and what to be careful of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.top_tenth import AT_RANDOM, HELD, Failure, failures, shares_of
from scale_eval.report.wording import count, difference_with_interval, number, percent

MOST_COMPANIES = 20
"""Largest number of companies that have a row each; of more, the worst and the best are shown."""

CHANGED = 0.15
"""Relative change of observed over expected, on the log scale, from which a row says so."""

FEWEST_BUYERS = 10
"""Buyers in all windows together below which a company's figures are mostly chance."""


_Contest = tuple[str, str, float, float, float]


@dataclass(frozen=True)
class AtAGlance:
    """What a run says about one company.

    Attributes
    ----------
    company : str
    n_customers, n_buyers : int
        At its latest window.
    n_windows : int
        Windows that every model predicted.
    best, second : str
        The best model there by the metric that decides, and the next; "" where nothing is compared.
    better_by, low, high : float
        By how much the best is better than the second, and the 95 % interval of chance among the
        company's customers, with other customers of its kind.
    spend, buyers : dict of float
        The share that the tenth of customers ranked highest holds, by model.
    ratio, latest_ratio : float
        Observed over expected of the model that leads over all companies: of all the company's
        customers, and in its latest window.
    remarks : list of str
    """

    company: str
    n_customers: int
    n_buyers: int
    n_windows: int
    best: str = ""
    second: str = ""
    better_by: float = np.nan
    low: float = np.nan
    high: float = np.nan
    spend: dict[str, float] = field(default_factory=dict)
    buyers: dict[str, float] = field(default_factory=dict)
    ratio: float = np.nan
    latest_ratio: float = np.nan
    remarks: list[str] = field(default_factory=list)

    @property
    def lead(self) -> str:
        """Return by how much the best model is better than the second, with its interval, or ""."""
        if np.isnan(self.better_by):
            return ""
        return difference_with_interval(self.better_by, self.low, self.high)

    def held_by(self, model: str) -> list[str]:
        """Return what the top tenth by a model holds, as ``25 % of spend`` and of buyers."""
        held = {"spend": self.spend.get(model), "buyers": self.buyers.get(model)}
        return [f"{percent(share)} of {of}" for of, share in held.items() if share is not None]


def at_a_glance(findings: Findings) -> list[AtAGlance]:
    """Return a row for each company, in the order of their names; none for more than 20.

    Companies that are not compared have a row as well, which says so.
    """
    if not findings.models:
        return []
    leader = findings.models[0]
    facts = pd.DataFrame(
        {
            column: findings.companies(findings.primary, column)[leader]
            for column in ("n_customers", "n_positive", "n_cutoffs")
        }
    )
    if not 0 < len(facts) <= MOST_COMPANIES:
        return []
    values = findings.companies(findings.primary).reindex(columns=findings.models)
    distances = values.apply(lambda of_model: findings.distance(findings.primary, of_model))
    held = {metric: shares_of(findings, metric)[0].reindex(facts.index) for metric in HELD}
    ratio = {
        column: findings.companies("observed_expected_ratio", column)[leader]
        for column in ("mean", "latest")
    }
    buyers_of = findings.evidence.buyers
    failing = {failure.company: failure for failure in failures(findings, leader)}
    days = findings.evidence.days_of_reference
    rows = []
    for company, fact in facts.iterrows():
        n_windows, n_buyers = int(fact["n_cutoffs"]), int(np.nan_to_num(fact["n_positive"]))
        n_customers = int(np.nan_to_num(fact["n_customers"]))
        if not n_windows:
            remark = f"not compared: no {findings.window} that every model predicted"
            rows.append(AtAGlance(str(company), n_customers, n_buyers, 0, remarks=[remark]))
            continue
        of_all, latest = (float(ratio[c].get(company, np.nan)) for c in ("mean", "latest"))
        remarks = [
            *_about_buyers(findings, int(buyers_of.get(company, n_buyers)), n_buyers, n_windows),
            *_about_level(findings, of_all, latest),
            *_remarks(findings, n_windows, days.get(str(company), []), failing.get(str(company))),
        ]
        spend, buyers = (_shares(held[metric].loc[company]) for metric in HELD)
        best, second, by, low, high = _contest(findings, distances.loc[company], str(company))
        row = AtAGlance(str(company), n_customers, n_buyers, n_windows, best, second, by, low, high)
        row = replace(row, spend=spend, buyers=buyers, ratio=of_all, latest_ratio=latest)
        rows.append(replace(row, remarks=remarks))
    return rows


def companies_frame(rows: list[AtAGlance]) -> pd.DataFrame:
    """Return the rows of `at_a_glance` as numbers, one row a company."""
    return pd.DataFrame(
        [
            {
                "company_id": row.company,
                "n_customers": row.n_customers,
                "n_positive": row.n_buyers,
                "n_cutoffs": row.n_windows,
                "best": row.best,
                "second": row.second,
                "better_by": row.better_by,
                "ci_low": row.low,
                "ci_high": row.high,
                **{f"spend_in_top_tenth:{model}": share for model, share in row.spend.items()},
                **{f"buyers_in_top_tenth:{model}": share for model, share in row.buyers.items()},
                "observed_expected_ratio": row.ratio,
                "latest_observed_expected_ratio": row.latest_ratio,
                "remarks": "; ".join(row.remarks),
            }
            for row in rows
        ]
    )


def _shares(by_model: pd.Series) -> dict[str, float]:
    return {str(model): float(share) for model, share in by_model.dropna().items()}


def _contest(findings: Findings, distances: pd.Series, company: str) -> _Contest:
    """Return the best and the second model at a company, and by how much the best is better."""
    ranked = [str(model) for model in distances.dropna().sort_values(kind="stable").index]
    if len(ranked) < 2:
        return (ranked or [""])[0], "", np.nan, np.nan, np.nan
    best, second, *_ = ranked
    apart = findings.company_differences(best, second).loc[company]
    return best, second, float(apart["better_by"]), float(apart["low"]), float(apart["high"])


def _about_buyers(
    findings: Findings, n_buyers: int, n_latest: int, n_windows: int
) -> Iterator[str]:
    """Say where buyers are few in all windows, or none in the latest."""
    if n_buyers < FEWEST_BUYERS:
        yield f"{count(n_buyers, 'buyer')} in all: mostly chance"
    elif n_latest == 0 and n_windows > 1:
        yield f"nobody bought in the latest {findings.window}"


def _about_level(findings: Findings, of_all: float, latest: float) -> Iterator[str]:
    """Say where observed over expected in the latest window is far from that of all."""
    if latest > 0 and of_all > 0 and abs(np.log(latest / of_all)) > CHANGED:
        yield f"O:E {number(latest, 0.01)} in the latest {findings.window}"


def _remarks(
    findings: Findings, n_windows: int, days: list[float], failure: Failure | None
) -> Iterator[str]:
    if n_windows == 1:
        yield f"one {findings.window}"
    if days:
        where = f" in {len(days)} of {n_windows}" if n_windows > 1 else ""
        yield f"base rate known from {min(days):.0f} days{where}"
    if failure is not None:
        yield _worse_top_tenth(findings.models[0], failure)


def _worse_top_tenth(model: str, failure: Failure) -> str:
    """Say that the top tenth by a model holds less than another one."""
    than = "at random" if failure.than == AT_RANDOM else f"by {failure.than}"
    text = (
        f"top tenth by {model} holds {percent(failure.share)} of {failure.held}, "
        f"{than} {percent(failure.its_share)}"
    )
    return text if failure.sure else f"{text} (may be chance)"
