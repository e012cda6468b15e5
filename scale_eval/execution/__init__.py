"""Evaluations on Dask: the only room that knows it.

A task is a pack of evaluations, one at least, or the fit of a model of all companies, and its key
says which. `coordinator` hands tasks out and finds who is guilty where workers die; `worker` does
them; `shipping` brings a user's own code there.
"""

from scale_eval.cluster import ClusterLost
from scale_eval.execution.coordinator import execute
from scale_eval.execution.tasks import Done, Task, Work
from scale_eval.execution.worker import EvaluationPlugin

__all__ = ["ClusterLost", "Done", "EvaluationPlugin", "Task", "Work", "execute"]
