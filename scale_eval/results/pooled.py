"""The table `pooled`: figures over companies, with how sure they are and how companies differ.

The estimands answer different questions, see `scale_eval.results.estimates`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import ROW_POOLED, Metric, Undefined
from scale_eval.metrics.ranking import auc_of_blocks
from scale_eval.results.estimates import (
    Estimate,
    equal_company,
    estimands,
    from_replicates,
    summed,
)
from scale_eval.results.heterogeneity import (
    SCALES,
    company_effects,
    heterogeneity,
    mean_of_effects,
)
from scale_eval.results.panel import Panel
from scale_eval.results.row_scores import RowScores
from scale_eval.results.sampling import of_few, variance_by_company
from scale_eval.results.schemas import POOLED_SCHEMA
from scale_eval.results.terms import Terms, terms
from scale_eval.results.within_slope import within_company_slope
from scale_eval.statistics.dispersion import dispersion

COVERAGES = ("own", "common")


def pooled_table(pieces: Iterable[list[dict[str, Any]]]) -> pa.Table:
    """One row a (model, metric, cutoff or all, estimand, coverage).

    Notes
    -----
    `std_error`, `ci_low` and `ci_high` speak of companies like these; `sampling_std_error` of these
    companies in these half-years: what other customers of theirs would have changed. Dispersion
    (`mean` to `max`) and heterogeneity stand on ``equal_company`` rows. `std` is of the companies'
    measured figures, and holds true differences, noise and time together; `tau` is the standard
    deviation of the truth between companies, on `tau_scale`, and `prediction_low` to
    `prediction_high` holds the true figure of the next company with a probability of 95 %.

    Parameters
    ----------
    pieces : iterable of list
        From `pooled_of`, a metric each, in the order of the table.
    """
    frame = pd.DataFrame(list(itertools.chain.from_iterable(pieces)), columns=POOLED_SCHEMA.names)
    frame = frame.sort_values("model", kind="stable")
    return pa.Table.from_pandas(frame, schema=POOLED_SCHEMA, preserve_index=False)


def estimate(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray, estimand: str,
    scores: RowScores, cutoff: int | None, coverage: str, parts: Terms,
) -> Estimate:  # fmt: skip
    """One figure of these windows, which are those of `cutoff` in `coverage`.

    That of the average company is made elsewhere. `parts` are the weighted `terms` of the windows.
    """
    if not len(windows):
        return Estimate(np.nan, "no_evaluations")
    if estimand == "within_company" and metric.name == "calibration_slope":
        return within_company_slope(panel, model, windows, scores, cutoff, coverage)
    if estimand == "row" and metric.name in ROW_POOLED:
        grouped = scores.of(model, cutoff, coverage)
        if grouped is None:
            return Estimate(np.nan, "scores_not_kept_by_company")
        try:
            value, bound = grouped.value(metric.name)
        except Undefined as undefined:
            return Estimate(np.nan, undefined.reason)
        replicates = grouped.replicates(metric.name)
        return from_replicates(panel, metric, model, windows, value, bound, replicates)
    return summed(panel, metric, model, windows, parts)


def pooled_of(
    panel: Panel, metric: Metric, scores: RowScores, influence: np.ndarray | None,
    models: Sequence[int] | None = None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The rows of one metric, of all models or of these positions in the panel."""
    for model in range(len(panel.models)) if models is None else models:
        done: dict[tuple[int | None, str], tuple[int, list[dict[str, Any]]]] = {}
        for cutoff in (None, *range(len(panel.cutoffs))):
            at, of_cutoff = panel.at(cutoff), panel.of_cutoff(cutoff)
            for coverage in COVERAGES:
                windows = panel.covered(coverage, model, at)
                wider = (done.get(key) for key in ((None, coverage), (cutoff, "own")))
                # As many windows as in a selection that holds them all are the same windows.
                same = [rows for n, rows in filter(None, wider) if n == len(windows)]
                if same:
                    rows = same[0]
                else:
                    selection = (windows, cutoff, coverage)
                    rows = list(_figures(of_cutoff, metric, model, selection, scores, influence))
                done[cutoff, coverage] = len(windows), rows
                counts = {
                    "model": panel.models[model],
                    "metric": metric.name,
                    "cutoff": None if cutoff is None else panel.cutoffs[cutoff],
                    "coverage": coverage,
                    "n_skipped": int(panel.skipped[at, model].sum()),
                    "n_failed": int(panel.failed[at, model].sum()),
                    "n_not_common": int(panel.ok[at, model].sum()) - len(windows),
                }
                yield from (row | counts for row in rows)


