"""Evaluations on Dask: the only package that imports it.

A Dask task is a batch of evaluations, or the fit of a model of all companies, and its key says
which. From the outside in:

- `session` does one call's work on a run: plan, fit, evaluate what is missing, write the results.
- `coordinator` hands the tasks out. `live_tasks` keeps a bounded number of them on the scheduler;
  `fault_attribution` finds the evaluation at fault where a task hangs or its workers die.
- `worker` does the tasks, with `batch_evaluator`, `global_fits`, `watchdog` and `departure`.
- `evaluation_clock` times evaluations from outside the worker's process, in its nanny.
- `shipping` brings a user's own modules to the workers, and `versions` compares packages.
- `clusters` starts or joins a cluster.
"""

from dask.system import CPU_COUNT
from distributed import Client

from scale_eval.execution.clusters.base import ClusterLost

__all__ = ["CPU_COUNT", "Client", "ClusterLost"]
