"""The table `companies`: each company's own figures over its cutoffs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel, terms
from scale_eval.results.schemas import COMPANIES_SCHEMA


def companies_table(panel: Panel, metrics: list[Metric]) -> pa.Table:
    """One row a (company, model, metric), over the evaluations of that model that are ok.

    `mean` is the company's figure: the mean over its defined cutoffs; for O:E the sum of observed
    over the sum of expected; for a skill 1 - mean loss / mean reference loss. `std` (ddof 1), `min`
    and `max` are of the cutoffs' values: time and noise, not differences between companies.
    `latest` is the value at the latest cutoff that is ok.
    """
    n_companies = len(panel.company_ids)
    pieces = []
    for j, model in enumerate(panel.models):
        ok = panel.ok[:, j]
        evaluated = panel.status[:, j] != None  # noqa: E711 - elementwise
        latest = np.full(n_companies, -1)
        latest[panel.company[ok]] = np.flatnonzero(ok)  # windows are in order of time
        for metric in metrics:
            values = panel.columns[metric.name][:, j]
            defined = ok & ~np.isnan(values)
            by_company = pd.Series(values[defined]).groupby(panel.company[defined])
            spread = by_company.agg(["std", "min", "max"]).reindex(range(n_companies))
            pieces.append(
                pd.DataFrame(
                    {
                        "company_id": panel.company_ids,
                        "model": model,
                        "metric": metric.name,
                        "n_evaluations": panel.count_by_company(evaluated),
                        "n_cutoffs": panel.count_by_company(ok),
                        "n_defined": panel.count_by_company(defined),
                        "mean": terms(panel, metric, j, weighted=False).by_company(panel, ok),
                        "std": spread["std"].to_numpy(),
                        "min": spread["min"].to_numpy(),
                        "max": spread["max"].to_numpy(),
                        "latest": np.where(latest >= 0, values[latest], np.nan),
                        "shrunk": np.nan,
                        "shrinkage_weight": np.nan,
                    }
                )
            )
    frame = pd.concat(pieces).sort_values(["company_id", "model"], kind="stable")
    return pa.Table.from_pandas(frame, schema=COMPANIES_SCHEMA, preserve_index=False)
