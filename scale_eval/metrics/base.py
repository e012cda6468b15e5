"""The definition of a metric: its expression, how to read and pool it, and its uncertainty."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np

from scale_eval.metrics.pooling import COMPANY_MEAN, CUSTOMERS, Pooling
from scale_eval.metrics.row_form import TIE_COLUMNS, RowForm
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import EffectScale, Influence
from scale_eval.statistics.undefined import Undefined

ESTIMANDS = ROW, WITHIN_COMPANY, EQUAL_COMPANY = "row", "within_company", "equal_company"
"""The estimands; see `scale_eval.results.estimates`."""

Computed = TypeVar("Computed")

UserFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""(outcomes, probabilities, future_spend) -> a number; see `user_metric`."""


class MetricWarning(RuntimeWarning):
    """A metric of the user gave no number in some evaluations."""


@dataclass(frozen=True)
class Metric:
    """A metric is one number that says how good the scores of one evaluation are.

    The expression is `function`; whatever several metrics need (the sort, the losses, the logits)
    is computed once, in `Scores`. The other attributes say how to read the number, how to pool it,
    and how uncertain it is; see `Pooling`, `RowForm`, `Influence` and `EffectScale`.

    Attributes
    ----------
    name : str
        Column of the tables.
    function : callable
        `Scores` -> float; raises `Undefined` where the number does not exist.
    better : {"higher", "lower", "target"}
        With "target", the nearer to `target` the better: a model can over- or underpredict.
    margin : float
        Differences below it are ties: too small to change models for. The defaults are 1 % of the
        reference loss for skills; 1 % of the way from chance to perfect for `roc_auc`; half a
        percentage point for shares (so .05 of lift); 5 % of a count (O:E, on the log scale), of
        odds, of a slope. A loss has `relative_margin` instead, and this one where no reference is
        known: 1 % of a usual loss (log loss .2, Brier score .1).
    relative_margin : float or None
        The margin of a loss as a share of the mean loss of the `reference`. A fixed margin would
        be too wide where few customers buy: .002 is 3.6 % of a base rate's log loss at a rate of
        1 %, and .3 % of it at a rate of 50 %.
    reference : str or None
        For a loss, the column of the evaluations that has the loss of the base rate known at the
        cutoff.
    target : float or None
    low, high : float
        The range; infinite where there is no limit.
    uninformed : float or None
        The value for scores that cannot tell customers apart, where it is the same for all data.
    label : str
        The name in a report; by default the column's without underscores.
    targets : tuple of str
        The prediction targets that it can score.
    pooling : Pooling
        How the values of windows become one, and what weighs them.
    estimands : tuple of str
        The figures over companies that exist for it, in the order of the tables.
    row_form : RowForm or None
        How it is computed over all customers pooled, where ``row`` is not a sum over windows.
    influence : Influence or None
        Its standard error and the influence of customers; None where evaluations keep neither.
    effects : EffectScale or None
        The scale of its random effects; None for a metric without them. Losses have none, because
        they depend on the rate of buyers.
    expected_of_each : int
        Buyers, and non-buyers, to be expected at the cutoff for an evaluation to enter them.
    first_order_bias : callable or None
        (n_positive, n_negative) -> the bias of the figure of one evaluation with few buyers, for a
        metric whose mean over companies has no other correction of it.
    is_mean_of_effects : bool
        At ``equal_company`` it is the mean of random effects. A plain mean of slopes would be
        carried by a few companies with uncertain slopes.
    reasons : tuple of str
        The reasons for which it can be undefined.
    compiled : bool
        A twin in `metrics.compiled` computes it for many evaluations at once, with its standard
        error and influence. Otherwise `function` is called for each evaluation, which is slower.
    user_function : callable or None
        The function that a user wrote, which `function` then calls.
    """

    name: str
    function: Callable[[Scores], float]
    better: Literal["higher", "lower", "target"]
    margin: float
    relative_margin: float | None = None
    reference: str | None = None
    target: float | None = None
    low: float = -math.inf
    high: float = math.inf
    uninformed: float | None = None
    label: str = ""
    targets: tuple[str, ...] = ("bought",)
    pooling: Pooling = COMPANY_MEAN
    estimands: tuple[str, ...] = (EQUAL_COMPANY,)
    row_form: RowForm | None = None
    influence: Influence | None = None
    effects: EffectScale | None = None
    expected_of_each: int = 10
    first_order_bias: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    is_mean_of_effects: bool = False
    reasons: tuple[str, ...] = ()
    compiled: bool = False
    user_function: UserFunction | None = None

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " "))

    @property
    def columns(self) -> list[str]:
        """Return the columns of the evaluations that figures of this metric alone need."""
        columns = [self.name, *self.pooling.columns]
        if self.reference is not None:
            columns.append(self.reference)
        if self.row_form is not None and self.row_form.knows_ties:
            columns += TIE_COLUMNS
        if self.influence is None:
            return columns
        if self.influence.std_error_column is not None:
            columns.append(self.influence.std_error_column)
        return [*columns, "known_rate"]

    @property
    def has_difference_effects(self) -> bool:
        """Return whether the difference of two models has random effects.

        It has them on the metric's own scale, so not where the influence is of logarithms; and not
        where a jackknife says what chance is, which is too rough for them.
        """
        influence = self.influence
        return influence is not None and not (influence.log or influence.is_jackknifed)

    @property
    def is_quotient(self) -> bool:
        """Return whether a company's figure is a quotient whose denominator can be next to 0."""
        return self.pooling.one_minus or self.pooling.log or self.is_mean_of_effects

    def distance(self, values: np.ndarray) -> np.ndarray:
        """Return `values` on the scale on which two models are compared; of the same shape.

        With a target, that is the distance from it (of the logarithms, for a ratio; NaN where that
        is of zero); otherwise the values themselves.
        """
        if self.target is None:
            return values
        if self.pooling.log:
            with np.errstate(divide="ignore"):
                logs = np.log(values)
            return np.where(np.isfinite(logs), np.abs(logs - math.log(self.target)), np.nan)
        return np.abs(values - self.target)


