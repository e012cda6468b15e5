"""Make the rows of windows that the plan refuses: `skipped`, with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.planning.calendar import REFUSALS, PlannedWindow
from scale_eval.planning.plan import Plan

REFUSED_ROWS = 100_000
"""Approximate number of rows of refused windows in one file."""


def refused_rows(
    plan: Plan, missing: np.ndarray, user_metrics: Sequence[str]
) -> Iterator[EvaluationRows]:
    """Yield the rows of refused evaluations, those of one file at a time.

    Parameters
    ----------
    missing : ndarray of bool, shape (n_windows, n_models)
        The refused evaluations of the plan that have no row yet.
    user_metrics : sequence of str
        The names of the metrics that the user added.
    """
    windows, planned = np.flatnonzero(missing.any(axis=1)), plan.windows
    n_files = max(1, len(windows) * len(plan.models) // REFUSED_ROWS)
    for some in np.array_split(windows, n_files) if len(windows) else ():
        rows = EvaluationRows(int(missing[some].sum()), user_metrics)
        for w in some.tolist():
            window = PlannedWindow(int(planned.cutoff[w]), int(planned.horizon_end[w]), False)
            company_id, note = plan.company_ids[planned.company[w]], plan.note(w)
            for m in np.flatnonzero(missing[w]).tolist():
                reason = REFUSALS[planned.refusal[w]]
                rows.add(company_id, window, plan.models[m], 1, "skipped", reason, note)
        yield rows
