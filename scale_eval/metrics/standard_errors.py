"""How sure the metrics of one evaluation are, customers being independent given the model.

They speak of one evaluation: differences of models and means over cutoffs share customers, and
need the sums of `influence` instead.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.metrics.calibration import observed_expected_ratio
from scale_eval.metrics.ranking import roc_auc
from scale_eval.metrics.scores import Scores
from scale_eval.statistics.undefined import Undefined


def log_loss_se(scores: Scores) -> float:
    """SD of the customers' log losses (ddof 1) / sqrt(n).

    Undefined: ``fewer_than_2_customers``.
    """
    return _se_of_mean(scores.losses_log)


def brier_score_se(scores: Scores) -> float:
    """SD of the customers' squared errors (ddof 1) / sqrt(n).

    Undefined: ``fewer_than_2_customers``.
    """
    return _se_of_mean(scores.losses_brier)


def roc_auc_se(scores: Scores) -> float:
    """DeLong: sqrt(var(V10) / m + var(V01) / k), ddof 1, for m positives and k negatives.

    An interval belongs on the logit scale, and is fit to be shown from 50 positives on: it covers
    .91 with 10 positives of 100, .86 with 3 of 53. Source: DeLong, DeLong & Clarke-Pearson 1988.

    Undefined: ``fewer_than_2_positives``, ``fewer_than_2_negatives``.
    """
    m, k = scores.n_positive, scores.n_negative
    if m < 2:
        raise Undefined("fewer_than_2_positives")
    if k < 2:
        raise Undefined("fewer_than_2_negatives")
    auc = roc_auc(scores)
    v10, v01 = scores.placements
    var_10 = (scores.block_positives * np.square(v10 - auc)).sum() / (m - 1)
    var_01 = (scores.block_negatives * np.square(v01 - auc)).sum() / (k - 1)
    return math.sqrt(var_10 / m + var_01 / k)


def calibration_slope_se(scores: Scores) -> float:
    """From the Fisher information at the maximum; undefined where `calibration_slope` is."""
    return scores.recalibration.std_error


def log_observed_expected_se(scores: Scores) -> float:
    """SE of log(O / E), sqrt(sum of (y / O - p / E)^2): each customer moves O and E together.

    The same as (O - 2 R sum(y p) + R^2 sum(p^2)) / O^2 with R = O / E, under the root. The usual
    1/O - 1/n is 12 to 60 % too large for the variance of a model that discriminates.

    Undefined: as O / E, and ``no_positives``, for the logarithm.
    """
    ratio = observed_expected_ratio(scores)
    if not scores.n_positive:
        raise Undefined("no_positives")
    influence = (scores.y - ratio * scores.probabilities) / scores.n_positive
    return math.sqrt(np.square(influence).sum())


def _se_of_mean(values: np.ndarray) -> float:
    if len(values) < 2:
        raise Undefined("fewer_than_2_customers")
    return float(values.std(ddof=1)) / math.sqrt(len(values))
