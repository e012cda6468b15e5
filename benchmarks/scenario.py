"""The cost curve: 1,000 to 100,000 companies from Parquet to final tables and report.

    python -m benchmarks.scenario [--companies 1000 10000 100000] [--pair 10000] [--dataset PLACE]

Six half-years, the models base_rate, recency, rfm_logistic and bgnbd (the last two fitted per
company and cutoff), all metrics; a local cluster with a worker a core. Datasets are made unless
they are named (repeatedly), each for its number of companies. Every run has a process of its own,
so that its memory is its own.

It prints the seconds of each stage; the parts of the workers' seconds; the peak memory of the
coordinator and of a worker (resident, as the system counts it); one worker against two on `--pair`
companies, whose tables must be equal; and the cost of one more evaluation between one size and the
next.

A run of 30 companies on the same cluster comes first, for imports and compiled code, so that the
other stages are marginal. Clocks on the workers measure batches as a whole (busy), reading and
decoding, and writing; the columns `*_seconds` of the evaluations have the rest. The remaining time
of the workers is Dask's, or waiting.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import queue
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.dataset

import scale_eval as se
from benchmarks.clocks import lasting, memory_watched
from benchmarks.companies import LAST, copy_of, dataset_of, of_all_sizes
from benchmarks.machine import cores, keep, machine_line
from benchmarks.worker_clocks import put_clocks_on, seconds_on
from scale_eval.datasets import open_dataset
from scale_eval.execution import session
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.models.built_in import DEFAULT_MODELS

WARM = 30
STAGES = ("start", "warm up", "plan", "evaluate", "check", "reduce", "report")
PARTS = (
    "reading",
    "history",
    "fit",
    "predict",
    "score",
    "writing",
    "between",
    "waiting",
)
"""Parts of the workers' seconds: `between` is the rest of a batch, `waiting` is not busy."""

MOST_SECONDS, MOST_GB, SAME_WITHIN = 120, 1.5, 0.15
"""Targets: seconds of 100,000 companies, memory of a process, ratio of marginal costs."""


def measure(place: str, workers: int, models: Sequence[str] = DEFAULT_MODELS) -> dict[str, Any]:
    """Run a dataset, from nothing to its report, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_measured, args=(place, workers, tuple(models), answer))
    process.start()
    figures: dict[str, Any] | None = None
    while figures is None:
        try:
            figures = answer.get(timeout=5)
        except queue.Empty:
            if not process.is_alive():
                raise RuntimeError(f"the run of {place} ended without figures") from None
    process.join()
    return figures


def _measured(place: str, workers: int, models: tuple[str, ...], answer: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        answer.put(run_of(place, workers, models, Path(directory)))


def run_of(place: str, workers: int, models: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Do a run in `out` and return its figures."""
    marks = [time.perf_counter()]
    spans: list[tuple[float, float]] = []
    with memory_watched() as memory:
        with dask_client(workers=workers) as client:
            marks.append(time.perf_counter())
            dataset = open_dataset(place)
            put_clocks_on(client)
            few = copy_of(dataset, of_all_sizes(dataset, WARM), out / "few")
            se.evaluate(
                few,
                models,
                out=out / "warm",
                last=LAST,
                client=client,
                progress=False,
                granularity="company",
            )
            seconds_on(client)
            marks.append(time.perf_counter())
            with lasting(session, "execute", spans):
                run = se.evaluate(
                    place, models, out=out / "run", last=LAST, client=client, progress=False
                )
            evaluated = time.perf_counter()
            clocks = seconds_on(client)
            workers_are = set(client.run(os.getpid).values())
        reporting = time.perf_counter()
        report = run.report()
        reported = time.perf_counter() - reporting
    reduced = float(run.document["reduce_seconds"])
    begin, end = spans[0][0], spans[-1][1]
    stages = {
        "start": marks[1] - marks[0],
        "warm up": marks[2] - marks[1],
        "plan": begin - marks[2],
        "evaluate": end - begin,
        "check": evaluated - end - reduced,
        "reduce": reduced,
        "report": reported,
    }
    return {
        "companies": len(dataset.company_ids),
        "workers": workers,
        **counted(run),
        "stages": stages,
        "seconds": sum(stages.values()) - stages["warm up"],
        "parts": parts_of(run, clocks, workers * stages["evaluate"]),
        "coordinator_gb": memory.peak,
        "worker_gb": max(gb for pid, gb in memory.started.items() if pid in workers_are),
        "reducer_gb": max(
            (gb for pid, gb in memory.started.items() if pid not in workers_are), default=0.0
        ),
        "run_mb": sum(f.stat().st_size for f in (out / "run").rglob("*") if f.is_file()) / 1e6,
        "report_mb": report.stat().st_size / 1e6,
        "fingerprint": run.fingerprint(),
    }


