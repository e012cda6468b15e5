"""Areas under ROC curves, with their variances and their covariances on the same customers.

Sources: DeLong, DeLong & Clarke-Pearson 1988; Sun & Xu 2014 for midranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import rankdata

from scale_eval.statistics.undefined import Undefined


def delong(outcomes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the AUCs of several scores of the same customers, and their covariances (ddof 1).

    Parameters
    ----------
    outcomes : ndarray of bool, shape (n,)
    scores : ndarray, shape (n_models, n)
        Higher for those more likely to be positive.

    Returns
    -------
    auc : ndarray of shape (n_models,)
    covariance : ndarray of shape (n_models, n_models)

    Undefined: ``fewer_than_2_positives``, ``fewer_than_2_negatives``.
    """
    outcomes = np.asarray(outcomes, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores, dtype=float))
    m, k = int(outcomes.sum()), int((~outcomes).sum())
    if m < 2:
        raise Undefined("fewer_than_2_positives")
    if k < 2:
        raise Undefined("fewer_than_2_negatives")
    of_positives, of_negatives = scores[:, outcomes], scores[:, ~outcomes]
    ranks = rankdata(scores, axis=1)
    v10 = (ranks[:, outcomes] - rankdata(of_positives, axis=1)) / k
    v01 = 1 - (ranks[:, ~outcomes] - rankdata(of_negatives, axis=1)) / m
    covariance = np.cov(v10) / m + np.cov(v01) / k
    return v10.mean(axis=1), np.atleast_2d(covariance)


@dataclass(frozen=True)
class AucDifference:
    """The AUC of a less that of b, on the same customers."""

    difference: float
    std_error: float
    z: float
    p_value: float


def auc_difference(outcomes: np.ndarray, a: np.ndarray, b: np.ndarray) -> AucDifference:
    """Test two scores, each of shape (n,), by DeLong's paired test; raises as `delong` does.

    The covariance counts: models that see the same customers err together. Where the scores rank
    alike the standard error is 0, z is 0 and p is 1.
    """
    auc, covariance = delong(outcomes, np.stack([a, b]))
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = float(np.sqrt(max(variance, 0.0)))
    difference = float(auc[0] - auc[1])
    z = difference / error if error > 0 else 0.0
    return AucDifference(difference, error, z, float(2 * ndtr(-abs(z))))
