"""What a loss is made of: miscalibration, discrimination, and the uncertainty of the question.

Arrays are of shape (n_blocks,): a probability, and how many customers who have it bought or did
not; blocks in any order, and a probability may stand in several.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from scipy.special import xlog1py, xlogy

from scale_eval.statistics.undefined import Undefined

CLIP = 1e-15
"""Log losses take probabilities no nearer to 0 and 1 than this."""


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


def isotonic(probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """What came of each probability: the rising rates nearest to those observed (PAV).

    Returns
    -------
    ndarray of shape (n_blocks,)
        In the order of the blocks; never falling as `probability` rises.
    """
    if not (np.diff(probability) > 0).all():
        _, block = np.unique(probability, return_inverse=True)
        merged = (np.bincount(block, weights=counts) for counts in (positives, negatives))
        return isotonic(np.arange(block.max() + 1), *merged)[block]
    return _pooled(np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _pooled(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Neighbours whose rates fall are pooled until none do; the rate of each block's pool."""
    n = len(positives)
    ends, held, rows = np.empty(n, np.int64), np.empty(n), np.empty(n)
    last = -1
    for i in range(n):
        last += 1
        ends[last], held[last], rows[last] = i + 1, positives[i], positives[i] + negatives[i]
        while last > 0 and held[last - 1] * rows[last] >= held[last] * rows[last - 1]:
            last -= 1
            ends[last] = ends[last + 1]
            held[last] += held[last + 1]
            rows[last] += rows[last + 1]
    rates, begin = np.empty(n), 0
    for pool in range(last + 1):
        rates[begin : ends[pool]] = held[pool] / rows[pool]
        begin = ends[pool]
    return rates


def corp(probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> dict[str, Corp]:
    """``brier_score`` and ``log_loss``, taken apart by isotonic recalibration; no bins to choose.

    Source: Dimitriadis, Gneiting & Jordan 2021. Undefined: ``no_customers``.
    """
    n = float(np.sum(positives) + np.sum(negatives))
    if not n:
        raise Undefined("no_customers")

    def losses(p: np.ndarray) -> dict[str, float]:
        brier = positives * np.square(1 - p) + negatives * np.square(p)
        log = -(xlogy(positives, p) + xlog1py(negatives, -p))
        return {"brier_score": float(brier.sum()) / n, "log_loss": float(log.sum()) / n}

    said = losses(probability) | {
        "log_loss": losses(np.clip(probability, CLIP, 1 - CLIP))["log_loss"]
    }
    best = losses(isotonic(probability, positives, negatives))
    flat = losses(np.full(len(probability), np.sum(positives) / n))
    return {
        name: Corp(loss - best[name], flat[name] - best[name], flat[name])
        for name, loss in said.items()
    }


def murphy(
    probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray, edges: np.ndarray
) -> Murphy:
    """Brier score, taken apart over bins ``edges[i - 1] <= p < edges[i]``; edges of shape (k,).

    Source: Murphy 1973; Stephenson, Coelho & Jolliffe 2008 for the terms within bins.
    Undefined: ``no_customers``.
    """
    rows = np.asarray(positives) + np.asarray(negatives)
    n = float(rows.sum())
    if not n:
        raise Undefined("no_customers")
    rate = np.divide(positives, rows, out=np.zeros(len(rows)), where=rows > 0)
    bins = np.searchsorted(edges, probability, side="right")
    in_bin = np.maximum(np.bincount(bins, rows), 1)
    mean_p = (np.bincount(bins, rows * probability) / in_bin)[bins]
    mean_y = (np.bincount(bins, positives) / in_bin)[bins]
    overall = float(np.sum(positives)) / n

    def mean(values: np.ndarray) -> float:
        return float((rows * values).sum()) / n

    return Murphy(
        reliability=mean(np.square(mean_p - mean_y)),
        resolution=mean(np.square(mean_y - overall)),
        uncertainty=overall * (1 - overall),
        within_bin_variance=mean(np.square(probability - mean_p)),
        within_bin_covariance=2 * mean((probability - mean_p) * (rate - mean_y)),
    )
