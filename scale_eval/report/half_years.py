"""Find which model leads in single half-years, by the metric that decides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.report.findings import LOSS, Findings


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
    """Return the figures of each model at one cutoff, best model overall first.

    Beside the columns of `periods`, `value` is the figure by the metric that decides, and
    `distance` how bad it is: the lower, the better.
    """
    rows = figures_by_cutoff(findings)
    rows = rows[rows["cutoff"] == cutoff].set_index("model").reindex(findings.models)
    value = rows["log_loss"]
    if findings.primary != LOSS:
        figures = pd.concat([findings.by_cutoff(findings.primary, m) for m in findings.models])
        value = figures[figures["cutoff"] == cutoff].set_index("model")["value"]
        value = value.reindex(findings.models)
    distance = findings.distance(findings.primary, value)
    return rows.assign(value=value, distance=distance, by_loss=findings.primary == LOSS)


def leader_of(rows: pd.DataFrame) -> str:
    """Return the best model in rows of `at_cutoff`; "" where the metric is undefined there."""
    return "" if rows["distance"].isna().all() else str(rows["distance"].idxmin())


def lead(rows: pd.DataFrame, model: str, best: str) -> tuple[float, float, float]:
    """Return by how much a model is better than `best`, with its interval.

    The interval is NaN for another metric than the log loss, and where `best` is not the model that
    leads over all cutoffs of the companies evaluated, as can be in a run of a sample: the table has
    no other.
    """
    by = float(rows.loc[best, "distance"] - rows.loc[model, "distance"])
    if not rows["by_loss"].all() or rows.loc[best, "behind_leader"] != 0:
        return by, np.nan, np.nan
    behind = rows.loc[model]
    return by, -float(behind["behind_leader_high"]), -float(behind["behind_leader_low"])
