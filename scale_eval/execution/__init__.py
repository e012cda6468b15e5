"""Evaluations on Dask: the only room that knows it.

A task is a batch of evaluations, one at least, or the fit of a model of all companies, and its key
says which. `coordinator` hands tasks out and finds who is guilty where workers die; `worker` does
them; `shipping` brings a user's own code there.
"""

from dask.system import CPU_COUNT
from distributed import Client

from scale_eval.execution.clusters.base import ClusterLost
from scale_eval.execution.coordinator import execute
from scale_eval.execution.tasks import RunContext, Task, TaskResult
from scale_eval.execution.worker import EvaluationPlugin

__all__ = [
    "CPU_COUNT",
    "Client",
    "ClusterLost",
    "EvaluationPlugin",
    "RunContext",
    "Task",
    "TaskResult",
    "execute",
]
