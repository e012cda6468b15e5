"""The table `periods`: cutoff by cutoff, on the common coverage.

A model's figures change over time because the customers do (those who lapsed pile up), because the
companies do, or because it gets better or worse. So the same companies are compared, the share of
lapsed customers stands beside, and the loss of the reference is split into uncertainty (the loss of
the rate that came) and drift (what the rate known at the cutoff loses against it): skill against a
rate that drifted is not skill at telling customers apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import entr

from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.metrics import METRICS, Metric
from scale_eval.results.estimates import equal_company
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import Terms, terms


def periods_table(panel: Panel) -> pa.Table:
    """One row a (cutoff or all, companies, model).

    `companies` is ``all``, or ``same``: those that have every one of m cutoffs, m such that m times
    their number is largest; rows of these cutoffs only.
    """
    shown = [METRICS[name] for name in PERIODS_SCHEMA.names if name in METRICS]
    needed = {column for metric in shown for column in (metric.name, *metric.pooling.columns)}
    panel = panel.holding([*sorted(needed), "n_lapsed"])
    common = np.flatnonzero(panel.common)
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
    of_models = [
        [(metric, terms(panel, metric, model, weighted=False)) for metric in shown]
        for model in range(len(panel.models))
    ]
    rows = [
        {
            "cutoff": None if cutoff is None else panel.cutoffs[cutoff],
            "companies": companies_named,
            "model": name,
            **_figures(
                panel.of_cutoff(cutoff), model, panel.covered("common", model, at), of_models[model]
            ),
        }
        for cutoff, companies_named, at in selections
        for model, name in enumerate(panel.models)
    ]
    frame = pd.DataFrame(rows, columns=PERIODS_SCHEMA.names)
    return pa.Table.from_pandas(frame, schema=PERIODS_SCHEMA, preserve_index=False)


def same_companies(panel: Panel, windows: np.ndarray) -> tuple[list[int], np.ndarray]:
    """m cutoffs, and the companies that have a window at each, m times those largest.

    The cutoffs that most companies have are taken first, two at least where a company has two: some
    companies have cutoffs of their own, and would leave nobody who has all.

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
    panel: Panel, model: int, windows: np.ndarray, shown: list[tuple[Metric, Terms]]
) -> dict[str, Any]:
    n, positive, lapsed = (
        panel.of_model(name, model, windows) for name in ("n_customers", "n_positive", "n_lapsed")
    )
    if not len(windows):
        return {"n_companies": 0, "n_customers": 0, "n_positive": 0}
    rate, reference = positive / n, panel.of_model("reference_log_loss", model, windows)
    known = ~np.isnan(reference)
    uncertainty = _company_mean(panel, windows[known], (entr(rate) + entr(1 - rate))[known])
    reference_loss = _company_mean(panel, windows[known], reference[known])
    figures = {}
    for metric, of in shown:
        told, _ = equal_company(panel, metric, model, windows, of.over(panel, windows))
        figures[metric.name] = told.value
    loss = _company_mean(panel, windows[known], panel.columns["log_loss"][windows[known], model])
    return {
        "n_companies": panel.n_with(windows),
        "n_customers": int(n.sum()),
        "n_positive": int(positive.sum()),
        "observed_rate": positive.sum() / n.sum(),
        "share_lapsed": lapsed.sum() / n.sum(),
        **figures,
        "reference_log_loss": reference_loss,
        "uncertainty": uncertainty,
        "drift": reference_loss - uncertainty,
        "saved": reference_loss - loss,
    }


def _company_mean(panel: Panel, windows: np.ndarray, values: np.ndarray) -> float:
    """The mean over companies of their means over windows."""
    n = np.bincount(panel.company[windows], minlength=panel.n_companies)
    if not n.any():
        return np.nan
    sums = np.bincount(panel.company[windows], weights=values, minlength=panel.n_companies)
    return float((sums[n > 0] / n[n > 0]).mean())


PERIODS_SCHEMA = pa.schema(
    [
        ("cutoff", TIMESTAMP),
        ("companies", pa.string()),  # "all", or "same": those with every cutoff of the "same" rows
        ("model", pa.string()),
        ("n_companies", pa.int64()),
        ("n_customers", pa.int64()),
        ("n_positive", pa.int64()),
        ("observed_rate", pa.float64()),  # of all their customers
        ("share_lapsed", pa.float64()),  # without a purchase in one horizon before the cutoff
        ("log_loss", pa.float64()),  # means over companies, from here on
        ("log_loss_skill", pa.float64()),
        ("brier_score", pa.float64()),
        ("roc_auc", pa.float64()),
        ("observed_expected_ratio", pa.float64()),  # geometric
        ("reference_log_loss", pa.float64()),
        ("uncertainty", pa.float64()),  # log loss of the rate that came
        ("drift", pa.float64()),  # reference_log_loss - uncertainty
        ("saved", pa.float64()),  # reference_log_loss - the model's, on the reference's windows
    ]
)
"""Cutoff by cutoff on the common coverage; a null cutoff is all of them, each company once."""
