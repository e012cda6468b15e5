"""Settings: the options that, with data and models, determine the results of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scale_eval.datasets.instants import Duration, as_utc
from scale_eval.datasets.purchases import PURCHASE_RULES
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.planning.options import (
    COUNT,
    DATE,
    LENGTH_OF_TIME,
    LIST,
    TEXT,
    WHOLE_NUMBER,
    YES_OR_NO,
    check_options,
    one_of,
    option,
    options_of,
    require_options,
    set_field,
)

if TYPE_CHECKING:
    import pandas as pd

    from scale_eval.evaluation.rules import Rules
    from scale_eval.metrics import Metric
    from scale_eval.planning.calendar import Calendar


@dataclass(frozen=True)
class Settings:
    """The windows, rules, metrics and seed of a run, checked when they are made.

    Parameters
    ----------
    cutoffs : sequence of dates, optional
        Explicit cutoffs (UTC) for every company. Without them each company has its own: month
        starts, the latest that is observed whole, then back by `every` to the first with at least
        10 customers.
    every : str
        Step between default cutoffs, such as ``"6 months"``.
    last : int, optional
        The number of default cutoffs to keep, the latest; all of them by default.
    shared_calendar : bool
        Use the same default cutoffs for all companies; one without enough data refuses a cutoff.
    horizon : str
        Length of the label window, such as ``"6 months"``.
    observed_until : date, optional
        The date until which the data of every company are complete; by default its own last row.
        A silence until then that is too long for the company is missing data all the same, unless
        `observed` says that nobody bought.
    observed : str, optional
        ``"FROM..TO"``, such as ``"2020-01-01..2022-06-30"`` (UTC): no data are missing in between,
        so that a silence there is one in which nobody bought. Without it, windows that touch a
        silence that is probably missing data are refused (`gap_in_data`); ``".."`` refuses none.
    purchase_rule : str
        ``"non_negative"``, ``"positive"`` or ``"all"``: which transactions are purchases.
    lookback : str, optional
        Leave out customers who bought nothing in this time before the cutoff.
    metrics : sequence, optional
        Metrics beyond those always computed: a `Metric`, a function of (outcomes, probabilities,
        future_spend), or its name as ``package.module:function``.
    seed : int

    Raises
    ------
    ValueError
        A setting is not of its kind; the message names it and what it may be.
    """

    cutoffs: Sequence[str | pd.Timestamp] = field(
        default=(),
        metadata=option(
            LIST,
            "A cutoff; otherwise month starts, back from the latest observed whole.",
            metavar="DATE",
        ),
    )
    every: str = field(
        default="6 months", metadata=option(LENGTH_OF_TIME, "Step between cutoffs.", metavar="TIME")
    )
    last: int | None = field(
        default=None, metadata=option(COUNT, "Only the latest N cutoffs.", metavar="N")
    )
    shared_calendar: bool = field(
        default=False, metadata=option(YES_OR_NO, "The same cutoffs for all companies.")
    )
    horizon: str = field(
        default="6 months",
        metadata=option(LENGTH_OF_TIME, "How far ahead models predict.", metavar="TIME"),
    )
    observed_until: str | pd.Timestamp | None = field(
        default=None,
        metadata=option(
            DATE, "Until when data are complete. Default: each company's last row.", metavar="DATE"
        ),
    )
    observed: str | None = field(
        default=None,
        metadata=option(
            TEXT,
            "A silence in this span is one in which nobody bought, not a gap in the data; '..' is "
            "all of time.",
            metavar="FROM..TO",
        ),
    )
    purchase_rule: str = field(
        default="non_negative",
        metadata=option(one_of(PURCHASE_RULES), "Which values are purchases."),
    )
    lookback: str | None = field(
        default=None,
        metadata=option(
            LENGTH_OF_TIME,
            "Leave out customers who bought nothing in this time before the cutoff.",
            metavar="TIME",
        ),
    )
    metrics: Sequence[str | Metric | Callable[..., float]] = field(
        default=(),
        metadata=option(LIST, "A metric of your own, package.module:function.", metavar="NAME"),
    )
    seed: int = field(
        default=0, metadata=option(WHOLE_NUMBER, "The seed of everything that is drawn.")
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.cutoffs and (self.last is not None or self.shared_calendar):
            raise ValueError("explicit cutoffs leave nothing for last or shared_calendar to choose")
        set_field(self, "cutoffs", tuple(sorted({as_utc(cutoff) for cutoff in self.cutoffs})))
        for name in ("every", "horizon", "lookback"):
            if getattr(self, name) is not None:
                set_field(self, name, str(Duration.parse(getattr(self, name))))
        if self.observed_until is not None:
            set_field(self, "observed_until", as_utc(self.observed_until))
        if self.observed is not None:
            try:
                TimeSpan.parse(self.observed)
            except ValueError as error:
                raise ValueError(f"observed: {error}") from error
        if self.metrics:
            from scale_eval.planning.user_metrics import user_metrics

            set_field(self, "metrics", user_metrics(self.metrics))

    @property
    def calendar(self) -> Calendar:
        """Return the calendar of cutoffs."""
        from scale_eval.planning.calendar import Calendar

        return Calendar(
            horizon=Duration.parse(self.horizon),
            cutoffs=tuple(as_utc(cutoff) for cutoff in self.cutoffs),
            every=Duration.parse(self.every),
            last=self.last,
            shared=self.shared_calendar,
        )

    @property
    def rules(self) -> Rules:
        """Return the rules by which each evaluation is made."""
        from scale_eval.evaluation.rules import Rules
        from scale_eval.metrics import Metric

        return Rules(
            horizon=Duration.parse(self.horizon),
            purchase_rule=self.purchase_rule,
            lookback=None if self.lookback is None else Duration.parse(self.lookback),
            seed=self.seed,
            metrics=tuple(m for m in self.metrics if isinstance(m, Metric)),
        )

    def document(self) -> dict[str, Any]:
        """Return the settings as plain JSON; metrics as the identity of their source."""
        from scale_eval.planning.user_metrics import metrics_document

        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        settings["cutoffs"] = [as_utc(cutoff).isoformat() for cutoff in self.cutoffs]
        if self.observed_until is not None:
            settings["observed_until"] = as_utc(self.observed_until).isoformat()
        settings["metrics"] = metrics_document(self.rules.metrics)
        return settings


def make_settings(**choices: Any) -> Settings:
    """Make `Settings` from keyword arguments; raise `ValueError` for one that does not exist."""
    require_options(choices, options_of(Settings))
    return Settings(**choices)
