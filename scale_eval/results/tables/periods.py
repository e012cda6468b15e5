"""The table `periods`: figures cutoff by cutoff, on the common coverage.

A model's figures change over time because the customers do (lapsed customers accumulate), because
the companies do, or because the model gets better or worse. So the same companies are compared, the
share of lapsed customers is shown, and what a model saves against the rate known at the cutoff is
split into drift, discrimination and miscalibration (`scale_eval.statistics.saved_loss`): skill
against a rate that drifted is not skill at telling customers apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import entr

from scale_eval.metrics import METRICS, Metric
from scale_eval.results.behind_leader import behind_leader, leader_of
from scale_eval.results.estimates import equal_company
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import Terms, terms
from scale_eval.results.saved import NEEDED, company_means, saved_by_window, saved_columns
from scale_eval.results.tables.base import RunTable
from scale_eval.statistics.saved_loss import SavedLoss
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, TIME, Column


def periods_table(panel: Panel) -> pa.Table:
    """Make the table: one row for each cutoff (or all), choice of companies, and model.

    `companies` is ``all`` or ``same``. The same companies are those that have every one of m
    cutoffs, with the m for which m times their number is largest; they have rows at these cutoffs
    only.
    """
    shown = [METRICS[name] for name in PERIODS.schema.names if name in METRICS]
    needed = {column for metric in shown for column in (metric.name, *metric.pooling.columns)}
    panel = panel.holding([*sorted(needed), "n_lapsed", *NEEDED])
    common, leader = np.flatnonzero(panel.common), leader_of(panel)
    saved = saved_by_window(panel)
    selections: list[tuple[int | None, str, np.ndarray]] = [
        (cutoff, "all", panel.at(cutoff)) for cutoff in range(len(panel.cutoffs))
    ]
    cutoffs, companies = same_companies(panel, common)
    selections += [
        (cutoff, "same", at[companies[panel.company[at]]])
        for cutoff in cutoffs
        for at in [panel.at(cutoff)]
    ]
    selections.append((None, "all", panel.at(None)))
    own_terms = [
        [(metric, terms(panel, metric, model, weighted=False)) for metric in shown]
        for model in range(len(panel.models))
    ]
    rows = [
        {
            "cutoff": None if cutoff is None else panel.cutoffs[cutoff],
            "companies": companies_named,
            "model": name,
            **_figures(panel.at_cutoff(cutoff), model, windows, own_terms[model], saved),
            **behind_leader(panel.at_cutoff(cutoff), model, windows, leader),
        }
        for cutoff, companies_named, at in selections
        for model, name in enumerate(panel.models)
        for windows in [panel.covered("common", model, at)]
    ]
    frame = pd.DataFrame(rows, columns=PERIODS.schema.names)
    return pa.Table.from_pandas(frame, schema=PERIODS.schema, preserve_index=False)


def same_companies(panel: Panel, windows: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Choose m cutoffs, and the companies that have a window at each of them.

    m times the number of these companies is as large as possible. The cutoffs that most companies
    have are taken first, at least two where a company has two: some companies have cutoffs of their
    own, and no company has all.

    Returns
    -------
    cutoffs : list of int
        Positions in the panel, ascending.
    companies : ndarray of bool, shape (n_companies,)
    """
    present = np.zeros((panel.n_companies, len(panel.cutoffs)), dtype=bool)
    present[panel.company[windows], panel.cutoff[windows]] = True
    n = present.sum(axis=0)
    used = [c for c in np.lexsort([-np.arange(len(n)), -n]).tolist() if n[c]]
    with_all = np.ones(panel.n_companies, dtype=bool)
    best, chosen, companies = 0, 0, np.zeros(panel.n_companies, dtype=bool)
    for m, cutoff in enumerate(used, start=1):
        with_all &= present[:, cutoff]
        held = m * int(np.count_nonzero(with_all))
        if held > best or (m == 2 and held):
            best, chosen, companies = held, m, with_all.copy()
    return sorted(used[:chosen]), companies


def _figures(
    panel: Panel,
    model: int,
    windows: np.ndarray,
    shown: list[tuple[Metric, Terms]],
    saved: SavedLoss,
) -> dict[str, Any]:
    n, positive, lapsed = (
        panel.values(name, model, windows) for name in ("n_customers", "n_positive", "n_lapsed")
    )
    if not len(windows):
        return {"n_companies": 0, "n_customers": 0, "n_positive": 0}
    rate, reference = positive / n, panel.values("reference_log_loss", model, windows)
    held = windows[~np.isnan(reference)]
    uncertainty = (entr(rate) + entr(1 - rate))[~np.isnan(reference)]
    reference_loss = _company_mean(panel, held, reference[~np.isnan(reference)])
    figures = {}
    for metric, metric_terms in shown:
        sums = metric_terms.over(panel, windows)
        figures[metric.name] = equal_company(panel, metric, model, windows, sums)[0].value
    loss = _company_mean(panel, held, panel.values("log_loss", model, held))
    return {
        "n_companies": panel.n_with(windows),
        "n_customers": int(n.sum()),
        "n_positive": int(positive.sum()),
        "observed_rate": positive.sum() / n.sum(),
        "share_lapsed": lapsed.sum() / n.sum(),
        **figures,
        "reference_log_loss": reference_loss,
        "uncertainty": _company_mean(panel, held, uncertainty),
        "saved": reference_loss - loss,
        **saved_columns(panel, saved, model, held),
    }


