"""A pooled figure with its interval: the three estimands over companies.

``row``
    All customers pooled: what a customer drawn at random meets. A rank metric then also rewards
    knowing which company has many buyers.
``within_company``
    Rank metrics where only customers of one company at one cutoff are compared: pairs of a positive
    and a negative (`roc_auc`), positives (`average_precision`), each company's own top tenth (gain,
    lift, value), summed over windows. For the calibration slope: one slope, with an intercept for
    each company and cutoff.
``equal_company``
    Each company counts once: its own figure over its cutoffs, then the mean over companies; O:E as
    mean rate of buyers / mean prediction, so that a company without buyers counts as any other; a
    skill as 1 - mean loss / mean reference loss; the calibration slope as the mean of random
    effects.

The sampling units of an interval are companies, never rows: it is about companies like these. Its
standard error is linearised (Särndal, Swensson & Wretman 1992, for quotients of sums), or from a
delete-a-group jackknife where the figure is not a quotient of sums (Kott 2001); the quantile is
Student's with n_effective - 1 degrees of freedom, n_effective = (sum w)^2 / sum w^2 (Kish 1965). A
percentile bootstrap covers too little at 30 companies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import Sums, averages, terms
from scale_eval.statistics.jackknife import delete_a_group
from scale_eval.statistics.linearization import linearised, ratio_influence
from scale_eval.statistics.tail import effective_number

MIN_COMPANIES = 5
"""Fewest companies with which a figure with unequal weights has an interval."""

BIAS_OF_ERROR = 0.25
"""Bias, as a share of the standard error, above which an interval is refused: it would hold the
truth less than 94 % of the time."""


@dataclass(frozen=True)
class Interval:
    """The standard error and interval of a figure; NaN with a reason where there is none.

    `std_error` is on the scale of the figure; `degrees_of_freedom` are those of Student's t.
    """

    std_error: float = np.nan
    low: float = np.nan
    high: float = np.nan
    degrees_of_freedom: float = np.nan
    reason: str = ""


@dataclass(frozen=True)
class Estimate:
    """A pooled figure, with what its interval is computed from.

    Attributes
    ----------
    value : float
        NaN where undefined, with a `reason`.
    error_bound : float
        The largest distance of the value from that of the rows themselves; 0 where it is exact, NaN
        where there is no bound.
    log : bool
        Whether `influence` is that on the logarithm of the figure.
    influence, weight : ndarray of shape (n_companies,) or None
        The influence of each company on the figure, to first order, and its weight; both 0 for a
        company that does not count.
    replicates : ndarray of shape (n_groups,) or None
        The figure without each group of companies in turn, for a jackknifed error.
    smooth : bool
        Whether the jackknife also corrects the bias, see `RowForm`.
    expected : Interval or None
        The interval of a figure that is the mean of random effects.
    refusal : str
        The reason why it has no interval, whatever its influence.
    """

    value: float
    reason: str = ""
    error_bound: float = 0.0
    log: bool = False
    influence: np.ndarray | None = None
    weight: np.ndarray | None = None
    replicates: np.ndarray | None = None
    smooth: bool = True
    expected: Interval | None = None
    refusal: str = ""

    @cached_property
    def n_effective(self) -> float:
        """Return (sum of weights)^2 / sum of squared weights; NaN without weights."""
        if self.weight is None or not self.weight.any():
            return np.nan
        return effective_number(self.weight)

    def interval(self, low: float = -np.inf, high: float = np.inf) -> Interval:
        """Return the 95 % interval, cut off at `low` and `high`.

        Reasons: that of the value; ``one_company``, and ``fewer_than_5_companies`` where companies
        weigh unequally; ``no_spread``, where all weight is on one company; ``undefined_replicate``,
        where the figure does not exist without one of the groups; ``biased_where_few_buy``, where
        few buyers bias each company's figure alike; ``distance_from_target``, see `difference`.
        """
        if self.reason or self.refusal:
            return Interval(reason=self.reason or self.refusal)
        if self.expected is not None:
            return self.expected
        n_companies = 0 if self.weight is None else np.count_nonzero(self.weight)
        if n_companies < 2:
            return Interval(reason="one_company")
        assert self.weight is not None
        if n_companies < MIN_COMPANIES:
            weights = self.weight[self.weight != 0]
            if weights.min() != weights.max() or self.replicates is not None:
                return Interval(reason="fewer_than_5_companies")
        if self.n_effective <= 1 + 1e-9:
            return Interval(reason="no_spread")
        if self.replicates is not None:
            return self._jackknifed(low, high)
        assert self.influence is not None
        error = linearised(self.influence, self.weight)
        if self.log:
            with np.errstate(over="ignore"):  # of two companies, it may reach to infinity
                below, above = np.exp(error.interval(float(np.log(self.value)))).tolist()
            return Interval(self.value * error.std_error, below, above, error.df)
        return _cut(error.std_error, error.interval(self.value), error.df, low, high)

    def _jackknifed(self, low: float, high: float) -> Interval:
        assert self.replicates is not None
        if not np.isfinite(self.replicates).all():
            return Interval(reason="undefined_replicate")
        jackknife = delete_a_group(self.value, self.replicates)
        df = min(self.n_effective, len(self.replicates)) - 1
        centre = jackknife.value_corrected if self.smooth else self.value
        ends = jackknife.interval(centre, df)
        return _cut(jackknife.std_error, ends, df, low, high)


def equal_company(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray, sums: Sums | None = None
) -> tuple[Estimate, np.ndarray]:
    """Return the mean over companies, and the companies' figures, shape (n_companies,).

    `sums` are those of the unweighted `terms` over these windows, computed where not given.
    """
    if sums is None:
        sums = terms(panel, metric, model, weighted=False).over(panel, windows)
    figures = sums.figures
    defined = ~np.isnan(figures)
    k = int(np.count_nonzero(defined))
    if not k:
        return Estimate(np.nan, _reason(panel, metric, model, windows)), figures
    if metric.pooling.one_minus:
        return quotient_of_sums(*sums.means, one_minus=True), figures
    if metric.pooling.log:
        return _log_quotient(*averages(panel, metric, model, windows)), figures
    mean = float(figures[defined].mean())
    influence = np.where(defined, (figures - mean) / k, 0.0)
    error = float(np.sqrt(np.square(influence).sum()))
    biased = abs(_mean_bias(panel, metric, model, windows)) > BIAS_OF_ERROR * error > 0
    refusal = "biased_where_few_buy" if biased else ""
    weight = defined.astype(float)
    return Estimate(mean, influence=influence, weight=weight, refusal=refusal), figures


def _mean_bias(panel: Panel, metric: Metric, model: int, windows: np.ndarray) -> float:
    """Return the first-order bias of the mean over companies; 0 for a metric without one."""
    if metric.first_order_bias is None:
        return 0.0
    windows = windows[~np.isnan(panel.values(metric.name, model, windows))]
    positive, n = (panel.values(name, model, windows) for name in ("n_positive", "n_customers"))
    company = panel.company[windows]
    bias = np.bincount(company, metric.first_order_bias(positive, n - positive))
    count = np.bincount(company)
    return float((bias[count > 0] / count[count > 0]).mean())


def summed(panel: Panel, metric: Metric, model: int, windows: np.ndarray, sums: Sums) -> Estimate:
    """Return a quotient of sums over all windows: ``row`` or ``within_company``.

    `sums` are those of the weighted `terms` over these windows.
    """
    if sums.denominator.sum() == 0:
        return Estimate(np.nan, _reason(panel, metric, model, windows))
    if metric.pooling.log:
        return _log_quotient(sums.numerator, sums.denominator)
    return quotient_of_sums(sums.numerator, sums.denominator, one_minus=metric.pooling.one_minus)


def difference(metric: Metric, a: Estimate, b: Estimate) -> Estimate:
    """Return a - b on the scale on which models are compared, paired company by company.

    For a metric with a target, that is the difference of the distances from it (of logarithms, for
    a ratio). A distance turns around at the target, where the error of the figure does not carry
    over to it: such a difference has no interval (``distance_from_target``). The mean over
    companies has one.
    """
    values = metric.distance(np.array([a.value, b.value]))
    value = float(values[0] - values[1])
    if np.isnan(value):
        return Estimate(np.nan, "undefined_for_either")
    if a.weight is None or b.weight is None:
        return Estimate(value)
    weight = (a.weight / a.weight.sum() + b.weight / b.weight.sum()) / 2
    if metric.target is not None:
        return Estimate(value, weight=weight, refusal="distance_from_target")
    if a.replicates is not None and b.replicates is not None:
        replicates = a.replicates - b.replicates
        return Estimate(value, weight=weight, replicates=replicates, smooth=a.smooth)
    if a.influence is None or b.influence is None:
        return Estimate(value)
    return Estimate(value, influence=a.influence - b.influence, weight=weight)


def mean_of(values: np.ndarray) -> Estimate:
    """Return the mean of companies' values, shape (n,), each counting once."""
    if not len(values):
        return Estimate(np.nan, "undefined_for_both")
    mean = float(values.mean())
    return Estimate(mean, influence=(values - mean) / len(values), weight=np.ones(len(values)))


