"""Say why no model can be judged: outcomes that nobody could have told apart."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.wording import count

FEWEST = 10
"""Buyers, and customers who did not buy, in all windows together from which models are judged."""


def nothing_to_judge(findings: Findings) -> str:
    """Return why no model can be judged by these outcomes, as half a sentence; "" where it can.

    Losses exist all the same, and can differ by the same amount at every company: where nobody
    bought, the lower a model's probabilities, the lower its loss.
    """
    rows = findings.periods
    rows = rows[rows["cutoff"].isna() & rows["model"].isin(findings.models[:1])]
    if rows.empty or pd.isna(rows.iloc[0]["n_positive"]):
        return ""
    customers, buyers = (int(rows.iloc[0][name]) for name in ("n_customers", "n_positive"))
    others = customers - buyers
    if customers == 1:
        return "there is one customer in all"
    if buyers == 0:
        return "nobody bought, at any company, and then the lowest probabilities look best"
    if others == 0:
        return "everybody bought, at every company, and then the highest probabilities look best"
    auc = findings.figure("roc_auc", findings.models[0])
    if auc["n_defined"] == 0:
        return (
            "at each company and cutoff either everybody bought or nobody did, so that there was "
            "nobody to tell from others"
        )
    if buyers < FEWEST:
        return f"there are {count(buyers, 'buyer')} in all, among {customers:,} customers"
    if others < FEWEST:
        return f"all but {others} of {customers:,} customers bought"
    return ""
