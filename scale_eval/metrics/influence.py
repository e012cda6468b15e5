"""How much each customer moves a metric: what covariances between evaluations are made of.

A customer's influence value IF is what the metric gains by their presence, to first order; the
variance of a metric is the sum of IF^2 (with ddof 0). The models and cutoffs of one company share
customers, so each evaluation keeps the sums IF_g over the same 16 groups of customers. The
variance of any combination sum_i c_i theta_i of its metrics is then sum_g (sum_i c_i IF_ig)^2,
covariances included and clustered by customer.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from scale_eval.metrics.calibration import NOTHING_EXPECTED
from scale_eval.metrics.ranking import roc_auc
from scale_eval.metrics.scores import Scores
from scale_eval.statistics.logistic import slope_influence
from scale_eval.statistics.undefined import Undefined

N_GROUPS = 16

INFLUENCED = (
    "log_loss",
    "brier_score",
    "roc_auc",
    "log_observed_expected",
    "calibration_slope",
)
"""What each evaluation keeps the sums of, in the order of its columns."""


def customer_groups(customer_ids: Sequence[str] | np.ndarray) -> np.ndarray:
    """The group of each customer, crc32 of the id's UTF-8 bytes modulo 16; int64, shape (n,).

    The same for every model, cutoff, process and machine.
    """
    hashes = (zlib.crc32(customer.encode()) % N_GROUPS for customer in customer_ids)
    return np.fromiter(hashes, dtype=np.int64, count=len(customer_ids))


def influence_values(scores: Scores) -> dict[str, np.ndarray | None]:
    """Influence of each customer on the metrics of `INFLUENCED`; shape (n,), adding to 0.

    (loss_i - mean) / n for mean losses; for the AUC (V10_i - AUC) / m for the m positives and
    (V01_j - AUC) / k for the k negatives, DeLong's components; y_i / O - p_i / E for the logarithm
    of O / E; for the calibration slope see `slope_influence`. None where a metric is undefined.
    """
    values: dict[str, np.ndarray | None] = dict.fromkeys(INFLUENCED)
    if scores.n_customers:
        for name, losses in (
            ("log_loss", scores.losses_log),
            ("brier_score", scores.losses_brier),
        ):
            values[name] = (losses - losses.mean()) / scores.n_customers
    if scores.n_positive and scores.n_negative:
        auc = roc_auc(scores)
        v10, v01 = scores.placements
        of_positives = (v10 - auc) / scores.n_positive
        of_negatives = (v01 - auc) / scores.n_negative
        block = scores.block_of_customer
        values["roc_auc"] = np.where(scores.outcomes, of_positives[block], of_negatives[block])
    expected = float(scores.probabilities.sum())
    if scores.n_positive and expected >= NOTHING_EXPECTED:
        values["log_observed_expected"] = (
            scores.y / scores.n_positive - scores.probabilities / expected
        )
    try:
        of_positives, of_negatives = slope_influence(
            scores.block_logit, scores.block_positives, scores.block_negatives, scores.recalibration
        )
    except Undefined:
        return values
    block = scores.block_of_customer
    values["calibration_slope"] = np.where(
        scores.outcomes, of_positives[block], of_negatives[block]
    )
    return values


def influence_sums(scores: Scores, groups: np.ndarray) -> dict[str, np.ndarray | None]:
    """Sums of `influence_values` over the groups of customers; each of shape (N_GROUPS,).

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        From `customer_groups`, in the order of the scores.
    """
    return {
        name: None if values is None else np.bincount(groups, values, minlength=N_GROUPS)
        for name, values in influence_values(scores).items()
    }
