"""How far the probabilities are from what happened: proper losses, and skill against a base rate.

Source: Brier 1950; Good 1952; Murphy 1973 for skill.
"""

from __future__ import annotations

from scale_eval.metrics.scores import CLIP, Scores
from scale_eval.statistics.undefined import Undefined


def log_loss(scores: Scores) -> float:
    """Mean of -log p(y) in nats, p clipped to [1e-15, 1 - 1e-15].

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
    """Mean of (p - y)^2.

    Undefined: ``no_customers``.
    """
    _require_customers(scores)
    return float(scores.losses_brier.mean())


def log_loss_skill(scores: Scores) -> float:
    """1 - log loss / log loss of the base rate known at the cutoff: 0 is no better, 1 perfect.

    Undefined: ``no_customers``; ``no_reference``; ``reference_is_zero``, where the base rate was 0
    or 1 and right about everybody (only the clip then keeps its loss from 0).
    """
    return _skill(log_loss(scores), scores.reference_log_loss, zero=2 * CLIP)


def brier_skill(scores: Scores) -> float:
    """1 - Brier score / Brier score of the base rate known at the cutoff.

    Undefined: ``no_customers``, ``no_reference``, ``reference_is_zero``.
    """
    return _skill(brier_score(scores), scores.reference_brier_score, zero=0.0)


def _skill(loss: float, reference_loss: float | None, zero: float) -> float:
    if reference_loss is None:
        raise Undefined("no_reference")
    if reference_loss <= zero:
        raise Undefined("reference_is_zero")
    return 1 - loss / reference_loss


def _require_customers(scores: Scores) -> None:
    if not scores.n_customers:
        raise Undefined("no_customers")
