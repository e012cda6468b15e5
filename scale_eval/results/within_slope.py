"""The calibration slope within companies: one slope, an intercept for each company and cutoff."""

from __future__ import annotations

import numpy as np

from scale_eval.metrics import mid_logit
from scale_eval.results.estimates import Estimate
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import RowScores
from scale_eval.statistics.common_slope import common_slope
from scale_eval.statistics.undefined import Undefined


def within_company_slope(
    panel: Panel,
    model: int,
    windows: np.ndarray,
    scores: RowScores,
    cutoff: int | None,
    coverage: str,
) -> Estimate:
    """In one stage, from the histograms of the windows; logits grouped to 1/128.

    Reasons: ``scores_not_kept_by_company``, with more companies than groups that scores are kept
    in; those of `common_slope`.
    """
    if not scores.by_company or scores.of(model, cutoff, coverage) is None:
        return Estimate(np.nan, "scores_not_kept_by_company")
    rows = scores.by_window(model, cutoff, coverage)
    stratum = rows["group"] * len(panel.cutoffs) + rows["cutoff"]
    try:
        fit = common_slope(mid_logit(rows["bin"]), rows["n_positive"], rows["n_negative"], stratum)
    except Undefined as undefined:
        return Estimate(np.nan, undefined.reason)
    strata, information = fit.strata, fit.information
    company = scores.company_of_group[strata // len(panel.cutoffs)]
    n = len(scores.company_of_group)
    return Estimate(
        fit.slope,
        error_bound=np.nan,
        influence=np.bincount(company, weights=fit.influence, minlength=n),
        weight=np.bincount(company, weights=information, minlength=n),
    )
