"""Compute the statistics that the metrics of one evaluation share, each at most once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from scale_eval.statistics import logistic

CLIP = 1e-15
"""Probabilities are kept this far from 0 and 1 before a logarithm is taken."""

LARGEST_SPEND = 1e13
"""The largest spend of one customer: sums of cents over companies stay within 64 bits."""


class Scores:
    """One model's probabilities for n customers, and what these customers then did.

    One descending sort serves everything that ranks. It cuts the customers into *blocks* of equal
    probability, highest first; arrays of shape (n_blocks,) are in that order. What is computed
    from blocks does not depend on the order of the customers, to the last bit (spend excepted,
    which is summed in floating point).

    Parameters
    ----------
    outcomes : array of bool, shape (n,)
        Whether the customer bought in the label window.
    probabilities : array of float64 in [0, 1], shape (n,)
    future_spend : array of float64 >= 0, shape (n,)
        In the label window, gross of refunds.
    reference : float, optional
        The base rate known at the cutoff: one probability for all these customers.
    """

    def __init__(
        self,
        outcomes: ArrayLike,
        probabilities: ArrayLike,
        future_spend: ArrayLike,
        reference: float | None = None,
    ) -> None:
        self.outcomes = _read_only(outcomes, np.bool_)
        self.probabilities = _read_only(probabilities, np.float64)
        self.future_spend = _read_only(future_spend, np.float64)
        self.reference = reference
        shapes = {a.shape for a in (self.outcomes, self.probabilities, self.future_spend)}
        if len(shapes) > 1 or self.outcomes.ndim != 1:
            raise ValueError(
                f"outcomes, probabilities and future_spend must have one shape (n,), got {shapes}"
            )
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            raise ValueError("probabilities must lie in [0, 1]")
        if not ((self.future_spend >= 0) & (self.future_spend < LARGEST_SPEND)).all():
            raise ValueError(f"future_spend must be in [0, {LARGEST_SPEND:g}), a number of cents")
        if reference is not None and not 0 <= reference <= 1:
            raise ValueError(f"the reference is a probability, got {reference}")
        self.n_customers = len(self.outcomes)
        self.n_positive = int(np.count_nonzero(self.outcomes))
        self.n_negative = self.n_customers - self.n_positive

    def among(self, chosen: np.ndarray) -> Scores:
        """Return the scores of the customers in `chosen`, bool of shape (n,), in their order."""
        return Scores(
            self.outcomes[chosen],
            self.probabilities[chosen],
            self.future_spend[chosen],
            self.reference,
        )

    @cached_property
    def y(self) -> np.ndarray:
        """Return the outcomes as 0. and 1., shape (n,)."""
        return self.outcomes.astype(np.float64)

    @cached_property
    def clipped(self) -> np.ndarray:
        """Return the probabilities clipped to [CLIP, 1 - CLIP], shape (n,)."""
        return np.clip(self.probabilities, CLIP, 1 - CLIP)

    @cached_property
    def n_clipped(self) -> int:
        """Return the number of probabilities outside [CLIP, 1 - CLIP]."""
        return int(np.count_nonzero(self.clipped != self.probabilities))

    @cached_property
    def logit(self) -> np.ndarray:
        """Return log(p / (1 - p)) of the clipped probabilities, shape (n,)."""
        return special.logit(self.clipped)

    @cached_property
    def losses_log(self) -> np.ndarray:
        """Return -log p(y) of each customer, p clipped; shape (n,)."""
        return _log_losses(self.outcomes, self.clipped)

    @cached_property
    def losses_brier(self) -> np.ndarray:
        """Return (p - y)^2 of each customer, shape (n,)."""
        return np.square(self.probabilities - self.y)

    @cached_property
    def reference_log_loss(self) -> float | None:
        """Return the mean log loss of `reference`, clipped as the scores are; None without one."""
        if self.reference is None or not self.n_customers:
            return None
        constant = np.full(self.n_customers, np.clip(self.reference, CLIP, 1 - CLIP))
        return float(_log_losses(self.outcomes, constant).mean())

    @cached_property
    def reference_brier_score(self) -> float | None:
        """Return the mean of (reference - y)^2; None without a reference."""
        if self.reference is None or not self.n_customers:
            return None
        return float(np.square(self.reference - self.y).mean())

    @cached_property
    def order(self) -> np.ndarray:
        """Return the customers by descending probability, shape (n,)."""
        return np.argsort(-self.probabilities, kind="stable")

    @cached_property
    def block_ends(self) -> np.ndarray:
        """Return the number of customers ranked before the end of each block, shape (n_blocks,)."""
        steps = np.diff(self.probabilities[self.order], append=-1.0)
        return np.flatnonzero(steps) + 1

    @cached_property
    def block_rows(self) -> np.ndarray:
        """Return the customers of each block, shape (n_blocks,)."""
        return np.diff(self.block_ends, prepend=0)

    @cached_property
    def block_positives(self) -> np.ndarray:
        """Return the customers of each block who bought, int64 of shape (n_blocks,)."""
        return self.sum_by_block(self.outcomes.astype(np.int64))

    @cached_property
    def block_negatives(self) -> np.ndarray:
        """Return the customers of each block who did not buy, int64 of shape (n_blocks,)."""
        return self.block_rows - self.block_positives

    @cached_property
    def block_spend(self) -> np.ndarray:
        """Return the future spend of each block, shape (n_blocks,)."""
        return self.sum_by_block(self.future_spend)

    @cached_property
    def block_probability(self) -> np.ndarray:
        """Return the probability of each block, shape (n_blocks,)."""
        return self.probabilities[self.order[self.block_ends - 1]]

    @cached_property
    def block_logit(self) -> np.ndarray:
        """Return the clipped logit of each block, shape (n_blocks,)."""
        return self.logit[self.order[self.block_ends - 1]]

    @cached_property
    def block_of_customer(self) -> np.ndarray:
        """Return the block of each customer, shape (n,)."""
        blocks = np.empty(self.n_customers, dtype=np.intp)
        blocks[self.order] = np.repeat(np.arange(len(self.block_rows)), self.block_rows)
        return blocks

    @cached_property
    def placements(self) -> tuple[np.ndarray, np.ndarray]:
        """Return DeLong's V10 and V01 by block, each of shape (n_blocks,); both classes must occur.

        V10: the share of negatives that a positive of this block outranks, ties counted half.
        V01: the share of positives that outrank a negative of this block, ties counted half.
        """
        positives, negatives = self.block_positives, self.block_negatives
        outranked = self.n_negative - np.cumsum(negatives) + negatives / 2
        outranking = np.cumsum(positives) - positives / 2
        return outranked / self.n_negative, outranking / self.n_positive

    @cached_property
    def recalibration(self) -> logistic.Fit:
        """Return the regression of the outcomes on the logit, see `logistic.fit`."""
        return logistic.fit(self.block_logit, self.block_positives, self.block_negatives)

    @cached_property
    def recalibrated_log_loss(self) -> float | None:
        """Return the least log loss that a line on the logit leaves; None without customers.

        That is the loss with the intercept and slope that hindsight would choose. It exists for any
        outcomes and predictions, see `logistic.best_log_likelihood`.
        """
        if not self.n_customers:
            return None
        blocks = self.block_logit, self.block_positives, self.block_negatives
        return -logistic.best_log_likelihood(*blocks) / self.n_customers

    def by_class(self, positive_values: np.ndarray, negative_values: np.ndarray) -> np.ndarray:
        """Return the value of each customer's class and block, shape (n,).

        `positive_values` and `negative_values` are of shape (n_blocks,).
        """
        block = self.block_of_customer
        return np.where(self.outcomes, positive_values[block], negative_values[block])

    def sum_by_block(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of `values`, shape (n,), over the customers of each block."""
        return np.add.reduceat(values[self.order], self.block_ends - self.block_rows)


def _read_only(values: ArrayLike, dtype: type) -> np.ndarray:
    array: np.ndarray = np.asarray(values, dtype=dtype).view()
    array.flags.writeable = False
    return array


def _log_losses(outcomes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return -np.log(np.where(outcomes, probabilities, 1 - probabilities))
