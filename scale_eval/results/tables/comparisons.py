"""The table `comparisons`: two models on the same customers of the same companies and cutoffs.

Only windows count for which every model is ok and, within a pair, for which the metric is defined
for both. A metric with a target (O:E, slope, intercept) is compared by its distance from it:
|log O:E|, |slope - 1|, |intercept|.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import Metric
from scale_eval.metrics.base import EQUAL_COMPANY, ROW
from scale_eval.results.customer_influence import small_sample_factor, squared, sums_by_company
from scale_eval.results.estimates import Estimate, difference, mean_of
from scale_eval.results.heterogeneity import (
    Effects,
    difference_effects,
    fitted,
    mean_of_effects,
    next_company,
)
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_figures import pooled_figure
from scale_eval.results.pooled_histograms import RowScores
from scale_eval.results.ratio_terms import Terms, terms
from scale_eval.statistics.comparison import benjamini_hochberg, equivalence, wilcoxon
from scale_eval.statistics.undefined import Undefined

SIZE_CLASSES = (1, 100, 1_000, 10_000)
"""Customers at a company's latest common cutoff from which each class of companies begins."""

Margins = Mapping[str, float]
"""By metric: the difference that is worth having; smaller ones are ties."""


def comparisons_table(pieces: Iterable[list[dict[str, Any]]]) -> pa.Table:
    """One row a (metric, model_a < model_b, estimand, stratum).

    `mean_difference` is a - b. On ``equal_company`` rows it is the mean over companies of the
    difference of their own figures, `ci_low` to `ci_high` is Student's interval of that mean, and
    `wins`, `ties` and `losses` count the companies where a is better, no further than `margin`, or
    worse than b. (Of the calibration slope the mean is one of random effects, over companies that
    enter them: a few slopes that are hardly known would carry a plain one.) On ``row`` and
    ``within_company`` rows it is the difference of the pooled figures.
    Strata are all companies, and classes of company size.

    `sampling_std_error` is what customers' chance makes uncertain at these companies in these
    half-years, paired through the sums of influence. `p_value` is Wilcoxon's signed rank test over
    companies, `p_adjusted` that after Benjamini & Hochberg over the pairs of models of one metric,
    estimand and stratum. `prediction_low` to `prediction_high` holds the true difference at the
    next company with a probability of 95 %; `probability_a_better` is that of its favouring a, and
    `probability_a_better_by_margin` and `..._b_...` by more than the margin. `equivalent` says
    that the difference was shown to lie within the margin (TOST at 5 %; Schuirmann 1987): where it
    is false the models may differ or not, look at the interval.

    Parameters
    ----------
    pieces : iterable of list
        From `comparisons_of`, a metric each.
    """
    frame = pd.DataFrame(list(itertools.chain.from_iterable(pieces)))
    if frame.empty:
        return COMPARISONS_SCHEMA.empty_table()
    frame = frame.reindex(columns=COMPARISONS_SCHEMA.names)
    families = frame.groupby(["metric", "estimand", "stratum"], sort=False)["p_value"]
    frame["p_adjusted"] = families.transform(lambda p: benjamini_hochberg(p.to_numpy()))
    frame["equivalent"] = frame["equivalent"].astype("boolean")
    return pa.Table.from_pandas(frame, schema=COMPARISONS_SCHEMA, preserve_index=False)


