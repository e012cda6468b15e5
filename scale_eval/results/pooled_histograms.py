"""The scores of all customers, pooled from histograms that were kept by group of companies.

Counts between fixed edges are integers, and are merged exactly, in any order. They are kept by
group so that a group can be left out: for the error of a figure of all rows (`pooled_figures`), and
for the common coverage, which leaves out windows for which not every model predicted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa

from scale_eval.compiling import compiled
from scale_eval.metrics import N_BINS, GroupedHistograms
from scale_eval.metrics.histogram import COUNTS, TiedCustomers
from scale_eval.results.company_curves import CompanyCurves
from scale_eval.results.memory import give_back
from scale_eval.results.merged_scores import coded_counts, merge_by_key, narrow, numbered
from scale_eval.results.panel import COVERAGES, Panel
from scale_eval.statistics.undefined import Undefined

N_JACKKNIFE_GROUPS = 64
"""Groups of companies that are left out in turn; a stable hash assigns companies to them."""


def groups_of(panel: Panel, groups: Mapping[str, int]) -> np.ndarray:
    """Return the group in which each company's scores were kept; int64, shape (n_companies,)."""
    return np.array([groups[company] for company in panel.company_ids], dtype=np.int64)


class PooledHistograms:
    """The histograms of a run, merged by model, cutoff, coverage and group of companies.

    Parameters
    ----------
    parts : iterable of Table
        The table `scores`, part by part, in any order.
    panel : Panel
    groups : dict
        The group of companies in which each company's scores were kept.
    """

    def __init__(self, parts: Iterable[pa.Table], panel: Panel, groups: Mapping[str, int]) -> None:
        self._panel = panel
        group = groups_of(panel, groups)
        self._number, self._group = np.unique(group, return_inverse=True)
        self.n_groups = len(self._number)
        self.by_company = self.n_groups == len(group)
        self._mark_common()
        self._read(parts)
        self._grouped: dict[tuple[int, int | None, str], GroupedHistograms | None] = {}
        self._curves: dict[tuple[int, str], CompanyCurves] = {}
        if not self.by_company:
            for model in range(len(panel.models)):
                for cutoff in (None, *range(len(panel.cutoffs))):
                    for coverage in COVERAGES:
                        self.of(model, cutoff, coverage)
            self._rows.clear()  # every selection has been made
            self._one_score.clear()
        give_back()

    def of(self, model: int, cutoff: int | None, coverage: str) -> GroupedHistograms | None:
        """Return histograms by jackknife group; None if common windows cannot be separated.

        Parameters
        ----------
        model, cutoff : int
            Positions in the panel; a cutoff of None is all of them.
        """
        if coverage == "own" and self._all_common[model]:
            coverage = "common"
        key = (model, cutoff, coverage)
        if key not in self._grouped:
            self._grouped[key] = self._select(*key)
        return self._grouped[key]

    def of_all_cutoffs(self) -> Iterator[tuple[int, str, GroupedHistograms]]:
        """Yield each model that predicted, the coverage, and its histograms over all cutoffs.

        The coverage is ``common``, or ``own`` where the common windows cannot be separated.
        """
        for model in range(len(self._panel.models)):
            for coverage in ("common", "own"):
                grouped = self.of(model, None, coverage)
                if grouped is not None:
                    if len(grouped.bin):
                        yield model, coverage, grouped
                    break

    def by_window(self, model: int, cutoff: int | None, coverage: str) -> dict[str, np.ndarray]:
        """Return `bin`, counts, `group` (of companies) and `cutoff` of every row of a selection.

        Undefined: ``scores_not_kept_by_company``.
        """
        if not self.by_company or self.of(model, cutoff, coverage) is None:
            raise Undefined("scores_not_kept_by_company")
        chosen = self._chosen(model, cutoff, coverage)
        return {name: values[chosen] for name, values in self._rows.items()}

    def company_curves(self, model: int, coverage: str) -> CompanyCurves:
        """Return what the customers ranked highest at each company hold; companies as in the panel.

        Undefined: ``scores_not_kept_by_company``.
        """
        if not self.by_company or self.of(model, None, coverage) is None:
            raise Undefined("scores_not_kept_by_company")
        if (model, coverage) not in self._curves:
            chosen = self._chosen(model, None, coverage)
            curves = CompanyCurves.of(chosen, self._rows, self.company_of_group)
            self._curves[model, coverage] = curves
        return self._curves[model, coverage]

    @cached_property
    def company_of_group(self) -> np.ndarray:
        """Return the company of each group, where scores are kept by company; shape (n_groups,)."""
        return np.argsort(self._group)

    def _mark_common(self) -> None:
        """Mark which (model, cutoff, group) hold common windows, others, or both."""
        panel = self._panel
        windows = np.flatnonzero(panel.cutoff >= 0)
        cell = panel.cutoff[windows] * self.n_groups + self._group[panel.company[windows]]
        shape = (len(panel.models), len(panel.cutoffs), self.n_groups)
        self._holds_common = np.zeros(shape, dtype=bool)
        self._holds_other = np.zeros(shape, dtype=bool)
        for model in range(len(panel.models)):
            ok, common = panel.ok[windows, model], panel.common[windows]
            self._holds_common[model].reshape(-1)[cell[ok & common]] = True
            self._holds_other[model].reshape(-1)[cell[ok & ~common]] = True
        self._all_common = np.asarray(~self._holds_other.any(axis=(1, 2)))
        mixed = self._holds_common & self._holds_other
        self._mixed = np.asarray(mixed.any(axis=2))

    def _read(self, parts: Iterable[pa.Table]) -> None:
        some = self.n_groups and len(self._panel.cutoffs)  # else no company was evaluated
        key, *counts, score = merge_by_key(map(self._coded, parts) if some else ())
        known = np.flatnonzero(~np.isnan(score))
        self._one_score: dict[str, np.ndarray] = {"row": known, "score": score[known]}
        del score
        n_cutoffs, n_models = len(self._panel.cutoffs), len(self._panel.models)
        cell = 2 * max(self.n_groups, 1) * N_BINS  # keys of a (model, cutoff)
        self._starts = np.searchsorted(key, np.arange(n_models * n_cutoffs + 1) * cell)
        self._rows: dict[str, np.ndarray] = {
            "cutoff": np.tile(np.arange(n_cutoffs, dtype=np.int32), n_models).repeat(
                np.diff(self._starts)
            ),
            "group": (key % cell // (2 * N_BINS)).astype(np.int32),
            "common": key // N_BINS % 2 == 1,
            "bin": (key % N_BINS).astype(np.int16),
            **{name: narrow(count) for name, count in zip(COUNTS, counts, strict=True)},
        }
        self._separable = self._are_separable()

    def _predicted_by_all(self, text: str | None) -> bool:
        """Return whether every model that predicted anywhere is among these, "a;b"."""
        return text is not None and self._predicting <= set(text.split(";"))

    @cached_property
    def _predicting(self) -> set[str]:
        """Return the models that predicted anywhere."""
        predicting = self._panel.ok.any(axis=0)
        return {self._panel.models[m] for m in np.flatnonzero(predicting).tolist()}

    def _are_separable(self) -> np.ndarray:
        """Return where the scores marked as common are those of the common windows.

        They are not where models were evaluated one by one, or added later: too few customers are
        then marked. Shape (n_models, n_cutoffs).
        """
        panel = self._panel
        shape = (len(panel.models), len(panel.cutoffs))
        marked = np.zeros(shape, dtype=np.int64)
        for cell, (first, last) in enumerate(itertools.pairwise(self._starts.tolist())):
            common = self._rows["common"][first:last]
            for name in ("n_positive", "n_negative"):
                marked.flat[cell] += self._rows[name][first:last][common].sum()
        windows = np.flatnonzero(panel.common & (panel.cutoff >= 0))
        expected = np.zeros(shape, dtype=np.int64)
        for m in np.flatnonzero(panel.ok.any(axis=0)).tolist():
            size = panel.values("n_customers", m, windows).astype(np.int64)
            np.add.at(expected[m], panel.cutoff[windows], size)
        return np.asarray(marked == expected)

    def _coded(self, part: pa.Table) -> tuple[np.ndarray, ...]:
        """Return one integer for (model, cutoff, group, common, bin), the counts and the score."""
        models, n_cutoffs = self._panel.models, len(self._panel.cutoffs)
        model = numbered(part["model"], lambda name: models.index(name) if name in models else -1)
        instants = self._panel.cutoffs.asi8
        instant = part["cutoff"].cast(pa.int64()).to_numpy()
        cutoff = np.minimum(np.searchsorted(instants, instant), n_cutoffs - 1)
        group = part["company_group"].to_numpy()
        place = np.minimum(np.searchsorted(self._number, group), self.n_groups - 1)
        common = numbered(part["answered_by"], self._predicted_by_all)
        key = (model * n_cutoffs + cutoff) * self.n_groups + place
        key = (key * 2 + common) * N_BINS + part["bin"].to_numpy()
        counts = coded_counts(part)
        in_panel = (model >= 0) & (instants[cutoff] == instant) & (self._number[place] == group)
        if in_panel.all():
            return (key, *counts)
        return (key[in_panel], *(count[in_panel] for count in counts))

    def _chosen(self, model: int, cutoff: int | None, coverage: str) -> np.ndarray:
        n_cutoffs, rows = len(self._panel.cutoffs), self._rows
        first, last = (0, n_cutoffs) if cutoff is None else (cutoff, cutoff + 1)
        begin, end = (int(self._starts[model * n_cutoffs + c]) for c in (first, last))
        if coverage == "own" or self._all_common[model]:
            return np.arange(begin, end)
        marks = self._separable[model], self._holds_common[model]
        return np.asarray(
            common_rows(begin, end, rows["cutoff"], rows["group"], rows["common"], *marks)
        )

    def _select(self, model: int, cutoff: int | None, coverage: str) -> GroupedHistograms | None:
        mixed = self._mixed[model] & ~self._separable[model]
        if coverage == "common" and (mixed.any() if cutoff is None else mixed[cutoff]):
            return None
        chosen = self._chosen(model, cutoff, coverage)
        dealt = self._number % N_JACKKNIFE_GROUPS
        groups, bins, cell = cells_of(chosen, self._rows["group"], self._rows["bin"], dealt)
        shape = len(groups), len(bins)
        counts = (added_up(chosen, cell, self._rows[name], shape) for name in COUNTS)
        positives, negatives, spend = map(narrow, counts)
        n_rows = (positives + negatives).sum(axis=0)
        tied = self._tied(chosen, bins, n_rows)
        return GroupedHistograms(groups, bins, positives, negatives, spend, tied)

    def _tied(
        self, chosen: np.ndarray, bins: np.ndarray, n_rows: np.ndarray
    ) -> TiedCustomers | None:
        """Return the customers of the chosen rows, which ascend, whose score is known."""
        if not len(chosen):
            return None
        first, last = np.searchsorted(self._one_score["row"], [chosen[0], chosen[-1] + 1])
        row, score = (values[first:last] for values in self._one_score.values())
        is_chosen = chosen[np.searchsorted(chosen, row)] == row
        row, score = row[is_chosen], score[is_chosen]
        if not len(row):
            return None
        positives, negatives = (self._rows[name][row] for name in ("n_positive", "n_negative"))
        return TiedCustomers.of(score, positives, negatives, bins, n_rows)


_compiled = compiled(error_model="python")


@_compiled
def common_rows(
    begin: int,
    end: int,
    cutoff: np.ndarray,
    group: np.ndarray,
    common: np.ndarray,
    separable: np.ndarray,
    holds_common: np.ndarray,
) -> np.ndarray:
    """Select the rows of the common coverage: marked rows, or whole groups where marks fail."""
    chosen, n = np.empty(end - begin, np.int64), 0
    for row in range(begin, end):
        at = cutoff[row]
        if common[row] if separable[at] else holds_common[at, group[row]]:
            chosen[n] = row
            n += 1
    return chosen[:n]


@_compiled
def cells_of(
    chosen: np.ndarray, group: np.ndarray, bins: np.ndarray, dealt: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the jackknife groups and bins with customers, and each row's cell among them.

    Groups and bins ascend; a cell is a position in the table of these groups by these bins.
    """
    holds_group, holds_bin = np.zeros(N_JACKKNIFE_GROUPS, np.bool_), np.zeros(N_BINS, np.bool_)
    for row in chosen:
        holds_group[dealt[group[row]]] = True
        holds_bin[bins[row]] = True
    groups, line = np.empty(len(holds_group), np.int64), np.empty(len(holds_group), np.int64)
    n_groups = 0
    for g in range(len(line)):
        if holds_group[g]:
            groups[n_groups], line[g] = g, n_groups
            n_groups += 1
    held_bins, column, n_bins = np.empty(N_BINS, np.int64), np.empty(N_BINS, np.int64), 0
    for b in range(len(column)):
        if holds_bin[b]:
            held_bins[n_bins], column[b] = b, n_bins
            n_bins += 1
    cell = np.empty(len(chosen), np.int64)
    for i, row in enumerate(chosen):
        cell[i] = line[dealt[group[row]]] * n_bins + column[bins[row]]
    return groups[:n_groups], held_bins[:n_bins], cell


@_compiled
def added_up(
    chosen: np.ndarray, cell: np.ndarray, counts: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Add up the counts of the chosen rows by cell."""
    added = np.zeros(shape[0] * shape[1], counts.dtype)
    for i, row in enumerate(chosen):
        added[cell[i]] += counts[row]
    return added.reshape(shape)
