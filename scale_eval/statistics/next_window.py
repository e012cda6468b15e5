"""Prediction of one window of the next company, from that of its mean over windows."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit


def next_window_interval(
    prediction: tuple[float, float],
    centre: float,
    *,
    cutoff_variance: float,
    interaction_variance: float,
    n_cutoffs: float,
    windows_per_company: float,
    level: float = 0.95,
) -> tuple[float, float]:
    """Widen the interval of the next company's mean over its windows to that of one window.

    A figure is mean + company + cutoff + company x cutoff, and chance, on the scale of the effects.
    The interval of the next company's mean holds the company's variance, the uncertainty of the
    mean at the cutoffs that were seen, and what an average over m windows leaves of the
    interaction, its variance over m. For a single window at a cutoff to come it lacks

    - the variance of cutoffs, once for the new cutoff and 1 / J for the mean over J cutoffs, known
      from J - 1 degrees of freedom;
    - the rest of the variance of the interaction, 1 - 1 / m of it.

    Each side of the interval and the quantiles of these two are added in squares, as quantiles of
    independent normal errors are. Student's quantile for the cutoffs makes that too wide rather
    than too narrow where cutoffs are few.

    Parameters
    ----------
    prediction : tuple of float
        The interval of the mean over windows, at the same `level`.
    centre : float
        The mean that it lies around.
    cutoff_variance, interaction_variance : float
        Without chance among customers; not below 0.
    n_cutoffs : float
        J, above 1; an effective number where companies have different cutoffs.
    windows_per_company : float
        m, at least 1; the mean over companies, which errs on the side of a wide interval.
    """
    upper = (1 + level) / 2
    cutoffs = stdtrit(n_cutoffs - 1, upper) ** 2 * cutoff_variance * (1 + 1 / n_cutoffs)
    interaction = ndtri(upper) ** 2 * interaction_variance * (1 - 1 / windows_per_company)
    low, high = prediction
    return (
        float(centre - np.sqrt((centre - low) ** 2 + cutoffs + interaction)),
        float(centre + np.sqrt((high - centre) ** 2 + cutoffs + interaction)),
    )
