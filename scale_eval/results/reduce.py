"""From evaluations and scores to the tables that a decision is made on."""

from __future__ import annotations

import pyarrow as pa

from scale_eval.metrics import METRICS, Metric
from scale_eval.results.companies import companies_table
from scale_eval.results.comparisons import comparisons_table
from scale_eval.results.panel import Panel
from scale_eval.results.pooled import pooled_table
from scale_eval.results.run_directory import RunDirectory

CONVENTIONS = {
    "std": "ddof 1, of companies' own figures; in companies, of cutoffs' values",
    "quantiles": "linear between order statistics (Hyndman & Fan 1996, type 7)",
    "mad": "median absolute deviation from the median, unscaled",
    "company figure": "mean over defined cutoffs; O:E: sum O / sum E; "
    "skill: 1 - mean loss / mean reference loss",
    "equal_company": "mean of company figures; O:E: geometric; skill: 1 - mean loss / "
    "mean reference loss, each first averaged within companies",
    "within_company": "roc_auc by pairs; average_precision, gain and lift by positives; "
    "value captured by spend",
    "row rank metrics": "histograms of logit scores, bins of 1/128; error_bound is certified",
    "common coverage": "windows ok for every model that answered anywhere",
    "wins": "companies better by more than the margin of the metric",
    "roc_auc_se": "DeLong 1988, ddof 1",
    "influence": "sums over 16 groups of customers, group = crc32(customer_id) mod 16",
}
"""What the figures are, named in `run.json`."""


def reduce_run(
    run: RunDirectory, metrics: list[Metric], groups: dict[str, int]
) -> dict[str, pa.Table]:
    """Make the tables `companies`, `pooled` and `comparisons`, and write them into the run."""
    tables = reduce_tables(run.evaluations(), run.scores(), metrics, groups)
    for name, table in tables.items():
        run.store.write_table(f"{name}.parquet", table)
    return tables


def reduce_tables(
    evaluations: pa.Table, scores: pa.Table, own_metrics: list[Metric], groups: dict[str, int]
) -> dict[str, pa.Table]:
    """The tables `companies`, `pooled` and `comparisons`, of these evaluations and scores alone.

    Parameters
    ----------
    evaluations, scores : Table
        By the schemas of `scale_eval.results.schemas`; in any order.
    own_metrics : list of Metric
        Beyond those always computed.
    groups : dict
        The group of companies in which each company's scores were kept.
    """
    metrics = [*METRICS.values(), *own_metrics]
    panel = Panel.of(evaluations, metrics)
    pooled = pooled_table(panel, metrics, scores, groups)
    return {
        "companies": companies_table(panel, metrics),
        "pooled": pooled,
        "comparisons": comparisons_table(panel, metrics, pooled),
    }
