"""A run, from a dataset and models to tables: begin or go on, evaluate, reduce."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scale_eval.datasets import Dataset, open_dataset
from scale_eval.execution import child_process
from scale_eval.execution.clusters.base import require_main_guard
from scale_eval.execution.clusters.registry import dask_client, require_cluster
from scale_eval.execution.session import Session
from scale_eval.execution.versions import recorded_versions
from scale_eval.metrics import METRICS, Metric
from scale_eval.models.registry import DEFAULT_MODELS, named_models
from scale_eval.planning.batches import BATCH_SECONDS, GRANULARITIES
from scale_eval.planning.company_sample import Sample, SamplingFrame, companies_more
from scale_eval.planning.completion import COLUMNS, completed
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import (
    Settings,
    _require_metric,
    checked_margins,
    recorded_metrics,
    seconds_of,
    settings_of,
)
from scale_eval.planning.shares import Share
from scale_eval.results.directory import (
    PLAN,
    SAMPLE,
    RunDiffers,
    RunDirectory,
    open_run_directory,
)
from scale_eval.results.maintenance import (
    remove_repeats,
    remove_unfinished,
    remove_without_scores,
)
from scale_eval.results.reduce import reduce_run
from scale_eval.results.share_directory import (
    ShareDirectory,
    require_no_share_at_work,
    shares_at_work,
)
from scale_eval.results.tables import conventions
from scale_eval.run import Run
from scale_eval.storage import open_store, read_table, write_table, write_tables

if TYPE_CHECKING:
    from scale_eval.execution import Client


APART_FROM = 200_000
"""Evaluations from which they are reduced in a process of its own: after many tasks were handed out
here, memory is in pieces, and a reduction takes half as long again."""

BEGINNING_SECONDS = 30.0
"""What a run takes until its first evaluation: the plan, workers, compiled code."""

LARGEST_SAMPLE = 20_000
"""Companies: the scores of each are kept apart, so that each can be weighed."""


def evaluate(
    dataset: Dataset | str | os.PathLike[str],
    models: Sequence[Any] = DEFAULT_MODELS,
    *,
    out: str | os.PathLike[str],
    settings: Settings | None = None,
    client: Client | None = None,
    cluster: str = "local",
    workers: int | None = None,
    timeout: str | float = "1 hour",
    retry: bool = False,
    save_predictions: bool = False,
    progress: bool = True,
    granularity: str = "auto",
    margins: Mapping[str, float] | None = None,
    sample: int | None = None,
    until_half_width: float | None = None,
    until_metric: str = "log_loss",
    share: str | tuple[int, int] | None = None,
    time_limit: str | float | None = None,
    **choices: Any,
) -> Run:
    """Evaluate models on the companies of a dataset, and write the run to `out`.

    On a directory that holds the same run it goes on where that was left: rows stand as they are,
    models that are not there yet are added, and the tables are reduced anew.

    Parameters
    ----------
    dataset : Dataset or path
    models : sequence
        Names (``"bgnbd"``, ``"package.module:Class"``, ``"predictions:FILE.parquet"``), classes or
        objects with `fit` and `predict_proba(history)`, or scikit-learn classifiers. `base_rate`
        and `recency` are always run besides.
    out : path
        The run's directory, seen by all workers if predictions are saved or batches are written.
    settings : Settings, optional
        Windows, rules, metrics and seed; or give its parameters here, such as
        ``horizon="3 months", seed=1``.
    client : distributed.Client, optional
        A cluster that is there; it is left running.
    cluster, workers
        Otherwise: see `scale_eval.execution.clusters.registry.dask_client`.
    timeout : str or float
        Time (seconds, or ``"10 minutes"``) after which one evaluation is given up.
    retry : bool
        Try evaluations again that failed (error, timeout, killed).
    save_predictions : bool
        Keep each customer's probability under ``predictions/``.
    progress : bool
        Show a progress bar.
    granularity : str
        What a Dask task is: ``"evaluation"``, ``"company"``, or ``"batch"`` (many companies; what
        comes of them is written by the workers). ``"auto"`` takes the first that costs little.
    margins : dict, optional
        By metric, the difference that is worth changing models for; smaller ones are ties. Without
        an entry that of the run before, or `Metric.margin`. Evaluations do not depend on it.
    sample : int, optional
        Evaluate so many companies instead of all: a stratified random sample, of which the table
        `sampled` says what all of them would give. A larger sample holds every smaller one: the
        same call with more goes on.
    until_half_width : float, optional
        Add companies to the sample until the 95 % interval of `until_metric` at the average
        company (`equal_company`, of each model) is no wider than twice this, or the sample is as
        large as samples can be.
    until_metric : str
    share : tuple of two int, optional
        ``(2, 8)``: only the second of eight shares of the companies. The others are evaluated by
        other calls of the same, before, after or at the same time, into the same directory; when
        all are done, `reduce` makes the tables. `finished` of what comes back is that of the share.
    time_limit : str or float, optional
        The time that is left here, as in a batch job. Where an evaluation (`timeout`) may take
        longer the run is not begun, for it would be interrupted in it again and again.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        A setting, a model or a metric is not what it should be, `out` holds something else
        (`RunDiffers`), or parts of the cluster have other packages (`VersionsDiffer`).
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
    """
    require_main_guard()
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity {granularity!r} is none of {', '.join(GRANULARITIES)}")
    settings = settings_of(settings, choices)
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    chosen = named_models(models)
    seconds = seconds_of(timeout)
    if time_limit is not None:
        _require_time(seconds_of(time_limit), seconds)
    margins = checked_margins(margins or {}, settings.rules.metrics)
    _check_sample(sample, until_half_width, until_metric, settings.rules.metrics)
    part = None if share is None else Share.parse(share)
    if part and until_half_width is not None:
        raise ValueError("a share does not know how sure the others are: no until_half_width")
    if client is None:
        require_cluster(cluster, workers)
    directory = RunDirectory(open_store(out))
    begun = {
        "settings": {"data": dataset.content_hash, **settings.document()},
        "models": {name: model.identity for name, model in chosen.items()},
        "facts": {
            "dataset": str(dataset.store.root),
            "versions": recorded_versions(),
            "started_at": _now().isoformat(),
        },
    }

    def session_in(directory: RunDirectory, stack: contextlib.ExitStack) -> Session:
        return Session(
            directory,
            dataset,
            settings,
            chosen,
            client=functools.cache(
                lambda: client or stack.enter_context(dask_client(cluster, workers=workers))
            ),
            timeout=seconds,
            granularity=granularity,
            retry=retry,
            save_predictions=save_predictions,
            progress=progress,
            share=part,
        )

    if part is not None:
        of_share = ShareDirectory(directory.store, part.name)
        with of_share.held(), contextlib.ExitStack() as stack:
            began = time.monotonic()
            with of_share.agreeing() as directory:
                drawn = _begin_divided(directory, part, dataset, settings, sample, begun)
            of_share.record(status="running", started_at=_now().isoformat())
            session = session_in(of_share, stack)
            there = completed(session.evaluate(drawn), of_share.evaluation_parts(COLUMNS))
            of_share.record(
                status="finished" if there.n_missing == 0 else "unfinished",
                n_missing=there.n_missing,
                n_failed=int(there.failed.sum()),
                finished_at=_now().isoformat(),
                session_seconds=time.monotonic() - began,
            )
        return Run(of_share)

    require_no_share_at_work(directory.store)
    with directory.store.lock():
        began = time.monotonic()
        directory.begin(**begun)
        remove_unfinished(directory.store)
        drawn = _drawn(directory, dataset, sample, settings.seed)
        with contextlib.ExitStack() as stack:
            session = session_in(directory, stack)
            while True:
                plan = session.evaluate(drawn)
                with _place_to_reduce(directory) as call:
                    if remove_without_scores(directory.store):
                        continue  # they are to be done again
                    there = completed(plan, directory.evaluation_parts(COLUMNS))
                    if there.n_repeated and remove_repeats(directory.store):
                        continue  # what only they held is to be done again
                    directory.record(n_missing=there.n_missing, plan_hash=plan.digest())
                    _reduce(directory, settings.rules.metrics, margins, began, call)
                if drawn is None or until_half_width is None:
                    break
                n = len(drawn.company_ids)
                more = _more(directory, until_metric, until_half_width)
                larger = min(n + more, max(n, LARGEST_SAMPLE))
                if larger == n:
                    break
                drawn = _drawn(directory, dataset, larger, settings.seed)
    return Run(directory)


def _begin_divided(
    directory: RunDirectory,
    part: Share,
    dataset: Dataset,
    settings: Settings,
    sample: int | None,
    begun: dict[str, dict[str, Any]],
) -> Sample | None:
    """Begin a run that is divided into shares, or join those that are at work on it.

    Returns the sample that all of them evaluate. Whoever comes first writes the plan. Raises
    `RunDiffers` where others are at work on another division of the run, or another sample.
    """
    held = directory.document.get("divided")
    at_work = [name for name in shares_at_work(directory.store) if name != part.name]
    n = None if sample is None else max(sample, directory.document.get("sample") or 0)
    if at_work and held is not None and (held["of"], held["sample"]) != (part.of, n):
        raise RunDiffers(
            f"{directory.store.root} is being evaluated in {held['of']} shares of "
            f"{_told_sample(held['sample'])} ({', '.join(at_work)}); {part} of {_told_sample(n)} "
            "would be another division: wait for them"
        )
    directory.begin(**begun)
    drawn = _drawn(directory, dataset, sample, settings.seed)
    models = sorted(directory.document["models"])
    now = {"of": part.of, "sample": n, "models": models}
    if held != now or not directory.store.exists(PLAN):
        plan = plan_run(dataset, models, settings, drawn)
        write_tables(directory.store, PLAN, plan.parts(Costs()))
        directory.record(divided=now, n_evaluations=plan.n_evaluations, plan_hash=plan.digest())
    return drawn


def _told_sample(n: int | None) -> str:
    return "all companies" if n is None else f"a sample of {n:,} companies"


def _require_time(limit: float, timeout: float) -> None:
    """Raise `ValueError` where so much time is not enough for an evaluation and its batch."""
    needed = timeout + BATCH_SECONDS + BEGINNING_SECONDS
    if limit < needed:
        raise ValueError(
            f"{limit:,.0f} s are left here, and one evaluation may take {timeout:,.0f} s (timeout) "
            f"beside its batch and the start ({BATCH_SECONDS + BEGINNING_SECONDS:,.0f} s): it "
            f"could be interrupted again and again. Give the job more time, or a timeout below "
            f"{max(limit - BATCH_SECONDS - BEGINNING_SECONDS, 1):,.0f} s"
        )


def _check_sample(
    sample: int | None, half_width: float | None, metric: str, own_metrics: Sequence[Metric]
) -> None:
    """Raises `ValueError` where a sample, or how far it is to grow, is not what it should be."""
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int)):
        raise ValueError(f"sample={sample!r}: write a whole number of companies")
    if half_width is None:
        return
    if sample is None:
        raise ValueError("until_half_width adds companies to a sample: say with how many to begin")
    if not half_width > 0:
        raise ValueError(f"until_half_width={half_width!r}: write a number above 0")
    _require_metric(metric, "until_metric is", own_metrics)


def _drawn(directory: RunDirectory, dataset: Dataset, n: int | None, seed: int) -> Sample | None:
    """The sample of a run, kept in it; none where all companies are asked for.

    Raises `RunDiffers` where the run is of all companies and a sample is asked for, or the other
    way round; `ValueError` where it is too small or too large. It only grows.
    """
    was = directory.document.get("sample")
    begun = bool(directory.store.names("evaluations/*.parquet"))
    if begun and (was is None) != (n is None):
        held = "all companies" if was is None else f"a sample of {was} companies"
        remedy = "ask for it again, or choose another place"
        raise RunDiffers(f"{directory.store.root} holds a run of {held}; {remedy}")
    if n is None:
        return None
    n = max(n, was or 0)
    if n > LARGEST_SAMPLE:
        raise ValueError(f"a sample of {n:,}: take at most {LARGEST_SAMPLE:,}, or all companies")
    drawn = SamplingFrame(dataset.manifest_table, seed).sample(n)
    write_table(directory.store, SAMPLE, drawn.table())
    directory.record(sample=len(drawn.company_ids), population=len(dataset.company_ids))
    return drawn


def _more(directory: RunDirectory, metric: str, half_width: float) -> int:
    """How many companies more the sample needs; 0 where every model's interval is narrow enough."""
    figures = directory.table("sampled")
    figures = figures[
        (figures["metric"] == metric)
        & figures["model_b"].isna()
        & (figures["estimand"] == "equal_company")
        & (figures["coverage"] == "common")
        & (figures["figure"] == "value")
    ]
    return max(
        (
            companies_more(
                (row.ci_high - row.ci_low) / 2,
                half_width,
                row.n_sampled,
                row.n_certain,
                row.n_population,
            )
            for row in figures.itertuples()
        ),
        default=0,
    )


