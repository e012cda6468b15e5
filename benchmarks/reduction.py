"""Seconds and memory of reducing the evaluations of 100,000 companies to all tables.

    python -m benchmarks.reduction [--companies 100000] [--cutoffs 1] [--models 4]

Evaluations are synthetic, written as a run writes them (files, scores, influence sums), and reduced
as `scale-eval reduce` does it, reading and writing included. Beside it, in the same run and on the
same files, comes what an analyst would write in pandas: company means, their quantiles, and a
percentile bootstrap over companies of the mean of each (model, metric) and of each pair's
difference; no random effects, no prediction, no tests, no row figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.machine import keep, peak_gb
from scale_eval.evaluation.schema import INFLUENCED, SCORES_SCHEMA, evaluations_schema
from scale_eval.metrics import METRICS, N_GROUPS
from scale_eval.planning.plan import company_groups
from scale_eval.results.directory import RunDirectory
from scale_eval.results.reduce import reducer_of, write_reduced
from scale_eval.storage import open_store, write_table, write_tables

ROWS_PER_FILE = 20_000
BOOTSTRAP_REPLICATES = 1_000
RATES = ("log_loss", "brier_score", "roc_auc", "average_precision", "gain_at_10")


def company_ids(n: int) -> list[str]:
    return [f"company-{i:06}" for i in range(n)]


def write_run(place: Path, n_companies: int, n_cutoffs: int, n_models: int, seed: int = 0) -> None:
    """Write a run's directory with synthetic evaluations; 3 % of them skipped, some undefined."""
    rng = np.random.default_rng(seed)
    run = RunDirectory(open_store(place))
    run.begin({"seed": 0, "metrics": {}}, {}, {})
    models = ["base_rate", "bgnbd", "recency", "rfm_logistic", *map("model_{}".format, range(9))]
    models = sorted(models[:n_models])
    ids = np.array(company_ids(n_companies), dtype=object)
    cutoffs = pd.date_range("2020-01-01", periods=n_cutoffs, freq="6MS", tz="UTC")
    size = np.maximum(10, np.exp(rng.normal(np.log(109), 1.4, n_companies))).astype(int)
    rate = 1 / (1 + np.exp(-rng.normal(-1.7, 0.8, n_companies)))
    ability = rng.normal(0.9, 0.25, n_companies)
    per_file = max(1, ROWS_PER_FILE // (n_cutoffs * n_models))
    first = None
    for start in range(0, n_companies, per_file):
        part = slice(start, start + per_file)
        frame = _evaluations(rng, ids[part], cutoffs, models, size[part], rate[part], ability[part])
        table = pa.Table.from_pydict(frame, schema=evaluations_schema())
        write_table(run.store, f"evaluations/{start:024}.parquet", table)
        first = table if first is None else first
    n_groups = max(company_groups(list(ids)).values()) + 1
    scores = (_scores(rng, first, cutoff, models, n_groups) for cutoff in cutoffs)
    write_tables(run.store, f"scores/{0:024}.parquet", scores)  # in as many bins as those of all


def _evaluations(
    rng: np.random.Generator,
    ids: np.ndarray,
    cutoffs: pd.DatetimeIndex,
    models: list[str],
    size: np.ndarray,
    rate: np.ndarray,
    ability: np.ndarray,
) -> dict[str, Any]:
    shape = (len(ids), len(cutoffs), len(models))
    rows = int(np.prod(shape))

    def spread(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values[:, None, None], shape).reshape(-1)

    n = spread(size)
    window_rate = 1 / (
        1 + np.exp(-(np.log(rate / (1 - rate))[:, None] + rng.normal(0, 0.2, shape[:2])))
    )
    positive = rng.binomial(size[:, None], window_rate)
    positive = np.repeat(positive[:, :, None], shape[2], axis=2).reshape(-1)
    better = np.linspace(-0.2, 0.2, len(models))
    auc = 1 / (1 + np.exp(-(ability[:, None, None] + better + rng.normal(0, 0.1, shape))))
    auc = auc.reshape(-1)
    observed = positive / n
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    negative = n - positive
    with np.errstate(divide="ignore", invalid="ignore"):
        auc_se = np.sqrt(
            (auc * (1 - auc) + (positive - 1) * (q1 - auc**2) + (negative - 1) * (q2 - auc**2))
            / (positive * negative)
        )
    ranked = (positive > 1) & (negative > 1)
    auc_se = np.where(ranked, auc_se, np.nan)
    auc = np.clip(auc + np.nan_to_num(auc_se) * rng.normal(size=rows), 0.02, 0.98)
    entropy = -(
        np.log(np.clip(observed, 1e-3, 1)) * observed
        + np.log(np.clip(1 - observed, 1e-3, 1)) * (1 - observed)
    )
    loss = entropy * (1.05 - 0.3 * (auc - 0.5)) + 0.01
    values: dict[str, np.ndarray] = {
        "log_loss": loss,
        "brier_score": observed * (1 - observed) * (1.05 - 0.3 * (auc - 0.5)),
        "log_loss_skill": 1 - loss / (entropy * 1.03 + 0.01),
        "brier_skill": rng.normal(0.1, 0.1, rows),
        "roc_auc": np.where(ranked, auc, np.nan),
        "average_precision": np.where(
            positive > 0, observed + 0.5 * (1 - observed) * (auc - 0.5), np.nan
        ),
        "calibration_intercept": np.where(ranked, rng.normal(0, 0.3, rows), np.nan),
        "calibration_slope": np.where(ranked, rng.normal(1, 0.3, rows), np.nan),
        "observed_expected_ratio": np.exp(rng.normal(0, 0.2, rows)),
        "gain_at_10": np.where(positive > 0, 0.1 + 0.3 * (auc - 0.5), np.nan),
        "value_captured_at_10": np.where(positive > 0, 0.1 + 0.4 * (auc - 0.5), np.nan),
    }
    values["observed_expected_ratio"] *= positive > 0
    values["lift_at_10"] = 10 * values["gain_at_10"]
    errors = {
        "log_loss": 0.5 / np.sqrt(n),
        "brier_score": 0.2 / np.sqrt(n),
        "roc_auc": auc_se,
        "log_observed_expected": np.where(
            positive > 0, 1 / np.sqrt(np.maximum(positive, 1)), np.nan
        ),
        "calibration_slope": np.where(ranked, 3 / np.sqrt(n), np.nan),
    }
    of_top = np.where(positive > 1, 0.3 / np.sqrt(np.maximum(positive, 1)), np.nan)
    kept = errors | {"gain_at_10": of_top, "value_captured_at_10": of_top}
    skipped = rng.random(rows) < 0.03
    ok = ~skipped

    def nullable(column: np.ndarray) -> pa.Array:
        return pa.array(column, mask=~ok | ~np.isfinite(np.asarray(column, dtype=float)))

    together = rng.normal(size=(rows // len(models), 1, N_GROUPS))
    undefined = np.where(ranked, "", "calibration_slope:no_positives;roc_auc:no_positives")
    columns: dict[str, Any] = {
        "company_id": np.repeat(ids, shape[1] * shape[2]),
        "cutoff": np.tile(np.repeat(cutoffs.as_unit("us"), shape[2]), shape[0]),
        "horizon_end": np.tile(np.repeat(cutoffs.as_unit("us"), shape[2]), shape[0]),
        "model": np.tile(np.array(models, dtype=object), rows // len(models)),
        "status": np.where(ok, "ok", "skipped"),
        "reason": np.where(ok, "", "history_too_short"),
        "undefined": np.where(ok, undefined, ""),
        "overlaps": np.zeros(rows, dtype=bool),
        "n_customers": nullable(n),
        "n_positive": nullable(positive),
        "n_lapsed": nullable(n // 2),
        "observed_rate": nullable(observed),
        "mean_prediction": nullable(np.clip(observed, 0.01, 1)),
        "future_spend": nullable(30.0 * positive),
        "reference_log_loss": nullable(entropy * 1.03 + 0.01),
        "reference_brier_score": nullable(observed * (1 - observed) * 1.03 + 1e-6),
        "known_rate": nullable(np.clip(observed, 0.01, 0.99)),
        "recalibrated_log_loss": nullable(0.95 * entropy),
        "n_distinct": nullable(n // 2 + 1),
        "attempts": np.ones(rows, dtype=np.int32),
        **{name: nullable(column) for name, column in values.items()},
        **{f"{name}_se": nullable(error) for name, error in errors.items()},
    }
    for name, error in kept.items():
        noise = 0.8 * together + 0.6 * rng.normal(size=(rows // len(models), len(models), N_GROUPS))
        sums = (noise.reshape(rows, N_GROUPS) * (error / 4)[:, None]).astype(np.float32)
        known = ok & np.isfinite(error)
        columns[f"{name}_influence"] = pa.FixedSizeListArray.from_arrays(
            pa.array(sums.reshape(-1)), N_GROUPS, mask=pa.array(~known)
        )
    schema = evaluations_schema()
    return {
        name: columns[name] if name in columns else pa.nulls(rows, schema.field(name).type)
        for name in schema.names
    }


def _scores(
    rng: np.random.Generator,
    evaluations: pa.Table,
    cutoff: pd.Timestamp,
    models: list[str],
    n_groups: int,
) -> pa.Table:
    """Return the customers of evaluations at a cutoff, dealt to bins of all groups."""
    counted = evaluations.select(["model", "cutoff", "n_positive", "n_customers"]).to_pandas()
    of_model = counted[counted["cutoff"] == cutoff].groupby("model").sum(numeric_only=True)
    n_positive = of_model["n_positive"].loc[models].astype(int)
    n_negative = of_model["n_customers"].loc[models].astype(int) - n_positive
    bins = np.arange(900, 2_400)
    shape = (len(models), n_groups, len(bins))
    weight = np.exp(-np.square((bins - 1_700) / 350))
    n_rows = int(np.prod(shape))
    shares = [np.tile(each, n_groups) for each in (weight * bins**2, weight)]
    positive, negative = (
        np.stack([rng.multinomial(n, share / share.sum()) for n in totals])
        for totals, share in zip((n_positive, n_negative), shares, strict=True)
    )
    columns = {
        "model": np.repeat(np.array(models, dtype=object), n_groups * len(bins)),
        "cutoff": pa.array([cutoff.as_unit("us")] * n_rows),
        "company_group": np.tile(np.repeat(np.arange(n_groups), len(bins)), len(models)),
        "answered_by": [";".join(models)] * n_rows,
        "bin": np.tile(bins, len(models) * n_groups),
        "n_positive": positive.reshape(-1),
        "n_negative": negative.reshape(-1),
        "spend_minor": 3_000 * positive.reshape(-1),
        "score": pa.nulls(n_rows, pa.float64()),
    }
    return pa.table(columns).cast(SCORES_SCHEMA)


def reduce_as_a_run(place: Path, n_companies: int) -> None:
    run = RunDirectory(open_store(place))
    groups = company_groups(company_ids(n_companies))
    write_reduced(run, reducer_of(run, [], groups, {}))


def reduce_in_pandas(place: Path, n_companies: int) -> None:
    columns = ["company_id", "model", "status", *RATES]
    frame = pd.read_parquet(place / "evaluations", columns=columns)
    means = frame[frame["status"] == "ok"].groupby(["model", "company_id"])[list(RATES)].mean()
    rng = np.random.default_rng(0)
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    rows = []
    for metric in RATES:
        wide = means[metric].unstack("model").dropna()
        pairs = list(itertools.combinations(wide, 2))
        columns_of = [wide[a] for a in wide] + [wide[a] - wide[b] for a, b in pairs]
        values = np.column_stack([column.to_numpy() for column in columns_of])
        boots = np.array(
            [
                values[rng.integers(0, len(values), len(values))].mean(axis=0)
                for _ in range(BOOTSTRAP_REPLICATES)
            ]
        )
        rows.append(
            (
                values.mean(axis=0),
                np.quantile(values, quantiles, axis=0),
                np.quantile(boots, [0.025, 0.975], axis=0),
            )
        )


def _measured(work: Callable[[Path, int], None], place: Path, n: int, queue: Any) -> None:
    began = time.perf_counter()
    work(place, n)
    queue.put({"seconds": time.perf_counter() - began, "peak_gb": peak_gb()})


def measure(work: Callable[[Path, int], None], place: Path, n_companies: int) -> dict[str, float]:
    """Measure seconds, without imports, and peak memory in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(work, place, n_companies, queue))
    process.start()
    figures: dict[str, float] = queue.get()
    process.join()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companies", type=int, default=100_000)
    parser.add_argument("--cutoffs", type=int, default=1)
    parser.add_argument("--models", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "run"
        write_run(place, arguments.companies, arguments.cutoffs, arguments.models)
        figures = {
            "asked": vars(arguments),
            "scale_eval": measure(reduce_as_a_run, place, arguments.companies),
            "pandas": measure(reduce_in_pandas, place, arguments.companies),
        }
        size = sum(f.stat().st_size for f in place.glob("*.parquet"))
    print(
        f"{arguments.companies:,} companies x {arguments.cutoffs} cutoffs x {arguments.models} "
        "models, "
        f"{len(METRICS)} metrics, {len(INFLUENCED)} with influence; tables {size / 1e6:.0f} MB"
    )
    print(f"{'':34}{'seconds':>9}{'peak GB':>9}")
    for name, kind in (
        ("all tables with intervals", "scale_eval"),
        ("pandas, means and a bootstrap", "pandas"),
    ):
        row = figures[kind]
        print(f"{name:34}{row['seconds']:9.1f}{row['peak_gb']:9.2f}")
    ratio = figures["pandas"]["seconds"] / figures["scale_eval"]["seconds"]
    print(f"pandas takes {ratio:.1f} times as long, for less")
    name = f"reduction-{arguments.cutoffs}-cutoffs"
    print(json.dumps(figures["asked"]), keep(name, figures).name)


if __name__ == "__main__":
    main()
