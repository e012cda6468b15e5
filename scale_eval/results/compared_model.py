"""A model as it is compared with others: its figures, and how groups of customers move them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scale_eval.metrics import Metric
from scale_eval.metrics.base import ROW
from scale_eval.results.customer_influence import sampling_factor, sums_by_company
from scale_eval.results.estimates import Estimate
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import Terms, terms


@dataclass(frozen=True)
class ComparedFigure:
    """A pooled figure of a model, the influence of groups of customers, and its companies."""

    estimate: Estimate
    moved: np.ndarray | None
    n_companies: int


@dataclass(frozen=True)
class ComparedModel:
    """A model, with what its comparisons with all others share.

    If the metric is defined for both models of a pair wherever it is for this one, the windows of
    the pair are this model's, and its figures are computed once.
    """

    panel: Panel
    metric: Metric
    model: int
    influence: np.ndarray | None

    @cached_property
    def defined(self) -> np.ndarray:
        """Return the common windows where the metric is defined; bool of shape (n_windows,)."""
        ok = self.panel.common & self.panel.ok[:, self.model]
        return np.asarray(ok & self._own.defined)

    def figures(self, windows: np.ndarray) -> np.ndarray:
        """Return the figure of each company over defined `windows`; shape (n_companies,)."""
        if len(windows) == self._n_defined:
            return self._figures_of_all
        return self._own.over(self.panel, windows).figures

    def moved(self, windows: np.ndarray) -> np.ndarray:
        """Return the influence of groups of customers on the figures; (n_companies, n_groups)."""
        return self._moved_of_all if len(windows) == self._n_defined else self._moved(windows)

    def moved_pooled(
        self, estimand: str, windows: np.ndarray, weighted: Terms
    ) -> np.ndarray | None:
        """Return the influence of the groups of customers of each company on a pooled figure.

        None for figures that are not quotients of sums, and for distances from a target.
        """
        if self.influence is None or self.metric.target is not None:
            return None
        if estimand == ROW and self.metric.row_form is not None:
            return None
        weight = weighted.weight
        total = max(float(np.nansum(weight.take(windows))), 1e-300)
        influence = self.influence[:, self.model]
        return sums_by_company(
            self.panel, windows, influence, weight, self._correction / total, own=False
        )

    @cached_property
    def _own(self) -> Terms:
        return terms(self.panel, self.metric, self.model, weighted=False)

    @cached_property
    def _correction(self) -> np.ndarray:
        return sampling_factor(self.panel, self.metric, self.model)

    @cached_property
    def _n_defined(self) -> int:
        return int(np.count_nonzero(self.defined))

    @cached_property
    def _figures_of_all(self) -> np.ndarray:
        return self._own.over(self.panel, np.flatnonzero(self.defined)).figures

    @cached_property
    def _moved_of_all(self) -> np.ndarray:
        return self._moved(np.flatnonzero(self.defined))

    def _moved(self, windows: np.ndarray) -> np.ndarray:
        """Return the influence of groups of customers on each company's figure over `windows`.

        NaN where one of a company's windows kept none.
        A distance from a target rises or falls with the figure, by the side of each company.
        """
        assert self.influence is not None
        influence = self.influence[:, self.model]
        sums = sums_by_company(
            self.panel, windows, influence, self._own.weight, self._correction, own=True
        )
        if self.metric.target is not None:
            kept = windows[~np.isnan(influence[windows, 0])]
            figures = self._own.over(self.panel, kept).figures
            side = np.nan_to_num(np.sign(figures - self.metric.target))
            sums *= side[:, np.newaxis].astype(sums.dtype)
        return sums