def _figures(
    panel: Panel, metric: Metric, model: int, selection: tuple[np.ndarray, int | None, str],
    scores: RowScores, influence: np.ndarray | None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The rows of one model and selection of windows, an estimand each."""
    windows, cutoff, coverage = selection
    undefined = windows[np.isnan(panel.of_model(metric.name, model, windows))]
    own, weighted = (terms(panel, metric, model, windows, weighted=w) for w in (False, True))
    figures = own.figures
    counts = {
        "n_companies": int(np.count_nonzero(panel.count_by_company(windows))),
        "n_companies_defined": int(np.count_nonzero(~np.isnan(figures))),
        "n_defined": len(windows) - len(undefined),
        "n_undefined": len(undefined),
        "undefined_reasons": panel.undefined_reasons(metric.name, model, undefined),
    }
    for estimand in estimands(metric):
        row: dict[str, Any] = {"estimand": estimand, **counts}
        if estimand == "equal_company" and len(windows):
            told, extra = _of_companies(panel, metric, model, windows, own, figures, influence)
            row |= extra
        else:
            told = estimate(
                panel, metric, model, windows, estimand, scores, cutoff, coverage, weighted
            )  # fmt: skip
        parts = own if estimand == "equal_company" else weighted
        sampling = _sampling(panel, metric, model, windows, estimand, told, influence, parts)
        yield row | _told(told, metric) | sampling


def _of_companies(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray, parts: Terms,
    figures: np.ndarray, influence: np.ndarray | None,
) -> tuple[Estimate, dict[str, Any]]:  # fmt: skip
    """The mean over companies, their dispersion and heterogeneity."""
    told, defined = equal_company(panel, metric, model, windows, parts)
    row: dict[str, Any] = dispersion(defined[~np.isnan(defined)])
    n_zero = int(np.count_nonzero(figures == 0)) if metric.pooling == "ratio" else 0
    if n_zero:  # a company's ratio of 0 has no logarithm to average
        reasons = panel.undefined_reasons(
            metric.name, model, windows[np.isnan(panel.of_model(metric.name, model, windows))]
        )
        row["undefined_reasons"] = f"{reasons};no_positives (companies):{n_zero}".removeprefix(";")
        row["n_companies_defined"] = int(np.count_nonzero(~np.isnan(defined)))
    if metric.name not in SCALES:
        reason = "losses_go_with_the_rate" if metric.pooling == "mean" else "no_influence_kept"
        return told, row | {"heterogeneity_reason": reason}
    assert influence is not None
    effects = company_effects(panel, metric.name, model, windows, influence)
    row |= heterogeneity(effects, SCALES[metric.name])
    if metric.name == "calibration_slope":
        told = mean_of_effects(effects)
    return told, row


def _told(told: Estimate, metric: Metric) -> dict[str, Any]:
    interval = told.interval(metric.low, metric.high)
    return {
        "value": told.value,
        "reason": told.reason,
        "error_bound": np.nan if told.reason else told.error_bound,
        "std_error": interval.std_error,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_reason": interval.reason,
        "n_effective": told.n_effective,
    }


def _sampling(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray, estimand: str,
    told: Estimate, influence: np.ndarray | None, parts: Terms,
) -> dict[str, Any]:  # fmt: skip
    """`sampling_std_error`, and for the AUC of all rows what a constant per company reaches."""
    row: dict[str, Any] = {}
    if estimand == "row" and metric.name == "roc_auc" and not told.reason:
        row["constant_floor"] = _constant_floor(panel, model, windows)
    if influence is None or told.reason or metric.name == "calibration_slope":
        return row
    if estimand == "row" and metric.name == "roc_auc":  # pairs go across companies
        return row
    windows, coefficient = window_weights(metric, estimand, parts)
    coefficient = coefficient * of_few(panel, metric.name, model, windows)
    variance = variance_by_company(panel, windows, influence[:, model], coefficient)
    scale = told.value if told.log else 1.0
    return row | {"sampling_std_error": scale * float(np.sqrt(variance.sum()))}


def window_weights(metric: Metric, estimand: str, parts: Terms) -> tuple[np.ndarray, np.ndarray]:
    """Windows where `metric` is defined, and how much each moves the figure, to first order.

    Of O:E it is the logarithms that move: a company's is that of a ratio of sums, to which a window
    adds its share of the buyers. `parts` are weighted, but for the average company.
    """
    windows, company, weight = parts.windows, parts.company, parts.denominator
    if metric.pooling == "ratio":
        bought = parts.numerator > 0
        windows, company, weight = windows[bought], company[bought], parts.numerator[bought]
    if estimand != "equal_company":
        return windows, weight / max(weight.sum(), 1e-300)
    within = np.bincount(company, weights=weight, minlength=parts.n_companies)
    return windows, weight / within[company] / max(np.count_nonzero(within), 1)


def _constant_floor(panel: Panel, model: int, windows: np.ndarray) -> float:
    """AUC over all rows of a constant per company and cutoff: the rate that came, for everybody."""
    positive = panel.of_model("n_positive", model, windows).astype(np.int64)
    negative = panel.of_model("n_customers", model, windows).astype(np.int64) - positive
    rate = positive / (positive + negative)
    rates, block = np.unique(-rate, return_inverse=True)
    return auc_of_blocks(
        *(
            np.bincount(block, weights=count, minlength=len(rates)).astype(np.int64)
            for count in (positive, negative)
        )
    )
