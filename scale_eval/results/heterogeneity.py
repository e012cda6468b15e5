"""Random effects: how much companies truly differ, and so what to expect at the next one.

A company's effect y is its mean over cutoffs, on a scale where effects are nearly normal; v is the
variance that chance among its customers gives y. An evaluation enters with at least 10 positives
and 10 negatives: with fewer, v is not known well enough. v is estimated from 16 groups of
customers, and moderated towards the evaluations' own standard errors
(`statistics.variance_moderation`), because the noise of v would otherwise look like differences
between companies.

Source: Viechtbauer 2005 (REML), Knapp & Hartung 2003, Viechtbauer 2007 (interval of tau),
Higgins, Thompson & Spiegelhalter 2009 and Nagashima et al. 2019 (prediction).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from scale_eval.metrics import N_GROUPS, EffectScale, Metric
from scale_eval.results.customer_influence import DEGREES_OF_FREEDOM, InfluenceSums
from scale_eval.results.estimates import Estimate, Interval
from scale_eval.results.panel import Panel
from scale_eval.statistics.prediction import ConfidenceDistribution, confidence_distribution
from scale_eval.statistics.random_effects import RandomEffects, q_profile, random_effects
from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.variance_moderation import moderate

MIN_PER_CLASS = 10
"""Positives, and negatives, that an evaluation needs to enter."""


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
    variance : ndarray of float64
        The variance of y from the evaluation's own standard error.
    derivative : ndarray
        The derivative of y by the figure of the influence sums.
    """

    y: np.ndarray
    variance: np.ndarray
    derivative: np.ndarray

    def effects(self, panel: Panel, windows: np.ndarray, influence: InfluenceSums) -> Effects:
        """Return the effects of companies: means over `windows`, ascending positions."""
        n, sums = np.zeros(panel.n_companies, np.int64), np.zeros((3, panel.n_companies))
        _by_company(
            panel.company,
            windows,
            self.y,
            influence.sums,
            influence.squares,
            self.derivative,
            self.variance,
            n,
            *sums,
        )
        entered = np.flatnonzero(n)
        means, independent, squares = sums[:, entered]
        clustered = squares * (N_GROUPS / DEGREES_OF_FREEDOM)
        v = moderate(clustered, independent, DEGREES_OF_FREEDOM)
        varies = v > 0
        return Effects(entered[varies], means[varies], v[varies])


def scaled_evaluations(panel: Panel, metric: Metric, model: int) -> ScaledEvaluations:
    """Return the evaluations of one model on the scale of the metric's effects."""
    assert metric.effects is not None and metric.influence is not None
    value = np.where(_enough_of_both(panel, model), panel.columns[metric.name][:, model], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        y, slope = metric.effects.to(value), metric.effects.slope(value)
    derivative = np.ones_like(slope) if metric.influence.log else slope
    error = panel.columns[metric.influence.std_error_column][:, model]
    with np.errstate(invalid="ignore"):
        return ScaledEvaluations(y, np.square(derivative * error), derivative)


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
    assert metric.influence is not None
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
    y[~_enough_of_both(panel, a)] = np.nan
    variance = np.square(error[:, a]) + np.square(error[:, b])
    paired = sign[0] * influence[:, a]
    (np.subtract if sign[1] > 0 else np.add)(paired, influence[:, b], out=paired)
    derivative = np.ones(len(y), paired.dtype)
    return ScaledEvaluations(y, variance, derivative).effects(
        panel, windows, InfluenceSums.of(paired)
    )


def _enough_of_both(panel: Panel, model: int) -> np.ndarray:
    """Return whether evaluations have enough of both classes to enter; shape (n_windows,)."""
    positive = panel.columns["n_positive"][:, model]
    negative = panel.columns["n_customers"][:, model] - positive
    return np.asarray((positive >= MIN_PER_CLASS) & (negative >= MIN_PER_CLASS))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _by_company(
    company: np.ndarray,
    windows: np.ndarray,
    y: np.ndarray,
    influence: np.ndarray,
    influence_squares: np.ndarray,
    derivative: np.ndarray,
    variance: np.ndarray,
    n: np.ndarray,
    means: np.ndarray,
    independent: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Count the windows of each company, and average y and its variances over them.

    `independent` is the variance if windows were independent, `squares` the sum of the squared
    influences of the groups of customers on the mean. A window without a finite effect and a
    variance (constant predictions, an AUC of exactly 1) is left out. The last four parameters,
    shape (n_companies,), are added to.
    """
    sums, counted = np.zeros(influence.shape[1], derivative.dtype), np.zeros(len(windows), np.bool_)
    begin = 0
    while begin < len(windows):
        c, end = company[windows[begin]], begin
        while end < len(windows) and company[windows[end]] == c:
            window = windows[end]
            enters = np.isfinite(y[window]) and np.isfinite(variance[window])
            enters &= variance[window] > 0 and influence_squares[window] < np.inf
            counted[end] = enters
            n[c] += enters
            end += 1
        share = 1.0 / max(n[c], 1)
        if end == begin + 1 and counted[begin]:
            window = windows[begin]
            means[c], independent[c] = y[window], variance[window]
            squares[c] = derivative[window] * derivative[window] * influence_squares[window]
            begin = end
            continue
        share_moved = derivative.dtype.type(share)
        sums[:] = 0
        for i in range(begin, end):
            if counted[i]:
                window = windows[i]
                means[c] += share * y[window]
                independent[c] += share * share * variance[window]
                for group in range(len(sums)):
                    sums[group] += share_moved * (derivative[window] * influence[window, group])
        for moved in sums:
            squares[c] += np.float64(moved) * np.float64(moved)
        begin = end


def next_company(effects: Effects) -> ConfidenceDistribution:
    """Return the distribution of the true effect at the next company; raises `Undefined`."""
    return confidence_distribution(effects.y, effects.v)


def fit_effects(effects: Effects) -> RandomEffects:
    """Fit random effects by REML; raises `Undefined` below two companies."""
    return random_effects(effects.y, effects.v)


def mean_of_effects(effects: Effects) -> Estimate:
    """Return the mean of random effects, as an estimate."""
    try:
        fit = fit_effects(effects)
    except Undefined as undefined:
        return Estimate(np.nan, undefined.reason)
    interval = Interval(fit.knapp_hartung_std_error, *fit.interval(), fit.k - 1)
    return Estimate(fit.mu, weight=1 / (effects.v + fit.tau2), expected=interval)


def heterogeneity(effects: Effects, scale: EffectScale) -> dict[str, Any]:
    """Return the columns of random effects of the table `pooled`."""
    columns: dict[str, Any] = {"n_heterogeneity": len(effects.y), "heterogeneity_reason": ""}
    try:
        fit = fit_effects(effects)
        tau2_low, tau2_high = q_profile(effects.y, effects.v)
        # REML and Q weigh companies differently: with very many, whose effects are not quite
        # normal, the interval from one can miss the estimate from the other.
        tau2_low, tau2_high = min(tau2_low, fit.tau2), max(tau2_high, fit.tau2)
        low, high = fit.interval()
        columns |= {
            "tau": np.sqrt(fit.tau2),
            "tau_low": np.sqrt(tau2_low),
            "tau_high": np.sqrt(tau2_high),
            "tau_scale": scale.name,
            "i_squared": fit.i_squared,
            "expected": float(scale.back(fit.mu)),
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