def reduce(place: str | os.PathLike[str], *, margins: Mapping[str, float] | None = None) -> Run:
    """Make the tables of a run anew from the evaluations that are there.

    `margins` are as for `evaluate`. Raises `FileNotFoundError` where there is no run, `ValueError`
    where nothing is done yet or a margin is none, `StoreLocked` where it, or a share of it, is
    being evaluated.
    """
    directory = open_run_directory(place)
    require_no_share_at_work(directory.store)
    with directory.store.lock(), _place_to_reduce(directory) as call:
        remove_unfinished(directory.store)
        remove_without_scores(directory.store)
        remove_repeats(directory.store)
        if not directory.store.names("evaluations/*.parquet"):
            raise ValueError(
                f"{directory.store.root}: no evaluation is done yet, nothing to reduce"
            )
        directory.record(n_missing=directory.n_missing())
        own = recorded_metrics(directory.document["settings"])
        _reduce(directory, own, checked_margins(margins or {}, own), time.monotonic(), call)
    return Run(directory)


def _place_to_reduce(
    directory: RunDirectory,
) -> contextlib.AbstractContextManager[child_process.Call]:
    """What calls a function: in a process of its own, where a run is large, which begins now."""
    if directory.document.get("n_evaluations", 0) >= APART_FROM:  # of a run without a plan: none
        return child_process.start()
    return contextlib.nullcontext(lambda function, *arguments: function(*arguments))


def _reduce(
    directory: RunDirectory,
    metrics: Sequence[Metric],
    margins: Mapping[str, float],
    began: float,
    call: child_process.Call,
) -> None:
    """Make the tables, and record what was done."""
    reducing = time.monotonic()
    default = {metric.name: metric.margin for metric in (*METRICS.values(), *metrics)}
    margins = {**default, **directory.document.get("margins", {}), **margins}
    design = None
    if directory.store.exists(SAMPLE):
        design = Sample.of_table(read_table(directory.store, SAMPLE)).design
    call(reduce_run, directory, metrics, directory.company_groups(), margins, design)
    ended = time.monotonic()
    directory.record(
        status="finished" if directory.document["n_missing"] == 0 else "unfinished",
        conventions=conventions(),
        margins=margins,
        finished_at=_now().isoformat(),
        reduce_seconds=ended - reducing,
        session_seconds=ended - began,
    )


def _now() -> datetime:
    return datetime.now(UTC)
