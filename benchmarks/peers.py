"""Evaluation side by side with its peers: microseconds of a core, memory, and the same figures.

    python -m benchmarks.peers [--dataset PLACE | --companies 800] [--few 10] [--some 150]

The same companies, six half-years each, the models base_rate, recency, rfm_logistic and bgnbd (the
last two fitted per company and cutoff), and all metrics and standard errors of the table, by

- an analyst's loop in pandas, scikit-learn and SciPy (`benchmarks.analyst`);
- the same by joblib, companies dealt to as many processes as there are cores;
- the same by naive Dask: `dask.delayed` per evaluation, on a LocalCluster of one worker;
- queries of Polars by hand (`benchmarks.polars_query`);
- scale_eval in one process: `evaluate_companies` over `Dataset.read_many`;
- scale_eval on Dask, in batches, with one worker.

`utilsforecast` and `sktime` know no customers: they can only score probabilities that are given
(`benchmarks.scoring_peers`), and stand beside scale_eval's own clock of its scoring, in memory.

Slow peers do few companies, Polars some, both chosen so that their mean size is that of all;
scale_eval does the same few, the same some, and all. Transactions are read from Parquet and
figures written to it. Each peer has a process of its own whose libraries have one thread, so that
its peak memory is its own (its imports and the processes that it started included). It does its
task once to warm up (the slow ones four companies), then `--rounds` times, of which the quickest
counts. A peer whose
package is missing, or that fails, or takes longer than `--limit`, becomes a row that says so.

Figures are compared with those of scale_eval in one process, evaluation by evaluation; where they
differ by more than the tolerance, or a peer fails, so does the benchmark (exit code 1).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import queue
import sys
import tempfile
import textwrap
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]
import pyarrow as pa

from benchmarks import peer_work, scoring_peers
from benchmarks.clocks import Spent, spent
from benchmarks.companies import LAST, Job, copy_of, dataset_of, of_all_sizes, with_all_windows
from benchmarks.machine import confine_to_one_thread, cores, keep, machine_line, peak_gb
from benchmarks.peer_work import Task
from scale_eval.datasets import open_dataset
from scale_eval.evaluation.rows import SCORE_SECONDS
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.models.built_in import DEFAULT_MODELS
from scale_eval.planning.cost_model import Costs

FORMULAS = ("base_rate", "recency")
KEY = ["company_id", "cutoff", "model"]
FIGURES = [*METRICS, *STANDARD_ERRORS]

TOLERANCES = {"formula": 1e-9, "formula, calibration": 1e-5, "fit": 1e-5, "fit, calibration": 1e-3}
"""Largest differences that are taken for agreement, relative to the figure where that is above 1.

