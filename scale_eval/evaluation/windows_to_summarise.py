"""Say which windows of a company to summarise: those to evaluate, and those to train on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scale_eval.datasets.instants import Duration
from scale_eval.evaluation.training_window import training_bounds
from scale_eval.evaluation.window_bounds import WindowBounds, window_bounds


@dataclass(frozen=True)
class WindowsToSummarise:
    """The windows to summarise for a company; arrays of shape (n_windows,), which companies share.

    Attributes
    ----------
    bounds : WindowBounds
    label, training : ndarray of int64
        Positions in `bounds` of each window to evaluate, and of the one that its models train on.
    exponent : ndarray of float64
        The horizon divided by the length of the window to train on, see `TrainingBounds`.
    """

    bounds: WindowBounds
    label: np.ndarray
    training: np.ndarray
    exponent: np.ndarray


def windows_to_summarise(
    windows: tuple[tuple[int, int], ...],
    first: int,
    lookback: Duration | None,
    horizon: Duration | None,
) -> WindowsToSummarise:
    """Return the windows to summarise for a company that is evaluated at `windows`.

    A window to train on that is also one to evaluate, as on a grid of horizons, is summarised once.

    Parameters
    ----------
    windows : tuple of (int, int)
        Cutoffs and ends of horizons, and `first`, the company's first row; microseconds since 1970
        UTC.
    lookback, horizon : Duration or None
        See `window_bounds` and `training_bounds`.
    """
    # Companies with a past of two horizons before each cutoff have the same windows to train on.
    long_past = min((3 * cutoff - 2 * end for cutoff, end in windows), default=first)
    return _windows_to_summarise(windows, max(first, long_past), lookback, horizon)


@lru_cache(maxsize=4096)
def _windows_to_summarise(
    windows: tuple[tuple[int, int], ...],
    first: int,
    lookback: Duration | None,
    horizon: Duration | None,
) -> WindowsToSummarise:
    training = [
        training_bounds(cutoff, horizon_end, first, horizon) for cutoff, horizon_end in windows
    ]
    summarised = tuple(sorted({*windows, *(each.window for each in training)}))
    position = {window: i for i, window in enumerate(summarised)}
    to_summarise = WindowsToSummarise(
        window_bounds(summarised, lookback, horizon),
        np.array([position[window] for window in windows], np.int64),
        np.array([position[each.window] for each in training], np.int64),
        np.array([each.exponent for each in training], np.float64),
    )
    for array in (to_summarise.label, to_summarise.training, to_summarise.exponent):
        array.flags.writeable = False
    return to_summarise
