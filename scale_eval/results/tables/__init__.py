"""The result tables of a run; each module makes, describes and registers one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scale_eval.lazy import Registry

if TYPE_CHECKING:
    from scale_eval.results.tables.base import MetricTable, RunTable

TABLES: Registry[MetricTable | RunTable] = Registry(
    {
        "companies": "scale_eval.results.tables.companies:COMPANIES",
        "pooled": "scale_eval.results.tables.pooled:POOLED",
        "comparisons": "scale_eval.results.tables.comparisons:COMPARISONS",
        "reliability": "scale_eval.results.tables.reliability:RELIABILITY",
        "decompositions": "scale_eval.results.tables.reliability:DECOMPOSITIONS",
        "gains": "scale_eval.results.tables.gains:GAINS",
        "company_gains": "scale_eval.results.tables.company_gains:COMPANY_GAINS",
        "score_spread": "scale_eval.results.tables.score_spread:SCORE_SPREAD",
        "spread": "scale_eval.results.tables.spread:SPREAD",
        "periods": "scale_eval.results.tables.periods:PERIODS",
        "choice_regret": "scale_eval.results.tables.choice_regret:CHOICE_REGRET",
        "sampled": "scale_eval.results.tables.finite_population:SAMPLED",
    }
)
"""Every result table by name, in the order in which they are written."""


def tables_of(*, sample: bool) -> list[MetricTable | RunTable]:
    """Return the tables of a run of a `sample` of the companies, or of all of them."""
    return [table for table in TABLES.values() if sample or not table.only_of_samples]


def conventions() -> dict[str, str]:
    """Return how every figure is computed, by name; recorded in `run.json`."""
    from scale_eval.evaluation import schema

    computed = dict(schema.CONVENTIONS)
    for table in TABLES.values():
        computed |= table.conventions
    return computed
