"""The table `pooled`: figures over companies, how sure they are, and how companies differ.

The estimands answer different questions, see `scale_eval.results.estimates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import Metric, RowForm
from scale_eval.metrics.base import EQUAL_COMPANY, ROW
from scale_eval.results.conditions import condition_of
from scale_eval.results.customer_influence import (
    InfluenceSums,
    Variances,
    sampling_factor,
    variances,
)
from scale_eval.results.estimates import Estimate, equal_company
from scale_eval.results.heterogeneity import (
    ScaledEvaluations,
    heterogeneity,
    mean_of_effects,
    no_effects_reason,
    scaled_evaluations,
)
from scale_eval.results.panel import COVERAGES, Panel
from scale_eval.results.pooled_figures import pooled_figure
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.ratio_terms import Sums, Terms, averaged_terms, terms
from scale_eval.results.tables.base import (
    INTERVAL_COLUMNS,
    N_EFFECTIVE_COLUMN,
    NO_EFFECTS,
    MetricTable,
)
from scale_eval.statistics.dispersion import dispersion
from scale_eval.storage.columns import COUNT, NUMBER, TEXT, TIME, Column


def pooled_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Make the table from the rows of `pooled_of`."""
    frame = pd.DataFrame(list(rows), columns=POOLED.schema.names)
    return pa.Table.from_pandas(frame, schema=POOLED.schema, preserve_index=False)


def pooled_of(
    panel: Panel,
    metric: Metric,
    scores: PooledHistograms | None,
    influence: np.ndarray | None,
    models: Sequence[int] | None = None,
) -> Iterator[dict[str, Any]]:
    """Make the rows of one metric, for all models or those at these positions in the panel."""
    cutoffs = list(panel.cutoffs)
    for model in range(len(panel.models)) if models is None else models:
        model_figures = _ModelFigures.of(panel, metric, model, scores, influence)
        by_selection: dict[tuple[int | None, str], tuple[int, list[dict[str, Any]]]] = {}
        for cutoff in (None, *range(len(panel.cutoffs))):
            at = -1 if cutoff is None else cutoff
            n_ended = {status: int(n[at, model]) for status, n in panel.n_ended.items()}
            for coverage in COVERAGES:
                windows = panel.covered(coverage, model, panel.at(cutoff))
                wider = (by_selection.get(key) for key in ((None, coverage), (cutoff, "own")))
                # A selection of as many windows as a wider one has the same windows.
                same = [rows for n, rows in filter(None, wider) if n == len(windows)]
                rows = same[0] if same else list(model_figures.figures(windows, cutoff, coverage))
                by_selection[cutoff, coverage] = len(windows), rows
                counts = {
                    "model": panel.models[model],
                    "metric": metric.name,
                    "cutoff": None if cutoff is None else cutoffs[cutoff],
                    "coverage": coverage,
                    "n_skipped": n_ended["skipped"],
                    "n_failed": n_ended["failed"],
                    "n_not_common": n_ended["ok"] - len(windows),
                }
                yield from (row | counts for row in rows)


