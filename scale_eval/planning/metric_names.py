"""Find the metric that a person names by its column, or as it is displayed."""

from __future__ import annotations

from collections.abc import Iterable

from scale_eval.metrics import METRICS
from scale_eval.spelling import choose

DISPLAYED_METRICS = {"O:E": "observed_expected_ratio"}
"""Metrics that a heading calls otherwise than by their label."""


def metric_label(metric: str) -> str:
    """Return the name of a metric in a report: ``log loss`` for ``log_loss``."""
    return METRICS[metric].label if metric in METRICS else metric.replace("_", " ")


def choose_metric(name: str, metrics: Iterable[str]) -> str:
    """Return the metric that `name` means: its column, or its label such as ``AUC``.

    Raises `ValueError`, with the nearest name, where none is meant.
    """
    metrics = list(metrics)
    names = {metric_label(metric): metric for metric in metrics}
    names |= {shown: metric for shown, metric in DISPLAYED_METRICS.items() if metric in metrics}
    return choose("metric", name, {**names, **{metric: metric for metric in metrics}})
