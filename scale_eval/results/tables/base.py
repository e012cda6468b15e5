"""A result table: its name, its columns, and how it is made, shown and documented.

There are two kinds. A `RunTable` is made from the whole run at once. A `MetricTable` is made metric
by metric, because the sums of influence of one metric take most of the memory of a reduction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.statistics.survey import Design
from scale_eval.storage.columns import NUMBER, TEXT, Column, schema_of

INTERVAL_COLUMNS = (
    Column("ci_low", NUMBER, "Lower end of the 95 % interval.", null="`ci_reason` says why"),
    Column("ci_high", NUMBER, "Upper end of the 95 % interval.", null="`ci_reason` says why"),
    Column("ci_reason", TEXT, "Why there is no interval; empty where there is one."),
    Column(
        "ci_condition",
        TEXT,
        "`no_larger_company` where the interval holds only if no company is larger than those "
        "seen: companies weigh by size, as fewer than 30 (by `n_effective`, or as log-normal sizes "
        "of the same spread would) or with a heavy tail. Otherwise empty.",
    ),
)
"""The interval over companies of a figure, or of a difference of two."""

N_EFFECTIVE_COLUMN = Column(
    "n_effective",
    NUMBER,
    "Effective number of companies: (sum w)^2 / sum w^2.",
    null="no company counts",
)

NO_EFFECTS = "`heterogeneity_reason` says why"
"""Why columns of random effects are null."""


@dataclass(frozen=True)
class RunInputs:
    """The inputs to the tables of a run.

    Attributes
    ----------
    panel : Panel
        The evaluations, with the columns that every table needs; a table that needs others loads
        them with `panel.holding`.
    pooled_scores : callable
        Pools the histograms of scores, for `scores`.
    groups : dict
        The group of companies in which each company's scores were kept.
    margins : dict
        The smallest differences of practical interest that the user set, by metric.
    seed : int
        The seed of the resampling of companies.
    design : Design or None
        How the companies were drawn, for a run of a sample of them.
    company_columns : dict
        The columns of `companies` that do not depend on the metric, by model and coverage, kept by
        the first metric for the others.
    """

    panel: Panel
    pooled_scores: Callable[[], PooledHistograms]
    groups: Mapping[str, int]
    margins: Mapping[str, float]
    seed: int
    design: Design | None = None
    company_columns: dict[tuple[int, str], dict[str, pa.Array]] = field(default_factory=dict)

    @cached_property
    def scores(self) -> PooledHistograms:
        """Return the histograms of scores, pooled when they are first needed."""
        return self.pooled_scores()


@dataclass(frozen=True)
class MetricInputs:
    """The inputs to the rows of one metric.

    Attributes
    ----------
    run : RunInputs
    panel : Panel
        The panel of the run, with the columns of the metric.
    metric : Metric
    influence : ndarray of float32, shape (n_windows, n_models, n_groups), or None
        The influence sums of the metric, where its evaluations keep some.
    models : sequence of int
        The models to make rows for, as positions in the panel.
    """

    run: RunInputs
    panel: Panel
    metric: Metric
    influence: np.ndarray | None
    models: Sequence[int]

    @property
    def scores(self) -> PooledHistograms | None:
        """Return the histograms of scores; None for a metric whose figures are sums over windows.

        To pool them takes seconds in a large run.
        """
        return None if self.metric.row_form is None else self.run.scores


@dataclass(frozen=True)
class Table:
    """A result table: its name, its columns and their documentation.

    Attributes
    ----------
    name : str
        The name of its file, of the attribute of `Run`, and of the table in ``scale-eval show``.
    row : str
        What one row is about.
    doc : str
        A description of the table, in one or more sentences.
    columns : tuple of Column
    shown : tuple of str
        The columns that ``scale-eval show`` prints; the file has all.
    conventions : dict
        How its figures are computed, by name; recorded in `run.json`.
    only_of_samples : bool
        Whether the table is made only for a run of a sample of the companies.
    """

    name: str
    row: str
    doc: str
    columns: tuple[Column, ...]
    shown: tuple[str, ...]
    conventions: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    only_of_samples: bool = field(default=False, kw_only=True)

    @cached_property
    def schema(self) -> pa.Schema:
        """Return the schema of the table."""
        return schema_of(self.columns)


@dataclass(frozen=True)
class RunTable(Table):
    """A table that is made from the whole run.

    Attributes
    ----------
    make : callable
        Makes the table.
    """

    make: Callable[[RunInputs], pa.Table]


@dataclass(frozen=True)
class MetricTable(Table):
    """A table that is made metric by metric.

    Attributes
    ----------
    make : callable
        Makes the rows of one metric.
    by_model : bool
        Whether the rows of each model are made by themselves, so that models can be reduced in
        parallel.
    sorted_by : str or None
        The column by which the rows of all metrics are sorted in the end; rows with equal values
        stay in the order of metrics. Without one, rows are written in the order they are made.
    """

    make: Callable[[MetricInputs], pa.Table]
    by_model: bool = field(default=False, kw_only=True)
    sorted_by: str | None = field(default=None, kw_only=True)

    def joined(self, parts: Sequence[pa.Table]) -> pa.Table:
        """Return the table from the rows of all metrics."""
        whole = pa.concat_tables(parts)
        return whole.sort_by(self.sorted_by) if self.sorted_by else whole
