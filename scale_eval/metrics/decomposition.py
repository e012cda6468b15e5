"""What a loss is made of: miscalibration, discrimination, and the uncertainty of the question."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import xlog1py, xlogy

from scale_eval.metrics.losses import brier_score, log_loss
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.undefined import Undefined


class Corp(NamedTuple):
    """Loss = miscalibration - discrimination + uncertainty.

    `miscalibration` is what recalibrating with hindsight would save; `discrimination` what the
    recalibrated scores save against the rate that came; `uncertainty` the loss of that rate.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


class Murphy(NamedTuple):
    """Brier = reliability - resolution + uncertainty + within_bin_variance - within_bin_covariance.

    Without the last two the sum is not the Brier score, unless each bin holds one probability.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bin_variance: float
    within_bin_covariance: float


def corp(scores: Scores) -> dict[str, Corp]:
    """Brier score and log loss, decomposed by isotonic recalibration (PAV); no bins to choose.

    Source: Dimitriadis, Gneiting & Jordan 2021. Undefined: ``no_customers``.
    """
    losses = {"brier_score": brier_score(scores), "log_loss": log_loss(scores)}
    positives, negatives, rows = scores.block_positives, scores.block_negatives, scores.block_rows
    recalibrated = isotonic_regression(positives / rows, weights=rows, increasing=False).x
    rate = np.full(len(rows), scores.n_positive / scores.n_customers)

    def mean_losses(p: np.ndarray) -> dict[str, float]:
        brier = positives * np.square(1 - p) + negatives * np.square(p)
        log = -(xlogy(positives, p) + xlog1py(negatives, -p))
        n = scores.n_customers
        return {"brier_score": float(brier.sum()) / n, "log_loss": float(log.sum()) / n}

    best, flat = mean_losses(recalibrated), mean_losses(rate)
    return {
        name: Corp(loss - best[name], flat[name] - best[name], flat[name])
        for name, loss in losses.items()
    }


def murphy(scores: Scores, edges: np.ndarray) -> Murphy:
    """Brier score, decomposed over bins ``edges[i - 1] <= p < edges[i]``; edges of shape (k,).

    Source: Murphy 1973; Stephenson, Coelho & Jolliffe 2008 for the terms within bins.
    Undefined: ``no_customers``.
    """
    if not scores.n_customers:
        raise Undefined("no_customers")
    y, p = scores.y, scores.probabilities
    _, bins, rows = np.unique(
        np.searchsorted(edges, p, side="right"), return_inverse=True, return_counts=True
    )
    mean_p = (np.bincount(bins, p) / rows)[bins]
    mean_y = (np.bincount(bins, y) / rows)[bins]
    rate = y.mean()
    return Murphy(
        reliability=float(np.square(mean_p - mean_y).mean()),
        resolution=float(np.square(mean_y - rate).mean()),
        uncertainty=float(rate * (1 - rate)),
        within_bin_variance=float(np.square(p - mean_p).mean()),
        within_bin_covariance=float(2 * ((p - mean_p) * (y - mean_y)).mean()),
    )