@dataclass(frozen=True)
class _ModelFigures:
    """The inputs to the figures of one metric and model, for every window of the panel.

    Attributes
    ----------
    own, weighted : Terms
    undefined : ndarray of bool, shape (n_windows,)
    influence : InfluenceSums or None
    correction : ndarray, shape (n_windows,), or None
        The small-sample factor, with the influence.
    scaled : ScaledEvaluations or None
        The evaluations on the scale of effects, for a metric with random effects.
    """

    panel: Panel
    metric: Metric
    model: int
    scores: PooledHistograms | None
    own: Terms
    weighted: Terms
    undefined: np.ndarray
    influence: InfluenceSums | None
    correction: np.ndarray | None
    scaled: ScaledEvaluations | None

    @classmethod
    def of(
        cls,
        panel: Panel,
        metric: Metric,
        model: int,
        scores: PooledHistograms | None,
        influence: np.ndarray | None,
    ) -> _ModelFigures:
        own, weighted = (terms(panel, metric, model, weighted=w) for w in (False, True))
        undefined = np.isnan(panel.columns[metric.name][:, model])
        sums = correction = scaled = None
        if influence is not None:
            sums = InfluenceSums.of(influence[:, model])
            correction = sampling_factor(panel, metric, model)
            if metric.effects is not None:
                scaled = scaled_evaluations(panel, metric, model)
        return cls(panel, metric, model, scores, own, weighted, undefined, sums, correction, scaled)

    def figures(
        self, windows: np.ndarray, cutoff: int | None, coverage: str
    ) -> Iterator[dict[str, Any]]:
        """Make the rows of one selection of windows, one for each estimand."""
        metric, model, panel = self.metric, self.model, self.panel.at_cutoff(cutoff)
        own, weighted = (t.over(panel, windows) for t in (self.own, self.weighted))
        undefined = windows[self.undefined.take(windows)]
        counts = {
            "n_companies": panel.n_with(windows),
            "n_companies_defined": int(np.count_nonzero(~np.isnan(own.figures))),
            "n_defined": len(windows) - len(undefined),
            "n_undefined": len(undefined),
            "undefined_reasons": panel.undefined_reasons(metric.name, model, undefined),
        }
        chance = self._chance(panel, windows)
        for estimand in metric.estimands:
            row: dict[str, Any] = {"estimand": estimand, **counts}
            if estimand == EQUAL_COMPANY and len(windows):
                estimate, extra = self._company_mean(panel, windows, own)
                row |= extra
            else:
                estimate = pooled_figure(
                    panel, metric, model, windows, estimand, self.scores, cutoff, coverage, weighted
                )
            row |= _columns(estimate, metric, estimand)
            from_histograms = metric.row_form is not None and estimand == ROW
            if from_histograms and self._floor is not None and not estimate.reason:
                row["constant_floor"] = self._floor.of(windows)
            # A figure of merged histograms compares customers across windows: it is not a sum.
            if chance is not None and not estimate.reason and not from_histograms:
                variance = chance.equal_company if estimand == EQUAL_COMPANY else chance.pooled
                scale = estimate.value if estimate.log else 1.0
                row["sampling_std_error"] = scale * float(np.sqrt(variance))
            yield row

    @cached_property
    def _floor(self) -> _Floor | None:
        form = self.metric.row_form
        return None if form is None or form.floor is None else _Floor(self.panel, form, self.model)

    def _chance(self, panel: Panel, windows: np.ndarray) -> Variances | None:
        """Return the variances from chance among customers; None for a figure without them."""
        if self.influence is None or self.metric.is_mean_of_effects:
            return None
        assert self.correction is not None
        weights = self.weighted.weight, self.own.weight
        chance = variances(panel, windows, self.influence, *weights, self.correction)
        if not self.metric.pooling.log:
            return chance
        # The average company's ratio is one of sums too: of each company's mean rate.
        mean_rate = np.empty(len(panel.company))
        mean_rate[windows] = averaged_terms(self.panel, self.metric, self.model, windows).weight
        mean_rate[windows] /= panel.count_by_company(windows)[panel.company[windows]]
        of_rates = variances(
            panel, windows, self.influence, mean_rate, self.own.weight, self.correction
        )
        return Variances(chance.pooled, of_rates.pooled)

    def _company_mean(
        self, panel: Panel, windows: np.ndarray, own: Sums
    ) -> tuple[Estimate, dict[str, Any]]:
        """Return the mean over companies, and their dispersion and heterogeneity."""
        metric, model = self.metric, self.model
        estimate, defined = equal_company(panel, metric, model, windows, own)
        row: dict[str, Any] = dispersion(defined[~np.isnan(defined)])
        if self.influence is None or self.scaled is None or metric.effects is None:
            reason = no_effects_reason(metric, self.influence, "losses_go_with_the_rate")
            return estimate, row | {"heterogeneity_reason": reason}
        effects = self.scaled.effects(panel, windows, self.influence)
        row |= heterogeneity(effects, metric.effects)
        if metric.is_mean_of_effects:
            estimate = mean_of_effects(effects)
        return estimate, row


def _columns(estimate: Estimate, metric: Metric, estimand: str) -> dict[str, Any]:
    interval = estimate.interval(metric.low, metric.high)
    return {
        "value": estimate.value,
        "reason": estimate.reason,
        "error_bound": np.nan if estimate.reason else estimate.error_bound,
        "std_error": interval.std_error,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_reason": interval.reason,
        "ci_condition": condition_of(interval, estimate, estimand),
        "n_effective": estimate.n_effective,
    }


class _Floor:
    """The figure over all rows if every score were the observed rate of its window."""

    def __init__(self, panel: Panel, form: RowForm, model: int) -> None:
        assert form.floor is not None
        self._figure = form.floor
        customers = panel.columns["n_customers"][:, model]
        self._positive = panel.columns["n_positive"][:, model]
        self._negative = customers - self._positive
        rates, self._rank = np.unique(-self._positive / customers, return_inverse=True)
        self._n_rates = len(rates)

    def of(self, windows: np.ndarray) -> float:
        """Return the floor at these windows, one at least; raises `Undefined`."""
        rank = self._rank.take(windows)  # one order serves all selections
        return self._figure(
            *(
                np.bincount(rank, count.take(windows), self._n_rates).astype(np.int64)
                for count in (self._positive, self._negative)
            )
        )


