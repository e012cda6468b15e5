"""Compile the code by which tables are made, where a worker does it beside the others."""

from __future__ import annotations

import numpy as np

from scale_eval.results.company_curves import CompanyCurves
from scale_eval.results.panel import n_distinct
from scale_eval.results.pooled_histograms import added_up, cells_of, common_rows
from scale_eval.results.ratio_terms import Terms


def compile_tables() -> None:
    """Compile what the tables of a small run need, beside the statistics."""
    positions, codes = np.zeros(1, np.int64), np.zeros(1, np.int32)
    marks, terms = np.ones(1, np.bool_), np.ones(1)
    n_distinct(positions, positions)
    Terms(terms, terms).summed(positions, positions, 1)
    counts = ("group", "cutoff", "n_positive", "n_negative", "spend_minor")
    CompanyCurves.of(positions, dict.fromkeys(counts, codes), positions)
    chosen = common_rows(0, 1, codes, codes, marks, marks, marks[np.newaxis])
    _, _, cell = cells_of(chosen, codes, codes.astype(np.int16), positions)
    added_up(chosen, cell, codes, (1, 1))