def compute(function: Callable[[], Computed]) -> tuple[Computed | None, str]:
    """Call `function` for a figure; return it, or None and the reason why it is undefined.

    Whatever a user's function raises but `Undefined` becomes ``exception:<type> <message>``.
    """
    try:
        return function(), ""
    except Undefined as missing:
        return None, missing.reason
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return None, f"exception:{type(error).__name__} {_message_of(error)}".strip()


def _message_of(error: BaseException) -> str:
    """Return an exception's message on one line, cut to 100 characters, that any file can hold."""
    try:
        message = re.sub(r"0x[0-9a-fA-F]+|;", "", str(error))
    except Exception:  # its own __str__ fails
        return "no message"
    return " ".join(message.split())[:100].encode("utf-8", "replace").decode()


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
    """Make a metric of a plain function, pooled as the mean over companies.

    Parameters
    ----------
    function : callable
        ``function(outcomes, probabilities, future_spend) -> float`` of three read-only arrays of
        shape (n,): bool, float64 in [0, 1], float64 >= 0. It may raise `Undefined(reason)`; NaN
        and infinities are undefined too (``not_a_number``, ``infinite``). True and False count as
        1 and 0; anything else that is no number is an exception. It is called for all customers of
        an evaluation, and without each of 16 groups of them (see `jackknifed`).
    name : str, optional
        By default that of the function, or of the class of an object that is called. An
        identifier, for it names a column.
    higher_is_better : bool
        Ignored where there is a `target`.

    Raises
    ------
    ValueError
        It cannot be called with three arrays, or has no name that could be a column's.
    """
    require_metric_function(function)
    column = str(name or _own_name(function))
    if not column.isidentifier():
        raise ValueError(
            f"a metric's name becomes a column, such as 'hits'; it is {column!r}. Write def hits("
            "outcomes, probabilities, future_spend), or se.metric(name='hits')(function)"
        )
    direction: Literal["higher", "lower"] = "higher" if higher_is_better else "lower"
    own = Metric(
        name=column,
        function=partial(_call, function),
        better=direction if target is None else "target",
        margin=margin,
        target=target,
        low=low,
        high=high,
        user_function=function,
    )
    return jackknifed(own)


def jackknifed(metric: Metric) -> Metric:
    """Return a user's metric with the uncertainty that any function has.

    Its evaluations keep sums of influence, for which the function is also called without each of 16
    groups of customers.
    """
    return replace(metric, influence=Influence(metric.name, CUSTOMERS))


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


def require_metric_function(function: Any) -> None:
    """Raise `ValueError` where `function` cannot be called with three arrays."""
    if isinstance(function, type):
        raise ValueError(
            f"{function.__name__} is a class: a metric is a function, or an object to be called, "
            f"such as {function.__name__}()"
        )
    if not callable(function):
        raise ValueError(
            "a metric is a function of (outcomes, probabilities, future_spend), not "
            f"{function!r:.80}"
        )
    if inspect.iscoroutinefunction(function):
        raise ValueError(
            f"the metric {_own_name(function)} is async, which nobody awaits: write def"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions in C do not tell
        return
    try:
        signature.bind(None, None, None)
    except TypeError as error:
        name = _own_name(function)
        own = f"my_{name}" if name.isidentifier() else "hits"
        raise ValueError(
            f"the metric {name}({', '.join(signature.parameters)}) cannot be called with three "
            f"arrays ({error}): write def {own}(outcomes, probabilities, future_spend), which may "
            "leave out what it does not need"
        ) from error


def _own_name(function: Any) -> str:
    """Return the name of a function, of what a partial calls, or of an object's class."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", "") or type(function).__name__)


def _call(function: UserFunction, scores: Scores) -> float:
    value = _number(function(scores.outcomes, scores.probabilities, scores.future_spend))
    if math.isnan(value):
        raise Undefined("not_a_number")
    if math.isinf(value):
        raise Undefined("infinite")
    return value


def _number(returned: Any) -> float:
    """Return what a metric returned as a float, NaN where it is masked.

    Raises `TypeError` where it is no number, `OverflowError` where it is too large for a float.
    """
    kind = type(returned).__name__
    if isinstance(returned, str | bytes):
        raise TypeError(f"it returned the text {returned!r:.40}, not a number")
    if np.iscomplexobj(returned) or np.ndim(returned):
        shape = f" of shape {np.shape(returned)}" if np.ndim(returned) else ""
        raise TypeError(f"it returned a value of type {kind}{shape}, not a number")
    if np.ma.is_masked(returned):
        return math.nan
    try:
        return float(returned)
    except OverflowError:
        raise OverflowError(
            f"it returned a number ({kind}) that is too large for a float"
        ) from None
    except (TypeError, ValueError):
        raise TypeError(f"it returned {returned!r:.40} ({kind}), not a number") from None
