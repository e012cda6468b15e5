"""The tables `reliability` and `decompositions`: can the probabilities be taken at their word?

All customers of the common windows in one, from histograms of scores; probabilities are known to
1/128 on the logit scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit, stdtrit

from scale_eval.metrics import GroupedHistograms, mid_logit
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import RowScores
from scale_eval.statistics.bootstrap import company_keys, poisson_weights
from scale_eval.statistics.decomposition import corp, isotonic

POINTS = 64
"""Of a curve: bins of probability that hold nearly as many customers each."""

N_REPLICATES = 2_000
N_CHUNKS = 20
"""Replicates are made in so many parts: what bounds the memory that they take."""

MIN_GROUPS = 5
"""Groups of companies below which no band is drawn."""


def calibration_tables(panel: Panel, scores: RowScores, seed: int) -> tuple[pa.Table, pa.Table]:
    """One row a (model, point of its curve), and one row a (model, loss).

    The curve is CORP's (Dimitriadis, Gneiting & Jordan 2021): the isotonic regression of what
    happened on the probability, without bins to choose. The band of 95 % resamples companies:
    Poisson weights of groups of companies (each company its own group up to 64), keyed by (seed,
    group, replicate); the standard error of the replicates on the logit scale, times Student's t
    with as many degrees of freedom as effective groups less one.
    """
    curves: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for model, name in enumerate(panel.models):
        grouped = scores.of(model, None, "common")
        if grouped is None:  # a curve of all windows is still one of this model
            grouped = scores.of(model, None, "own")
        if grouped is None or not len(grouped.bin):
            continue
        curves += [{"model": name} | point for point in _curve(grouped, seed)]
        merged = grouped.total
        probability = expit(mid_logit(merged.bin))
        for loss, split in corp(probability, merged.n_positive, merged.n_negative).items():
            value = split.miscalibration - split.discrimination + split.uncertainty
            parts.append({"model": name, "loss": loss, "value": value, **split._asdict()})
    return (
        pa.Table.from_pylist(curves, schema=RELIABILITY_SCHEMA),
        pa.Table.from_pylist(parts, schema=DECOMPOSITIONS_SCHEMA),
    )


def _curve(grouped: GroupedHistograms, seed: int) -> list[dict[str, Any]]:
    merged = grouped.total
    probability = expit(mid_logit(merged.bin))
    recalibrated = isotonic(probability, merged.n_positive, merged.n_negative)
    rows = merged.n_rows
    ends = np.cumsum(rows)
    point = np.minimum((ends - rows / 2) * POINTS // ends[-1], POINTS - 1).astype(np.int64)
    starts = np.flatnonzero(np.diff(point, prepend=-1))
    n = np.add.reduceat(rows, starts)
    middle = np.searchsorted(ends, ends[starts] - rows[starts] + n / 2)
    low, high = _band(grouped, recalibrated, middle, seed)
    return [
        {
            "probability": float(probability[at]),
            "recalibrated": float(recalibrated[at]),
            "ci_low": below,
            "ci_high": above,
            "n_customers": int(customers),
            "n_positive": int(positive),
        }
        for at, below, above, customers, positive in zip(
            middle, low, high, n, np.add.reduceat(merged.n_positive, starts), strict=True
        )
    ]


def _band(
    grouped: GroupedHistograms, recalibrated: np.ndarray, at: np.ndarray, seed: int
) -> tuple[list[float | None], list[float | None]]:
    """Ends of the pointwise interval at some bins, `at`; None below `MIN_GROUPS` groups."""
    n = (grouped.n_positive + grouped.n_negative).sum(axis=1).astype(float)
    if len(n) < MIN_GROUPS:
        return [None] * len(at), [None] * len(at)
    keys = company_keys([str(group) for group in grouped.group.tolist()])
    weights = poisson_weights(keys, N_REPLICATES, seed).astype(np.float64)
    counts = [held.astype(np.float64) for held in (grouped.n_positive, grouped.n_negative)]
    probability = expit(mid_logit(grouped.bin))
    curves = np.full((N_REPLICATES, len(at)), np.nan)
    for of_some, curve in zip(
        np.array_split(weights, N_CHUNKS), np.array_split(curves, N_CHUNKS), strict=True
    ):
        replicates = zip(*(of_some @ held for held in counts), curve, strict=True)
        for positive, negative, points in replicates:
            there = positive + negative > 0
            if there.any():
                rates = isotonic(probability[there], positive[there], negative[there])
                points[:] = np.interp(probability[at], probability[there], rates)
    n_effective = n.sum() ** 2 / np.square(n).sum()
    kept = np.clip(curves[np.isfinite(curves).all(axis=1)], _LEAST, 1 - _LEAST)
    error = logit(kept).std(axis=0, ddof=1) * stdtrit(max(n_effective - 1, 1), 0.975)
    centre = logit(np.clip(recalibrated[at], _LEAST, 1 - _LEAST))
    return expit(centre - error).tolist(), expit(centre + error).tolist()


_LEAST = 1e-4
"""Rates are kept this far from 0 and 1, where the logit would leave the page."""


RELIABILITY_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("probability", pa.float64()),  # as the model said it; ascending within a model
        ("recalibrated", pa.float64()),  # what came of it: isotonic (CORP)
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("n_customers", pa.int64()),  # nearest to this probability
        ("n_positive", pa.int64()),
    ]
)
"""All customers of the common windows in one; at most 64 points a model."""


DECOMPOSITIONS_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("loss", pa.string()),  # log_loss or brier_score
        ("value", pa.float64()),
        ("miscalibration", pa.float64()),
        ("discrimination", pa.float64()),
        ("uncertainty", pa.float64()),
    ]
)
"""value = miscalibration - discrimination + uncertainty, of the rows of RELIABILITY_SCHEMA."""
