"""Evaluation side by side with its peers: evaluations per second on one core, and the same figures.

    python -m benchmarks.peers [--dataset PLACE | --companies 3000] [--few 16] [--some 300]

The same companies, six half-years each, the models base_rate, recency, rfm_logistic and bgnbd (the
last two fitted per company and cutoff), and all metrics and standard errors of the table, by

- an analyst's loop in pandas, scikit-learn and SciPy (`benchmarks.analyst`);
- the same by joblib, companies dealt to as many processes as there are cores;
- the same by naive Dask: `dask.delayed` per evaluation, on a LocalCluster of one worker;
- queries of Polars by hand (`benchmarks.polars_query`), which leave out intercept and slope of the
  calibration, and take scale_eval's compiled fits for rfm_logistic and bgnbd;
- scale_eval in one process: `evaluate_companies` over `Dataset.read_many`;
- scale_eval on Dask, in batches, with one worker, which also writes the results.

Slow peers do few companies, Polars some, both chosen so that their mean size is that of all;
scale_eval does the same few, the same some, and all. Every process is limited to one thread. Times
are marginal: everything has been started, imported and compiled before. Work is done by turns, and
the least time counts. Processor seconds are those of all processes that take part (joblib's and
Dask's too), and are meaningful even where others use the machine; a rate per core divides by the
available cores.

Figures are compared with those of scale_eval in one process, evaluation by evaluation.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from dask import compute, delayed  # type: ignore[attr-defined]
from distributed import Client

from benchmarks import analyst, polars_query
from benchmarks.clocks import Spent, interleaved, spent
from benchmarks.companies import (
    LAST,
    Job,
    copy_of,
    dataset_of,
    of_all_sizes,
    with_all_windows,
)
from benchmarks.machine import confine_to_one_thread, cores, keep, machine_line
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.windows import Window
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.execution.coordinator import execute
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.models.built_in import DEFAULT_MODELS
from scale_eval.planning.cost_model import Costs

FORMULAS = ("base_rate", "recency")
N_GROUPS = 64
KEY = ["company_id", "cutoff", "model"]
FIGURES = [*METRICS, *STANDARD_ERRORS]

TOLERANCES = {"formula": 1e-9, "formula, calibration": 1e-5, "fit": 1e-5, "fit, calibration": 1e-3}
"""Largest differences that are taken for agreement, relative to the figure where that is above 1.

A formula gives the same but for rounding. Where either side iterates (a fit, the calibration's
intercept and slope) both stop short of the same point.
"""


NAMES = {
    "analyst": ("pandas + scikit-learn + SciPy loop", "ours, few"),
    "joblib": ("the same by joblib over companies", "ours, few"),
    "delayed": ("the same by dask.delayed per evaluation", "ours, few"),
    "ours, few": ("scale_eval, one process", "ours, few"),
    "polars": ("Polars by hand, compiled fits, no calibration", "ours, some"),
    "ours, some": ("scale_eval, one process", "ours, some"),
    "polars, formulas": ("Polars by hand, base_rate and recency only", "ours, formulas"),
    "ours, formulas": ("scale_eval, one process, these two", "ours, formulas"),
    "ours": ("scale_eval, one process", "ours"),
    "batches": ("scale_eval on Dask in batches, 1 worker, written", "ours"),
}
"""Names of the peers, each with the measurement of scale_eval that did the same work."""


@dataclass(frozen=True)
class Task:
    """The companies to evaluate, in the shape that each peer takes."""

    job: Job

    @property
    def n(self) -> int:
        """Return the number of evaluations."""
        return self.job.n_evaluations

    @cached_property
    def files(self) -> list[Path]:
        """Return the files of the transactions."""
        return sorted((Path(self.job.dataset.store.root) / "transactions").rglob("*.parquet"))

    @cached_property
    def begins(self) -> np.ndarray:
        """Return the starts of the windows in microseconds since 1970 UTC, (n_companies, LAST)."""
        return self.job.plan.windows.cutoff.reshape(-1, LAST)

    @cached_property
    def ends(self) -> np.ndarray:
        """Return the ends of the windows, as `begins`."""
        return self.job.plan.windows.horizon_end.reshape(-1, LAST)

    @cached_property
    def stamps(self) -> dict[str, list[tuple[pd.Timestamp, pd.Timestamp]]]:
        """Return the windows of each company as timestamps."""
        return {
            company_id: [
                (from_microseconds(begin), from_microseconds(end))
                for begin, end in zip(begins, ends, strict=True)
            ]
            for company_id, begins, ends in zip(
                self.job.plan.company_ids, self.begins.tolist(), self.ends.tolist(), strict=True
            )
        }

    @cached_property
    def windows(self) -> dict[str, list[tuple[Window, bool]]]:
        """Return the windows in scale_eval's form."""
        return {
            company_id: [(Window(begin, end), False) for begin, end in windows]
            for company_id, windows in self.stamps.items()
        }

    @cached_property
    def bounds(self) -> pl.DataFrame:
        """Return the windows in the form of `polars_query`, with a half-year to train on."""
        first = pd.to_datetime(self.begins[:, 0], unit="us")
        before = (first - analyst.HALF_YEAR).as_unit("us").asi8
        edges = np.column_stack([before, self.begins, self.ends[:, -1]])
        times = {f"b{k}": pl.Series(column) for k, column in enumerate(edges.T)}
        return pl.DataFrame({"company_id": self.job.plan.company_ids, **times}).with_columns(
            pl.col(list(times)).cast(pl.Datetime("us", "UTC"))
        )


