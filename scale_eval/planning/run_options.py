"""The options of a run: its settings, and options that say what to evaluate, where and how.

To add an option, add a field to `Settings` or to one of the classes here; `evaluate`, `preview`,
the command line and configuration files take it from there. ``scale-eval run --help`` imports this
module, so whatever is slow to import is imported where it is needed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scale_eval.planning.options import (
    COUNT,
    LIST,
    POSITIVE_NUMBER,
    PROCESSES,
    TABLE,
    TEXT,
    TIME,
    YES_OR_NO,
    Kind,
    as_plain,
    check_options,
    one_of,
    option,
    options_of,
    require_options,
    set_field,
)
from scale_eval.planning.settings import Settings
from scale_eval.planning.share import Share

if TYPE_CHECKING:
    from scale_eval.metrics import Metric

GRANULARITIES = ("auto", "evaluation", "company", "batch")
"""Kinds of task that a run can be divided into; "auto" chooses one of the other three."""

PRIMARY = "log_loss"
"""The metric that decides where no other is chosen."""

START_SECONDS = 30.0
"""Seconds that a run takes until its first evaluation: the plan, workers, compiled code."""

MARGIN = Kind(int | float, "a number from 0 on", minimum=0)


@dataclass(frozen=True)
class Sampling:
    """Options that choose which companies a run evaluates; all of them by default.

    Parameters
    ----------
    sample : int, optional
        The number of companies to evaluate, as a stratified random sample. The table `sampled`
        infers what all companies would give. A larger sample contains every smaller one: the same
        call with a larger number continues.
    until_half_width : float, optional
        Add companies to the sample until the 95 % interval of `until_metric` at the average
        company (`equal_company`) is no wider than twice this for each model, or the sample has
        its largest size.
    until_metric : str

    Raises
    ------
    ValueError
        An option is not of its kind, or the sample is too large.
    """

    sample: int | None = field(
        default=None,
        metadata=option(
            COUNT,
            "Evaluate a stratified random sample of N companies; the table 'sampled' says what all "
            "would give. Repeat with a larger N to continue.",
            metavar="N",
        ),
    )
    until_half_width: float | None = field(
        default=None,
        metadata=option(
            POSITIVE_NUMBER,
            "Add companies until the interval of --until-metric at the average company is no wider "
            "than twice W.",
            metavar="W",
        ),
    )
    until_metric: str = field(
        default="log_loss", metadata=option(TEXT, "See --until-half-width.", metavar="METRIC")
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.sample is None and self.until_half_width is not None:
            raise ValueError(
                "until_half_width adds companies to a sample: say with how many to begin"
            )
        if self.sample is not None:
            from scale_eval.planning.company_sample import LARGEST_SAMPLE as LARGEST

            if self.sample > LARGEST:
                raise ValueError(
                    f"a sample of {self.sample:,}: take at most {LARGEST:,}, or all companies"
                )


@dataclass(frozen=True)
class Execution:
    """Options that say where and how a run is executed; figures do not depend on them.

    Parameters
    ----------
    timeout : str or float
        Time (seconds, or ``"10 minutes"``) after which one evaluation is given up.
    retry : bool
        Try failed evaluations again (error, timeout, killed).
    replace : sequence of str
        Models, by name, whose evaluations in the run are removed and made again: a model that
        predicted somewhere may have changed only if it is named here.
    trust : bool
        Read models of all companies that an earlier session, or another share, fitted and pickled
        into the run. Reading a pickle runs the code that it holds: of whoever can write to the
        run's directory. Without it such models are fitted anew.
    save_predictions : bool
        Keep each customer's probability under ``predictions/``.
    granularity : str
        What a Dask task is: ``"evaluation"``, ``"company"``, or ``"batch"`` (many companies, whose
        results the workers write). ``"auto"`` chooses the first with little overhead.
    workers : int, optional
        Processes of a local cluster, one per core by default; or of a cluster of jobs.
    cluster : str
        ``"local"``, ``"slurm"``, the address of a scheduler or the file that it wrote.
    share : str or tuple of two int, optional
        ``"2/8"`` or ``(2, 8)``: only the second of eight shares of the companies. The same call
        with the other shares evaluates the rest into the same directory, at any time. When all
        are done, `reduce` makes the tables.
    time_limit : str or float, optional
        The time that a batch job has left. If one evaluation may take longer (`timeout`), the run
        is refused, because it could be interrupted there again and again.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError
        An option is not of its kind, or the time limit is shorter than one evaluation may take.
    """

    timeout: str | float = field(
        default="1 hour", metadata=option(TIME, "For one evaluation.", metavar="TIME")
    )
    retry: bool = field(default=False, metadata=option(YES_OR_NO, "Try again what failed."))
    replace: Sequence[str] = field(
        default=(),
        metadata=option(
            LIST, "Remove what the run has of this model, and evaluate it anew.", metavar="MODEL"
        ),
    )
    trust: bool = field(
        default=False,
        metadata=option(
            YES_OR_NO,
            "Read fitted models that an earlier session pickled, which runs their code; without "
            "it they are fitted anew.",
        ),
    )
    save_predictions: bool = field(
        default=False, metadata=option(YES_OR_NO, "Keep each customer's probability.")
    )
    granularity: str = field(
        default="auto",
        metadata=option(one_of(GRANULARITIES), "What a Dask task is; auto: what costs little."),
    )
    workers: int | None = field(
        default=None,
        metadata=option(PROCESSES, "Processes of a local cluster; one per core by default."),
    )
    cluster: str = field(
        default="local",
        metadata=option(
            TEXT,
            "local, slurm, a scheduler's address, or its file.",
            metavar="WHERE",
            environment="SCALE_EVAL_CLUSTER",
        ),
    )
    share: str | Sequence[int] | Share | None = field(
        default=None,
        metadata=option(
            Kind(str | list | tuple, "which of how many, such as '2/8'"),
            "Only the I-th of N shares; 'reduce' when all are done.",
            metavar="I/N",
        ),
    )
    time_limit: str | float | None = field(
        default=None,
        metadata=option(
            TIME, "What a batch job has left: not begun where --timeout is longer.", metavar="TIME"
        ),
    )
    progress: bool = field(
        default=True, metadata=option(YES_OR_NO, "Show a progress bar.", in_python_only=True)
    )

    def __post_init__(self) -> None:
        if isinstance(self.cluster, os.PathLike):
            set_field(self, "cluster", os.fspath(self.cluster))
        elif hasattr(self.cluster, "scheduler"):
            kind = type(self.cluster).__name__
            given = "client" if kind == "Client" else f"Client({kind.lower()})"
            raise ValueError(f"cluster is a {kind}: give a Dask client instead, client={given}")
        check_options(self)
        set_field(self, "share", self.parsed_share)
        if self.replace and self.share is not None:
            raise ValueError("a share cannot replace a model: other shares are at work on the run")
        timeout = self.timeout_seconds
        if self.time_limit is not None:
            _require_enough_time(seconds_of(self.time_limit, "time_limit"), timeout)

    @property
    def parsed_share(self) -> Share | None:
        """Return the share that is evaluated; None for the whole run."""
        return None if self.share is None else Share.parse(self.share)

    @property
    def timeout_seconds(self) -> float:
        """Return the timeout in seconds."""
        return seconds_of(self.timeout, "timeout")


@dataclass(frozen=True)
class Reduction:
    """Options that say how the tables of a run are made from its evaluations.

    Parameters
    ----------
    margins : dict, optional
        The smallest difference of practical interest by metric; smaller ones are ties. A metric
        without an entry keeps the margin of the run so far, or its default: for a loss, 1 % of the
        base rate's mean loss (`Metric.relative_margin`); for others `Metric.margin`.
    primary : str, optional
        The metric that decides: it orders the models, and the verdict, the plots and the report
        compare them by it. It may be one of your own. By default that of the run so far, or else
        `log_loss`, which rewards both ranking and probabilities that can be taken at their word.

    Raises
    ------
    ValueError
        A margin is no number, or below 0.
    """

    margins: Mapping[str, float] | None = field(
        default=None,
        metadata=option(
            TABLE,
            "The difference that is worth changing models for; smaller ones are ties. By default "
            "1 % of the base rate's loss for losses.",
            metavar="METRIC=NUMBER",
        ),
    )
    primary: str | None = field(
        default=None,
        metadata=option(
            TEXT,
            "The metric that decides: the verdict, the plots and the report compare models by it. "
            "By default log_loss.",
            metavar="METRIC",
        ),
    )

    def __post_init__(self) -> None:
        check_options(self)
        margins = {name: as_plain(margin) for name, margin in (self.margins or {}).items()}
        for name, margin in margins.items():
            if not MARGIN.accepts(margin):
                raise ValueError(f"the margin of {name} is {margin!r}; write {MARGIN.description}")
        set_field(self, "margins", {name: float(margin) for name, margin in margins.items()})

    def margins_of(self, own_metrics: Sequence[Metric]) -> Mapping[str, float]:
        """Return the margins; raise `ValueError` for one of a metric that does not exist."""
        from scale_eval.planning.user_metrics import require_metric

        margins = self.margins or {}
        return {
            require_metric(name, "a margin for", own_metrics): margins[name] for name in margins
        }

    def primary_of(self, own_metrics: Sequence[Metric]) -> str | None:
        """Return the metric that decides, or None; raise `ValueError` where it does not exist."""
        from scale_eval.planning.user_metrics import require_metric

        if self.primary is None:
            return None
        return require_metric(self.primary, "primary is", own_metrics)


@dataclass(frozen=True)
class RunOptions:
    """All options of a run, checked against each other."""

    settings: Settings = field(default_factory=Settings)
    sampling: Sampling = field(default_factory=Sampling)
    execution: Execution = field(default_factory=Execution)
    reduction: Reduction = field(default_factory=Reduction)

    def __post_init__(self) -> None:
        own_metrics = self.settings.rules.metrics
        self.reduction.margins_of(own_metrics)
        self.reduction.primary_of(own_metrics)
        if self.sampling.until_half_width is not None:
            from scale_eval.planning.user_metrics import require_metric

            metric = require_metric(self.sampling.until_metric, "until_metric is", own_metrics)
            set_field(self, "sampling", replace(self.sampling, until_metric=metric))
            if self.execution.share is not None:
                raise ValueError(
                    "a share does not know how sure the others are: no until_half_width"
                )


GROUPS: dict[str, type] = {
    "settings": Settings,
    "sampling": Sampling,
    "execution": Execution,
    "reduction": Reduction,
}
"""Classes of options, by the name of the argument that takes an instance of each."""


def run_options(options: Mapping[str, Any], **groups: Any) -> RunOptions:
    """Return the options of a run, from single options and from whole groups of them.

    Raises `ValueError` for an unknown option, and for one whose group is given too.
    """
    require_options(options, [name for group in GROUPS.values() for name in options_of(group)])
    complete: dict[str, Any] = {}
    for argument, group in GROUPS.items():
        single = {name: options[name] for name in options_of(group) if name in options}
        whole = groups.get(argument)
        if whole is not None and single:
            raise ValueError(f"give {argument} or {', '.join(single)}, not both")
        if whole is not None and not isinstance(whole, group):
            kind = whole.__name__ if isinstance(whole, type) else type(whole).__name__
            inside = f"**{argument}" if isinstance(whole, dict) else "..."
            raise ValueError(
                f"{argument} is a {kind}: write {argument}=se.{group.__name__}({inside}), or its "
                "options themselves"
            )
        complete[argument] = group(**single) if whole is None else whole
    return RunOptions(**complete)


def seconds_of(time: str | float, name: str = "timeout") -> float:
    """Return a time in seconds; raise `ValueError`, with its name, where it is not above 0."""
    import pandas as pd

    with contextlib.suppress(ValueError):
        text = str(time).strip()
        number = text.replace(".", "", 1).isdigit()
        seconds = pd.Timedelta(float(text), unit="s") if number else pd.Timedelta(text)
        if seconds > pd.Timedelta(0):
            return seconds.total_seconds()
    raise ValueError(f"{name} {time!r}: write {TIME.description}")


def _require_enough_time(limit: float, timeout: float) -> None:
    """Raise `ValueError` where `limit` seconds are too few for one evaluation and its batch."""
    from scale_eval.planning.batches import BATCH_SECONDS

    overhead = BATCH_SECONDS + START_SECONDS
    if limit < timeout + overhead:
        raise ValueError(
            f"{limit:,.0f} s are left here, and one evaluation may take {timeout:,.0f} s (timeout) "
            f"beside its batch and the start ({overhead:,.0f} s): it could be interrupted again "
            "and again. Give the job more time, or a timeout below "
            f"{max(limit - overhead, 1):,.0f} s"
        )
