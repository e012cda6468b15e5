"""What a run is asked to do: everything, besides data and models, that its results depend on."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from scale_eval.metrics import METRICS, Metric

if TYPE_CHECKING:
    pass

from collections.abc import Callable
from dataclasses import dataclass

from scale_eval.datasets.instants import Duration, as_utc
from scale_eval.datasets.purchases import PURCHASE_RULES
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import user_metric
from scale_eval.models import identity_of_source, load_object
from scale_eval.planning.calendar import Calendar
from scale_eval.results.fingerprint import UNREPEATABLE_COLUMNS

_KINDS: dict[str, Any] = {
    "every": str | Duration,
    "horizon": str | Duration,
    "lookback": str | Duration | None,
    "last": int | None,
    "seed": int,
    "shared_calendar": bool,
}
_TIME = "write a length of time such as '6 months'"
_WRITTEN = {
    **dict.fromkeys(("every", "horizon", "lookback"), _TIME),
    **dict.fromkeys(("last", "seed"), "write a whole number"),
    "shared_calendar": "write true or false",
}


@dataclass(frozen=True)
class Settings:
    """Windows, rules, metrics and seed of a run, checked when they are made.

    Parameters
    ----------
    cutoffs : sequence of dates, optional
        Explicit cutoffs (UTC) for every company. Without them each company has its own: month
        starts, the latest that is observed whole, then back by `every` to the first with at least
        10 customers.
    every : str
        Step between default cutoffs, such as ``"6 months"``.
    last : int, optional
        Only the latest so many of the default cutoffs.
    shared_calendar : bool
        One calendar of default cutoffs for all companies, refused where a company cannot bear one.
    horizon : str
        Length of the label window, such as ``"6 months"``.
    observed_until : date, optional
        Until when the data of every company are complete; by default its own last row.
    purchase_rule : str
        ``"non_negative"``, ``"positive"`` or ``"all"``: which transactions are purchases.
    lookback : str, optional
        Leave out customers who did not buy in this time before the cutoff.
    metrics : sequence, optional
        Metrics beyond those always computed: a `Metric`, a function of (outcomes, probabilities,
        future_spend), or its name as ``package.module:function``.
    seed : int

    Raises
    ------
    ValueError
        A setting is not of its kind; the message names it and what it may be.
    """

    cutoffs: Sequence[str | pd.Timestamp] = ()
    every: str = "6 months"
    last: int | None = None
    shared_calendar: bool = False
    horizon: str = "6 months"
    observed_until: str | pd.Timestamp | None = None
    purchase_rule: str = "non_negative"
    lookback: str | None = None
    metrics: Sequence[str | Metric | Callable[..., float]] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        settle = object.__setattr__
        for name in ("cutoffs", "metrics"):
            value = getattr(self, name)
            settle(self, name, tuple(value) if isinstance(value, list | tuple) else (value,))
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"{name}={value!r}: {_WRITTEN[name]}")
        if self.purchase_rule not in PURCHASE_RULES:
            raise ValueError(
                f"purchase_rule {self.purchase_rule!r} is none of {', '.join(PURCHASE_RULES)}"
            )
        if self.last is not None and self.last < 1:
            raise ValueError(f"last={self.last}: at least one cutoff is needed")
        if self.cutoffs and (self.last is not None or self.shared_calendar):
            raise ValueError("explicit cutoffs leave nothing for last or shared_calendar to choose")
        settle(self, "cutoffs", tuple(sorted({as_utc(cutoff) for cutoff in self.cutoffs})))
        settle(self, "every", str(Duration.parse(self.every)))
        settle(self, "horizon", str(Duration.parse(self.horizon)))
        if self.lookback is not None:
            settle(self, "lookback", str(Duration.parse(self.lookback)))
        if self.observed_until is not None:
            settle(self, "observed_until", as_utc(self.observed_until))
        settle(self, "metrics", _own_metrics(self.metrics))

    @property
    def calendar(self) -> Calendar:
        """Which cutoffs to evaluate."""
        return Calendar(
            horizon=Duration.parse(self.horizon),
            cutoffs=tuple(as_utc(cutoff) for cutoff in self.cutoffs),
            every=Duration.parse(self.every),
            last=self.last,
            shared=self.shared_calendar,
        )

    @property
    def rules(self) -> Rules:
        """How evaluations are made."""
        return Rules(
            horizon=Duration.parse(self.horizon),
            purchase_rule=self.purchase_rule,
            lookback=None if self.lookback is None else Duration.parse(self.lookback),
            seed=self.seed,
            metrics=tuple(m for m in self.metrics if isinstance(m, Metric)),
        )

    def document(self) -> dict[str, Any]:
        """The settings as plain JSON; metrics as the identity of their source."""
        entries = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        entries["cutoffs"] = [as_utc(cutoff).isoformat() for cutoff in self.cutoffs]
        if self.observed_until is not None:
            entries["observed_until"] = as_utc(self.observed_until).isoformat()
        entries["metrics"] = {
            m.name: {
                "source": identity_of_source(m.user_function or m.function),
                "better": m.better,
                "margin": m.margin,
                "target": m.target,
            }
            for m in self.rules.metrics
        }
        return entries


def recorded_metrics(document: dict[str, Any]) -> list[Metric]:
    """The user's metrics of a run's settings `document`, to read results by, not to compute."""

    def not_here(_: Any) -> float:
        raise LookupError("the metric is known from a run's record only")

    return [
        Metric(name, not_here, entry["better"], entry["margin"], target=entry["target"])
        for name, entry in document["metrics"].items()
    ]


def _own_metrics(metrics: Sequence[str | Metric | Callable[..., float]]) -> tuple[Metric, ...]:
    """The user's metrics as `Metric` objects; those that are always computed are left out."""
    own: dict[str, Metric] = {}
    for given in metrics:
        if isinstance(given, str) and given in METRICS:
            continue
        thing = load_object(given, "metric") if isinstance(given, str) else given
        metric = thing if isinstance(thing, Metric) else user_metric(thing)
        taken = evaluations_schema(list(own)).names
        if metric.name in taken or UNREPEATABLE_COLUMNS.fullmatch(metric.name):
            raise ValueError(f"the name {metric.name!r} is taken by a column; rename your metric")
        own[metric.name] = metric
    return tuple(own.values())