def _company_mean(panel: Panel, windows: np.ndarray, values: np.ndarray) -> float:
    """Return the mean over companies of their means over windows."""
    means = company_means(panel, windows, values)
    return float(means.mean()) if len(means) else np.nan


_NOBODY = "no company has a common window there"

_TERMS = {
    "drift": "What the rate known at the cutoff loses against the rate that came; nobody knew it "
    "then. Mean over companies of reference_log_loss - uncertainty, less the chance in it: the "
    "uncertainty of n customers is too low by 1 / (2 n) or so, because their own rate is fitted.",
    "discrimination": "What telling customers apart saves against the rate that came: mean over "
    "companies of uncertainty - recalibrated_log_loss, less the chance in it.",
    "miscalibration": "What the model loses because its probabilities are off in level or spread: "
    "mean over companies of log_loss - recalibrated_log_loss, less the chance in it.",
}
"""The terms of what a model saves, and what they are."""

PERIODS = RunTable(
    "periods",
    row="cutoff or all cutoffs, all or the same companies, model",
    doc="Cutoff by cutoff on the common coverage. Figures change over time because customers do, "
    "because companies do, or because a model gets better or worse; so the same companies are "
    "compared, and what a model saves is split: saved = drift + discrimination - miscalibration.",
    columns=(
        Column("cutoff", TIME, "The cutoff.", null="the row is of all cutoffs, each company once"),
        Column(
            "companies",
            TEXT,
            "`all` companies, or the `same`: those that have every cutoff of the rows marked so.",
        ),
        Column("model", TEXT, "The model."),
        Column("n_companies", COUNT, "Companies with a common window there."),
        Column("n_customers", COUNT, "Their customers."),
        Column("n_positive", COUNT, "Their customers who bought."),
        Column("observed_rate", NUMBER, "Share of all their customers who bought.", null=_NOBODY),
        Column(
            "share_lapsed",
            NUMBER,
            "Share of customers without a purchase in one horizon before the cutoff.",
            null=_NOBODY,
        ),
        Column("log_loss", NUMBER, "Mean over companies of the log loss.", null=_NOBODY),
        Column(
            "behind_leader",
            NUMBER,
            "Mean over companies of the log loss less that of the model that leads over all "
            "cutoffs.",
            null=_NOBODY,
        ),
        Column(
            "behind_leader_low",
            NUMBER,
            "Lower end of its 95 % interval over companies.",
            null=f"{_NOBODY}, or one only",
        ),
        Column("behind_leader_high", NUMBER, "Upper end of it.", null=f"{_NOBODY}, or one only"),
        Column(
            "log_loss_skill", NUMBER, "Skill of the log loss at the average company.", null=_NOBODY
        ),
        Column("brier_score", NUMBER, "Mean over companies of the Brier score.", null=_NOBODY),
        Column("roc_auc", NUMBER, "Mean over companies of the AUC.", null=_NOBODY),
        Column(
            "observed_expected_ratio",
            NUMBER,
            "O:E at the average company: mean rate / mean prediction.",
            null=_NOBODY,
        ),
        Column(
            "reference_log_loss",
            NUMBER,
            "Mean over companies of the log loss of the rate known at the cutoff.",
            null=_NOBODY,
        ),
        Column(
            "uncertainty",
            NUMBER,
            "Mean over companies of the log loss of the rate that came, fitted with hindsight.",
            null=_NOBODY,
        ),
        Column(
            "saved",
            NUMBER,
            "reference_log_loss - the model's log loss, on the windows of the reference: "
            "drift + discrimination - miscalibration.",
            null=_NOBODY,
        ),
        *(
            column
            for name, doc in _TERMS.items()
            for column in (
                Column(name, NUMBER, doc, null=_NOBODY),
                Column(
                    f"{name}_std_error",
                    NUMBER,
                    f"Standard error of {name} over companies.",
                    null=f"{_NOBODY}, or fewer than two companies have one",
                ),
                Column(
                    f"{name}_sampling_std_error",
                    NUMBER,
                    f"Standard error of {name} at these companies, with other customers of theirs.",
                    null=_NOBODY,
                ),
            )
        ),
    ),
    shown=(
        "cutoff",
        "companies",
        "model",
        "n_companies",
        "observed_rate",
        "share_lapsed",
        "log_loss",
        "roc_auc",
        "saved",
        "drift",
        "discrimination",
        "miscalibration",
    ),
    make=lambda inputs: periods_table(inputs.panel),
    conventions={
        "drift": "reference loss - H(observed rate), discrimination: H - L*, miscalibration: "
        "loss - L*, L* after logistic recalibration of each window (Cox 1958); less the biases of "
        "H (Harris 1975) and L* at the rate known at the cutoff",
    },
)
