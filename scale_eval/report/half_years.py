"""Find which model leads in single half-years, and the latest that most companies share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.report.findings import Findings


def figures_by_cutoff(findings: Findings) -> pd.DataFrame:
    """Return the rows of `periods` at each cutoff, of all companies that are compared there."""
    rows = findings.periods
    return rows[rows["cutoff"].notna() & (rows["companies"] == "all") & rows["log_loss"].notna()]


def latest_shared(findings: Findings) -> pd.DataFrame | None:
    """Return the figures of each model at the latest shared cutoff, best model overall first.

    Shared is a cutoff at which more than half of the companies that are compared have a window that
    every model predicted. None where there is none, or one cutoff in all.
    """
    rows = figures_by_cutoff(findings)
    shared = rows[2 * rows["n_companies"] > findings.n_companies]
    if shared.empty or rows["cutoff"].nunique() < 2:
        return None
    return at_cutoff(findings, shared["cutoff"].max())


def at_cutoff(findings: Findings, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return the figures of each model at one cutoff, best model overall first."""
    rows = figures_by_cutoff(findings)
    return rows[rows["cutoff"] == cutoff].set_index("model").reindex(findings.models)


def leader_of(rows: pd.DataFrame) -> str:
    """Return the model with the lowest log loss in rows of `at_cutoff`."""
    return str(rows["log_loss"].idxmin())


def lead(rows: pd.DataFrame, model: str, best: str) -> tuple[float, float, float]:
    """Return how much lower the log loss of a model is than that of `best`, with its interval.

    The interval is NaN where `best` is not the model that leads over all cutoffs of the companies
    evaluated, as can be in a run of a sample: the table has no other.
    """
    by = float(rows.loc[best, "log_loss"] - rows.loc[model, "log_loss"])
    if rows.loc[best, "behind_leader"] != 0:
        return by, np.nan, np.nan
    behind = rows.loc[model]
    return by, -float(behind["behind_leader_high"]), -float(behind["behind_leader_low"])