A formula gives the same but for rounding. Where either side iterates (a fit, the calibration's
intercept and slope) both stop short of the same point.
"""


@dataclass(frozen=True)
class Peer:
    """A peer.

    Attributes
    ----------
    title : str
    companies : str
        Which it does: few, some or all.
    ours : str
        The measurement of scale_eval that did the same work.
    lacks : str
        What it does not do.
    package : str
        The package that it needs beside those of scale_eval.
    n_cores : int
    models : tuple of str
    """

    title: str
    companies: str
    ours: str
    lacks: str = ""
    package: str = ""
    n_cores: int = 1
    models: tuple[str, ...] = DEFAULT_MODELS


_NO_SUMS = "no sums of influence, no histograms of scores"
_ONLY_SCORES = "scores given probabilities: no history, no fits, no other metrics"

PEERS = {
    "ours, few": Peer("scale_eval, few", "few", "ours, few"),
    "analyst": Peer("pandas + scikit-learn loop", "few", "ours, few", _NO_SUMS),
    "joblib": Peer("the same by joblib", "few", "ours, few", _NO_SUMS, n_cores=cores()),
    "delayed": Peer("the same by dask.delayed", "few", "ours, few", _NO_SUMS),
    "ours, some": Peer("scale_eval, some", "some", "ours, some"),
    "polars": Peer(
        "Polars by hand",
        "some",
        "ours, some",
        f"{_NO_SUMS}, no calibration; takes the compiled fits of scale_eval",
        "polars",
    ),
    "ours, formulas": Peer("scale_eval, two formulas", "some", "ours, formulas", models=FORMULAS),
    "polars, formulas": Peer(
        "Polars, two formulas",
        "some",
        "ours, formulas",
        f"{_NO_SUMS}, no calibration",
        "polars",
        models=FORMULAS,
    ),
    "ours": Peer("scale_eval, all", "all", "ours"),
    "batches": Peer("scale_eval on Dask, all", "all", "ours"),
    "ours, scoring": Peer("scale_eval, scoring alone", "some", "ours, scoring"),
    "utilsforecast": Peer(
        "utilsforecast, two losses",
        "some",
        "ours, scoring",
        f"{_ONLY_SCORES}; its log loss is a metric written by hand",
        "utilsforecast",
    ),
    "sktime": Peer(
        "sktime, Brier score",
        "some",
        "ours, scoring",
        f"{_ONLY_SCORES}, no log loss; its splitters and `evaluate` know times, not customers",
        "sktime",
    ),
}

WORKS: dict[str, Callable[[Task], pd.DataFrame]] = {
    "analyst": peer_work.by_analyst,
    "joblib": peer_work.by_joblib,
    "delayed": peer_work.by_delayed,
    "polars": peer_work.by_polars,
    "polars, formulas": peer_work.by_polars,
}
"""What peers do from the transactions; scale_eval in one process where there is none."""

SLOW = ("analyst", "joblib", "delayed")
"""Peers that warm up with four companies; nothing of theirs is compiled, or loaded by size."""

SCORING = {
    "utilsforecast": scoring_peers.by_utilsforecast,
    "sktime": scoring_peers.by_sktime,
}


def measured(name: str, places: dict[str, Path], rounds: int) -> dict[str, Any]:
    """Let a peer do its task, write its figures to its place, and measure it."""
    peer = PEERS[name]
    task, warm = (
        Task(Job(open_dataset(places[which]), peer.models)) for which in (peer.companies, "warm")
    )
    with contextlib.ExitStack() as stack:
        client = None
        if name in ("delayed", "batches"):
            client = stack.enter_context(dask_client(workers=1))
        runs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        costs = Costs().updated(peer_work.in_one_process(warm))

        def take(task: Task, run: Path) -> Spent:
            if name == "ours, scoring":
                rows = peer_work.in_one_process(task)
                rows.table().to_pandas().to_parquet(places[name])
                seconds = float(np.nansum(rows.seconds[:, SCORE_SECONDS]))
                return Spent(seconds, seconds)
            predicted = scoring_peers.predictions_of(task) if name in SCORING else None
            with spent() as clock:
                if predicted is not None:
                    table = SCORING[name](task, predicted)
                elif name == "batches":
                    assert client is not None
                    table = peer_work.in_batches(client, task, costs, run)
                else:
                    table = WORKS.get(name, peer_work.by_scale_eval)(task)
                if name not in SCORING:
                    table.to_parquet(places[name])
            table.to_parquet(places[name])
            return clock

        take(warm if name in SLOW else task, runs / "warm")
        times = [take(task, runs / str(k)) for k in range(rounds)]
        children = psutil.Process().children(recursive=True)
        memory = peak_gb() + sum(peak_gb(str(child.pid)) for child in children)
    least = min(times, key=lambda clock: clock.wall)
    n = task.n
    return {
        "companies": task.job.n_companies,
        "evaluations": n,
        **asdict(least),
        "us": 1e6 * least.wall * peer.n_cores / n,
        "cpu_us": 1e6 * least.cpu / n,
        "mb": 1e3 * memory,
    }


def answered(name: str, places: dict[str, Path], rounds: int, answer: Any) -> None:
    """Put what `measured` returns, or why it did not."""
    pa.set_cpu_count(1)
    warnings.simplefilter("ignore")  # of scikit-learn, on tiny companies; ours has none
    try:
        answer.put(measured(name, places, rounds))
    except Exception as error:
        traceback.print_exc()
        answer.put({"failed": f"{type(error).__name__}: {error}".splitlines()[0]})


def in_own_process(name: str, places: dict[str, Path], rounds: int, limit: float) -> dict[str, Any]:
    """Measure a peer in a process of its own, which is ended after `limit` seconds."""
    package = PEERS[name].package
    if package and importlib.util.find_spec(package) is None:
        return {"missing": f"{package} is not installed"}
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=answered, args=(name, places, rounds, answer))
    process.start()
    try:
        found: dict[str, Any] = answer.get(timeout=limit)
    except queue.Empty:
        found = {"failed": f"not done within {limit:.0f} s"}
    process.join(0 if "failed" in found else 10)
    if process.is_alive():
        own = psutil.Process(process.pid)
        for each in [*own.children(recursive=True), own]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    return found


def largest_differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, Any]:
    """Return the largest differences of figures of the same evaluations, relative above 1.

    Returns
    -------
    dict
        By kind (see TOLERANCES) the largest difference, `evaluations` compared, and the `figures`
        that one side has and the other has not.
    """
    theirs = theirs.assign(cutoff=theirs["cutoff"].dt.as_unit("us"))
    both = ours.merge(theirs, on=KEY, how="left", suffixes=("", "_theirs"), validate="1:1")
    formula = both["model"].isin(FORMULAS).to_numpy()
    differences: dict[str, Any] = {"evaluations": len(both), "figures": 0, "one_sided": 0}
    for name in FIGURES:
        if name not in theirs:
            continue
        a = both[name].to_numpy(dtype=float)
        b = both[f"{name}_theirs"].to_numpy(dtype=float)
        with np.errstate(invalid="ignore"):
            difference = np.abs(a - b) / np.maximum(1.0, np.abs(a))
        differences["figures"] += int(np.isfinite(difference).sum())
        differences["one_sided"] += int((np.isfinite(a) != np.isfinite(b)).sum())
        calibration = ", calibration" if name.startswith("calibration_") else ""
        for kind, of_kind in (("formula", formula), ("fit", ~formula)):
            found = difference[of_kind & np.isfinite(difference)].max(initial=-1.0)
            if found >= 0:
                kind += calibration
                differences[kind] = max(differences.get(kind, 0.0), float(found))
    return differences


def compare(peers: dict[str, Any], places: dict[str, Path]) -> None:
    """Add to each peer that did its task its factor, and its differences from scale_eval."""
    for name, row in peers.items():
        ours = PEERS[name].ours
        if "us" in row and "us" in peers[ours]:
            base = peers[ours]
            row |= {"factor": row["us"] / base["us"], "cpu_factor": row["cpu_us"] / base["cpu_us"]}
            row["differences"] = largest_differences(
                pd.read_parquet(places[ours]), pd.read_parquet(places[name])
            )


def print_table(peers: dict[str, Any]) -> None:
    head = f"{'peer':27}{'cores':>6}{'evaluations':>12}{'us each':>9}{'factor':>8}{'MB':>7}"
    print(f"{head}{'difference':>11}")
    for name, row in peers.items():
        peer = PEERS[name]
        if "differences" not in row:
            why = row.get("missing", row.get("failed", "nothing to compare with"))
            print(f"{peer.title:27}  {why}"[:80])
            continue
        apart = max(row["differences"].get(kind, 0.0) for kind in TOLERANCES)
        shown = "" if peer.ours == name else f"{apart:.0e}"
        print(
            f"{peer.title:27}{peer.n_cores:6}{row['evaluations']:12,}{row['us']:9,.0f}"
            f"{row['factor']:8.1f}{row['mb']:7,.0f}{shown:>11}"
        )
    print(
        "\nus each: microseconds of the clock, times cores, an evaluation; factor: how many"
        "\ntimes those of scale_eval in one process for the same companies and models; MB:"
        "\npeak memory of all processes; difference: the largest of a figure, relative above 1."
    )
    print("\nlargest differences by kind, with tolerances")
    print(f"{'peer':27}{'figures':>9}" + "".join(f"{limit:11.0e}" for limit in TOLERANCES.values()))
    print(f"{'':36}{'formula':>11}{'its calib.':>11}{'fit':>11}{'its calib.':>11}")
    for name, row in peers.items():
        if "differences" in row and PEERS[name].ours != name:
            apart = row["differences"]
            values = (f"{apart[kind]:.1e}" if kind in apart else "" for kind in TOLERANCES)
            print(
                f"{PEERS[name].title:27}{apart['figures']:9,}"
                + "".join(f"{value:>11}" for value in values)
            )
    print("\nwhat a peer does not do")
    for peer in PEERS.values():
        if peer.lacks:
            line = f"{peer.title}: {peer.lacks}"
            print(textwrap.fill(line, 80, initial_indent="  ", subsequent_indent="    "))


def disagreements(peers: dict[str, Any]) -> list[str]:
    """Return the failures, and the differences that exceed their tolerances, in words."""
    found = []
    for name, row in peers.items():
        if "failed" in row:
            found.append(f"{name}: {row['failed']}")
        differences = row.get("differences", {})
        if differences.get("one_sided"):
            found.append(f"{name}: {differences['one_sided']} figures on one side only")
        if differences and not differences["figures"]:
            found.append(f"{name}: no figures to compare")
        found += [
            f"{name}: {kind} differs by {differences[kind]:.1e}"
            for kind, limit in TOLERANCES.items()
            if differences.get(kind, 0.0) > limit
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="Otherwise synthetic companies are made.")
    parser.add_argument("--companies", type=int, default=800)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--some", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60.0, help="Seconds of a peer.")
    args = parser.parse_args()
    confine_to_one_thread("benchmarks.peers")
    with (
        dataset_of(args.dataset, args.companies) as dataset,
        tempfile.TemporaryDirectory() as t,
    ):
        places = {name: Path(t) / f"{name}.parquet" for name in PEERS}
        places |= {name: Path(t) / name for name in ("all", "few", "some", "warm")}
        whole = copy_of(dataset, with_all_windows(dataset)[: args.companies], places["all"])
        n_all = len(whole.company_ids)
        for name, n in (("few", args.few), ("some", args.some), ("warm", 4)):
            copy_of(whole, of_all_sizes(whole, min(n, n_all)), places[name])
        jobs = [Job(open_dataset(places[name])) for name in ("few", "some", "all")]
        sizes = ", ".join(f"{job.n_companies:,} of {job.mean_customers:.0f}" for job in jobs)
        print(
            f"{machine_line()}\ncompanies and their mean customers: {sizes}\n"
            f"{LAST} cutoffs, {len(DEFAULT_MODELS)} models; quickest of {args.rounds}\n",
            flush=True,
        )
        peers = {}
        for name in PEERS:
            peers[name] = in_own_process(name, places, args.rounds, args.limit)
        compare(peers, places)
    print_table(peers)
    wrong = disagreements(peers)
    print("\n" + ("\n".join(wrong) if wrong else "All figures are within their tolerances."))
    print(keep("peers", {"asked": vars(args), "tolerances": TOLERANCES, "peers": peers}).name)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