def comparisons_of(
    panel: Panel, metric: Metric, scores: RowScores, influence: np.ndarray | None, margins: Margins
) -> Iterator[dict[str, Any]]:
    """The rows of one metric, without `p_adjusted`, which wants them all."""
    strata = dict(_strata(panel))
    margin = margins.get(metric.name, metric.margin)
    compared = [_Compared(panel, metric, m, influence) for m in range(len(panel.models))]
    pooled: dict[str, list[_Pooled]] = {
        estimand: [] for estimand in metric.estimands if estimand != EQUAL_COMPANY
    }
    for m, of in enumerate(compared):
        windows = panel.covered("common", m, panel.at(None))
        of_model = terms(panel, metric, m, weighted=True)
        sums = of_model.over(panel, windows)
        n_companies = panel.n_with(windows)
        for estimand, of_models in pooled.items():
            told = pooled_figure(panel, metric, m, windows, estimand, scores, None, "common", sums)
            moved = of.moved_pooled(estimand, windows, of_model)
            of_models.append(_Pooled(told, moved, n_companies))
    for a, b in itertools.combinations(range(len(panel.models)), 2):
        key = {
            "metric": metric.name,
            "model_a": panel.models[a],
            "model_b": panel.models[b],
            "margin": margin,
        }
        for row in _of_companies(compared[a], compared[b], strata, margin):
            yield key | row
        for estimand, of_models in pooled.items():
            of_a, of_b = of_models[a], of_models[b]
            told = difference(metric, of_a.told, of_b.told)
            row = {"estimand": estimand, "stratum": "all", "n_companies": of_a.n_companies}
            row |= _told(told, margin)
            if of_a.moved is not None and of_b.moved is not None and not told.reason:
                variance = squared(of_a.moved - of_b.moved).sum()
                row["sampling_std_error"] = float(np.sqrt(variance))
            yield key | row


@dataclass(frozen=True)
class _Pooled:
    """A model's pooled figure, what companies' groups of customers move it, and how many count."""

    told: Estimate
    moved: np.ndarray | None
    n_companies: int


@dataclass(frozen=True)
class _Compared:
    """A model, and what its comparisons with all others have in common.

    Where a metric is defined for both of a pair whenever it is for this model, the windows of the
    pair are all of its own, and what is made of them is made once.
    """

    panel: Panel
    metric: Metric
    model: int
    influence: np.ndarray | None

    @cached_property
    def defined(self) -> np.ndarray:
        """Common windows where the metric is defined; bool of shape (n_windows,)."""
        defined = self.panel.common & self.panel.ok[:, self.model]
        if not self.metric.pooling.log:
            defined &= ~np.isnan(self.panel.columns[self.metric.name][:, self.model])
        return np.asarray(defined)

    def figures(self, windows: np.ndarray) -> np.ndarray:
        """Of each company over `windows`, defined ones; shape (n_companies,)."""
        if len(windows) == self._n_defined:
            return self._figures_of_all
        return self._own.over(self.panel, windows).figures

    def moved(self, windows: np.ndarray) -> np.ndarray:
        """What groups of customers move them; shape (n_companies, n_groups)."""
        return self._moved_of_all if len(windows) == self._n_defined else self._moved(windows)

    def moved_pooled(
        self, estimand: str, windows: np.ndarray, weighted: Terms
    ) -> np.ndarray | None:
        """What companies' groups of customers move a pooled figure.

        None for figures that are no sums over sums, and for distances from a target.
        """
        if self.influence is None or self.metric.target is not None:
            return None
        if estimand == ROW and self.metric.row_form is not None:
            return None
        weight = weighted.weight
        total = max(float(np.nansum(weight.take(windows))), 1e-300)
        influence = self.influence[:, self.model]
        return sums_by_company(self.panel, windows, influence, weight, self._few / total, own=False)

    @cached_property
    def _own(self) -> Terms:
        return terms(self.panel, self.metric, self.model, weighted=False)

    @cached_property
    def _few(self) -> np.ndarray:
        return small_sample_factor(self.panel, self.metric, self.model)

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
        """A distance from a target moves up or down with the figure: each company has its sign."""
        assert self.influence is not None
        influence = self.influence[:, self.model]
        known = windows[~np.isnan(influence[windows, 0])]
        sums = sums_by_company(self.panel, known, influence, self._own.weight, self._few, own=True)
        if self.metric.target is not None:
            figures = self._own.over(self.panel, known).figures
            side = np.nan_to_num(np.sign(figures - self.metric.target))
            sums *= side[:, np.newaxis].astype(sums.dtype)
        return sums