def counted(run: se.Run) -> dict[str, int]:
    """Count evaluations, those that are `ok`, and the customers that they scored."""
    n = n_ok = n_scores = 0
    for batch in _batches(run, ["status", "n_customers"]):
        ok = pyarrow.compute.equal(batch["status"], "ok")
        n, n_ok = n + len(batch), n_ok + pyarrow.compute.sum(ok).as_py()
        n_scores += pyarrow.compute.sum(batch["n_customers"].filter(ok)).as_py() or 0
    return {"evaluations": n, "ok": n_ok, "scores": n_scores}


def parts_of(run: se.Run, clocks: dict[str, float], available: float) -> dict[str, float]:
    """Return the workers' seconds, by PARTS."""
    parts = {name: clocks.get(name, 0.0) for name in ("reading", "writing")}
    columns = {f"{name}_seconds": name for name in ("history", "fit", "predict", "score")}
    parts |= dict.fromkeys(columns.values(), 0.0)
    for batch in _batches(run, list(columns)):
        for column, name in columns.items():
            parts[name] += pyarrow.compute.sum(batch[column]).as_py() or 0.0
    parts["between"] = clocks["busy"] - sum(parts.values())
    parts["waiting"] = available - clocks["busy"]
    return parts


def _batches(run: se.Run, columns: list[str]) -> Iterator[Any]:
    files = sorted((Path(run.path) / "evaluations").glob("*.parquet"))
    return pyarrow.dataset.dataset(files).to_batches(columns=columns)


