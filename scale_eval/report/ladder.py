"""Count the companies of a run once, from all of them down to those behind its figures."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from scale_eval.report.findings import LOSS, Findings
from scale_eval.results.estimates import MIN_COMPANIES


@dataclass(frozen=True)
class Rung:
    """Companies, and their windows where these are counted, that are left at one step."""

    step: str
    companies: int
    windows: int | None = None


def ladder(findings: Findings) -> list[Rung]:
    """Return the steps by which companies leave, all of them first.

    They are: the dataset, where a sample was drawn; the run; a whole window; a prediction by every
    model; a defined AUC; and, of five companies or more, buyers enough for predictions of the next.
    """
    statuses = findings.statuses
    without_window = statuses["reason"] == "no_whole_window"
    n_without = int(statuses[without_window].groupby("model")["n"].sum().to_numpy().max(initial=0))
    windows = statuses[~without_window].groupby("model")["n"].sum()
    window = findings.window
    n_cutoffs = findings.companies(LOSS, "n_cutoffs")
    n = len(n_cutoffs)
    rungs = [] if findings.sample is None else [Rung("in the dataset", findings.sample[1])]
    rungs.append(Rung("in the run" if findings.sample is None else "in the sample", n))
    n_windows = int(windows.max()) if len(windows) else 0
    rungs.append(Rung(f"with a whole {window} after a cutoff", n - n_without, n_windows))
    if not findings.models:
        rungs.append(Rung("predicted by every model: compared", 0, 0))
        return rungs
    best = findings.models[0]
    rungs.append(
        Rung(
            "predicted by every model: compared",
            findings.n_companies,
            int(n_cutoffs[best].fillna(0).sum()),
        )
    )
    auc = findings.figure("roc_auc", findings.best_ranking_model)
    if not pd.isna(auc["n_companies_defined"]):
        rungs.append(
            Rung(
                "where some bought and some did not: with an AUC",
                int(auc["n_companies_defined"]),
                int(auc["n_defined"]),
            )
        )
        if findings.n_companies < MIN_COMPANIES:  # too few for predictions of the next
            return rungs
        entered = 0 if pd.isna(auc["n_heterogeneity"]) else int(auc["n_heterogeneity"])
        rungs.append(Rung("with buyers enough for predictions of the next company", entered))
    return rungs
