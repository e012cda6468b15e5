"""The table `score_spread`: how the scores of each model are spread, buyers and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit

from scale_eval.metrics import GroupedHistograms
from scale_eval.metrics.histogram import BINS_PER_LOGIT, LARGEST_LOGIT
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.base import RunTable
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, Column

CLASSES_PER_LOGIT = 4
"""Classes of scores are this many to a unit of the logit."""


def score_spread_table(panel: Panel, scores: PooledHistograms) -> pa.Table:
    """Make one row for each model and class of scores that has customers."""
    rows = [
        {"model": panel.models[model], **row}
        for model, _, grouped in scores.of_all_cutoffs()
        for row in _classes(grouped)
    ]
    frame = pd.DataFrame(rows, columns=SCORE_SPREAD.schema.names)
    return pa.Table.from_pandas(frame, schema=SCORE_SPREAD.schema, preserve_index=False)


def _classes(grouped: GroupedHistograms) -> Iterator[dict[str, Any]]:
    merged = grouped.total
    # What lies beyond the outermost edges, bin 0 and the last, is a class by itself.
    number = (merged.bin.astype(np.int64) - 1) * CLASSES_PER_LOGIT // BINS_PER_LOGIT
    low, high = _edges(number)
    starts = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    positive = np.add.reduceat(merged.n_positive, starts)
    customers = np.add.reduceat(merged.n_rows, starts)
    for at, start in enumerate(starts.tolist()):
        yield {
            "low": low[start],
            "high": high[start],
            "n_customers": int(customers[at]),
            "n_positive": int(positive[at]),
        }


def _edges(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper probability of classes by number."""
    last = 2 * LARGEST_LOGIT * CLASSES_PER_LOGIT

    def edge(at: np.ndarray) -> np.ndarray:
        inside = expit(at / CLASSES_PER_LOGIT - LARGEST_LOGIT)
        return np.where(at < 0, 0.0, np.where(at > last, 1.0, inside))

    return edge(number), edge(number + 1)


SCORE_SPREAD = RunTable(
    "score_spread",
    row="model, class of scores",
    doc="How the probabilities that a model gave are spread, for those who bought and for all: "
    "customers of the common windows, pooled, in classes of a quarter on the logit scale.",
    columns=(
        Column("model", TEXT, "The model."),
        Column("low", NUMBER, "Smallest probability of the class; ascending within a model."),
        Column("high", NUMBER, "Probability at which the next class begins."),
        Column("n_customers", COUNT, "Customers with a probability in the class."),
        Column("n_positive", COUNT, "Customers among them who bought."),
    ),
    shown=("model", "low", "high", "n_customers", "n_positive"),
    make=lambda inputs: score_spread_table(inputs.panel, inputs.scores),
)
