"""What a score is: metrics of one evaluation, each one expression over shared statistics.

This room works on arrays and imports nothing of the project but `statistics`.

Examples
--------
>>> scores = Scores([True, False, True, False], [0.8, 0.3, 0.4, 0.6], [20.0, 0.0, 5.0, 0.0])
>>> values, undefined = score(scores)
>>> values["roc_auc"], values["log_loss_skill"], undefined["log_loss_skill"]
(0.75, None, 'no_reference')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from scale_eval.metrics import calibration, losses, ranking, standard_errors
from scale_eval.metrics.base import Metric, UserFunction, metric, user_metric
from scale_eval.metrics.histogram import (
    N_BINS,
    ROW_POOLED,
    ScoreHistogram,
    bin_of,
    histogram,
    merge,
    mid_logit,
)
from scale_eval.metrics.influence import (
    INFLUENCED,
    N_GROUPS,
    customer_groups,
    influence_sums,
    influence_values,
)
from scale_eval.metrics.scores import CLIP, Scores
from scale_eval.statistics.undefined import Undefined

__all__ = [
    "BUILT_IN",
    "CLIP",
    "INFLUENCED",
    "METRICS",
    "N_BINS",
    "N_GROUPS",
    "ROW_POOLED",
    "STANDARD_ERRORS",
    "Metric",
    "ScoreHistogram",
    "Scores",
    "Undefined",
    "UserFunction",
    "bin_of",
    "customer_groups",
    "histogram",
    "influence_sums",
    "influence_values",
    "merge",
    "metric",
    "mid_logit",
    "score",
    "user_metric",
]

# fmt: off
BUILT_IN = (
    Metric("log_loss", losses.log_loss, "lower", "mean", 0.002, low=0),
    Metric("brier_score", losses.brier_score, "lower", "mean", 0.001, low=0, high=1),
    Metric("log_loss_skill", losses.log_loss_skill, "higher", "skill", 0.01, high=1),
    Metric("brier_skill", losses.brier_skill, "higher", "skill", 0.01, high=1),
    Metric("roc_auc", ranking.roc_auc, "higher", "rank", 0.005, low=0, high=1),
    Metric("average_precision", ranking.average_precision, "higher", "rank", 0.005, low=0, high=1),
    Metric("calibration_intercept", calibration.calibration_intercept, "target", "calibration",
           0.05, target=0),
    Metric("calibration_slope", calibration.calibration_slope, "target", "calibration",
           0.05, target=1),
    Metric("observed_expected_ratio", calibration.observed_expected_ratio, "target", "ratio",
           0.05, target=1, low=0),
    Metric("lift_at_10", ranking.lift_at_10, "higher", "gain", 0.05, low=0, high=10),
    Metric("gain_at_10", ranking.gain_at_10, "higher", "gain", 0.005, low=0, high=1),
    Metric("value_captured_at_10", ranking.value_captured_at_10, "higher", "gain", 0.005,
           low=0, high=1),
)
# fmt: on

METRICS = {built_in.name: built_in for built_in in BUILT_IN}
"""The metrics of every evaluation by name, in the order of the tables."""

STANDARD_ERRORS: dict[str, Callable[[Scores], float]] = {
    "log_loss_se": standard_errors.log_loss_se,
    "brier_score_se": standard_errors.brier_score_se,
    "roc_auc_se": standard_errors.roc_auc_se,
    "calibration_slope_se": standard_errors.calibration_slope_se,
    "log_observed_expected_se": standard_errors.log_observed_expected_se,
}


def score(
    scores: Scores, metrics: Iterable[Metric | UserFunction] = BUILT_IN
) -> tuple[dict[str, float | None], dict[str, str]]:
    """The metrics of one evaluation and the standard errors, null with a reason where undefined.

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
        Why, for each value that is None. A metric that raises anything but `Undefined` has
        ``exception:<type> <message>``: one that fails takes no other with it.
    """
    chosen = [m if isinstance(m, Metric) else user_metric(m) for m in metrics]
    functions = [(m.name, m.function) for m in chosen] + list(STANDARD_ERRORS.items())
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for name, function in functions:
        if name in values:
            raise ValueError(f"two metrics are called {name!r}: give one another name")
        values[name] = None
        try:
            values[name] = function(scores)
        except Undefined as nothing:
            undefined[name] = nothing.reason
        except (Exception, SystemExit) as error:
            message = re.sub(r"0x[0-9a-fA-F]+|;", "", str(error))[:100]
            undefined[name] = f"exception:{type(error).__name__} {message}".strip()
    return values, undefined
