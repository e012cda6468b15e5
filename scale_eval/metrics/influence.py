"""Influence of customers on metrics, from which covariances between evaluations are made.

The models and cutoffs of one company share customers. So each evaluation keeps the sums IF_g of
influence values over the same 16 groups of customers. The variance of any combination
sum_i c_i theta_i of its metrics is then sum_g (sum_i c_i IF_ig)^2, covariances included and
clustered by customer.

A metric without influence values by customer keeps the same sums, from a jackknife that leaves out
each group.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scale_eval.metrics.built_in import METRICS, WITH_INFLUENCE
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import N_GROUPS, ROUNDING
from scale_eval.statistics.undefined import Undefined

INFLUENCED = tuple(influence.name for influence in WITH_INFLUENCE.values())
"""The names of the influence sums of an evaluation, in the order of its columns."""


def influence_values(scores: Scores) -> dict[str, np.ndarray | None]:
    """Return the influence of each customer on the `INFLUENCED` that have one for each customer.

    Each is of shape (n,), and adds to 0; None where it is undefined. The others come from a
    jackknife by groups.
    """
    values: dict[str, np.ndarray | None] = {}
    for influence in WITH_INFLUENCE.values():
        if influence.values is not None:
            try:
                values[influence.name] = influence.values(scores)
            except Undefined:
                values[influence.name] = None
    return values


def influence_sums(scores: Scores, groups: np.ndarray) -> dict[str, np.ndarray | None]:
    """Return the sums of influence over groups of customers; each of shape (N_GROUPS,).

    None where they are undefined.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        The group of each customer, in the order of the scores.
    """
    sums: dict[str, np.ndarray | None] = {
        name: None if values is None else np.bincount(groups, values, minlength=N_GROUPS)
        for name, values in influence_values(scores).items()
    }
    for name, influence in WITH_INFLUENCE.items():
        if influence.without_each is not None:
            try:
                value = METRICS[name].function(scores)
                without = influence.without_each(scores, groups)
                sums[influence.name] = jackknifed_sums(value, without, groups)
            except Undefined:
                sums[influence.name] = None
    return sums


def without_each_group(scores: Scores, groups: np.ndarray) -> list[Scores]:
    """Return the scores of all customers but those of each of the N_GROUPS groups in turn.

    An empty group leaves `scores` itself. Raises `Undefined` (``one_group_of_customers``) where all
    customers are in one group, and nobody would be left.
    """
    sizes = np.bincount(groups, minlength=N_GROUPS)
    if np.count_nonzero(sizes) < 2:
        raise Undefined("one_group_of_customers")
    return [scores.among(groups != g) if size else scores for g, size in enumerate(sizes.tolist())]


def sums_of_function(
    function: Callable[[Scores], float],
    scores: Scores,
    value: float,
    groups: np.ndarray,
    without: list[Scores],
) -> np.ndarray:
    """Return the sums of influence of any metric, by calling it without each group of customers.

    Parameters
    ----------
    function : callable
        `Scores` -> float; whatever it raises passes.
    scores : Scores
    value : float
        The metric of all customers.
    groups : ndarray of int, shape (n,)
    without : list of Scores
        From `without_each_group`; several metrics can share it.
    """
    with np.errstate(all="ignore"):
        found = [value if rest is scores else function(rest) for rest in without]
    return jackknifed_sums(value, np.array(found), groups)


def jackknifed_sums(value: float, without: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the sums of influence from a metric without each group in turn; shape (N_GROUPS,).

    With theta the metric of all n customers and theta_-g that without the n_g of group g,
    S_g = (1 - n_g / n) (theta - theta_-g), less n_g / n of their total: like influence, they add to
    0.

    Of a mean over customers they are exactly the sums of its influence values (x_i - theta) / n.
    For let T_g be the sum of x over group g. Then theta_-g = (n theta - T_g) / (n - n_g), and
    theta - theta_-g = (T_g - n_g theta) / (n - n_g), so that S_g = (T_g - n_g theta) / n, the sum
    of (x_i - theta) / n over g. Those add to 0, and nothing is taken off. Of other metrics they are
    the sums of influence to first order.

    Of a total over customers they are (1 - n_g / n) times those for a fixed number of customers:
    standard errors are 6 % too small.

    Parameters
    ----------
    value : float
    without : ndarray of float64, shape (N_GROUPS,)
        `value` where a group is empty.
    groups : ndarray of int, shape (n,)

    Source: Kott 2001 (delete-a-group jackknife).
    """
    shares = np.bincount(groups, minlength=N_GROUPS) / len(groups)
    change = value - without
    sums = (1 - shares) * np.where(np.abs(change) <= ROUNDING * abs(value), 0, change)
    return np.asarray(sums - shares * sums.sum())
