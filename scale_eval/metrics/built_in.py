"""The built-in metrics, gathered from the files of their families, which define them."""

from __future__ import annotations

from collections.abc import Callable

from scale_eval.metrics import calibration, gain, losses, ranking
from scale_eval.metrics.base import Metric
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import Influence

BUILT_IN: tuple[Metric, ...] = (
    *losses.METRICS,
    *ranking.METRICS,
    *calibration.METRICS,
    *gain.METRICS,
)

METRICS = {built_in.name: built_in for built_in in BUILT_IN}
"""The metrics of every evaluation by name, in the order of the tables."""

PLAIN = tuple(built_in for built_in in BUILT_IN if not built_in.compiled)
"""The built-in metrics without a compiled twin: their functions are called for each evaluation."""

STANDARD_ERRORS: dict[str, Callable[[Scores], float]] = {
    metric.influence.std_error_column: metric.influence.std_error
    for metric in BUILT_IN
    if metric.influence is not None
    and metric.influence.std_error is not None
    and metric.influence.std_error_column is not None
}
"""The standard errors of every evaluation by column, in the order of the tables."""

WITH_INFLUENCE: dict[str, Influence] = {
    metric.name: metric.influence
    for metric in sorted(BUILT_IN, key=lambda metric: metric.is_mean_of_effects)
    if metric.influence is not None and not metric.influence.is_jackknifed
} | {
    metric.name: metric.influence
    for metric in BUILT_IN
    if metric.influence is not None
    and metric.influence.is_jackknifed
    and metric.influence.scale == 1
}
"""The influence that evaluations keep, by the metric that it is of, in the order of the columns of
the table `evaluations`: jackknifed ones last, and means of random effects last of the others."""
