"""Proper losses (how far the probabilities are from what happened), and skill against a base rate.

Source: Brier 1950; Good 1952; Murphy 1973 for skill.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.metrics.base import EQUAL_COMPANY, ROW, Metric
from scale_eval.metrics.pooling import CUSTOMERS, Pooling, SkillPooling
from scale_eval.metrics.scores import CLIP, Scores
from scale_eval.metrics.uncertainty import Influence
from scale_eval.statistics.undefined import Undefined


def log_loss(scores: Scores) -> float:
    """Return the mean of -log p(y) in nats, p clipped to [1e-15, 1 - 1e-15].

    Undefined: ``no_customers``.

    Examples
    --------
    >>> scores = Scores([True, False, False, True], [0.9, 0.1, 0.2, 0.65], [9.5, 0, 0, 3])
    >>> round(log_loss(scores), 5)
    0.21616
    """
    _require_customers(scores)
    return float(scores.losses_log.mean())


def brier_score(scores: Scores) -> float:
    """Return the mean of (p - y)^2.

    Undefined: ``no_customers``.
    """
    _require_customers(scores)
    return float(scores.losses_brier.mean())


def log_loss_skill(scores: Scores) -> float:
    """Return 1 - log loss / log loss of the base rate known at the cutoff: 0 no better, 1 perfect.

    Undefined: ``no_customers``; ``no_reference``; ``reference_is_zero``, where the base rate was 0
    or 1 and right about everybody (only the clip then keeps its loss from 0).
    """
    return _skill(log_loss(scores), scores.reference_log_loss, zero=2 * CLIP)


def brier_skill(scores: Scores) -> float:
    """Return 1 - Brier score / Brier score of the base rate known at the cutoff.

    Undefined: ``no_customers``, ``no_reference``, ``reference_is_zero``.
    """
    return _skill(brier_score(scores), scores.reference_brier_score, zero=0.0)


def log_loss_influence(scores: Scores) -> np.ndarray:
    """Return (loss_i - mean) / n of each customer. Undefined: ``no_customers``."""
    return _influence_on_mean(scores, scores.losses_log)


def brier_influence(scores: Scores) -> np.ndarray:
    """Return (loss_i - mean) / n of each customer. Undefined: ``no_customers``."""
    return _influence_on_mean(scores, scores.losses_brier)


def log_loss_se(scores: Scores) -> float:
    """Return the SD of the customers' log losses (ddof 1) / sqrt(n).

    Undefined: ``fewer_than_2_customers``.
    """
    return _se_of_mean(scores.losses_log)


def brier_score_se(scores: Scores) -> float:
    """Return the SD of the customers' squared errors (ddof 1) / sqrt(n).

    Undefined: ``fewer_than_2_customers``.
    """
    return _se_of_mean(scores.losses_brier)


def _skill(loss: float, reference_loss: float | None, zero: float) -> float:
    if reference_loss is None:
        raise Undefined("no_reference")
    if reference_loss <= zero:
        raise Undefined("reference_is_zero")
    return 1 - loss / reference_loss


def _influence_on_mean(scores: Scores, losses: np.ndarray) -> np.ndarray:
    _require_customers(scores)
    return np.asarray((losses - losses.mean()) / scores.n_customers)


def _se_of_mean(values: np.ndarray) -> float:
    if len(values) < 2:
        raise Undefined("fewer_than_2_customers")
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _require_customers(scores: Scores) -> None:
    if not scores.n_customers:
        raise Undefined("no_customers")


METRICS = (
    Metric(
        "log_loss",
        log_loss,
        "lower",
        margin=0.002,
        relative_margin=0.01,
        reference="reference_log_loss",
        low=0,
        label="log loss",
        pooling=Pooling(CUSTOMERS),
        estimands=(ROW, EQUAL_COMPANY),
        influence=Influence("log_loss", CUSTOMERS, log_loss_influence, log_loss_se),
        reasons=("no_customers",),
        compiled=True,
    ),
    Metric(
        "brier_score",
        brier_score,
        "lower",
        margin=0.001,
        relative_margin=0.01,
        reference="reference_brier_score",
        low=0,
        high=1,
        label="Brier score",
        pooling=Pooling(CUSTOMERS),
        estimands=(ROW, EQUAL_COMPANY),
        influence=Influence("brier_score", CUSTOMERS, brier_influence, brier_score_se),
        reasons=("no_customers",),
        compiled=True,
    ),
    Metric(
        "log_loss_skill",
        log_loss_skill,
        "higher",
        margin=0.01,
        high=1,
        uninformed=0,
        label="skill",
        pooling=SkillPooling(weight=CUSTOMERS, loss="log_loss", reference="reference_log_loss"),
        estimands=(ROW, EQUAL_COMPANY),
        reasons=("no_customers", "no_reference", "reference_is_zero"),
        compiled=True,
    ),
    Metric(
        "brier_skill",
        brier_skill,
        "higher",
        margin=0.01,
        high=1,
        uninformed=0,
        label="Brier skill",
        pooling=SkillPooling(
            weight=CUSTOMERS, loss="brier_score", reference="reference_brier_score"
        ),
        estimands=(ROW, EQUAL_COMPANY),
        reasons=("no_customers", "no_reference", "reference_is_zero"),
        compiled=True,
    ),
)
"""The losses and their skills, in the order of the tables."""
