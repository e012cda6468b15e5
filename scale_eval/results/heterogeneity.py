"""Random effects: how much companies truly differ, and so what to expect at the next one.

A company's effect y is its mean over cutoffs, on a scale where effects are nearly normal; v is the
variance that chance among its customers gives y. Neither who enters nor how much a company weighs
may depend on what its customers then did, or lucky companies carry the figure. An evaluation enters
by what was known at its cutoff: 10 buyers and 10 non-buyers expected by the known rate, 100 of each
for a calibration slope (`Metric.expected_of_each`); the difference of two losses, which exists
wherever there are customers, enters whatever is known. v is what chance gives a company of its size
and known rate, smoothed over companies from 16 groups of customers each
(`statistics.variance_smoothing`).

The mean of a curved function is not the function of the mean: log O:E is too low by half its
variance, logit AUC too high. That is taken from y, to second order, and v is the variance of what
is left: of log O:E with n buyers not 1/n, but (1/n) / (1 + 1/n)^2.

Source: Viechtbauer 2005 (REML), Knapp & Hartung 2003, Viechtbauer 2007 (interval of tau),
Higgins, Thompson & Spiegelhalter 2009 and Nagashima et al. 2019 (prediction).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from scale_eval.compiling import compiled_for_many
from scale_eval.metrics import N_GROUPS, EffectScale, Metric
from scale_eval.results.customer_influence import (
    DEGREES_OF_FREEDOM,
    InfluenceSums,
    small_sample_factor,
)
from scale_eval.results.estimates import Estimate, Interval
from scale_eval.results.panel import Panel
from scale_eval.statistics.precision_trend import mean_over_companies, standardised
from scale_eval.statistics.prediction import ConfidenceDistribution, confidence_distribution
from scale_eval.statistics.random_effects import RandomEffects, q_profile, random_effects
from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.variance_smoothing import smooth

LEAST_RATE = 1e-4
"""Distance from 0 and 1 within which known rates count as equal."""


@dataclass(frozen=True)
class Effects:
    """The effects of companies, with the variances that chance among customers gives them.

    Arrays of shape (k,): `company`, ascending positions in the panel; `y`; and `v` > 0.
    """

    company: np.ndarray
    y: np.ndarray
    v: np.ndarray

    def among(self, companies: np.ndarray) -> Effects:
        """Select the companies in `companies`, a mask of shape (n_companies,)."""
        chosen = companies[self.company]
        return Effects(self.company[chosen], self.y[chosen], self.v[chosen])


@dataclass(frozen=True)
class ScaledEvaluations:
    """Evaluations on the scale where effects are nearly normal; arrays of shape (n_windows,).

    Attributes
    ----------
    y : ndarray of float64
        NaN for an evaluation that does not enter.
    derivative : ndarray
        The derivative of y by the figure of the influence sums, with the small-sample factor.
    base : ndarray of float64
        The variance of y by what was known at the cutoff, up to a factor that all share.
    n_customers, known_rate : ndarray of float64
    """

    y: np.ndarray
    derivative: np.ndarray
    base: np.ndarray
    n_customers: np.ndarray
    known_rate: np.ndarray

    def effects(self, panel: Panel, windows: np.ndarray, influence: InfluenceSums) -> Effects:
        """Return the effects of companies: means over `windows`, ascending positions."""
        n, sums = np.zeros(panel.n_companies, np.int64), np.zeros((5, panel.n_companies))
        _by_company(
            panel.company,
            windows,
            self.y,
            influence.sums,
            influence.squares,
            self.derivative,
            self.base,
            self.n_customers,
            self.known_rate,
            n,
            *sums,
        )
        entered = np.flatnonzero(n)
        n, (means, squares, base, size, rate) = n[entered], sums[:, entered]
        estimates = squares * (N_GROUPS / DEGREES_OF_FREEDOM)
        size, rate = size / n, rate / n
        covariates = np.log(np.column_stack([n, size, rate * (1 - rate)]))
        v = smooth(estimates, base / np.square(n), covariates, size >= 2)
        varies = v > 0
        return Effects(entered[varies], means[varies], v[varies])


def scaled_evaluations(panel: Panel, metric: Metric, model: int) -> ScaledEvaluations:
    """Return the evaluations of one model on the scale of the metric's effects."""
    assert metric.effects is not None and metric.influence is not None
    assert metric.influence.std_error_column is not None
    enough = enough_known(panel, metric, model)
    value = np.where(enough, panel.columns[metric.name][:, model], np.nan)
    error = panel.columns[metric.influence.std_error_column][:, model]
    with np.errstate(divide="ignore", invalid="ignore"):
        y, slope = metric.effects.to(value), metric.effects.slope(value)
        # The error and the influence of a logarithm are on the scale already.
        derivative = np.ones_like(slope) if metric.influence.log else slope
        variance = np.square(derivative * error)
        y = y - metric.effects.curvature(value) / np.square(slope) * variance / 2
        if metric.influence.log:
            derivative = derivative / (1 + variance)
    y = np.where(np.isfinite(y) & (variance > 0), y, np.nan)
    return _scaled(panel, metric, model, y, derivative)


