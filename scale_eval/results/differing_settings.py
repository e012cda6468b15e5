"""Say how the settings of a run differ from those that were asked for, and how to repeat them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from scale_eval.evaluation.recorded_identity import differing_parts, in_words


def differences_in_words(
    keys: Iterable[str], was: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[str, str]:
    """Return how settings differ, and the options that repeat those of the run.

    Parameters
    ----------
    keys : iterable of str
        The settings that differ.
    was, now : dict
        All settings of the run, and those that were asked for, as `run.json` has them.
    """
    differences: list[str] = []
    options: list[str] = []
    for key in keys:
        if key == "metrics":
            of_metrics = _metrics(was.get(key) or {}, now[key])
            differences += of_metrics[0]
            options += of_metrics[1]
        else:
            differences.append(f"{key} was {_value(was.get(key))}, now {_value(now[key])}")
            if key != "data":  # which is an argument
                options.append(_option(_flag(key), was.get(key)))
    return "; ".join(differences), ", ".join(options)


def is_different(key: str, was: Any, now: Any) -> bool:
    """Return whether a setting differs; of metrics, only by what the run has recorded of them."""
    if key != "metrics" or not isinstance(was, Mapping):
        return bool(was != now)
    return set(was) != set(now) or any(differing_parts(was[name], now[name]) for name in now)


def _metrics(was: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the same of the user's metrics, by their names."""
    differences: list[str] = []
    options: list[str] = []
    for name in was:
        if name not in now:
            differences.append(f"it has the metric {name}, which is not asked for now")
        elif parts := differing_parts(was[name], now[name]):
            differences.append(f"the metric {name} has changed since ({in_words(parts)})")
        if name not in now or differing_parts(was[name], now[name]):
            options.append(f"--metric package.module:{name}{' as it was' if name in now else ''}")
    for name in now:
        if name not in was:
            differences.append(f"it does not have the metric {name}")
            options.append(f"no --metric for {name}")
    return differences, options


def _flag(key: str) -> str:
    return "--cutoff" if key == "cutoffs" else f"--{key.replace('_', '-')}"


def _value(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(_short, value)) if isinstance(value, list) else _short(value)


def _option(flag: str, value: Any) -> str:
    if value is None or value is False or value == []:
        return f"no {flag}"
    if value is True:
        return flag
    values = value if isinstance(value, list) else [value]
    return " ".join(f"{flag} {shlex.quote(_short(each))}" for each in values)


def _short(value: Any) -> str:
    """Return a value as it is written in an option: a date without midnight."""
    return str(value).removesuffix("T00:00:00+00:00")