_NO_FIGURES = "the estimand is not `equal_company`, or no company has a figure"

POOLED = MetricTable(
    "pooled",
    row="model, metric, cutoff or all cutoffs, estimand, coverage",
    doc="Figures over companies: how sure they are, how companies differ, and what to expect at "
    "the next one. `std_error`, `ci_low` and `ci_high` speak of companies like these; "
    "`sampling_std_error` speaks of these companies in these windows. The estimands answer "
    "different questions: `row` pools all customers, `within_company` compares only "
    "customers of one company and cutoff, `equal_company` is the average company.",
    columns=(
        Column("model", TEXT, "The model."),
        Column("metric", TEXT, "The metric."),
        Column("cutoff", TIME, "The cutoff.", null="the row is of all cutoffs"),
        Column("estimand", TEXT, "Whose figure it is: `equal_company`, `row` or `within_company`."),
        Column(
            "coverage",
            TEXT,
            "The windows that count: `own` (where this model is ok) or `common` (where every model "
            "is).",
        ),
        Column("value", NUMBER, "The figure.", null="`reason` says why"),
        Column("reason", TEXT, "Why `value` is null; empty where it is not."),
        Column(
            "std_error",
            NUMBER,
            "Standard error of `value`, as a figure of companies like these.",
            null="`ci_reason` says why",
        ),
        *INTERVAL_COLUMNS,
        Column(
            "sampling_std_error",
            NUMBER,
            "Standard error from chance among customers alone: these companies and windows, with "
            "other customers.",
            null="evaluations of the metric keep no influence sums, or it is a ranking metric over "
            "all rows or a calibration slope, or one of the companies has no standard error in "
            "`companies`",
        ),
        Column("n_companies", COUNT, "Companies with at least one evaluation in the coverage."),
        Column("n_companies_defined", COUNT, "Of these, companies that define the metric."),
        Column("n_defined", COUNT, "Evaluations that define the metric."),
        Column("n_undefined", COUNT, "Evaluations that do not."),
        Column(
            "undefined_reasons",
            TEXT,
            'Why they do not, with counts: "reason:count;...", sorted.',
        ),
        Column("n_skipped", COUNT, "Evaluations of this model that were skipped."),
        Column("n_failed", COUNT, "Evaluations of this model that failed."),
        Column(
            "n_not_common",
            COUNT,
            "Evaluations that are ok, but where another model is not: outside the common coverage.",
        ),
        N_EFFECTIVE_COLUMN,
        Column(
            "error_bound",
            NUMBER,
            "Largest distance of `value` from that of the rows themselves; 0 where it is exact.",
            null="no bound can be certified, or `value` is null",
        ),
        Column(
            "constant_floor",
            NUMBER,
            "AUC over all rows of a constant score for each company and cutoff, its own rate.",
            null="the row is not `roc_auc` of the estimand `row`",
        ),
        Column("mean", NUMBER, "Mean of companies' figures.", null=_NO_FIGURES),
        Column(
            "std",
            NUMBER,
            "Standard deviation (ddof 1) of companies' figures: true differences, noise and time.",
            null=_NO_FIGURES,
        ),
        Column(
            "mad",
            NUMBER,
            "Median absolute deviation of companies' figures from their median, unscaled.",
            null=_NO_FIGURES,
        ),
        Column("iqr", NUMBER, "Interquartile range of companies' figures.", null=_NO_FIGURES),
        Column("min", NUMBER, "Smallest figure of a company.", null=_NO_FIGURES),
        Column("p05", NUMBER, "5 % quantile of companies' figures.", null=_NO_FIGURES),
        Column("p25", NUMBER, "25 % quantile of companies' figures.", null=_NO_FIGURES),
        Column("p50", NUMBER, "Median of companies' figures.", null=_NO_FIGURES),
        Column("p75", NUMBER, "75 % quantile of companies' figures.", null=_NO_FIGURES),
        Column("p95", NUMBER, "95 % quantile of companies' figures.", null=_NO_FIGURES),
        Column("max", NUMBER, "Largest figure of a company.", null=_NO_FIGURES),
        Column(
            "n_heterogeneity",
            COUNT,
            "Companies that enter the random effects, which the columns after this one describe.",
            null="the metric has no random effects, or the estimand is not `equal_company`",
        ),
        Column(
            "tau",
            NUMBER,
            "Standard deviation of the true figures between companies, on `tau_scale`.",
            null=NO_EFFECTS,
        ),
        Column("tau_low", NUMBER, "Lower end of the 95 % interval of `tau`.", null=NO_EFFECTS),
        Column("tau_high", NUMBER, "Upper end of the 95 % interval of `tau`.", null=NO_EFFECTS),
        Column("tau_scale", TEXT, "Scale of `tau`: logit, log or identity.", null=NO_EFFECTS),
        Column(
            "i_squared",
            NUMBER,
            "Share of the variance of companies' figures that is true difference: I^2.",
            null=NO_EFFECTS,
        ),
        Column(
            "expected",
            NUMBER,
            "Mean of the random effects, on the metric's own scale.",
            null=NO_EFFECTS,
        ),
        Column("expected_low", NUMBER, "Lower end of its 95 % interval.", null=NO_EFFECTS),
        Column("expected_high", NUMBER, "Upper end of its 95 % interval.", null=NO_EFFECTS),
        Column(
            "prediction_low",
            NUMBER,
            "Lower end of the interval that holds the true figure of the next company with a "
            "probability of 95 %.",
            null=NO_EFFECTS,
        ),
        Column("prediction_high", NUMBER, "Upper end of that interval.", null=NO_EFFECTS),
        Column(
            "heterogeneity_reason",
            TEXT,
            "Why the columns of random effects, or the last two, are null.",
            null="the estimand is not `equal_company`",
        ),
    ),
    shown=(
        "metric",
        "model",
        "estimand",
        "coverage",
        "cutoff",
        "value",
        "ci_low",
        "ci_high",
        "n_effective",
        "reason",
    ),
    make=lambda inputs: pooled_table(
        pooled_of(inputs.panel, inputs.metric, inputs.scores, inputs.influence, inputs.models)
    ),
    by_model=True,
    sorted_by="model",
    conventions={
        "quantiles": "linear between order statistics (Hyndman & Fan 1996, type 7)",
        "mad": "median absolute deviation from the median, unscaled",
        "equal_company": "mean of company figures; O:E: mean rate / mean prediction; skill: "
        "1 - mean loss / mean reference loss, each first averaged within companies; calibration "
        "slope: mean of random effects (REML)",
        "within_company": "roc_auc by pairs; average_precision, gain and lift by positives; "
        "value captured by spend; calibration slope: one slope, an intercept a company and cutoff",
        "row rank metrics": "histograms of logit scores, bins of 1/128; error_bound is certified",
        "common coverage": "windows ok for every model that predicted anywhere",
        "ci": "95 %, over companies: linearised standard error, Student's t with n_effective - 1 "
        "degrees of freedom (row rank metrics: delete-a-group jackknife, companies dealt to at "
        "most 64 groups; bias-corrected, but for gain, lift and value captured, taken to first "
        "order); O:E on the log scale; row and within_company from 5 companies on; none for a "
        "difference of distances from a target but at the average company",
        "n_effective": "(sum w)^2 / sum w^2 (Kish 1965); below 30 a figure is warned of",
        "ci_condition": "no_larger_company: row and within_company, with n_effective below 30, or "
        "k exp(-s^2) of k weights with variance s^2 of logarithms (n_effective of log-normal "
        "ones) below 30, or heavy-tailed weights: logarithms of skewness above .5, and an index "
        "of the largest quarter (Hill 1975) below 2.5",
        "sampling_std_error": "chance among customers alone, clustered by customer and paired "
        "through the influence sums: these companies in these half-years",
        "tau": "REML on logit AUC, log O:E, slope, raw differences of losses and AUC; evaluations "
        "of which 10 buyers and 10 non-buyers (slope: 100) were to be expected by the rate known "
        "at the cutoff, for differences of losses all; without the bias of second order; "
        "tau_low, tau_high: Q-profile (Viechtbauer 2007), extended to hold tau",
        "v": "variance of a company's effect: from 16 customer groups, smoothed over companies by "
        "size and known rate (generalised variance function)",
        "expected": "mean of the random effects, Knapp & Hartung 2003",
        "i_squared": "tau^2 / (tau^2 + s^2), s^2 = (k - 1) sum w / ((sum w)^2 - sum w^2)",
        "prediction": "95 %, of the true figure at the next company: confidence distribution of "
        "tau^2 from the generalised Q statistic, integrated, not drawn; normal effects below 20 "
        "companies; from there on their most likely shape beside a normal prior of 10 companies",
    },
)
