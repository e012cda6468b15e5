"""Influence of customers on metrics, from which covariances between evaluations are made.

The models and cutoffs of one company share customers. So each evaluation keeps the sums IF_g of
influence values over the same 16 groups of customers. The variance of any combination
sum_i c_i theta_i of its metrics is then sum_g (sum_i c_i IF_ig)^2, covariances included and
clustered by customer.
"""

from __future__ import annotations

import numpy as np

from scale_eval.metrics.built_in import WITH_INFLUENCE
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import Influence
from scale_eval.statistics.undefined import Undefined

N_GROUPS = 16
"""Groups of customers: crc32 of the id's UTF-8 bytes modulo 16, everywhere the same."""

INFLUENCED = tuple(influence.name for influence in WITH_INFLUENCE.values())
"""The names of the influence sums of an evaluation, in the order of its columns."""


def influence_values(scores: Scores) -> dict[str, np.ndarray | None]:
    """Return the influence of each customer on what `INFLUENCED` names; shape (n,), adding to 0.

    None where it is undefined.
    """
    return {influence.name: _values(influence, scores) for influence in WITH_INFLUENCE.values()}


def influence_sums(scores: Scores, groups: np.ndarray) -> dict[str, np.ndarray | None]:
    """Return the sums of `influence_values` over groups of customers; each of shape (N_GROUPS,).

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        The group of each customer, in the order of the scores.
    """
    return {
        name: None if values is None else np.bincount(groups, values, minlength=N_GROUPS)
        for name, values in influence_values(scores).items()
    }


def _values(influence: Influence, scores: Scores) -> np.ndarray | None:
    try:
        return influence.values(scores)
    except Undefined:
        return None
