"""Learn, before a run begins, which of its models the workers cannot load."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace

from distributed import Client
from distributed.comm.core import CommClosedError

from scale_eval.evaluation.unfit_model import standing_in
from scale_eval.execution.clusters.base import WorkerUnfit
from scale_eval.execution.shipped_modules import find_in_current_folder, withdraw
from scale_eval.execution.shipping import CANNOT_BE_SENT, CannotLoad, Parcel, pack, this_process
from scale_eval.execution.tasks import RunContext
from scale_eval.execution.time_limit import ends_after
from scale_eval.models import NamedModel
from scale_eval.models.built_in import is_built_in

_LOADING = "loading"


def loadable_models(client: Client, context: RunContext, timeout: float) -> dict[str, NamedModel]:
    """Return the models of a context, with stand-ins for those that no worker can load.

    Each evaluation of such a model says why it has no result; those of the others are made. Raises
    `WorkerUnfit` where some of the workers can load a model and others cannot: results would depend
    on which of them took it up; and where all of them end, or need more than `timeout` seconds for
    each of the models and as much for the metrics. Workers that join later find out by themselves.
    """
    users = {name: each for name, each in context.models.items() if not is_built_in(each)}
    things = [f"the model {name!r}" for name in users]
    things += [f"the metric {name!r}" for name in context.rules.metric_names]
    if not things:
        return context.models
    parcel = pack(replace(context, models=users))
    seconds = timeout * (1 + len(users))
    answers = client.run(_failures, parcel, seconds, on_error="return")
    if answers and all(isinstance(answer, CommClosedError) for answer in answers.values()):
        raise WorkerUnfit(
            f"every worker ended, or took longer than {seconds:g} s, while it loaded "
            f"{', '.join(things)}",
            "",
        )
    failures = {at: answer for at, answer in answers.items() if isinstance(answer, dict)}
    unfit = {name: why for answer in failures.values() for name, why in answer.items()}
    for address, answer in sorted(failures.items()):
        mine = {name: answer[name] for name in answer if not _on_all(name, failures)}
        if mine:
            raise WorkerUnfit(f"{CannotLoad(mine)}, which other workers can load", address)
    stand_ins = {
        name: standing_in(users[name], CANNOT_BE_SENT, f"workers cannot load it: {why}")
        for name, why in unfit.items()
    }
    return {**context.models, **stand_ins}


def _failures(parcel: Parcel, seconds: float) -> dict[str, str]:
    """Return, on a worker, why models cannot be loaded there; it ends after so many seconds."""
    find_in_current_folder()
    is_process = this_process() != parcel.sender
    try:
        with ends_after(seconds) if is_process else nullcontext():
            failures = parcel.load(_LOADING)[1]
            with suppress(Exception):  # of the metrics: it is said where they are needed
                parcel.load_context()
            return failures
    finally:
        withdraw(_LOADING)


def _on_all(name: str, failures: Mapping[str, Mapping[str, str]]) -> bool:
    return all(name in answer for answer in failures.values())
