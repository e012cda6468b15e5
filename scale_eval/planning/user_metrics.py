"""User metrics: metrics that a run computes beyond the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.evaluation.users_object import looking_at
from scale_eval.metrics import METRICS, Metric, user_metric
from scale_eval.metrics.base import jackknifed
from scale_eval.metrics.uncertainty import influence_column
from scale_eval.models import identity_of_source, load_object
from scale_eval.models.identity.dependencies import dependencies
from scale_eval.planning.metric_names import choose_metric
from scale_eval.results.fingerprint import UNREPEATABLE_COLUMNS
from scale_eval.spelling import did_you_mean_one_of


def user_metrics(metrics: Iterable[str | Metric | Callable[..., float]]) -> tuple[Metric, ...]:
    """Return the user's metrics as `Metric` objects; leave out the built-in ones.

    Raises `ValueError` for a name that cannot be loaded, or that a column of the results has.
    """
    own: dict[str, Metric] = {}
    for each in metrics:
        if isinstance(each, str) and each in METRICS:
            continue
        loaded = load_object(each, "metric") if isinstance(each, str) else each
        with looking_at("metric", each if isinstance(each, str) else type(each).__name__):
            metric = jackknifed(loaded) if isinstance(loaded, Metric) else user_metric(loaded)
        taken = evaluations_schema(list(own)).names
        columns = {metric.name, influence_column(metric.name)}
        if columns.intersection(taken) or UNREPEATABLE_COLUMNS.fullmatch(metric.name):
            raise ValueError(f"the name {metric.name!r} is taken by a column; rename your metric")
        own[metric.name] = metric
    return tuple(own.values())


def metrics_document(metrics: Iterable[Metric]) -> dict[str, Any]:
    """Return user metrics as plain JSON by name, with the identity of their source."""
    document = {}
    for metric in metrics:
        function = metric.user_function or metric.function
        with looking_at("metric", metric.name):
            identity = {"source": identity_of_source(function), "uses": dependencies(function)}
        settings = {"better": metric.better, "margin": metric.margin, "target": metric.target}
        document[metric.name] = identity | settings
    return document


def recorded_metrics(document: Mapping[str, Any]) -> list[Metric]:
    """Return the user metrics of a `metrics_document`; they cannot be computed again."""

    def function(_: Any) -> float:
        raise LookupError("this metric was read from a run's record, which has no function")

    return [
        jackknifed(Metric(name, function, entry["better"], entry["margin"], target=entry["target"]))
        for name, entry in document.items()
    ]


def require_metric(name: str, subject: str, own_metrics: Sequence[Metric]) -> str:
    """Return the metric that `name` means, by its column or its label such as ``AUC``.

    Raises `ValueError` where there is none; `subject` begins the message.
    """
    names = [*METRICS, *(metric.name for metric in own_metrics)]
    try:
        return choose_metric(name, names)
    except ValueError:
        near = did_you_mean_one_of(name, names)
        raise ValueError(f"{subject} an unknown metric {name!r}{near}") from None
