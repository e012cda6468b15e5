"""Define the tasks that workers do, what they must know to do them, and their results."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scale_eval.datasets import Dataset
from scale_eval.evaluation.histograms import SparseCounts
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.execution.global_fits import GlobalFitResult
from scale_eval.models import NamedModel
from scale_eval.planning.batches import Batch, EvaluationKey
from scale_eval.planning.global_fits import GlobalFit
from scale_eval.storage import Store

Task = Batch | GlobalFit
"""A task is a batch of evaluations or the fit of a model of all companies."""

TaskKey = tuple[str, ...]
"""The key of a task on Dask: it says what is evaluated, to be read on the dashboard."""


@dataclass(frozen=True)
class RunContext:
    """A run context holds everything that a worker needs to do any evaluation of a run.

    Attributes
    ----------
    dataset : Dataset
        Workers read it themselves; it must be on a path that all of them see.
    models : dict of NamedModel by name
    rules : Rules
    run : Store
        The run's directory, for batches whose rows the workers write.
    save_predictions : bool
        Whether each customer's probability is kept there.
    fitted : dict of GlobalFitResult
        The results of the fits of models of all companies, by `GlobalFit.key`.
    """

    dataset: Dataset
    models: dict[str, NamedModel]
    rules: Rules
    run: Store
    save_predictions: bool = False
    fitted: Mapping[str, GlobalFitResult] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskResult:
    """The result of a task.

    Attributes
    ----------
    rows : EvaluationRows
        Empty where the worker has written them.
    counts : SparseCounts
        The scores of the evaluations that are `ok`; also empty where the worker has written them.
    statuses : Counter
        Number of evaluations by status, also of those that the worker has written.
    fitted : dict of GlobalFitResult
        The result of a fit, by `GlobalFit.key`.
    cost : float
        The seconds that the task was estimated to take; the coordinator adds it.
    """

    rows: EvaluationRows
    counts: SparseCounts = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    fitted: dict[str, GlobalFitResult] = field(default_factory=dict)
    cost: float = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as one buffer: Dask would send a dozen small arrays one by one."""
        fields = (self.rows, self.counts, self.statuses, self.fitted)
        return _unpickled, (pickle.dumps(fields, protocol=5),)


def _unpickled(content: bytes) -> TaskResult:
    return TaskResult(*pickle.loads(content))


def failed_result(
    task: Task,
    evaluation: EvaluationKey,
    status: str,
    reason: str,
    note: str,
    user_metrics: Sequence[str] = (),
) -> TaskResult:
    """Return the result of an evaluation of a batch, or of a fit, for which no worker has one."""
    if isinstance(task, GlobalFit):
        fitted = GlobalFitResult("", status, reason, f"fitting: {note}")
        return TaskResult(EvaluationRows(0), fitted={task.key: fitted})
    rows = EvaluationRows(1, user_metrics)
    for company_batch in task.companies:
        for single in company_batch.single_evaluations():
            if single.first == evaluation:
                (window,) = single.windows
                company_id, _, model = evaluation
                rows.add(company_id, window, model, single.attempt, status, reason, note)
    return TaskResult(rows, statuses=Counter({status: 1}))
