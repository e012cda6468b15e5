"""Decomposition of a loss into miscalibration, discrimination and uncertainty.

Arrays are of shape (n_blocks,): a probability, and how many customers who have it bought or did
not. Blocks are in any order, and several may have the same probability.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import xlog1py, xlogy

from scale_eval.compiling import compiled
from scale_eval.statistics.undefined import Undefined

CLIP = 1e-15
"""Distance from 0 and 1 at which log losses clip probabilities."""


class Corp(NamedTuple):
    """The parts of a loss: miscalibration - discrimination + uncertainty.

    `miscalibration` is what recalibration with hindsight would save; `discrimination` is what the
    recalibrated scores save against the observed rate; `uncertainty` is the loss of that rate.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def isotonic(probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return recalibrated probabilities: the isotonic regression of the observed rates (PAV).

    Returns
    -------
    ndarray of shape (n_blocks,)
        In the order of the blocks; they never fall as `probability` rises.
    """
    if not (np.diff(probability) > 0).all():
        _, block = np.unique(probability, return_inverse=True)
        merged = (np.bincount(block, weights=counts) for counts in (positives, negatives))
        return isotonic(np.arange(block.max() + 1), *merged)[block]
    return _pooled(np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64))


def isotonic_of_many(
    probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Return the isotonic regressions of many counts of the same blocks, at some of the blocks.

    Parameters
    ----------
    probability : ndarray of shape (n_blocks,)
        Ascending.
    positives, negatives : ndarray of float64, shape (n, n_blocks)
        A block without either is interpolated from its neighbours.
    at : ndarray of int

    Returns
    -------
    ndarray of shape (n, len(at))
        NaN where all blocks are empty.
    """
    return np.asarray(_pooled_at(probability, positives, negatives, probability[at]))


@compiled
def _pooled(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Pool neighbours whose rates fall until none do, and return the rate of each block's pool."""
    n = len(positives)
    ends, bought, rows = np.empty(n, np.int64), np.empty(n), np.empty(n)
    last = -1
    for i in range(n):
        last += 1
        ends[last], bought[last], rows[last] = i + 1, positives[i], positives[i] + negatives[i]
        while last > 0 and bought[last - 1] * rows[last] >= bought[last] * rows[last - 1]:
            last -= 1
            ends[last] = ends[last + 1]
            bought[last] += bought[last + 1]
            rows[last] += rows[last + 1]
    rates, begin = np.empty(n), 0
    for pool in range(last + 1):
        rate = bought[pool] / rows[pool]
        for i in range(begin, ends[pool]):
            rates[i] = rate
        begin = ends[pool]
    return rates


@compiled
def _pooled_at(
    probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray, points: np.ndarray
) -> np.ndarray:
    rates = np.full((len(positives), len(points)), np.nan)
    for i in range(len(positives)):
        held = np.flatnonzero(positives[i] + negatives[i] > 0)
        if len(held):
            pooled = _pooled(positives[i][held], negatives[i][held])
            rates[i] = np.interp(points, probability[held], pooled)
    return rates


def corp(probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> dict[str, Corp]:
    """Decompose ``brier_score`` and ``log_loss`` by isotonic recalibration, without bins (CORP).

    Source: Dimitriadis, Gneiting & Jordan 2021.

    Undefined: ``no_customers``.
    """
    n = float(np.sum(positives) + np.sum(negatives))
    if not n:
        raise Undefined("no_customers")

    def losses(p: np.ndarray) -> dict[str, float]:
        brier = positives * np.square(1 - p) + negatives * np.square(p)
        log = -(xlogy(positives, p) + xlog1py(negatives, -p))
        return {"brier_score": float(brier.sum()) / n, "log_loss": float(log.sum()) / n}

    forecast = losses(probability) | {
        "log_loss": losses(np.clip(probability, CLIP, 1 - CLIP))["log_loss"]
    }
    best = losses(isotonic(probability, positives, negatives))
    flat = losses(np.full(len(probability), np.sum(positives) / n))
    return {
        name: Corp(loss - best[name], flat[name] - best[name], flat[name])
        for name, loss in forecast.items()
    }
