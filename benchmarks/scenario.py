"""The cost curve: 1,000 to 100,000 companies by the commands that a person runs.

    python -m benchmarks.scenario [--companies 1000 10000 100000] [--pair 10000] [--dataset PLACE]

Six half-years, the models base_rate, recency, rfm_logistic and bgnbd (the last two fitted per
company and cutoff), all metrics; a local cluster with a worker a core. Datasets are made unless
they are named (repeatedly), each for its number of companies. The commands are `scale-eval run`
(which shows its verdict and writes the report), `show`, `report`, `reduce` and `fingerprint`, each
a process, with starting, importing and showing.

It prints for each command the seconds by the clock and of processors, and the peak memory of the
coordinator and of each process that it started (resident, as the system counts it); the seconds of
the workers that the evaluations recorded; one worker against two on `--pair` companies, whose
tables must be equal; and the cost of one more evaluation between one size and the next.

A run of 30 companies comes first, so that compiled code is on disk.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.dataset

import scale_eval as se
from benchmarks.companies import LAST, dataset_of
from benchmarks.machine import cores, keep, machine_line
from benchmarks.watched_command import watch
from scale_eval.datasets import open_dataset
from scale_eval.models.built_in import DEFAULT_MODELS

WARM = 30
COMMANDS = ("run", "show", "report", "reduce", "fingerprint")
PARTS = ("history", "fit", "predict", "score")
"""Parts of the workers' seconds that the evaluations record."""

MOST_SECONDS, MOST_GB, SAME_WITHIN = 60, 1.5, 0.10
"""Targets: seconds of run and report of 100,000 companies, memory of a process, ratio of marginal
costs."""


def measure(place: str, workers: int, models: Sequence[str] = DEFAULT_MODELS) -> dict[str, Any]:
    """Run the commands on a dataset, one after another, and return their figures."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "run"
        options = [option for model in models for option in ("--model", model)]
        run_it = [place, "--out", str(out), "--last", str(LAST), "--workers", str(workers)]
        logs = Path(directory)
        commands = {"run": watch(["run", *run_it, *options], logs / "run.log")}
        document = se.open_run(out).document  # as `run` left it; `reduce` writes it anew
        for name in COMMANDS[1:]:
            commands[name] = watch([name, str(out)], logs / f"{name}.log")
        run = se.open_run(out)
        started = commands["run"].started_gb
        return {
            "companies": len(open_dataset(place).company_ids),
            "workers": workers,
            **counted(run),
            "commands": {
                name: {k: v for k, v in asdict(command).items() if k != "output"}
                for name, command in commands.items()
            },
            "stages": stages_of(document, commands["run"].wall, commands["report"].wall),
            "seconds": commands["run"].wall + commands["report"].wall,
            "parts": parts_of(run),
            "coordinator_gb": max(command.coordinator_gb for command in commands.values()),
            "worker_gb": max(started, default=0.0),
            "run_mb": sum(f.stat().st_size for f in out.rglob("*") if f.is_file()) / 1e6,
            "report_mb": (out / "report.html").stat().st_size / 1e6,
            "fingerprint": commands["fingerprint"].output.split()[-1],
        }


def stages_of(
    document: dict[str, Any], run_seconds: float, report_seconds: float
) -> dict[str, float]:
    """Return the seconds of `run` by its stages, as it recorded them, and those of `report`.

    `evaluate` has the plan and the check too; `start and end` are imports, the verdict, its report.
    """
    session, reduce = (float(document[f"{name}_seconds"]) for name in ("session", "reduce"))
    return {
        "start and end": run_seconds - session,
        "evaluate": session - reduce,
        "reduce": reduce,
        "report": report_seconds,
    }


def counted(run: se.Run) -> dict[str, int]:
    """Count evaluations, those that are `ok`, and the customers that they scored."""
    n = n_ok = n_scores = 0
    for batch in _batches(run, ["status", "n_customers"]):
        ok = pyarrow.compute.equal(batch["status"], "ok")
        n, n_ok = n + len(batch), n_ok + pyarrow.compute.sum(ok).as_py()
        n_scores += pyarrow.compute.sum(batch["n_customers"].filter(ok)).as_py() or 0
    return {"evaluations": n, "ok": n_ok, "scores": n_scores}


def parts_of(run: se.Run) -> dict[str, float]:
    """Return the workers' seconds, by PARTS."""
    parts = dict.fromkeys(PARTS, 0.0)
    for batch in _batches(run, [f"{name}_seconds" for name in PARTS]):
        for name in PARTS:
            parts[name] += pyarrow.compute.sum(batch[f"{name}_seconds"]).as_py() or 0.0
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