def by_analyst(task: Task) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for company_id, company in _read(task).groupby("company_id"):
        rows += analyst.evaluate_company(
            company_id, company, task.stamps[company_id], task.job.models
        )
    return pd.DataFrame(rows)


def by_joblib(task: Task) -> pd.DataFrame:
    parallel = joblib.Parallel(n_jobs=cores(), backend="loky")
    parts = parallel(
        joblib.delayed(analyst.evaluate_company)(
            company_id, company, task.stamps[company_id], task.job.models
        )
        for company_id, company in _read(task).groupby("company_id")
    )
    return pd.DataFrame([row for part in parts for row in part])


def by_delayed(task: Task) -> pd.DataFrame:
    """Evaluate by a graph that reads each company once and has a node an evaluation."""
    nodes, keys = [], []
    for company_id, windows in task.stamps.items():
        company = delayed(_company)(task.files, company_id)
        for begin, end in windows:
            for model in task.job.models:
                nodes.append(delayed(analyst.evaluate)(company, begin, end, model))
                keys.append({"company_id": company_id, "cutoff": begin, "model": model})
    figures = compute(*nodes)
    return pd.DataFrame([key | found for key, found in zip(keys, figures, strict=True)])


def by_polars(task: Task) -> pd.DataFrame:
    return polars_query.evaluate(task.files, task.bounds, task.job.models).to_pandas()


def by_scale_eval(task: Task) -> pd.DataFrame:
    return in_one_process(task).table().to_pandas()


def in_one_process(task: Task) -> EvaluationRows:
    """Evaluate as a worker does, but for writing.

    Scores are counted by groups of companies, as in a run of many companies.
    """
    job = task.job
    rows, counts = EvaluationRows(job.n_evaluations), ScoreCounts()
    models = list(job.named.values())
    ids = job.dataset.reading_order(job.plan.company_ids)
    group = dict(zip(job.plan.company_ids, job.plan.group.tolist(), strict=True))

    def loaded() -> Iterator[LoadedCompany]:
        for company_id, company in job.dataset.read_many(ids):
            if isinstance(company, Exception):
                raise company
            windows = task.windows[company_id]
            yield LoadedCompany(company, windows, models, group[company_id] % N_GROUPS)

    evaluate_companies(loaded(), job.settings.rules, rows, counts)
    rows.table()
    counts.sparse()
    return rows


@contextmanager
def one_worker() -> Iterator[Client]:
    with dask_client(workers=1) as client:
        yield client


def with_delayed(task: Task, warm: Task, kept: dict[str, pd.DataFrame]) -> Spent:
    with one_worker():
        by_delayed(warm)
        with spent() as seconds:
            kept["delayed"] = by_delayed(task)
    return seconds


def with_batches(task: Task, warm: Task, costs: Costs, kept: dict[str, pd.DataFrame]) -> Spent:
    with one_worker() as client, tempfile.TemporaryDirectory() as directory:
        places = Path(directory) / "warm", Path(directory) / "run"
        for _ in execute(
            client, warm.job.batches("batch", costs), warm.job.work(places[0]), timeout=3600
        ):
            pass
        batches, work = task.job.batches("batch", costs), task.job.work(places[1])
        with spent() as seconds:
            for _ in execute(client, batches, work, timeout=3600):
                pass
        kept["batches"] = pd.read_parquet(places[1] / "evaluations")
    return seconds


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


def _read(task: Task) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in task.files])


def _company(files: list[Path], company_id: str) -> analyst.Company:
    chosen = [("company_id", "==", company_id)]
    return analyst.Company(pd.concat([pd.read_parquet(f, filters=chosen) for f in files]))


def clocked(
    work: Callable[[Task], pd.DataFrame], task: Task, name: str, kept: dict[str, pd.DataFrame]
) -> Callable[[], Spent]:
    def take() -> Spent:
        with spent() as seconds:
            kept[name] = work(task)
        return seconds

    return take


def only(task: Task, models: tuple[str, ...]) -> Task:
    """Return the rows of some models."""
    return Task(Job(task.job.dataset, models))