def company_effects(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray, influence: np.ndarray
) -> Effects:
    """Return the effects of one model on the scale of the metric's effects.

    Parameters
    ----------
    windows : ndarray of int
        Ascending positions.
    influence : ndarray, shape (n_windows, n_models, n_groups)
        Influence sums of the whole panel, see `Panel.influences`.
    """
    sums = InfluenceSums.of(influence[:, model])
    return scaled_evaluations(panel, metric, model).effects(panel, windows, sums)


def difference_effects(
    panel: Panel, metric: Metric, pair: tuple[int, int], windows: np.ndarray, influence: np.ndarray
) -> Effects:
    """Return the effects of the difference of two models on the metric's own scale, paired.

    For a metric with a target, each figure is its distance from the target, on the side on which
    the model's mean effect lies. See `company_effects` for the parameters.
    """
    a, b = pair
    assert metric.influence is not None and metric.influence.std_error_column is not None
    column, error = panel.columns[metric.name], panel.columns[metric.influence.std_error_column]
    sign = [1.0, 1.0]
    if metric.target is not None:
        means = [
            mean_of_effects(company_effects(panel, metric, m, windows, influence)).value
            for m in pair
        ]
        sign = [-1.0 if mean < metric.target else 1.0 for mean in means]
    target = metric.target or 0.0
    y = sign[0] * (column[:, a] - target) - sign[1] * (column[:, b] - target)
    if metric.influence.needs_both_classes:
        with np.errstate(invalid="ignore"):
            varies = np.square(error[:, a]) + np.square(error[:, b]) > 0
        y[~(varies & enough_known(panel, metric, a))] = np.nan
    # Up to its sign, which the variances do not show.
    paired = (np.subtract if sign[0] == sign[1] else np.add)(influence[:, a], influence[:, b])
    evaluations = _scaled(panel, metric, a, y, np.ones(len(y), paired.dtype))
    return evaluations.effects(panel, windows, InfluenceSums.of(paired))


def _scaled(
    panel: Panel, metric: Metric, model: int, y: np.ndarray, derivative: np.ndarray
) -> ScaledEvaluations:
    """Add what was known at the cutoffs to effects, and the small-sample factor."""
    assert metric.influence is not None
    n, rate = (panel.columns[name][:, model] for name in ("n_customers", "known_rate"))
    rate = np.clip(np.where(np.isnan(rate), _usual(rate), rate), LEAST_RATE, 1 - LEAST_RATE)
    expected = {"n_customers": n, "n_positive": n * rate}
    if metric.influence.needs_both_classes:
        base = 1 / metric.influence.rests_on.of(expected.__getitem__)
    else:
        base = rate * (1 - rate) / n
    factor = small_sample_factor(panel, metric, model)
    return ScaledEvaluations(y, derivative * factor.astype(derivative.dtype), base, n, rate)


def no_effects_reason(metric: Metric, influence: object | None, otherwise: str) -> str:
    """Return why there are no random effects of a metric with these influence sums, or without.

    A jackknife overstates chance where few buy, so that little true difference would be left: the
    interval of the next difference of gains of 100 companies held 70 to 85 % in simulations.
    """
    if metric.influence is None or influence is None:
        return "no_influence_kept"
    return "chance_by_jackknife" if metric.influence.is_jackknifed else otherwise


def _usual(rate: np.ndarray) -> float:
    """Return the rate that stands for those that are not known."""
    known = rate[~np.isnan(rate)]
    return float(np.median(known)) if len(known) else 0.5


def enough_known(panel: Panel, metric: Metric, model: int) -> np.ndarray:
    """Return whether enough buyers and non-buyers were to be expected; shape (n_windows,)."""
    n, rate = (panel.columns[name][:, model] for name in ("n_customers", "known_rate"))
    with np.errstate(invalid="ignore"):
        return np.asarray(n * np.minimum(rate, 1 - rate) >= metric.expected_of_each)


