"""The terms of what each model saves against the base rate, window by window and over companies."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.results.panel import Panel
from scale_eval.statistics.saved_loss import SavedLoss, sampling_deviations, saved_loss

NEEDED = (
    "log_loss",
    "reference_log_loss",
    "recalibrated_log_loss",
    "known_rate",
    "n_distinct",
)
"""The columns of the evaluations that the terms are computed from, beside `BASE_COLUMNS`."""


def saved_by_window(panel: Panel) -> SavedLoss:
    """Return the terms of every model at the common windows.

    Every window with a reference counts, whatever came of it: the terms exist where nobody bought,
    too.

    Returns
    -------
    SavedLoss
        Each term of shape (n_windows, n_models); NaN outside the common windows, and without a
        reference.
    """
    terms = np.full((3, len(panel.company), len(panel.models)), np.nan)
    predicting = np.flatnonzero(panel.ok.any(axis=0))
    if len(predicting):
        windows, any_model = np.flatnonzero(panel.common), int(predicting[0])
        reference, n, n_positive, known_rate = (
            panel.values(name, any_model, windows)
            for name in ("reference_log_loss", "n_customers", "n_positive", "known_rate")
        )
        log_loss, recalibrated, n_distinct = (
            panel.columns[name][windows]
            for name in ("log_loss", "recalibrated_log_loss", "n_distinct")
        )
        terms[:, windows] = saved_loss(
            log_loss, reference, recalibrated, n, n_positive, known_rate, n_distinct == 1
        )
    return SavedLoss(*terms)


def saved_columns(
    panel: Panel, saved: SavedLoss, model: int, windows: np.ndarray
) -> dict[str, float]:
    """Return the columns of the table `periods` for the terms of one model at `windows`.

    For each term, the mean over companies, its standard error over companies (NaN below two), and
    its standard error with other customers of the same companies. Many customers of a company are
    the same at all its cutoffs, so their chance is taken to be one and the same there.
    """
    terms = SavedLoss(*(term[windows, model] for term in saved))
    n, n_distinct = (panel.values(name, model, windows) for name in ("n_customers", "n_distinct"))
    deviations = sampling_deviations(terms, n, n_distinct == 1)
    columns = {}
    for name, term, deviation in zip(SavedLoss._fields, terms, deviations, strict=True):
        means, chance = (company_means(panel, windows, of) for of in (term, deviation))
        k = len(means)
        columns[name] = float(means.mean()) if k else math.nan
        columns[f"{name}_std_error"] = (
            float(means.std(ddof=1)) / math.sqrt(k) if k > 1 else math.nan
        )
        columns[f"{name}_sampling_std_error"] = (
            math.sqrt(float(np.square(chance).sum())) / k if k else math.nan
        )
    return columns


def company_means(panel: Panel, windows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean over `windows` of each company that has one; `values` are of their shape."""
    company = panel.company[windows]  # ascending, as the windows
    if (company[1:] > company[:-1]).all():
        return values
    n = np.bincount(company, minlength=panel.n_companies)
    sums = np.bincount(company, weights=values, minlength=panel.n_companies)
    return np.asarray(sums[n > 0] / n[n > 0])
