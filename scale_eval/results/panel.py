"""The evaluations of a run as arrays: one row a window, one column a model.

Arrays reduce 100,000 companies in seconds. They are always in the order of companies and cutoffs,
so that sums do not depend on the order in which evaluations were done or written.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from scale_eval.compiling import compiled
from scale_eval.evaluation.schema import FAILED
from scale_eval.metrics import N_GROUPS, Metric
from scale_eval.results.evaluation_keys import NO_CUTOFF, EvaluationKeys
from scale_eval.results.memory import give_back
from scale_eval.results.panel_columns import Cells, Columns, Parts

COVERAGES = ("own", "common")
"""The windows that a model's figures count: those where it is `ok`, or where every model is."""

BASE_COLUMNS = ("n_customers", "n_positive", "known_rate")
"""The columns that the figures of many metrics need."""

_COLUMN_INDEPENDENT = (
    "ok",
    "skipped",
    "failed",
    "n_ended",
    "common",
    "latest_common_size",
    "_by_cutoff",
    "_rank_at_cutoff",
    "_ids_by_cutoff",
    "_reasons",
)
"""The properties of a panel that do not depend on the columns it holds."""


@dataclass(frozen=True)
class Panel:
    """The evaluations of a run by window and model.

    Attributes
    ----------
    company_ids : ndarray of object, shape (n_companies,)
        Every company, sorted.
    cutoffs : DatetimeIndex of length n_cutoffs
        Every cutoff, sorted.
    company, cutoff : ndarray of int64, shape (n_windows,)
        The (company, cutoff) of each window as positions in `company_ids` and `cutoffs`; sorted.
        The cutoff is -1 where a company has no whole window.
    models : list of str
        Sorted: n_models.
    status : ndarray of int8, shape (n_windows, n_models)
        Positions in `status_texts`; -1 where a model was not evaluated for a window.
    status_texts : list of str
    columns : Columns
        By name, float64 of shape (n_windows, n_models); NaN for null.
    undefined : ndarray of int, shape (n_windows, n_models)
        Positions in `undefined_texts`, which say "metric:reason;..." of an evaluation.
    undefined_texts : list of str
    """

    company_ids: np.ndarray
    cutoffs: pd.DatetimeIndex
    company: np.ndarray
    cutoff: np.ndarray
    models: list[str]
    status: np.ndarray
    status_texts: list[str]
    columns: Columns
    undefined: np.ndarray
    undefined_texts: list[str]
    _parts: Parts
    _cells: Cells
    _made: dict[Hashable, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, parts: Parts) -> Panel:
        """Read the table `evaluations`, refused windows included, its rows in any order.

        The last attempt at an evaluation counts.
        """
        keys = EvaluationKeys.of(parts, ("status", "undefined"))
        read = keys.positions()
        status = read.spread([keys.codes.pop("status")], np.int8, -1)
        undefined = read.spread([keys.codes.pop("undefined")], np.int32, -1)
        columns = Columns(parts, read).holding(BASE_COLUMNS)
        give_back()
        n_instants = max(len(keys.instants), 1)
        no_window = int(np.any(keys.instants == NO_CUTOFF))
        return cls(
            company_ids=keys.company_ids,
            cutoffs=pd.DatetimeIndex(keys.instants[no_window:].astype("M8[us]"), tz="UTC"),
            company=keys.windows // n_instants,
            cutoff=keys.windows % n_instants - no_window,
            models=list(keys.models),
            status=status.T,
            status_texts=keys.texts["status"],
            columns=columns,
            undefined=undefined.T,
            undefined_texts=keys.texts["undefined"],
            _parts=parts,
            _cells=read,
        )

    @property
    def n_companies(self) -> int:
        """Return the number of companies, evaluated or refused."""
        return len(self.company_ids)

    def holding(self, names: Iterable[str]) -> Panel:
        """Return the panel with these columns in memory as well."""
        for name in _COLUMN_INDEPENDENT:
            getattr(self, name)  # computed here, and not again in every copy
        panel = copy.copy(self)
        object.__setattr__(panel, "columns", self.columns.holding(names))
        object.__setattr__(panel, "_made", {})
        return panel

    def once(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what `make` makes of the columns, made once for all tables; do not change it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def influences(self, metric: Metric) -> np.ndarray | None:
        """Return the influence sums of every evaluation, or None for a metric without influence.

        Earlier versions kept none of users' metrics and of the top tenth: None too if no evaluation
        has some of these. float32 of shape (n_windows, n_models, N_GROUPS), NaN where an evaluation
        has none. They are read anew at each call, because they are most of what a run holds.
        """
        if metric.influence is None:
            return None
        column = metric.influence.influence_column
        sums = self._cells.array(np.float32, np.nan, N_GROUPS)
        at, any_kept = 0, not metric.influence.is_jackknifed
        for part in self._parts([column]):
            for lists in part[column].chunks:
                first = lists.offset * N_GROUPS
                listed = lists.values[first : first + len(lists) * N_GROUPS]
                values = listed.to_numpy(zero_copy_only=False).reshape(-1, N_GROUPS)
                if lists.null_count:
                    valid = lists.is_valid().to_numpy(zero_copy_only=False)
                    values = np.where(valid[:, np.newaxis], values, np.float32(np.nan))
                self._cells.put(sums, values, at)
                any_kept = any_kept or lists.null_count < len(lists)
                at += len(lists)
        if metric.influence.scale != 1:
            sums *= np.float32(metric.influence.scale)
        give_back()
        return sums.transpose(1, 0, 2) if any_kept else None

    def values(self, name: str, model: int, windows: np.ndarray) -> np.ndarray:
        """Return a column of one model at some windows; float64 of their shape."""
        return self.columns[name][:, model].take(windows)

    def at(self, cutoff: int | None) -> np.ndarray:
        """Return the windows of one cutoff (a position in `cutoffs`), or of all; ascending."""
        if cutoff is None:
            return np.arange(len(self.company))
        return self._by_cutoff[cutoff]

    @cached_property
    def _by_cutoff(self) -> list[np.ndarray]:
        order = np.argsort(self.cutoff, kind="stable")
        starts = np.searchsorted(self.cutoff[order], np.arange(len(self.cutoffs) + 1))
        return [order[low:high] for low, high in itertools.pairwise(starts.tolist())]

    def at_cutoff(self, cutoff: int | None) -> Panel:
        """Return the panel of the companies with a window at one cutoff, or the whole panel.

        Figures of a cutoff that few companies have are then computed from short arrays. Windows of
        other cutoffs must not be used with it.
        """
        if cutoff is None:
            return self
        panel = copy.copy(self)
        object.__setattr__(panel, "company", self._rank_at_cutoff)
        object.__setattr__(panel, "company_ids", self._ids_by_cutoff[cutoff])
        object.__setattr__(panel, "_made", {})  # it may depend on the companies
        return panel

    @cached_property
    def _ids_by_cutoff(self) -> list[np.ndarray]:
        return [self.company_ids[self.company[windows]] for windows in self._by_cutoff]

    @cached_property
    def _rank_at_cutoff(self) -> np.ndarray:
        """Return the position of each window's company among the companies of its cutoff."""
        rank = np.zeros(len(self.company), dtype=np.int64)
        for windows in self._by_cutoff:
            rank[windows] = np.arange(len(windows))
        return rank

    def n_with(self, windows: np.ndarray) -> int:
        """Return the number of companies that have one of these windows, ascending positions."""
        return n_distinct(self.company, windows)

    def count_by_company(self, windows: np.ndarray) -> np.ndarray:
        """Return the number of these windows that each company has; shape (n_companies,)."""
        return np.bincount(self.company[windows], minlength=self.n_companies)

    @cached_property
    def ok(self) -> np.ndarray:
        """Return whether evaluations are `ok`; shape (n_windows, n_models)."""
        return self._ended("ok")

    @cached_property
    def skipped(self) -> np.ndarray:
        """Return whether evaluations were refused or skipped."""
        return self._ended("skipped")

    @cached_property
    def failed(self) -> np.ndarray:
        """Return whether evaluations failed."""
        return self._ended(*FAILED)

    @cached_property
    def n_ended(self) -> dict[str, np.ndarray]:
        """Return the numbers of evaluations that are `ok`, skipped and failed.

        Each of shape (n_cutoffs + 1, n_models); the last row counts all cutoffs and the companies
        without one.
        """
        by_status = {"ok": self.ok, "skipped": self.skipped, "failed": self.failed}
        n = {}
        for status, ended in by_status.items():
            at = [
                [ended[windows, m].sum() for m in range(len(self.models))]
                for windows in self._by_cutoff
            ]
            n[status] = np.array([*at, ended.sum(axis=0)], dtype=np.int64)
        return n

    def _ended(self, *statuses: str) -> np.ndarray:
        codes = [code for code, text in enumerate(self.status_texts) if text in statuses]
        return np.isin(self.status.T, codes).T  # the values of one model lie together

    @cached_property
    def common(self) -> np.ndarray:
        """Return whether every model that predicted anywhere is `ok`, by window; (n_windows,)."""
        predicting = self.ok.any(axis=0)
        return np.asarray(self.ok[:, predicting].all(axis=1) & predicting.any())

    @property
    def common_windows(self) -> set[tuple[str, pd.Timestamp]]:
        """Return the company and the cutoff of each common window; for few of them."""
        at = np.flatnonzero(self.common)
        companies, cutoffs = self.company_ids[self.company[at]], self.cutoffs[self.cutoff[at]]
        return set(zip(companies.tolist(), cutoffs, strict=True))

    @cached_property
    def latest_common_size(self) -> np.ndarray:
        """Return the customers of each company at its latest common window; NaN without one."""
        size = np.full(self.n_companies, np.nan)
        windows = np.flatnonzero(self.common)  # in order of time: the latest stays
        counted = self.columns["n_customers"][windows][:, self.ok.any(axis=0)]
        size[self.company[windows]] = counted.max(axis=1, initial=0)
        return size

    def covered(self, coverage: str, model: int, windows: np.ndarray) -> np.ndarray:
        """Return the `windows` that a coverage counts: ``own``, or ``common`` to all models."""
        counts = self.ok[:, model].take(windows)
        return windows[counts if coverage == "own" else counts & self.common[windows]]

    def undefined_reasons(self, metric: str, model: int, windows: np.ndarray) -> str:
        """Return the reasons why `metric` is undefined there, "reason:count;...", sorted."""
        if not len(windows):
            return ""
        counts = np.bincount(self.undefined[:, model].take(windows) + 1)[1:]  # -1 has none
        reasons: dict[str, int] = {}
        for code in np.flatnonzero(counts).tolist():
            reason = self._reasons[code].get(metric)
            if reason is not None:
                reasons[reason] = reasons.get(reason, 0) + int(counts[code])
        return ";".join(f"{reason}:{count}" for reason, count in sorted(reasons.items()))

    @cached_property
    def _reasons(self) -> list[dict[str, str]]:
        def read(text: str) -> dict[str, str]:
            entries = (entry.partition(":") for entry in text.split(";") if entry)
            return {name: reason for name, _, reason in entries}

        return [read(text) for text in self.undefined_texts]


@compiled(error_model="python")
def n_distinct(ascending: np.ndarray, at: np.ndarray) -> int:
    """Return the number of different values of an ascending array at ascending positions."""
    n = 0
    for i in range(len(at)):
        n += i == 0 or ascending[at[i]] != ascending[at[i - 1]]
    return n
