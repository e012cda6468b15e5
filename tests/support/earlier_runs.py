"""Directories of runs whose comparisons are known, without a run: what `plan --power` reads."""

from __future__ import annotations

from os import PathLike

import pyarrow as pa

from scale_eval.results.directory import RunDirectory
from scale_eval.results.tables import TABLES
from scale_eval.storage import open_store, write_table

FIGURE = {"metric": "log_loss", "estimand": "equal_company", "coverage": "common"}
PAIR = {"metric": "log_loss", "estimand": "equal_company", "stratum": "all", "margin": 0.002}


def a_run(
    place: str | PathLike[str],
    tables: dict[str, list[dict]],
    *,
    data: str = "other",
    status: str = "finished",
    **facts: int,
) -> RunDirectory:
    """Write the directory of a run with these rows of its tables; `data` is its dataset's hash."""
    directory = RunDirectory(open_store(place))
    directory.begin({"data": data, "seed": 0, "metrics": {}}, {}, {})
    directory.record(status=status, **facts)
    for name, rows in tables.items():
        table = pa.Table.from_pylist(rows, schema=TABLES[name].schema)
        write_table(directory.store, f"{name}.parquet", table)
    return directory


def two_models(by=0.001, error=0.003, n=40, **others) -> dict[str, list[dict]]:
    """`good` is better than `weak` by this much, plus or minus an error."""
    pooled = [FIGURE | {"model": m, "value": v} for m, v in {"weak": 0.4 + by, "good": 0.4}.items()]
    ends = {"ci_low": -by - 2 * error, "ci_high": -by + 2 * error}
    row = {"model_a": "good", "model_b": "weak", "mean_difference": -by, "std_error": error}
    return {"pooled": pooled, "comparisons": [PAIR | row | ends | {"n_companies": n} | others]}
