"""Find the metric or the model that a caller asks for; an error has the nearest name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from scale_eval.planning.metric_names import choose_metric
from scale_eval.report.choices import choose_model
from scale_eval.spelling import did_you_mean_one_of, require_text

if TYPE_CHECKING:
    from scale_eval.report.findings import Findings


def require_one_of(kind: str, name: str, names: Collection[str]) -> str:
    """Return `name` if it is one of `names`; raise `ValueError` with the nearest one if not."""
    if require_text(kind, name) not in names:
        raise ValueError(f"there is no {kind} {name!r}{did_you_mean_one_of(name, names)}")
    return name


def names_of(kind: str, names: str | Iterable[str]) -> list[str]:
    """Return names as a list, where one may stand alone; raise `ValueError` for what is no text."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        names = [names]
    return [require_text(kind, name) for name in names]


def require_metric(findings: Findings, metric: str | None) -> str | None:
    """Return the name of a metric, or None; raise `ValueError` where there is no such metric."""
    return None if metric is None else choose_metric(metric, findings.metrics)


def require_model(document: Mapping[str, Any], model: str) -> str:
    """Return the whole name of a model of a run, whose `run.json` is given.

    The model is given by its whole name, or by its short one as in reports. Raises `ValueError`
    where there is none.
    """
    return choose_model(model, document["models"])


def require_compared(findings: Findings, model: str | None) -> str | None:
    """Return the whole name of a model that is compared, or None.

    Raises `ValueError` for a model that the run does not have, or that is not compared.
    """
    if model is None:
        return None
    name = choose_model(model, {*findings.document.get("models", {}), *findings.models})
    if name not in findings.models:
        near = did_you_mean_one_of(name, findings.models)
        raise ValueError(f"no model {model!r} is compared{near}")
    return name
