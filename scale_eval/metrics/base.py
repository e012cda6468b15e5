"""What a metric is: a name, a direction, a range, and one expression over shared statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from scale_eval.metrics.scores import Scores
from scale_eval.statistics.undefined import Undefined

UserFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""(outcomes, probabilities, future_spend) -> a number; see `user_metric`."""


@dataclass(frozen=True)
class Metric:
    """One number that says how good the scores of one evaluation are.

    The expression stands in `function`; whatever several metrics need (the sort, the losses, the
    logits) is computed once, in `Scores`. The rest says how to read the number and how to pool it.

    Attributes
    ----------
    name : str
        Column of the tables.
    function : callable
        `Scores` -> float; raises `Undefined` where the number does not exist.
    better : {"higher", "lower", "target"}
        With "target", the nearer to `target` the better: a model can over- or underpredict.
    pooling : str
        How it is pooled over companies: "mean" (losses), "skill" (1 - a ratio of mean losses),
        "rank" (pairs, orderings), "gain" (numerators over denominators), "ratio" (O:E, on logs),
        "calibration" (one-stage regressions), or "own" (a user's: means over companies only).
    margin : float
        Differences below it are ties: too small to change models for. The defaults are 1 % of the
        reference loss for skills and as much of a usual one (log loss .2 to .3, Brier .1) for
        losses; 1 % of the way from chance to perfect for `roc_auc`; half a percentage point for
        shares (so .05 of lift); 5 % of a count (O:E, on the log scale), of odds, of a slope.
    target : float or None
    low, high : float
        The range; infinite where there is no limit.
    user_function : callable or None
        What a user wrote, where `function` calls that.
    """

    name: str
    function: Callable[[Scores], float]
    better: Literal["higher", "lower", "target"]
    pooling: Literal["mean", "skill", "rank", "gain", "ratio", "calibration", "own"]
    margin: float
    target: float | None = None
    low: float = -math.inf
    high: float = math.inf
    user_function: UserFunction | None = None

    def distance(self, values: np.ndarray) -> np.ndarray:
        """`values` on the scale on which two models are compared; of the same shape.

        With a target, the distance from it (of the logarithms, for a ratio; NaN where that is of
        zero); otherwise the values themselves.
        """
        if self.target is None:
            return values
        if self.pooling == "ratio":
            with np.errstate(divide="ignore"):
                logs = np.log(values)
            return np.where(np.isfinite(logs), np.abs(logs - math.log(self.target)), np.nan)
        return np.abs(values - self.target)


def user_metric(
    function: UserFunction,
    name: str | None = None,
    higher_is_better: bool = True,
    *,
    target: float | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    margin: float = 0.0,
) -> Metric:
    """A plain function as a metric, pooled as the mean over companies.

    Parameters
    ----------
    function : callable
        ``function(outcomes, probabilities, future_spend) -> float`` of three read-only arrays of
        shape (n,): bool, float64 in [0, 1], float64 >= 0. It may raise `Undefined(reason)`; NaN
        and infinities are undefined too (``not_a_number``, ``infinite``).
    name : str, optional
        The function's own by default. An identifier, for it names a column.
    higher_is_better : bool
        Ignored where there is a `target`.
    """
    column = str(name or getattr(function, "__name__", ""))
    if not column.isidentifier():
        raise ValueError(f"a metric's name becomes a column, such as 'hits'; it is {column!r}")
    direction: Literal["higher", "lower"] = "higher" if higher_is_better else "lower"
    return Metric(
        name=column,
        function=partial(_call, function),
        better=direction if target is None else "target",
        pooling="own",
        margin=margin,
        target=target,
        low=low,
        high=high,
        user_function=function,
    )


def metric(**settings: Any) -> Callable[[UserFunction], Metric]:
    """Decorate a plain function to make it a metric; `settings` are those of `user_metric`.

    Examples
    --------
    >>> import numpy as np
    >>> @metric(higher_is_better=False)
    ... def furthest_miss(outcomes, probabilities, future_spend):
    ...     return np.abs(outcomes - probabilities).max()
    >>> furthest_miss.name, furthest_miss.better
    ('furthest_miss', 'lower')
    """
    return partial(user_metric, **settings)


def _call(function: UserFunction, scores: Scores) -> float:
    value = float(function(scores.outcomes, scores.probabilities, scores.future_spend))
    if math.isnan(value):
        raise Undefined("not_a_number")
    if math.isinf(value):
        raise Undefined("infinite")
    return value
