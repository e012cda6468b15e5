"""The table `sampled`: the figures of all companies of a dataset, estimated from a sample."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import Metric, RowForm, WeightedRows, mid_logit
from scale_eval.metrics.base import EQUAL_COMPANY, ROW, WITHIN_COMPANY
from scale_eval.metrics.histogram import COUNTS
from scale_eval.metrics.pooling import SPEND
from scale_eval.metrics.row_form import FitWithinWindows
from scale_eval.results.conditions import NO_BIGGER_SPENDERS
from scale_eval.results.heterogeneity import Effects, company_effects, difference_effects
from scale_eval.results.panel import COVERAGES, Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.ratio_terms import Sums, Terms, averages, terms
from scale_eval.results.sampled_columns import columns_of, columns_of_quantile
from scale_eval.results.tables.base import MetricInputs, MetricTable
from scale_eval.statistics import survey
from scale_eval.statistics.dispersion import QUANTILES
from scale_eval.statistics.sampled_effects import sampled_effects
from scale_eval.statistics.survey import Design, Figure
from scale_eval.statistics.undefined import Undefined
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, Column


def sampled_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Make the table from the rows of `sampled_of`."""
    frame = pd.DataFrame(list(rows), columns=SAMPLED.schema.names)
    return pa.Table.from_pandas(frame, schema=SAMPLED.schema, preserve_index=False)


def sampled_of(
    panel: Panel,
    metric: Metric,
    scores: PooledHistograms,
    influence: np.ndarray | None,
    design: Design,
) -> Iterator[dict[str, Any]]:
    """Make the rows of one metric: of each model, then of the differences a - b, a < b by name.

    Notes
    -----
    Differences are taken on the common coverage, as in `comparisons`: of the distances from the
    target, where the metric has one. As there, the difference of distances of two pooled figures
    has no interval, because a distance turns around at the target (``distance_from_target``).

    Parameters
    ----------
    panel : Panel
        The evaluations of all companies of the sample.
    scores : PooledHistograms
        Where they are not kept by company, figures of merged scores are null
        (``scores_not_kept_by_company``).
    influence : ndarray or None
        `panel.influences` of the metric.
    design : Design
        How the companies were drawn, in the order of `panel.company_ids`.

    Raises
    ------
    ValueError
        The panel has another number of companies than the sample.
    """
    if len(design.stratum) != panel.n_companies:
        raise ValueError(
            f"{len(design.stratum):,} companies were drawn, {panel.n_companies:,} have "
            "evaluations: finish the run first"
        )
    source = _Source(panel, metric, scores, influence, design)
    constant = {
        "metric": metric.name,
        "n_sampled": panel.n_companies,
        "n_population": design.n_population,
        "n_certain": int(design.certain.sum()),
        "sampling_fraction": panel.n_companies / design.n_population,
        "ci_condition": "",
    }
    for model, name in enumerate(panel.models):
        own = panel.covered("own", model, panel.at(None))
        rows: list[dict[str, Any]] = []
        for coverage in COVERAGES:
            windows = panel.covered(coverage, model, panel.at(None))
            if coverage == "own" or len(windows) != len(own):
                rows = list(source.model_rows(model, windows, coverage))
            for row in rows:
                yield constant | row | {"model": name, "coverage": coverage}
    for a, b in itertools.combinations(range(len(panel.models)), 2):
        key = {"model": panel.models[a], "model_b": panel.models[b], "coverage": "common"}
        for row in source.difference_rows(a, b):
            yield constant | row | key


