"""Shrink companies' figures towards the mean of all, the more the noisier they are."""

from __future__ import annotations

import numpy as np


def shrink(y: np.ndarray, v: np.ndarray, mu: float, tau2: float) -> tuple[np.ndarray, np.ndarray]:
    """Predict the true effects of the companies observed (empirical Bayes, BLUP).

    mu + w (y - mu) with w = tau2 / (tau2 + v); see `random_effects` for y, v, mu, tau2.

    Returns
    -------
    shrunk, weight : ndarray of shape (k,)
        A weight of 1 keeps the company's own figure, a weight of 0 takes the mean of all.
    """
    weight = tau2 / (tau2 + np.asarray(v, dtype=float))
    return mu + weight * (np.asarray(y, dtype=float) - mu), weight
