"""Find the metric, model or company that a person names as it is displayed, or nearly so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from scale_eval.report.names import short_names
from scale_eval.report.wording import metric_label
from scale_eval.spelling import did_you_mean, did_you_mean_one_of

DISPLAYED_METRICS = {"O:E": "observed_expected_ratio"}
"""Metrics that a heading calls otherwise than by their label."""

LISTED = 20
"""Largest number of names that a message lists."""


def choose_metric(name: str, metrics: Iterable[str]) -> str:
    """Return the metric that `name` means: its column, or its label such as ``AUC``.

    Raises `ValueError`, with the nearest name, where none is meant.
    """
    metrics = list(metrics)
    names = {metric_label(metric): metric for metric in metrics}
    names |= {shown: metric for shown, metric in DISPLAYED_METRICS.items() if metric in metrics}
    return _choose("metric", name, {**names, **{metric: metric for metric in metrics}})


def choose_model(name: str, models: Iterable[str]) -> str:
    """Return the model that `name` means: its whole name, or the short one that reports show.

    Raises `ValueError`, with the nearest name, where none is meant.
    """
    models = list(models)
    shorter = {short: whole for whole, short in short_names(sorted(models)).items()}
    return _choose("model", name, {**shorter, **{model: model for model in models}})


def choose_company(name: str, companies: Iterable[str]) -> str:
    """Return the company of this id; raise `ValueError`, with the nearest, where there is none."""
    companies = list(dict.fromkeys(companies))
    if name in companies:
        return name
    among = did_you_mean_one_of if len(companies) <= LISTED else did_you_mean
    raise ValueError(f"there is no company {name!r}{among(name, companies)}")


def _choose(kind: str, name: str, names: Mapping[str, str]) -> str:
    if name in names:
        return names[name]
    alike = {chosen for shown, chosen in names.items() if _plain(shown) == _plain(name)}
    if len(alike) == 1:
        return alike.pop()
    whole = f"; there are {', '.join(dict.fromkeys(names.values()))}"
    raise ValueError(f"there is no {kind} {name!r}{did_you_mean(name, names, whole)}")


def _plain(name: str) -> str:
    """Return a name without case, spaces and punctuation, in which people differ."""
    return re.sub(r"[\W_]+", "", name.casefold())
