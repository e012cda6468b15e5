"""What workers are given to do, and what comes of it."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scale_eval.datasets import Dataset
from scale_eval.evaluation.histograms import SparseCounts
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.execution.global_fits import GlobalFit, GlobalFitResult
from scale_eval.models import NamedModel
from scale_eval.planning.batches import Batch
from scale_eval.storage import Store

EvaluationKey = tuple[str, int, str]
"""An evaluation: company, cutoff in microseconds, model."""


@dataclass(frozen=True)
class RunContext:
    """What a worker needs to know once to do any evaluation of a run.

    Attributes
    ----------
    dataset : Dataset
        Workers read it themselves; it must be on a path that all of them see.
    models : dict of NamedModel by name
    rules : Rules
    run : Store
        The run's directory, for batches that write what comes of them.
    save_predictions : bool
        Whether each customer's probability is kept there.
    fitted : dict of GlobalFitResult
        What the fits of models of all companies came to, by `GlobalFit.key`.
    """

    dataset: Dataset
    models: dict[str, NamedModel]
    rules: Rules
    run: Store
    save_predictions: bool = False
    fitted: Mapping[str, GlobalFitResult] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskResult:
    """What came of a task.

    Attributes
    ----------
    rows : EvaluationRows
        Empty where the worker has written them.
    counts : SparseCounts
        The scores of those that are `ok`; likewise.
    statuses : Counter
        Evaluations by status, whoever writes them.
    fitted : dict of GlobalFitResult
        By `GlobalFit.key`, of a fit.
    """

    rows: EvaluationRows
    counts: SparseCounts = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    fitted: dict[str, GlobalFitResult] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        """As one buffer: Dask would send each of a dozen small arrays apart."""
        held = (self.rows, self.counts, self.statuses, self.fitted)
        return _unpacked, (pickle.dumps(held, protocol=5),)


def _unpacked(held: bytes) -> TaskResult:
    return TaskResult(*pickle.loads(held))


Task = Batch | GlobalFit
"""What a worker is given to do."""


def first_of(task: Task) -> EvaluationKey:
    """The evaluation that a task begins with."""
    if isinstance(task, GlobalFit):
        return "all companies", task.cutoff, task.model
    entry = task.companies[0]
    return entry.company_id, entry.windows[0][0], entry.models[0]
