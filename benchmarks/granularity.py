"""The cost of Dask: evaluations, companies or batches as tasks, and the same without Dask.

    python -m benchmarks.granularity [--dataset PLACE | --companies 5000] [--few 300] [--rounds 3]

Three questions, each answered by turns on the same cluster. The least seconds count, from the first
task to the last row on the disk; starting and compiling come before.

1. The same 300 companies, six half-years, four models, at each granularity, with as many workers as
   there are cores; the tables must be equal bit for bit.
2. One evaluation a task against a bare ``client.map`` of as many tasks that do nothing, and one of
   tasks that bring back as many bytes as an evaluation does.
3. All companies in batches on one worker, against the same batches one after another in this
   process, written likewise: the seconds that Dask adds, by the clock and by the processor time of
   the evaluating process, which is meaningful even where others use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from distributed import Client

import scale_eval as se
from benchmarks.clocks import Spent, interleaved, lasting, memory_watched, spent
from benchmarks.companies import LAST, Job, copy_of, dataset_of, of_all_sizes
from benchmarks.machine import confine_to_one_thread, cores, keep, machine_line
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution import session
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.execution.coordinator import execute
from scale_eval.execution.worker import EvaluationPlugin
from scale_eval.planning.batches import Batch
from scale_eval.planning.cost_model import Costs

WARM = 40
"""Companies evaluated first, so that every worker has compiled, or loaded, its code."""

TASKS = ("evaluation", "company", "batch")
BARE = {"bare": "nothing, bare client.map", "alike": "as many bytes, client.map"}
TARGET_OF_BARE, TARGET_OVERHEAD = 0.8, 0.05


def as_run(
    job: Job, client: Client, granularity: str, out: Path
) -> tuple[se.Run, Spent, tuple[float, float]]:
    """Run the job; return the run, its seconds from the first task to the last row, and that span.

    Processor seconds are those of the whole run, with its plan and its reduction.
    """
    spans: list[tuple[float, float]] = []
    with lasting(session, "execute", spans), spent() as seconds:
        run = se.evaluate(
            job.dataset,
            job.models,
            out=out,
            settings=job.settings,
            client=client,
            granularity=granularity,
            progress=False,
        )
    begin, end = spans[0][0], spans[-1][1]
    return run, Spent(end - begin, seconds.cpu, seconds.started), (begin, end)


def nothing(_: int) -> None:
    """Do nothing, so that only Dask's part of a task is left."""


def as_much(_: int, size: int) -> bytes:
    """Bring back as many bytes as an evaluation does, none of which was computed."""
    return bytes(size)


def bare(client: Client, n: int) -> Spent:
    with spent() as seconds:
        client.gather(client.map(nothing, range(n), pure=False))
    return seconds


def bare_alike(client: Client, n: int, size: int) -> Spent:
    with spent() as seconds:
        client.gather(client.map(as_much, range(n), size=size, pure=False))
    return seconds


def size_of_result(job: Job, out: Path) -> int:
    """Return the mean bytes of what an evaluation as a task brings back."""
    with a_worker_of(job, out) as worker:
        sizes = [
            len(pickle.dumps(worker.do(("size",), b))) for b in job.batches("evaluation", Costs())
        ]
    return round(sum(sizes) / len(sizes))


@contextlib.contextmanager
def a_worker_of(job: Job, out: Path) -> Iterator[EvaluationPlugin]:
    """Yield the plugin that does tasks on a worker, without a worker."""
    plugin = EvaluationPlugin("serial", job.work(out), 3_600.0)
    worker = SimpleNamespace(address="this process", nanny=None, status=None, log_event=print)
    asyncio.run(plugin.setup(worker))
    try:
        yield plugin
    finally:
        asyncio.run(plugin.teardown(worker))


def without_dask(batches: list[Batch], job: Job, out: Path) -> Spent:
    """Do the batches one after another, by the plugin of workers."""
    with a_worker_of(job, out) as worker, spent() as seconds:
        for batch in batches:
            worker.do(("serial",), batch)
    return seconds


def on_one_worker(client: Client, batches: list[Batch], job: Job, out: Path) -> Spent:
    with spent() as seconds:
        for _ in execute(client, batches, job.work(out), timeout=3_600.0):
            pass
    return seconds


def costs_of(job: Job, out: Path) -> Costs:
    """Return the costs that a pilot would measure."""
    with a_worker_of(job, out) as worker:
        done = [worker.do(("pilot",), batch).rows for batch in job.batches("company", Costs())]
    return Costs().updated(EvaluationRows.concatenated(done))


