"""Find the model or company that a person names as it is displayed, or nearly so."""

from __future__ import annotations

from collections.abc import Iterable

from scale_eval.report.names import short_names
from scale_eval.spelling import choose, did_you_mean, did_you_mean_one_of

LISTED = 20
"""Largest number of names that a message lists."""


def choose_model(name: str, models: Iterable[str]) -> str:
    """Return the model that `name` means: its whole name, or the short one that reports show.

    Raises `ValueError`, with the nearest name, where none is meant.
    """
    models = list(models)
    shorter = {short: whole for whole, short in short_names(sorted(models)).items()}
    return choose("model", name, {**shorter, **{model: model for model in models}})


def choose_company(name: str, companies: Iterable[str]) -> str:
    """Return the company of this id; raise `ValueError`, with the nearest, where there is none."""
    companies = list(dict.fromkeys(companies))
    if name in companies:
        return name
    among = did_you_mean_one_of if len(companies) <= LISTED else did_you_mean
    raise ValueError(f"there is no company {name!r}{among(name, companies)}")