@compiled_for_many
def _by_company(
    company: np.ndarray,
    windows: np.ndarray,
    y: np.ndarray,
    influence: np.ndarray,
    influence_squares: np.ndarray,
    derivative: np.ndarray,
    base: np.ndarray,
    n_customers: np.ndarray,
    known_rate: np.ndarray,
    n: np.ndarray,
    means: np.ndarray,
    squares: np.ndarray,
    base_sum: np.ndarray,
    customers_sum: np.ndarray,
    rate_sum: np.ndarray,
) -> None:
    """Count the windows of each company, average y over them, and sum what was known.

    `squares` are the sums of the squared influences of the groups of customers on the mean. A
    window without a finite effect is left out (constant predictions, an AUC of exactly 1). The last
    six parameters, shape (n_companies,), are added to.
    """
    sums, counted = np.zeros(influence.shape[1], derivative.dtype), np.zeros(len(windows), np.bool_)
    begin = 0
    while begin < len(windows):
        c, end = company[windows[begin]], begin
        while end < len(windows) and company[windows[end]] == c:
            window = windows[end]
            counted[end] = np.isfinite(y[window]) and influence_squares[window] < np.inf
            if counted[end]:
                n[c] += 1
                base_sum[c] += base[window]
                customers_sum[c] += n_customers[window]
                rate_sum[c] += known_rate[window]
            end += 1
        share = 1.0 / max(n[c], 1)
        if end == begin + 1 and counted[begin]:
            window = windows[begin]
            means[c] = y[window]
            squares[c] = derivative[window] * derivative[window] * influence_squares[window]
            begin = end
            continue
        share_moved = derivative.dtype.type(share)
        for group in range(len(sums)):
            sums[group] = 0
        for i in range(begin, end):
            if counted[i]:
                window = windows[i]
                means[c] += share * y[window]
                for group in range(len(sums)):
                    sums[group] += share_moved * (derivative[window] * influence[window, group])
        for moved in sums:
            squares[c] += np.float64(moved) * np.float64(moved)
        begin = end


def next_company(effects: Effects) -> ConfidenceDistribution:
    """Return the distribution of the true effect at the next company; raises `Undefined`."""
    return confidence_distribution(effects.y, effects.v, standardised(effects.v))


def fit_effects(effects: Effects) -> RandomEffects:
    """Fit random effects by REML; raises `Undefined` below two companies."""
    return random_effects(effects.y, effects.v)


def mean_of_effects(effects: Effects) -> Estimate:
    """Return the mean of random effects over companies, as an estimate; see `precision_trend`."""
    try:
        fit = fit_effects(effects)
    except Undefined as undefined:
        return Estimate(np.nan, undefined.reason)
    mean, error = mean_over_companies(effects.y, effects.v, fit.tau2)
    half = float(stdtrit(fit.k - 1, 0.975)) * error
    interval = Interval(error, mean - half, mean + half, fit.k - 1)
    return Estimate(mean, weight=1 / (effects.v + fit.tau2), expected=interval)


def heterogeneity(effects: Effects, scale: EffectScale) -> dict[str, Any]:
    """Return the columns of random effects of the table `pooled`."""
    columns: dict[str, Any] = {"n_heterogeneity": len(effects.y), "heterogeneity_reason": ""}
    try:
        fit = fit_effects(effects)
        tau2_low, tau2_high = q_profile(effects.y, effects.v)
        # REML and Q weigh companies differently: with very many, whose effects are not quite
        # normal, the interval from one can miss the estimate from the other.
        tau2_low, tau2_high = min(tau2_low, fit.tau2), max(tau2_high, fit.tau2)
        mean = mean_of_effects(effects)
        low, high = mean.interval().low, mean.interval().high
        columns |= {
            "tau": np.sqrt(fit.tau2),
            "tau_low": np.sqrt(tau2_low),
            "tau_high": np.sqrt(tau2_high),
            "tau_scale": scale.name,
            "i_squared": fit.i_squared,
            "expected": float(scale.back(mean.value)),
            "expected_low": float(scale.back(low)),
            "expected_high": float(scale.back(high)),
        }
        low, high = next_company(effects).interval()
        columns |= {
            "prediction_low": float(scale.back(low)),
            "prediction_high": float(scale.back(high)),
        }
    except Undefined as undefined:
        columns["heterogeneity_reason"] = undefined.reason
    return columns