def print_commands(runs: Sequence[dict[str, Any]]) -> None:
    print(
        f"{'companies':>10}{'workers':>8}  {'command':12}{'seconds':>9}{'cpu s':>8}"
        f"{'coord GB':>9}  started, GB each"
    )
    for run in runs:
        for name, command in run["commands"].items():
            started = " ".join(f"{gb:.2f}" for gb in command["started_gb"])
            print(
                f"{run['companies']:10,}{run['workers']:8}  {name:12}{command['wall']:9.1f}"
                f"{command['cpu']:8.1f}{command['coordinator_gb']:9.2f}  {started}"
            )
    print(
        "seconds: from the start of the process to its end; cpu s: of it and all that it started;"
        "\nstarted: the workers of a run, and what `run` and `reduce` start to make tables"
    )


def print_parts(runs: Sequence[dict[str, Any]]) -> None:
    print("\nwhat evaluations recorded, in microseconds of a worker an evaluation")
    print(
        f"{'companies':>10}{'workers':>8}{'evaluations':>12}"
        + "".join(f"{part:>9}" for part in PARTS)
        + f"{'scores':>8}{'run MB':>8}"
    )
    for run in runs:
        n = run["evaluations"]
        print(
            f"{run['companies']:10,}{run['workers']:8}{n:12,}"
            + "".join(f"{1e6 * run['parts'][part] / n:9.1f}" for part in PARTS)
            + f"{run['scores'] / n:8.0f}{run['run_mb']:8.0f}"
        )
    print("scores: customers that an evaluation scores, on average")


def print_marginal(steps: Sequence[dict[str, Any]]) -> None:
    print(
        f"\n{'':22}{'us an evaluation':>17}{'evaluating':>13}{'ns a score':>11}{'scores each':>13}"
    )
    for step in steps:
        print(
            f"{step['from']:10,} to {step['to']:8,}{step['us_an_evaluation']:17.1f}"
            f"{step['us_an_evaluation_evaluating']:13.1f}{step['ns_a_score_evaluating']:11.1f}"
            f"{step['scores_an_evaluation']:13.0f}"
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
    with datasets_of(args.dataset, sorted({WARM, *sizes, *filter(None, [args.pair])})) as places:
        print(machine_line(), flush=True)
        measure(places[WARM], cores())
        runs = [measure(places[size], cores()) for size in sizes]
        pair = []
        if args.pair:
            pair = [measure(places[args.pair], workers) for workers in (1, 2)]
    steps = marginal(runs)
    print_commands([*runs, *pair])
    print_parts([*runs, *pair])
    print_marginal(steps)
    largest = runs[-1]
    memory = max(
        max(command["coordinator_gb"], *command["started_gb"], 0.0)
        for command in largest["commands"].values()
    )
    print(
        f"{largest['companies']:,} companies: run and report in {largest['seconds']:.0f} s (target "
        f"for 100,000: {MOST_SECONDS}), {memory:.2f} GB at most a process (target: {MOST_GB})"
    )
    equal = True
    if pair:
        one, two = pair
        faster = one["commands"]["run"]["wall"] / two["commands"]["run"]["wall"]
        equal = one["fingerprint"] == two["fingerprint"]
        print(
            f"`run` of two workers is {faster:.2f} times as fast as of one; tables "
            + ("equal" if equal else "DIFFERENT")
        )
    print(
        keep("scenario", {"asked": vars(args), "runs": runs, "pair": pair, "marginal": steps}).name
    )
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
