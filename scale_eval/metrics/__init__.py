"""Metrics of one evaluation, each one expression over shared statistics.

A family of metrics is a file: `losses`, `ranking`, `calibration`, `gain`. To add a metric, write
its function there and an entry in the family's `METRICS` that sets all its properties (`base`).
To make it fast, add it to the family's twin in `compiled`, and say `compiled=True`.
This package works on arrays and imports only `statistics` from the rest of the project.

=============== ================================================================================
`base`          `Metric`: the expression, and how to read, pool and compare the number
`scores`        what the metrics of one evaluation are computed from
`pooling`       the values of many windows as one: a quotient of sums
`row_form`      the same over all customers pooled, for metrics that are not sums over windows;
                `leaving_out` does it without each group of companies, or customers, in turn
`uncertainty`   the standard error, the influence of customers, the scale of random effects
`influence`     the sums of influence that each evaluation keeps
`histogram`     the histograms of scores that merge exactly
`built_in`      the metrics of all families together
`compiled`      the fast twins of the families
=============== ================================================================================

Examples
--------
>>> scores = Scores([True, False, True, False], [0.8, 0.3, 0.4, 0.6], [20.0, 0.0, 5.0, 0.0])
>>> values, undefined = score(scores)
>>> values["roc_auc"], values["log_loss_skill"], undefined["log_loss_skill"]
(0.75, None, 'no_reference')
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from scale_eval.metrics.base import Metric, UserFunction, compute, metric, user_metric
from scale_eval.metrics.built_in import BUILT_IN, METRICS, PLAIN, STANDARD_ERRORS, WITH_INFLUENCE
from scale_eval.metrics.histogram import (
    N_BINS,
    GroupedHistograms,
    ScoreHistogram,
    bin_of,
    histogram,
    mid_logit,
)
from scale_eval.metrics.influence import (
    INFLUENCED,
    influence_sums,
    influence_values,
)
from scale_eval.metrics.pooling import Amount, Pooling
from scale_eval.metrics.row_form import RowForm, WeightedRows
from scale_eval.metrics.scores import CLIP, Scores
from scale_eval.metrics.uncertainty import N_GROUPS, EffectScale, Influence
from scale_eval.statistics.undefined import Undefined

__all__ = [
    "BUILT_IN",
    "CLIP",
    "INFLUENCED",
    "METRICS",
    "N_BINS",
    "N_GROUPS",
    "PLAIN",
    "STANDARD_ERRORS",
    "WITH_INFLUENCE",
    "Amount",
    "EffectScale",
    "GroupedHistograms",
    "Influence",
    "Metric",
    "Pooling",
    "RowForm",
    "ScoreHistogram",
    "Scores",
    "Undefined",
    "UserFunction",
    "WeightedRows",
    "bin_of",
    "histogram",
    "influence_sums",
    "influence_values",
    "metric",
    "mid_logit",
    "score",
    "user_metric",
]


def score(
    scores: Scores, metrics: Iterable[Metric | UserFunction] = BUILT_IN
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the metrics and standard errors of one evaluation, null where undefined.

    Parameters
    ----------
    scores : Scores
    metrics : iterable of Metric or function
        A plain function is taken as `user_metric` takes it: by its name, higher is better.

    Returns
    -------
    values : dict of float or None
        Metrics in the order given, then `STANDARD_ERRORS`.
    undefined : dict of str
        The reason for each value that is None. A metric that raises anything but `Undefined` has
        ``exception:<type> <message>``; the other metrics are still computed.
    """
    chosen = [m if isinstance(m, Metric) else user_metric(m) for m in metrics]
    functions = [(m.name, m.function) for m in chosen] + list(STANDARD_ERRORS.items())
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for name, function in functions:
        if name in values:
            raise ValueError(f"two metrics are called {name!r}: give one another name")
        values[name], reason = compute(partial(function, scores))
        if reason:
            undefined[name] = reason
    return values, undefined