def quotient_of_sums(
    numerator: np.ndarray, denominator: np.ndarray, *, one_minus: bool = False
) -> Estimate:
    """Return the sum of one array over that of the other, by company, or 1 - that."""
    total = float(denominator.sum())
    quotient = float(numerator.sum()) / total
    influence = ratio_influence(numerator, denominator)
    if one_minus:
        return Estimate(1.0 - quotient, influence=-influence, weight=denominator)
    return Estimate(quotient, influence=influence, weight=denominator)


def _log_quotient(numerator: np.ndarray, denominator: np.ndarray) -> Estimate:
    quotient = float(numerator.sum()) / float(denominator.sum())
    if quotient == 0:
        return Estimate(quotient, refusal="no_positives")  # 0 has no logarithm
    influence = ratio_influence(numerator, denominator) / quotient
    return Estimate(quotient, log=True, influence=influence, weight=denominator)


def _reason(panel: Panel, metric: Metric, model: int, windows: np.ndarray) -> str:
    if not len(windows):
        return "no_evaluations"
    counted = panel.undefined_reasons(metric.name, model, windows)
    reasons = sorted({entry.partition(":")[0] for entry in counted.split(";")})
    if any(reasons):
        return "+".join(filter(None, reasons))
    return "no_positives" if metric.pooling.log else "no_expected"


def _cut(
    std_error: float, ends: tuple[float, float], df: float, low: float, high: float
) -> Interval:
    below, above = (min(max(end, low), high) for end in ends)  # NaN stays
    return Interval(std_error, below, above, df)
