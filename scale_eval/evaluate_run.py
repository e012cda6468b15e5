"""Evaluate models on a dataset and reduce the evaluations to tables: the two halves of a run."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from scale_eval.datasets import Dataset, open_dataset
from scale_eval.execution.clusters.existing import require_open_client
from scale_eval.execution.clusters.registry import dask_client, require_cluster
from scale_eval.execution.progress import Progress
from scale_eval.execution.reduction import reduce_directory, workers_to_reduce
from scale_eval.execution.run_sample import (
    draw_sample,
    growing_samples,
    sample_in_words,
    sample_size,
    write_sample,
)
from scale_eval.execution.session import Session
from scale_eval.execution.shipping import require_metrics_can_be_sent
from scale_eval.execution.versions import recorded_versions
from scale_eval.main_guard import end_worker_that_runs_the_script
from scale_eval.metrics import Metric
from scale_eval.metrics.base import MetricWarning
from scale_eval.models import NamedModel
from scale_eval.models.built_in import DEFAULT_MODELS
from scale_eval.models.registry import named_models
from scale_eval.models.warm_up import compilation_reported
from scale_eval.planning.company_sample import Sample
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.no_window import require_window
from scale_eval.planning.plan import plan_run
from scale_eval.planning.run_options import (
    PRIMARY,
    Execution,
    Reduction,
    RunOptions,
    Sampling,
    run_options,
)
from scale_eval.planning.settings import Settings
from scale_eval.planning.share import Share
from scale_eval.planning.user_metrics import recorded_metrics
from scale_eval.progress_bar import COMPILING_TABLES, TABLES
from scale_eval.results.damaged import DamagedPart
from scale_eval.results.directory import (
    PLAN,
    RunDiffers,
    RunDirectory,
    open_run_directory,
)
from scale_eval.results.evaluation_parts import evaluation_files
from scale_eval.results.maintenance import (
    remove_repeats,
    remove_unfinished,
    remove_without_scores,
)
from scale_eval.results.model_removal import (
    models_to_replace,
    remove_models,
    require_evaluated,
)
from scale_eval.results.share_directory import (
    ShareDirectory,
    hold_whole_run,
    shares_at_work,
)
from scale_eval.results.tables import conventions
from scale_eval.run import Run
from scale_eval.storage import open_store, write_tables

if TYPE_CHECKING:
    from scale_eval.execution import Client


def evaluate(
    dataset: Dataset | str | os.PathLike[str],
    models: Sequence[Any] = DEFAULT_MODELS,
    *,
    out: str | os.PathLike[str],
    client: Client | None = None,
    settings: Settings | None = None,
    sampling: Sampling | None = None,
    execution: Execution | None = None,
    reduction: Reduction | None = None,
    **options: Any,
) -> Run:
    """Evaluate models on the companies of a dataset, and write the run to `out`.

    If `out` holds the same run already, continue it: keep its rows, add models that are new, and
    make the tables again.

    Parameters
    ----------
    dataset : Dataset or path
    models : sequence
        Names (``"bgnbd"``, ``"package.module:Class"``, ``"predictions:FILE.parquet"``), classes or
        objects with `fit` and `predict_proba(history)`, or scikit-learn classifiers. `base_rate`
        and `recency` are always run besides.
    out : path
        The run's directory. Workers must see it if they write batches, or save predictions.
    client : distributed.Client, optional
        A cluster that is running, and keeps running; otherwise `cluster` and `workers` apply.
    settings, sampling, execution, reduction
        Options in groups: `Settings`, `Sampling`, `Execution`, `Reduction`.
    **options
        Or any of their parameters, such as ``horizon="3 months", sample=500, timeout="1 minute"``.

    Returns
    -------
    Run
        In a share of a run, `finished` refers to the share; `reduce` makes the tables.

    Raises
    ------
    ValueError
        An option, a model or a metric is invalid, every window is refused (`NoWindow`), `out` holds
        something else (`RunDiffers`), or parts of the cluster have other packages
        (`VersionsDiffer`).
    FileNotFoundError
        There is no such dataset.
    StoreLocked
        Another process is writing this run, or this share of it.
    OSError
        `out` cannot be written: no room, no permission.
    RuntimeError
        A script calls this at its top level without the ``__main__`` guard that worker processes
        need.
    ClusterLost
        The cluster went away; what is done is on disk, and the same call goes on from there.

    Warns
    -----
    MetricWarning
        A metric of yours raised an exception, or returned no finite number, in some evaluations;
        `Run.broken_metrics` says why.
    """
    end_worker_that_runs_the_script()
    chosen = run_options(
        options, settings=settings, sampling=sampling, execution=execution, reduction=reduction
    )
    dataset = open_dataset(dataset)
    named = named_models(models)
    require_metrics_can_be_sent(chosen.settings.rules.metrics)
    require_window(dataset, chosen.settings)
    if client is None:
        require_cluster(chosen.execution.cluster, chosen.execution.workers)
    else:
        require_open_client(client)
    with (
        _locked_directory(out, chosen.execution.parsed_share) as directory,
        Progress(shown=chosen.execution.progress) as progress,
        _session(directory, dataset, named, chosen, client, progress) as session,
    ):
        while True:
            try:
                _evaluate(directory, dataset, named, chosen, session, progress)
                break
            except DamagedPart as found:
                session.set_aside_damaged(found)
    run = Run(directory)
    if chosen.execution.share is None:
        for broken in run.broken_metrics:
            warnings.warn(str(broken), MetricWarning, stacklevel=2)
    return run


def reduce(
    place: str | os.PathLike[str],
    *,
    margins: Mapping[str, float] | None = None,
    primary: str | None = None,
) -> Run:
    """Make the tables of a run again, from the evaluations that are done.

    `margins` and `primary` are as for `evaluate`. Raises `FileNotFoundError` where there is no run,
    `ValueError` where nothing is done yet or an option is invalid, and `StoreLocked` while the run,
    or a share of it, is being evaluated.
    """
    reduction, directory = Reduction(margins, primary), open_run_directory(place)
    with hold_whole_run(directory.store), workers_to_reduce(directory) as client:
        started = time.monotonic()
        own_metrics = recorded_metrics(directory.document["settings"]["metrics"])
        reduction.margins_of(own_metrics)
        reduction.primary_of(own_metrics)  # raise before anything is changed
        remove_unfinished(directory.store)
        remove_models(directory, [])
        remove_without_scores(directory.store)
        remove_repeats(directory.store)
        if not evaluation_files(directory.store):
            raise ValueError(
                f"{directory.store.root}: no evaluation is done, nothing to reduce; run the "
                "command that began the run again"
            )
        missing = directory.missing_by_model()
        directory.record(n_missing=sum(missing.values()), missing_by_model=missing)
        _reduce(directory, own_metrics, reduction, client)
        _finish(directory, started)
    return Run(directory)


def _evaluate(
    directory: RunDirectory,
    dataset: Dataset,
    named: Mapping[str, NamedModel],
    chosen: RunOptions,
    session: Session,
    progress: Progress,
) -> None:
    """Evaluate what is missing, and make the tables; raise `DamagedPart` where a file is damaged.

    After the file was set aside the same call goes on.
    """
    started = time.monotonic()
    first_sample = _begin(directory, dataset, named, chosen, session)
    for sample in growing_samples(first_sample, directory, dataset, chosen):
        plan = session.evaluate(sample)
        if chosen.execution.share is None:
            session.complete(sample, plan)
            client = session.client_to_reduce()
            progress.stage(TABLES)
            with compilation_reported(partial(progress.rename, COMPILING_TABLES)):
                _reduce(directory, chosen.settings.rules.metrics, chosen.reduction, client)
        else:  # `reduce` makes the tables when all shares are done
            session.complete(sample, plan)
        _finish(directory, started)


@contextlib.contextmanager
def _locked_directory(out: str | os.PathLike[str], share: Share | None) -> Iterator[RunDirectory]:
    """Lock a run, or one share of it; yield the directory of the run or the share."""
    store = open_store(out)
    RunDirectory(store).require_place()
    if share is None:
        with hold_whole_run(store):
            yield RunDirectory(store)
    else:
        directory = ShareDirectory(store, share.name)
        with directory.held():
            yield directory


@contextlib.contextmanager
def _session(
    directory: RunDirectory,
    dataset: Dataset,
    models: dict[str, NamedModel],
    chosen: RunOptions,
    client: Client | None,
    progress: Progress,
) -> Iterator[Session]:
    """Yield a session; a cluster that it starts, when it first needs one, ends with the block."""
    execution = chosen.execution
    with contextlib.ExitStack() as clusters:

        @cache
        def cluster() -> Client:
            return client or clusters.enter_context(
                dask_client(
                    execution.cluster,
                    workers=execution.workers,
                    logs=f"{directory.store.root}.slurm",
                )
            )

        yield Session(directory, dataset, chosen.settings, models, cluster, execution, progress)


def _begin(
    directory: RunDirectory,
    dataset: Dataset,
    models: Mapping[str, NamedModel],
    chosen: RunOptions,
    session: Session,
) -> Sample | None:
    """Begin a run, or continue it; return its sample, None for all companies.

    Raises `RunDiffers` where the directory holds another run, or one with another division, before
    anything of the run is changed.
    """
    settings, n = chosen.settings, chosen.sampling.sample
    share = chosen.execution.parsed_share
    recorded = {"data": dataset.content_hash, **settings.document()}
    identities = {name: model.identity for name, model in models.items()}
    started = {"started_at": _now()}
    facts: dict[str, Any] = {
        "dataset": str(dataset.store.root),
        "data_period": dataset.period,
        "versions": recorded_versions(),
        **started,
    }
    if not isinstance(directory, ShareDirectory):
        replace = require_evaluated(chosen.execution.replace, identities)
        directory.require_settings(recorded, facts["dataset"])
        leaving = models_to_replace(directory, identities, replace) if directory.document else []
        staying = {name: identities[name] for name in identities if name not in leaving}
        directory.require_same_models(staying)
        sample = draw_sample(directory, dataset, n, settings.seed)
        if directory.document:
            session.set_aside_damaged()
            remove_models(directory, leaving)
        facts["replaced"] = {name: identities[name] for name in replace}
        directory.begin(recorded, identities, facts)
        write_sample(directory, dataset, sample)
        remove_unfinished(directory.store)
        return sample
    assert share is not None
    with directory.agreeing() as whole:
        division = {"of": share.of, "sample": sample_size(whole, n)}
        _require_same_division(whole, share, division)
        whole.require_settings(recorded, facts["dataset"])
        sample = draw_sample(whole, dataset, n, settings.seed)
        whole.begin(recorded, identities, facts)
        write_sample(whole, dataset, sample)
        _write_divided_plan(whole, division, dataset, settings, sample)
    directory.record(status="running", **started)
    return sample


def _require_same_division(directory: RunDirectory, share: Share, division: dict[str, Any]) -> None:
    """Raise `RunDiffers` where other shares work on another division of the run."""
    present = directory.document.get("divided")
    at_work = [name for name in shares_at_work(directory.store) if name != share.name]
    if at_work and present is not None and any(present[key] != division[key] for key in division):
        raise RunDiffers(
            f"{directory.store.root} is being evaluated in {present['of']} shares of "
            f"{sample_in_words(present['sample'])} ({', '.join(at_work)}); {share} of "
            f"{sample_in_words(division['sample'])} would be another division: wait for them"
        )


def _write_divided_plan(
    directory: RunDirectory,
    division: dict[str, Any],
    dataset: Dataset,
    settings: Settings,
    sample: Sample | None,
) -> None:
    """Write the plan of a run in shares, unless another share has written the same one."""
    models = sorted(directory.document["models"])
    divided = {**division, "models": models}
    if directory.document.get("divided") == divided and directory.store.exists(PLAN):
        return
    plan = plan_run(dataset, models, settings, sample)
    write_tables(directory.store, PLAN, plan.parts(Costs()))
    directory.record(divided=divided, n_evaluations=plan.n_evaluations, plan_hash=plan.digest())


def _reduce(
    directory: RunDirectory, metrics: Sequence[Metric], reduction: Reduction, client: Client | None
) -> None:
    """Make the tables of a run, on the workers of `client` if there is one, and record how."""
    started = time.monotonic()
    margins = {**directory.document.get("margins", {}), **reduction.margins_of(metrics)}
    reduce_directory(directory, margins, client)
    primary = reduction.primary_of(metrics) or directory.document.get("primary", PRIMARY)
    seconds = time.monotonic() - started
    directory.record(
        conventions=conventions(), margins=margins, primary=primary, reduce_seconds=seconds
    )


def _finish(directory: RunDirectory, started: float) -> None:
    """Record whether a run is finished, and when."""
    directory.record(
        status="finished" if directory.document["n_missing"] == 0 else "unfinished",
        finished_at=_now(),
        session_seconds=time.monotonic() - started,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
