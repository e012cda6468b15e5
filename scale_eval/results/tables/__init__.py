"""The result tables of a run; each module makes, describes and registers one."""

from scale_eval.evaluation import schema
from scale_eval.results.tables.base import MetricInputs, MetricTable, RunInputs, RunTable, Table
from scale_eval.results.tables.choice_regret import CHOICE_REGRET
from scale_eval.results.tables.companies import COMPANIES
from scale_eval.results.tables.comparisons import COMPARISONS
from scale_eval.results.tables.finite_population import SAMPLED
from scale_eval.results.tables.periods import PERIODS
from scale_eval.results.tables.pooled import POOLED
from scale_eval.results.tables.reliability import DECOMPOSITIONS, RELIABILITY
from scale_eval.results.tables.spread import SPREAD

TABLES: dict[str, MetricTable | RunTable] = {
    table.name: table
    for table in (
        COMPANIES,
        POOLED,
        COMPARISONS,
        RELIABILITY,
        DECOMPOSITIONS,
        SPREAD,
        PERIODS,
        CHOICE_REGRET,
        SAMPLED,
    )
}
"""Every result table by name, in the order in which they are written."""


def tables_of(*, sample: bool) -> list[MetricTable | RunTable]:
    """Return the tables of a run of a `sample` of the companies, or of all of them."""
    return [table for table in TABLES.values() if sample or not table.only_of_samples]


def conventions() -> dict[str, str]:
    """Return how every figure is computed, by name; recorded in `run.json`."""
    computed = dict(schema.CONVENTIONS)
    for table in TABLES.values():
        computed |= table.conventions
    return computed


__all__ = [
    "TABLES",
    "MetricInputs",
    "MetricTable",
    "RunInputs",
    "RunTable",
    "Table",
    "conventions",
    "tables_of",
]
