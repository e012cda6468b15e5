"""The tables `reliability` and `decompositions`: how far probabilities can be trusted.

All customers of the common windows are pooled, from histograms of scores; probabilities are rounded
to 1/128 on the logit scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit, stdtrit

from scale_eval.metrics import GroupedHistograms, mid_logit
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.base import RunTable
from scale_eval.statistics.bootstrap import company_keys, poisson_weights
from scale_eval.statistics.decomposition import corp, isotonic, isotonic_of_many
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, Column

POINTS = 64
"""Points of a curve: bins of probability with nearly equal numbers of customers."""

N_REPLICATES = 2_000
N_CHUNKS = 20
"""Chunks in which replicates are computed, which bounds their memory."""

MIN_GROUPS = 5
"""Groups of companies below which no band is drawn."""


def reliability_table(panel: Panel, scores: PooledHistograms, seed: int) -> pa.Table:
    """Make one row for each point of the curve of each model.

    The curve is CORP's (Dimitriadis, Gneiting & Jordan 2021): the isotonic regression of the
    outcomes on the probability, without bins to choose. The band of 95 % resamples companies:
    Poisson weights of groups of companies (each company its own group up to 64), keyed by (seed,
    group, replicate); the standard error of the replicates on the logit scale, times Student's t
    with as many degrees of freedom as effective groups less one.
    """
    rows = [
        {"model": panel.models[model]} | point
        for model, _, grouped in scores.of_all_cutoffs()
        for point in _curve(grouped, seed)
    ]
    return pa.Table.from_pylist(rows, schema=RELIABILITY.schema)


def decompositions_table(panel: Panel, scores: PooledHistograms) -> pa.Table:
    """Make one row for each model and loss."""
    rows: list[dict[str, Any]] = []
    for model, _, grouped in scores.of_all_cutoffs():
        merged = grouped.total
        probability = expit(mid_logit(merged.bin))
        for loss, split in corp(probability, merged.n_positive, merged.n_negative).items():
            value = split.miscalibration - split.discrimination + split.uncertainty
            rows.append(
                {"model": panel.models[model], "loss": loss, "value": value, **split._asdict()}
            )
    return pa.Table.from_pylist(rows, schema=DECOMPOSITIONS.schema)


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
    """Return the pointwise interval at some bins, `at`; None below `MIN_GROUPS` groups."""
    n = (grouped.n_positive + grouped.n_negative).sum(axis=1).astype(float)
    if len(n) < MIN_GROUPS:
        return [None] * len(at), [None] * len(at)
    keys = company_keys([str(group) for group in grouped.group.tolist()])
    weights = poisson_weights(keys, N_REPLICATES, seed).astype(np.float64)
    counts = [counted.astype(np.float64) for counted in (grouped.n_positive, grouped.n_negative)]
    probability = expit(mid_logit(grouped.bin))
    curves = np.full((N_REPLICATES, len(at)), np.nan)
    for some, curve in zip(
        np.array_split(weights, N_CHUNKS), np.array_split(curves, N_CHUNKS), strict=True
    ):
        positive, negative = (some @ counted for counted in counts)
        curve[:] = isotonic_of_many(probability, positive, negative, at)
    n_effective = n.sum() ** 2 / np.square(n).sum()
    kept = np.clip(curves[np.isfinite(curves).all(axis=1)], _LEAST, 1 - _LEAST)
    error = logit(kept).std(axis=0, ddof=1) * stdtrit(max(n_effective - 1, 1), 0.975)
    centre = logit(np.clip(recalibrated[at], _LEAST, 1 - _LEAST))
    return expit(centre - error).tolist(), expit(centre + error).tolist()


_LEAST = 1e-4
"""Rates are kept this far from 0 and 1, where the logit is infinite."""


RELIABILITY = RunTable(
    "reliability",
    row="model, point of its reliability curve; at most 64 points a model",
    doc="How often customers bought at each probability that a model gave them: all customers of "
    "the common windows, pooled.",
    columns=(
        Column("model", TEXT, "The model."),
        Column(
            "probability",
            NUMBER,
            "Probability that the model gave; ascending within a model.",
        ),
        Column(
            "recalibrated",
            NUMBER,
            "Share of customers who bought, by isotonic regression on the probability (CORP).",
        ),
        Column("ci_low", NUMBER, "Lower end of the 95 % band.", null="fewer than 5 company groups"),
        Column(
            "ci_high", NUMBER, "Upper end of the 95 % band.", null="fewer than 5 company groups"
        ),
        Column("n_customers", COUNT, "Customers nearest to this probability."),
        Column("n_positive", COUNT, "Customers among them who bought."),
    ),
    shown=("model", "probability", "recalibrated", "ci_low", "ci_high", "n_customers"),
    make=lambda inputs: reliability_table(inputs.panel, inputs.scores, inputs.seed),
    conventions={
        "reliability": "CORP (Dimitriadis, Gneiting & Jordan 2021); band by Poisson resampling of "
        "companies' groups, 2,000 replicates",
    },
)


DECOMPOSITIONS = RunTable(
    "decompositions",
    row="model, loss",
    doc="Each model's loss on all customers of the common windows, split into its parts.",
    columns=(
        Column("model", TEXT, "The model."),
        Column("loss", TEXT, "The loss: `log_loss` or `brier_score`."),
        Column("value", NUMBER, "The mean loss: miscalibration - discrimination + uncertainty."),
        Column("miscalibration", NUMBER, "What recalibration would save."),
        Column("discrimination", NUMBER, "What telling customers apart saves against one rate."),
        Column("uncertainty", NUMBER, "The loss of the overall rate, given to everybody."),
    ),
    shown=("model", "loss", "value", "miscalibration", "discrimination", "uncertainty"),
    make=lambda inputs: decompositions_table(inputs.panel, inputs.scores),
)
