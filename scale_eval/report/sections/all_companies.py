"""The section that has every company, to be sorted, filtered and looked into."""

from __future__ import annotations

import numpy as np

from scale_eval.report.company_table import DECIMALS, PageCompanies
from scale_eval.report.findings import Findings
from scale_eval.report.section import EmbeddedCompanies, Section

FEWEST_BUYERS = 10
"""Buyers from which companies are shown at first, of more than `FEW_COMPANIES`: below that a figure
is mostly chance."""

FEW_COMPANIES = 20


def all_companies(
    findings: Findings, companies: PageCompanies | None = None, beside: str = ""
) -> Section | None:
    """Make the section; None where no model is compared.

    `beside` names the file beside the page that has all companies, if there is one.
    """
    if companies is None:
        return None
    shown = companies.shown
    enough = np.nan_to_num(shown.buyers) >= FEWEST_BUYERS
    least = FEWEST_BUYERS if len(shown) > FEW_COMPANIES and enough.any() else 0
    text = [
        f"Each company's own figures, on the {findings.window}s that every model predicted; its "
        "customers and buyers are those of the latest. The name of a company opens its own "
        "figures. The fewer its buyers, the more of a figure is chance.",
    ]
    note = ""
    if companies.n_left_out:
        where = f"in the file {beside} beside it" if beside else "in the run's table companies"
        note = (
            f"The page holds {len(shown):,} of {len(companies.whole):,} companies: the worst and "
            f"the best by the shrunk AUC of {findings.best_ranking_model}, and the largest. All "
            f"are {where}."
        )
    return Section(
        "What are the figures of every company?",
        text=text,
        companies=EmbeddedCompanies(companies.text, 10**DECIMALS, "companies.csv", least, note),
    )