@dataclass(frozen=True)
class _Source:
    """The figures of one metric, and what they are computed from."""

    panel: Panel
    metric: Metric
    scores: PooledHistograms
    influence: np.ndarray | None
    design: Design

    def model_rows(
        self, model: int, windows: np.ndarray, coverage: str
    ) -> Iterator[dict[str, Any]]:
        effects = None
        if self.influence is not None and self.metric.effects is not None:
            effects = company_effects(self.panel, self.metric, model, windows, self.influence)
        for estimand in self.metric.estimands:
            if estimand != EQUAL_COMPANY:
                figure = self._pooled(model, windows, coverage, estimand)
                sizes = self._sizes(model, windows, estimand)
                yield {"estimand": estimand} | columns_of(self.design, "value", figure, sizes=sizes)
        sums = self._sums(model, windows)
        by_effects = self.metric.is_mean_of_effects
        value = None if by_effects else lambda: self._equal_company(model, windows, sums)
        yield from self._company_rows(sums.figures, effects, value)

    def difference_rows(self, a: int, b: int) -> Iterator[dict[str, Any]]:
        windows = [self.panel.covered("common", m, self.panel.at(None)) for m in (a, b)]
        for estimand in self.metric.estimands:
            if estimand != EQUAL_COMPANY:
                figures = [
                    self._pooled(m, chosen, "common", estimand)
                    for m, chosen in zip((a, b), windows, strict=True)
                ]
                sizes = self._sizes(a, windows[0], estimand)
                yield {"estimand": estimand} | self._difference(figures, sizes)
        both = self._defined_for_both(a, b)
        figures_a, figures_b = (self.metric.distance(self._sums(m, both).figures) for m in (a, b))
        effects = None
        if self.influence is not None and self.metric.has_difference_effects:
            effects = difference_effects(self.panel, self.metric, (a, b), both, self.influence)
        values = figures_a - figures_b

        def average() -> Figure:
            if not self.metric.pooling.one_minus:
                return self._mean(values)
            of_each = (self._equal_company(m, both, self._sums(m, both)) for m in (a, b))
            return next(of_each) - next(of_each)

        by_effects, has_target = self.metric.is_mean_of_effects, self.metric.target is not None
        refusal = "distance_from_target" if has_target and not by_effects else ""
        yield from self._company_rows(values, effects, None if by_effects else average, refusal)

    def _company_rows(
        self,
        values: np.ndarray,
        effects: Effects | None,
        value: Callable[[], Figure] | None,
        refusal: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of value, mean, spread and quantiles of companies' figures, and of tau.

        Without a `value`, it is the mean of the random effects. With a `refusal`, value and mean
        have no interval.
        """
        rows = [
            columns_of(
                self.design, "value", value or (lambda: self._from_effects(effects, "mu")), refusal
            ),
            columns_of(self.design, "mean", lambda: self._mean(values), refusal),
            columns_of(
                self.design, "std", lambda: survey.std(self.design, values), self._refusal_of_std()
            ),
            *(columns_of_quantile(self.design, name, values, at) for name, at in QUANTILES.items()),
        ]
        if effects is not None:
            rows.append(columns_of(self.design, "tau", lambda: self._from_effects(effects, "tau")))
        for row in rows:
            yield {"estimand": EQUAL_COMPANY} | row

    def _refusal_of_std(self) -> str:
        """Return the reason why the spread of companies' figures has no interval, or "".

        Skills, O:E and slopes are quotients: a few companies with a denominator near 0 make most of
        their variance, and a sample without them cannot show it (measured: the interval covered .66
        to .93, and less in smaller samples). Quantiles have an interval.
        """
        return "heavy_tails" if self.metric.is_quotient else ""

    def _pooled(
        self, model: int, windows: np.ndarray, coverage: str, estimand: str
    ) -> Callable[[], Figure]:
        form = self.metric.row_form
        if form is not None and estimand == ROW:
            return lambda: self._from_merged_histograms(form, model, coverage)
        if form is not None and estimand == WITHIN_COMPANY and form.within_windows is not None:
            fit_within = form.within_windows
            return lambda: self._within_windows(fit_within, model, coverage)
        return lambda: self._summed(model, windows)

    def _summed(self, model: int, windows: np.ndarray) -> Figure:
        sums = terms(self.panel, self.metric, model, weighted=True).over(self.panel, windows)
        return self._quotient(sums.numerator, sums.denominator)

    def _sizes(self, model: int, windows: np.ndarray, estimand: str) -> list[np.ndarray]:
        """Return the sizes of `condition_of_sample` for a figure in which companies weigh."""
        weight = self.metric.pooling.weight
        power = weight.power if weight is not None and estimand == WITHIN_COMPANY else 1
        counts = [self.panel.values("n_customers", model, windows) ** power]
        if weight is SPEND:
            counts.append(self.panel.values("n_positive", model, windows))
        company, n_companies = self.panel.company[windows], self.panel.n_companies
        return [np.bincount(company, of_window, n_companies) for of_window in counts]

    def _sums(self, model: int, windows: np.ndarray) -> Sums:
        """Return the sums of each company, with equal weights of its windows."""
        return self._own(model).over(self.panel, windows)

    def _own(self, model: int) -> Terms:
        return terms(self.panel, self.metric, model, weighted=False)

    def _quotient(self, numerator: np.ndarray, denominator: np.ndarray) -> Figure:
        figure = survey.ratio(self.design, numerator, denominator)
        if self.metric.pooling.one_minus:
            return Figure(1 - figure.value, -figure.influence, denominator)
        if self.metric.pooling.log:
            if figure.value <= 0:
                raise Undefined("no_positives")
            return Figure(figure.value, figure.influence / figure.value, denominator, log=True)
        return figure

    def _equal_company(self, model: int, windows: np.ndarray, sums: Sums) -> Figure:
        if self.metric.pooling.one_minus or self.metric.pooling.log:
            return self._quotient(*averages(self.panel, self.metric, model, windows))
        return self._mean(sums.figures)

    def _mean(self, values: np.ndarray) -> Figure:
        return survey.mean(self.design, values)

    def _from_effects(self, effects: Effects | None, which: str) -> Figure:
        """Return the mean of the random effects (`mu`), or tau on its logarithm."""
        assert effects is not None
        fit = sampled_effects(effects.y, effects.v, self.design.weights[effects.company])
        influence, amounts = np.zeros(self.panel.n_companies), np.zeros(self.panel.n_companies)
        amounts[effects.company] = fit.precision
        if which == "mu":
            influence[effects.company] = fit.mu_influence
            return Figure(fit.mu, influence, amounts)
        if fit.tau2 == 0:
            return Figure(0.0, np.full(self.panel.n_companies, np.nan), amounts, log=True)
        influence[effects.company] = fit.tau2_influence / (2 * fit.tau2)
        return Figure(float(np.sqrt(fit.tau2)), influence, amounts, log=True)

    def _from_merged_histograms(self, form: RowForm, model: int, coverage: str) -> Figure:
        """Return a figure of all rows, weighted by how many companies theirs represents."""
        rows, company = self._rows(model, coverage)
        if not len(company):
            raise Undefined("no_evaluations")
        counts = {name: rows[name].astype(np.float64) for name in COUNTS}
        weight = self.design.weights[company]
        made = form.weighted(WeightedRows(rows["bin"], weight=weight, **counts))
        moved, amounts = (
            np.bincount(company, by_row, self.panel.n_companies)
            for by_row in (made.influence, made.amounts)
        )
        return Figure(made.value, moved, amounts)

    def _within_windows(self, fit_within: FitWithinWindows, model: int, coverage: str) -> Figure:
        rows, company = self._rows(model, coverage)
        n_cutoffs = len(self.panel.cutoffs)
        weights = self.design.weights
        fit = fit_within(
            mid_logit(rows["bin"]),
            weights[company] * rows["n_positive"],
            weights[company] * rows["n_negative"],
            company * n_cutoffs + rows["cutoff"],
        )
        company = fit.strata // n_cutoffs
        n = self.panel.n_companies
        return Figure(
            fit.slope,
            np.bincount(company, fit.influence / weights[company], n),
            np.bincount(company, fit.information / weights[company], n),
        )

    def _rows(self, model: int, coverage: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the histograms of the model's windows, and the company of each bin."""
        rows = self.scores.by_window(model, None, coverage)
        return rows, self.scores.company_of_group[rows["group"]]

    def _defined_for_both(self, a: int, b: int) -> np.ndarray:
        """Return the common windows where the metric is defined for both models, ascending."""
        defined = self.panel.common.copy()
        for model in (a, b):
            defined &= self.panel.ok[:, model] & self._own(model).defined
        return np.flatnonzero(defined)

    def _difference(
        self, figures: Sequence[Callable[[], Figure]], sizes: Sequence[np.ndarray]
    ) -> dict[str, Any]:
        try:
            a, b = (figure() for figure in figures)
        except Undefined:
            return {"figure": "value", "value": np.nan, "reason": "undefined_for_either"}
        if self.metric.target is None:
            return columns_of(self.design, "value", lambda: a - b, sizes=sizes)
        distances = self.metric.distance(np.array([a.value, b.value]))
        return {
            "figure": "value",
            "value": float(distances[0] - distances[1]),
            "reason": "",
            "ci_reason": "distance_from_target",
            "n_counted": int(np.count_nonzero(a.amounts + b.amounts)),
        }


_NO_INTERVAL = "`ci_reason` says why"


def _make(inputs: MetricInputs) -> pa.Table:
    run = inputs.run
    assert run.design is not None
    return sampled_table(
        sampled_of(inputs.panel, inputs.metric, run.scores, inputs.influence, run.design)
    )


SAMPLED = MetricTable(
    "sampled",
    row="metric, model, model_b, estimand, coverage, figure; over all cutoffs",
    doc="The figures of all companies of the dataset, estimated from a run of a sample of them. "
    "The intervals are about these companies: they shrink to nothing as the sample becomes the "
    "dataset, and say nothing about the next company, which `pooled` is about.",
    columns=(
        Column("metric", TEXT, "The metric."),
        Column("model", TEXT, "The model."),
        Column("model_b", TEXT, "The model that is subtracted.", null="the row is of one model"),
        Column("estimand", TEXT, "Whose figure it is: as in `pooled`."),
        Column("coverage", TEXT, "The windows that count: as in `pooled`."),
        Column(
            "figure",
            TEXT,
            "Which figure it is: `value`; of companies' figures `mean`, `std`, `p05` to `p95`; or "
            "`tau`.",
        ),
        Column(
            "value", NUMBER, "The figure of all companies, estimated.", null="`reason` says why"
        ),
        Column("reason", TEXT, "Why `value` is null; empty where it is not."),
        Column("std_error", NUMBER, "Standard error of `value`.", null=_NO_INTERVAL),
        Column(
            "ci_low",
            NUMBER,
            "Lower end of the 95 % interval of the figure of all companies of the dataset.",
            null=_NO_INTERVAL,
        ),
        Column("ci_high", NUMBER, "Upper end of that interval.", null=_NO_INTERVAL),
        Column(
            "ci_reason",
            TEXT,
            "Why there is no interval; empty where there is one.",
            null="`reason` is `undefined_for_either`",
        ),
        Column(
            "ci_condition",
            TEXT,
            f"`{NO_BIGGER_SPENDERS}` where the interval holds only if no company has customers who "
            "buy or spend much more than those of the companies sampled: what companies weigh for "
            "their numbers of customers counts as fewer than 30, or has a heavy tail. Otherwise "
            "empty.",
        ),
        Column(
            "degrees_of_freedom",
            NUMBER,
            "Degrees of freedom of the interval's t; infinite where nothing is left to chance.",
            null="there is no interval, or it is that of a quantile",
        ),
        Column("n_sampled", COUNT, "Companies of the sample."),
        Column("n_population", COUNT, "Companies of the dataset."),
        Column("n_certain", COUNT, "Companies of the sample whose stratum was taken whole."),
        Column("sampling_fraction", NUMBER, "n_sampled / n_population."),
        Column(
            "n_counted",
            COUNT,
            "Companies of the sample that the figure counts.",
            null="`value` is null",
        ),
        Column(
            "n_effective",
            NUMBER,
            "Equal draws that would say as much as the companies that were not certain.",
            null="`value` is null, or a distance from a target",
        ),
    ),
    shown=(
        "metric",
        "model",
        "model_b",
        "estimand",
        "coverage",
        "figure",
        "value",
        "ci_low",
        "ci_high",
        "n_sampled",
        "n_population",
    ),
    make=_make,
    conventions={
        "sampled": "of all companies of the dataset, from a stratified sample with permanent "
        "random numbers (Ohlsson 1995): weights 1 / inclusion probability, linearised by stratum "
        "with finite population correction (Särndal, Swensson & Wretman 1992), quantiles by "
        "Woodruff 1952",
        "sampled ci_condition": f"{NO_BIGGER_SPENDERS}: row and within_company, where what the "
        "companies that were not certain to be drawn weigh per customer (per customer squared, for "
        "pairs; per buyer too, for spend) would give no_larger_company if they were weights",
    },
    only_of_samples=True,
)