def marginal(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cost of one more evaluation between each size and the next."""
    steps = []
    for small, large in itertools.pairwise(runs):
        more = {name: large[name] - small[name] for name in ("evaluations", "scores")}
        evaluate, whole = (
            of(large) - of(small)
            for of in (lambda r: r["stages"]["evaluate"], lambda r: r["seconds"])
        )
        steps.append(
            {
                "from": small["companies"],
                "to": large["companies"],
                "us_an_evaluation": 1e6 * whole / more["evaluations"],
                "us_an_evaluation_evaluating": 1e6 * evaluate / more["evaluations"],
                "ns_a_score_evaluating": 1e9 * evaluate / max(more["scores"], 1),
                "scores_an_evaluation": more["scores"] / more["evaluations"],
            }
        )
    return steps


@contextlib.contextmanager
def datasets_of(places: Sequence[str], sizes: Sequence[int]) -> Iterator[dict[int, str]]:
    """Yield the datasets of each size, as named, or made for the length of the block."""
    found = {len(open_dataset(place).company_ids): place for place in places}
    with contextlib.ExitStack() as stack:
        for size in sizes:
            if size not in found:
                dataset = stack.enter_context(dataset_of(None, size))
                found[size] = str(dataset.store.root)
        yield found


def print_curve(runs: Sequence[dict[str, Any]]) -> None:
    print(
        f"{'companies':>10}{'workers':>8}{'evaluations':>12}{'seconds':>9}"
        + "".join(f"{stage:>9}" for stage in STAGES)
        + f"{'per core s':>11}{'coord GB':>9}{'reducer':>9}{'worker GB':>10}{'run MB':>8}"
    )
    for run in runs:
        rate = run["evaluations"] / run["stages"]["evaluate"] / run["workers"]
        print(
            f"{run['companies']:10,}{run['workers']:8}{run['evaluations']:12,}{run['seconds']:9.1f}"
            + "".join(f"{run['stages'][stage]:9.2f}" for stage in STAGES)
            + f"{rate:11,.0f}{run['coordinator_gb']:9.2f}{run['reducer_gb']:9.2f}"
            f"{run['worker_gb']:10.2f}{run['run_mb']:8.0f}"
        )
    print(
        "seconds: all stages but warming up; per core s: evaluations per second of evaluating, "
        "and worker"
    )


def print_parts(runs: Sequence[dict[str, Any]]) -> None:
    print("\nthe workers' seconds while evaluating, in microseconds an evaluation")
    print(
        f"{'companies':>10}{'workers':>8}"
        + "".join(f"{part:>11}" for part in PARTS)
        + f"{'all':>9}{'waiting':>9}{'scores':>8}"
    )
    for run in runs:
        n, parts = run["evaluations"], run["parts"]
        total = sum(parts.values())
        print(
            f"{run['companies']:10,}{run['workers']:8}"
            + "".join(f"{1e6 * parts[part] / n:11.1f}" for part in PARTS)
            + f"{1e6 * total / n:9.1f}{parts['waiting'] / total:9.1%}{run['scores'] / n:8.0f}"
        )
    print("scores: customers that an evaluation scores, on average")


def print_marginal(steps: Sequence[dict[str, Any]]) -> None:
    print(
        f"\n{'':22}{'us an evaluation more':>22}{'of these evaluating':>20}{'ns a score':>11}"
        f"{'scores an evaluation':>21}"
    )
    for step in steps:
        print(
            f"{step['from']:10,} to {step['to']:8,}{step['us_an_evaluation']:22.1f}"
            f"{step['us_an_evaluation_evaluating']:20.1f}{step['ns_a_score_evaluating']:11.1f}"
            f"{step['scores_an_evaluation']:21.0f}"
        )
    if len(steps) > 1:
        first, last = steps[0]["us_an_evaluation"], steps[-1]["us_an_evaluation"]
        print(
            f"the last step costs {last / first - 1:+.0%} of the first an evaluation "
            f"(target: within {SAME_WITHIN:.0%})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companies", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument(
        "--pair", type=int, default=10_000, help="Companies of one worker against two; 0 for none."
    )
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="PLACE",
        help="Repeated: taken for its number of companies.",
    )
    args = parser.parse_args()
    sizes = sorted(args.companies)
    with datasets_of(args.dataset, sorted({*sizes, *filter(None, [args.pair])})) as places:
        print(machine_line(), flush=True)
        runs = [measure(places[size], cores()) for size in sizes]
        pair = []
        if args.pair:
            pair = [measure(places[args.pair], workers) for workers in (1, 2)]
    steps = marginal(runs)
    print_curve([*runs, *pair])
    print_parts([*runs, *pair])
    print_marginal(steps)
    largest = runs[-1]
    memory = max(largest[f"{who}_gb"] for who in ("coordinator", "reducer", "worker"))
    print(
        f"{largest['companies']:,} companies in {largest['seconds']:.0f} s (target for 100,000: "
        f"{MOST_SECONDS}), {memory:.2f} GB at most a process (target: {MOST_GB})"
    )
    if pair:
        one, two = pair
        faster = one["stages"]["evaluate"] / two["stages"]["evaluate"]
        equal = "equal" if one["fingerprint"] == two["fingerprint"] else "DIFFERENT"
        print(f"two workers evaluate {faster:.2f} times as fast as one; tables {equal}")
    print(
        keep("scenario", {"asked": vars(args), "runs": runs, "pair": pair, "marginal": steps}).name
    )


if __name__ == "__main__":
    main()