def make_settings(**choices: Any) -> Settings:
    """`Settings` from keyword arguments; raises `ValueError` for one that there is not."""
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in choices:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"unknown setting {name!r}; {meant}")
    return Settings(**choices)


def settings_of(settings: Settings | None, choices: Mapping[str, Any]) -> Settings:
    """The settings that were given whole, or those of `choices`; raises `ValueError` for both."""
    if settings is not None and choices:
        raise ValueError(f"give settings or {', '.join(choices)}, not both")
    return settings or make_settings(**choices)


def _require_metric(name: str, what: str, own_metrics: Sequence[Metric]) -> None:
    """Raises `ValueError` for a metric that there is not; `what` says what named it."""
    known = [*METRICS, *(metric.name for metric in own_metrics)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"{what} an unknown metric {name!r}; {meant}")


def checked_margins(
    margins: Mapping[str, float], own_metrics: Sequence[Metric]
) -> dict[str, float]:
    """Margins as numbers; raises `ValueError` for an unknown metric or what is no margin."""
    checked = {}
    for name, margin in margins.items():
        _require_metric(name, "a margin for", own_metrics)
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not margin >= 0:
            raise ValueError(f"the margin of {name} is {margin!r}; write a number from 0 on")
        checked[name] = float(margin)
    return checked


def seconds_of(timeout: str | float) -> float:
    """A timeout in seconds; raises `ValueError` where it is not a positive time."""
    with contextlib.suppress(ValueError):
        text = str(timeout).strip()
        number = text.replace(".", "", 1).isdigit()
        seconds = pd.Timedelta(float(text), unit="s") if number else pd.Timedelta(text)
        if seconds > pd.Timedelta(0):
            return seconds.total_seconds()
    raise ValueError(f"timeout {timeout!r}: write seconds, or a time such as '10 minutes'")
