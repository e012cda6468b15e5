"""Curves of gain and profit by depth, from the table `gains`."""

from __future__ import annotations

import pandas as pd

from scale_eval.metrics.base import ROW, WITHIN_COMPANY
from scale_eval.report.findings import Findings

PER = 1_000
"""The number of customers whose profit is shown."""


def gain_curves(findings: Findings, estimand: str | None = None) -> dict[str, pd.DataFrame]:
    """Return the rows of `gains` of one estimand, by model; models without buyers are left out.

    By default it is ``within_company``, which says what companies get that each rank their own
    customers; ``row`` where scores were not kept by company. Raises `ValueError` for an estimand
    that is not kept.
    """
    rows = findings.gains
    kept = set(rows["estimand"])
    if estimand is None:
        estimand = WITHIN_COMPANY if WITHIN_COMPANY in kept else ROW
    elif estimand not in kept:
        raise ValueError(
            f"there are no gains of the estimand {estimand!r} in this run; there are "
            f"{' and '.join(sorted(kept)) or 'none'}"
        )
    rows = rows[rows["estimand"] == estimand]
    with_buyers = rows.loc[(rows["counted"] == "buyers") & rows["share"].notna(), "model"].unique()
    return {model: rows[rows["model"] == model] for model in with_buyers}


def profit_curves(
    curves: dict[str, pd.DataFrame], cost: float, margin: float
) -> dict[str, pd.DataFrame]:
    """Return the profit per 1,000 customers at each depth, from nobody on, by model.

    Parameters
    ----------
    curves : dict of DataFrame
        As from `gain_curves`.
    cost : float
        Cost of contacting a customer, in the unit of the spend.
    margin : float
        Share of the spend that is profit.

    Returns
    -------
    dict of DataFrame
        Columns `depth`, `profit`, `low`, `high` (ends of the 95 % interval over companies, by that
        of the share of the spend) and `at_random`.
    """
    profits = {}
    for model, rows in curves.items():
        spend = rows[(rows["counted"] == "spend") & rows["share"].notna()]
        if spend.empty:
            continue
        n = spend["n_customers"].iloc[-1]  # all of them: the last depth is 1
        income = PER * margin * spend["total"].iloc[-1] / n
        frame = pd.DataFrame(
            {
                "depth": spend["depth"],
                **{
                    name: income * spend[share] - PER * cost * spend["depth"]
                    for name, share in (("profit", "share"), ("low", "ci_low"), ("high", "ci_high"))
                },
                "at_random": (income - PER * cost) * spend["depth"],
            }
        )
        nobody = pd.DataFrame([dict.fromkeys(frame, 0.0)])
        profits[model] = pd.concat([nobody, frame], ignore_index=True)
    return profits