def granularities(few: Job, warm: Job, place: Path, rounds: int) -> dict[str, Any]:
    """Answer questions one and two."""
    n, prints, growth = few.n_evaluations, set(), []
    size = size_of_result(warm, place / "sizes")
    counted = {"evaluation": n, "company": few.n_companies}
    with dask_client() as client:
        for granularity in TASKS:
            as_run(warm, client, granularity, place / f"warm-{granularity}")
        bare(client, 100)
        turn = iter(range(10_000))

        def work_of(granularity: str) -> Callable[[], Spent]:
            def work() -> Spent:
                with memory_watched() as memory:
                    out = place / f"{granularity}-{next(turn)}"
                    run, seconds, span = as_run(few, client, granularity, out)
                prints.add(run.fingerprint())
                if granularity == "evaluation":
                    growth.append(memory.growth(*span))
                return seconds

            return work

        works = {name: work_of(name) for name in TASKS}
        works["bare"] = lambda: bare(client, n)
        works["alike"] = lambda: bare_alike(client, n, size)
        taken = interleaved(works, rounds)
    counted |= {"bare": n, "alike": n}
    figures = {
        name: {
            "tasks": counted.get(name),  # batches are as many as a pilot says
            "wall": seconds.wall,
            "cpu": seconds.cpu,
            "evaluations_per_second": n / seconds.wall if name in TASKS else None,
            "tasks_per_second": counted[name] / seconds.wall if name in counted else None,
        }
        for name, seconds in taken.items()
    }
    return {
        "evaluations": n,
        "companies": few.n_companies,
        "workers": cores(),
        "granularities": figures,
        "equal": len(prints) == 1,
        "bytes_of_result": size,
        "share_of_bare": taken["bare"].wall / taken["evaluation"].wall,
        "share_of_alike": taken["alike"].wall / taken["evaluation"].wall,
        "coordinator_growth_gb": min(growth),
    }


def overhead(many: Job, warm: Job, costs: Costs, place: Path, rounds: int) -> dict[str, Any]:
    """Answer question three."""
    batches, turn = many.batches("batch", costs), iter(range(10_000))
    with dask_client(workers=1) as client:
        on_one_worker(client, warm.batches("batch", costs), warm, place / "warm-one")
        without_dask(warm.batches("batch", costs), warm, place / "warm-serial")
        taken = interleaved(
            {
                "without": lambda: without_dask(batches, many, place / f"serial-{next(turn)}"),
                "with": lambda: on_one_worker(client, batches, many, place / f"one-{next(turn)}"),
            },
            rounds,
        )
    alone, dask = taken["without"], taken["with"]
    return {
        "companies": many.n_companies,
        "evaluations": many.n_evaluations,
        "batches": len(batches),
        "without": {"wall": alone.wall, "cpu": alone.cpu},
        "with": {"wall": dask.wall, "cpu": dask.cpu, "worker_cpu": dask.started},
        "overhead": dask.wall / alone.wall - 1,
        "overhead_of_worker_cpu": dask.started / (alone.cpu - alone.started) - 1,
    }


def print_tables(first: dict[str, Any], third: dict[str, Any]) -> None:
    print(
        f"{first['companies']:,} companies, {first['evaluations']:,} evaluations, "
        f"{first['workers']} workers: a task is"
    )
    print(f"{'':28}{'tasks':>9}{'seconds':>9}{'cpu s':>8}{'evaluations/s':>15}{'tasks/s':>9}")
    for name, row in first["granularities"].items():
        title = BARE.get(name, f"a {name}")
        rate, tasks = row["evaluations_per_second"], row["tasks_per_second"]
        print(
            f"{title:28}{row['tasks'] or '':>9}{row['wall']:9.2f}{row['cpu']:8.2f}"
            f"{f'{rate:,.0f}' if rate else '':>15}{f'{tasks:,.0f}' if tasks else '':>9}"
        )
    print(
        f"tables equal bit for bit: {'yes' if first['equal'] else 'NO'}\n"
        f"an evaluation a task reaches {first['share_of_alike']:.0%} of the rate of bare tasks "
        f"that bring back its {first['bytes_of_result']:,} bytes (target: {TARGET_OF_BARE:.0%} or "
        f"more), {first['share_of_bare']:.0%} of those that do nothing; this process grew by "
        f"{1_000 * first['coordinator_growth_gb']:+.0f} MB from the second quarter to the last\n"
    )
    print(
        f"{third['companies']:,} companies, {third['evaluations']:,} evaluations in "
        f"{third['batches']} batches, written:"
    )
    print(f"{'':28}{'seconds':>9}{'cpu s':>8}{'evaluations/s':>15}")
    for name, title in (("without", "one process, no Dask"), ("with", "Dask, one worker")):
        row = third[name]
        rate = third["evaluations"] / row["wall"]
        print(f"{title:28}{row['wall']:9.2f}{row['cpu']:8.2f}{rate:15,.0f}")
    print(
        f"Dask adds {third['overhead']:+.1%} by the clock, {third['overhead_of_worker_cpu']:+.1%} "
        f"to the processors' seconds of who evaluates (target: {TARGET_OVERHEAD:.0%} or less)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="Otherwise synthetic companies are made.")
    parser.add_argument("--companies", type=int, default=5_000)
    parser.add_argument("--few", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    confine_to_one_thread("benchmarks.granularity")
    pa.set_cpu_count(1)
    with (
        dataset_of(args.dataset, args.companies) as dataset,
        tempfile.TemporaryDirectory() as t,
    ):
        place = Path(t)
        few, warm = (
            Job(copy_of(dataset, of_all_sizes(dataset, n), place / name))
            for name, n in (("few", args.few), ("warm", WARM))
        )
        print(f"{machine_line()}\n{LAST} cutoffs, least of {args.rounds} rounds\n")
        first = granularities(few, warm, place, args.rounds)
        costs = costs_of(few, place / "costs")
        third = overhead(Job(dataset), warm, costs, place, args.rounds)
    print_tables(first, third)
    figures = {"asked": vars(args), "granularity": first, "overhead": third}
    print(keep("granularity", figures).name)


if __name__ == "__main__":
    main()