def measure(few: Task, some: Task, all_: Task, warm: Task, rounds: int) -> dict[str, Any]:
    """Measure seconds, rates and differences by peer."""
    kept: dict[str, pd.DataFrame] = {}
    simple = only(some, FORMULAS)
    costs = Costs().updated(in_one_process(some))
    by_turns = {
        "analyst": (few, 1, by_analyst),
        "joblib": (few, cores(), by_joblib),
        "polars": (some, 1, by_polars),
        "polars, formulas": (simple, 1, by_polars),
        "ours, few": (few, 1, by_scale_eval),
        "ours, some": (some, 1, by_scale_eval),
        "ours, formulas": (simple, 1, by_scale_eval),
        "ours": (all_, 1, by_scale_eval),
    }
    works = {
        name: (task, n_cores, clocked(work, task, name, kept))
        for name, (task, n_cores, work) in by_turns.items()
    }
    works["delayed"] = few, 1, lambda: with_delayed(few, warm, kept)
    works["batches"] = all_, 1, lambda: with_batches(all_, some, costs, kept)
    for work in (by_analyst, by_joblib, by_polars, by_scale_eval):
        work(warm)
    seconds = interleaved({name: work for name, (_, _, work) in works.items()}, rounds)
    return {
        name: {
            "companies": works[name][0].job.n_companies,
            "evaluations": works[name][0].n,
            "cores": works[name][1],
            **asdict(seconds[name]),
            "per_second": works[name][0].n / seconds[name].wall / works[name][1],
            "per_cpu_second": works[name][0].n / seconds[name].cpu,
            "differences": largest_differences(kept[ours], kept[name]),
        }
        for name, (_, ours) in NAMES.items()
    }


def print_table(peers: dict[str, Any]) -> None:
    print(
        f"{'':50}{'companies':>10}{'cores':>6}{'seconds':>9}{'cpu s':>8}"
        f"{'per core s':>11}{'per cpu s':>10}{'ratio':>7}{'of cpu':>7}"
    )
    for name, (title, ours) in NAMES.items():
        row, base = peers[name], peers[ours]
        print(
            f"{title:50}{row['companies']:10,}{row['cores']:6}{row['wall']:9.2f}{row['cpu']:8.2f}"
            f"{row['per_second']:11,.0f}{row['per_cpu_second']:10,.0f}"
            f"{base['per_second'] / row['per_second']:7.1f}"
            f"{base['per_cpu_second'] / row['per_cpu_second']:7.1f}"
        )
    print(
        "\nper core s: evaluations per second of the clock and core; per cpu s: per second of all "
        "processors used.\nratio: how many times slower than scale_eval in one process, which did "
        "the same companies and models."
    )
    ours, few = peers["ours"], peers["analyst"]
    print(
        f"scale_eval on all against the loop on few: "
        f"{ours['per_second'] / few['per_second']:,.0f} times "
        f"({ours['per_cpu_second'] / few['per_cpu_second']:,.0f} by cpu)"
    )
    print("\nlargest differences from scale_eval in one process (tolerance):")
    kinds = "".join(f"{f'{kind} ({limit:.0e})':>30}" for kind, limit in TOLERANCES.items())
    print(f"{'':50}{'figures':>10}{'one-sided':>10}{kinds}")
    for name, (title, _) in NAMES.items():
        apart = peers[name]["differences"]
        values = "".join(
            f"{apart[kind]:30.1e}" if kind in apart else f"{'':30}" for kind in TOLERANCES
        )
        print(f"{title:50}{apart['figures']:10,}{apart['one_sided']:10}{values}")


def disagreements(peers: dict[str, Any]) -> list[str]:
    """Return the differences that exceed their tolerances, in words."""
    found = []
    for name, row in peers.items():
        differences = row["differences"]
        if differences["one_sided"]:
            found.append(f"{name}: {differences['one_sided']} figures on one side only")
        found += [
            f"{name}: {kind} differs by {differences[kind]:.1e}"
            for kind, limit in TOLERANCES.items()
            if differences.get(kind, 0.0) > limit
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", help="Otherwise synthetic companies are made.")
    parser.add_argument("--companies", type=int, default=3_000)
    parser.add_argument("--few", type=int, default=16)
    parser.add_argument("--some", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    confine_to_one_thread("benchmarks.peers")
    pa.set_cpu_count(1)
    warnings.simplefilter("ignore")  # of scikit-learn, on tiny companies; ours has none
    with (
        dataset_of(args.dataset, args.companies) as dataset,
        tempfile.TemporaryDirectory() as t,
    ):
        companies = with_all_windows(dataset)[: args.companies]
        whole = copy_of(dataset, companies, Path(t) / "all")
        few, some, warm = (
            Task(Job(copy_of(whole, of_all_sizes(whole, min(n, len(companies))), Path(t) / name)))
            for name, n in (("few", args.few), ("some", args.some), ("warm", 4))
        )
        all_ = Task(Job(whole))
        sizes = ", ".join(
            f"{task.job.n_companies:,} of {task.job.mean_customers:.0f} customers on average"
            for task in (few, some, all_)
        )
        print(
            f"{machine_line()}\ncompanies: {sizes}; {LAST} cutoffs, {len(DEFAULT_MODELS)} models; "
            f"least of {args.rounds} rounds\n"
        )
        peers = measure(few, some, all_, warm, args.rounds)
    print_table(peers)
    wrong = disagreements(peers)
    print("\n" + ("\n".join(wrong) if wrong else "All within their tolerances."))
    print(keep("peers", {"asked": vars(args), "tolerances": TOLERANCES, "peers": peers}).name)


if __name__ == "__main__":
    main()