def _of_companies(
    a: _Compared, b: _Compared, strata: dict[str, np.ndarray], margin: float
) -> Iterator[dict[str, Any]]:
    panel, metric, influence = a.panel, a.metric, a.influence
    windows = np.flatnonzero(a.defined & b.defined)
    differences = metric.distance(a.figures(windows)) - metric.distance(b.figures(windows))
    effects = variance = None
    if influence is not None:
        if metric.has_difference_effects:
            pair = a.model, b.model
            effects = difference_effects(panel, metric, pair, windows, influence)
        if not metric.is_mean_of_effects:
            variance = squared(a.moved(windows) - b.moved(windows))
    for stratum, companies in strata.items():
        compared = companies & ~np.isnan(differences)
        values = differences[compared]
        better = values if metric.better == "higher" else -values
        wins, losses = int((better > margin).sum()), int((better < -margin).sum())
        row: dict[str, Any] = {
            "estimand": EQUAL_COMPANY,
            "stratum": stratum,
            "n_companies": len(values),
            "wins": wins,
            "ties": len(values) - wins - losses,
            "losses": losses,
        }
        if metric.is_mean_of_effects and effects is not None:
            row |= _told(mean_of_effects(effects.among(compared)), margin)
        else:
            row |= _told(mean_of(values), margin)
        if variance is not None and len(values):
            row["sampling_std_error"] = float(np.sqrt(variance[compared].sum())) / len(values)
        try:
            row["p_value"] = wilcoxon(values)[1]
        except Undefined as undefined:
            row["p_reason"] = undefined.reason
        if effects is None:
            row["heterogeneity_reason"] = "no_influence_kept"
        else:
            row |= _next_company(effects.among(compared), metric, margin)
        yield row


def _told(told: Estimate, margin: float) -> dict[str, Any]:
    interval = told.interval()
    row: dict[str, Any] = {
        "mean_difference": told.value,
        "reason": told.reason,
        "std_error": interval.std_error,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_reason": interval.reason,
        "n_effective": told.n_effective,
        "p_reason": "",
        "heterogeneity_reason": "",
    }
    if not interval.reason:
        test = equivalence(told.value, interval.std_error, interval.degrees_of_freedom, margin)
        row["equivalent"] = bool(test.equivalent)
    return row


def _next_company(effects: Effects, metric: Metric, margin: float) -> dict[str, Any]:
    """What to expect of the true difference at the next company."""
    row: dict[str, Any] = {"n_heterogeneity": len(effects.y)}
    try:
        row["tau"] = float(np.sqrt(fitted(effects).tau2))
        expected = next_company(effects)
    except Undefined as undefined:
        return row | {"heterogeneity_reason": undefined.reason}
    low, high = expected.interval()
    above = expected.probability_above(margin)
    below = 1 - expected.probability_above(-margin)
    higher = expected.probability_above(0.0)
    a_is_higher = metric.better == "higher"
    return row | {
        "prediction_low": low,
        "prediction_high": high,
        "probability_a_better": higher if a_is_higher else 1 - higher,
        "probability_a_better_by_margin": above if a_is_higher else below,
        "probability_b_better_by_margin": below if a_is_higher else above,
    }


def _strata(panel: Panel) -> Iterator[tuple[str, np.ndarray]]:
    """Names of strata and the companies in each; shape (n_companies,)."""
    yield "all", np.ones(panel.n_companies, dtype=bool)
    size = panel.latest_common_size
    for low, high in itertools.pairwise([*SIZE_CLASSES, np.inf]):
        companies = (size >= low) & (size < high)
        if companies.any():
            upto = f" to {int(high) - 1:,}" if np.isfinite(high) else " or more"
            yield f"{low:,}{upto} customers", companies


COMPARISONS_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("model_a", pa.string()),
        ("model_b", pa.string()),
        ("estimand", pa.string()),
        ("stratum", pa.string()),
        ("n_companies", pa.int64()),
        ("mean_difference", pa.float64()),
        ("reason", pa.string()),  # why it is null
        ("std_error", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("ci_reason", pa.string()),
        ("sampling_std_error", pa.float64()),  # customers' chance alone, paired
        ("n_effective", pa.float64()),
        ("margin", pa.float64()),
        ("wins", pa.int64()),
        ("ties", pa.int64()),
        ("losses", pa.int64()),
        ("p_value", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("p_reason", pa.string()),
        ("n_heterogeneity", pa.int64()),
        ("tau", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("probability_a_better", pa.float64()),
        ("probability_a_better_by_margin", pa.float64()),
        ("probability_b_better_by_margin", pa.float64()),
        ("heterogeneity_reason", pa.string()),
        ("equivalent", pa.bool_()),
    ]
)
