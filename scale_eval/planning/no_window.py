"""Say why a run has no window to evaluate, and which cutoff would fit."""

from __future__ import annotations

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import DAY, NEVER, from_microseconds, microseconds
from scale_eval.evaluation.reasons import EVALUATIONS
from scale_eval.planning.calendar import REFUSALS, ObservedSpans, touches_gap
from scale_eval.planning.plan import observed_spans
from scale_eval.planning.settings import Settings

FEW = 100
"""Number of companies that are tried before all are."""


class NoWindow(ValueError):  # noqa: N818 - reads as a sentence
    """Every window of a run is refused; the message says why, and which cutoff fits."""


def require_window(dataset: Dataset, settings: Settings) -> None:
    """Raise `NoWindow` where every window of every company is refused."""
    if why := why_no_window(dataset, settings):
        raise NoWindow(why)


def why_no_window(dataset: Dataset, settings: Settings) -> str:
    """Return why no window can be evaluated and which cutoff fits; "" where one can be."""
    spans = observed_spans(dataset.manifest_table, settings)
    calendar = settings.calendar
    if not calendar.shared and (calendar.windows(_longest(spans)).refusal == 0).any():
        return ""  # without a look at 100,000 companies
    refusals = calendar.windows(spans).refusal
    if not len(refusals) or (refusals == 0).any():
        return ""
    codes, counts = (part.tolist() for part in np.unique(refusals, return_counts=True))
    why = "; ".join(
        f"{EVALUATIONS[REFUSALS[code]]} ({n:,} {'window' if n == 1 else 'windows'})"
        for n, code in sorted(zip(counts, codes, strict=True), reverse=True)
    )
    return f"no window can be evaluated: {why}. {_remedy(dataset, settings, spans)}"


def _longest(spans: ObservedSpans) -> ObservedSpans:
    """Return the spans of the companies whose customers were observed longest."""
    return spans.take(np.argsort(spans.first_customer_at - spans.until, kind="stable")[:FEW])


def _remedy(dataset: Dataset, settings: Settings, spans: ObservedSpans) -> str:
    fitting = latest_cutoff(settings, spans)
    silent = (
        "If nobody bought in a silence that is taken for missing data, say so (--observed). "
        if len(spans.gaps.company)
        else ""
    )
    if fitting is not None:
        cutoff, company = fitting
        return (
            f"{silent}The latest cutoff that fits is {from_microseconds(cutoff):%Y-%m-%d}, at "
            f"{dataset.company_ids[company]}"
        )
    if silent:
        return f"{silent}No cutoff fits a horizon of {settings.horizon}"
    past = np.where(spans.first_customer_at < NEVER, spans.until - spans.first_customer_at, -1)
    longest = int(np.argmax(past))
    if past[longest] < 0:
        return "No company has a purchase"
    return (
        f"No cutoff fits a horizon of {settings.horizon}: {dataset.company_ids[longest]} has the "
        f"longest span of data, {past[longest] // DAY:,} days. Take a shorter horizon"
    )


def latest_cutoff(settings: Settings, spans: ObservedSpans) -> tuple[int, int] | None:
    """Return the latest cutoff that would be evaluated, and the company's position.

    It is the latest month start that fits any company, or the latest day where no month start does;
    in microseconds since 1970 UTC. None where no company has a customer one horizon before the end
    of its data.
    """
    months = _before_gaps(settings, spans)
    fits = spans.first_customer_at < months
    if fits.any():
        company = int(np.argmax(np.where(fits, months, -NEVER)))
        return int(months[company]), company
    horizon = settings.calendar.horizon
    shortest = (28 * horizon.months + horizon.days) * DAY
    long_enough = np.flatnonzero(spans.until - spans.first_customer_at > shortest)
    latest: tuple[int, int] | None = None
    for company in long_enough[np.argsort(-spans.until[long_enough], kind="stable")].tolist():
        if latest is not None and _day_before(settings, int(spans.until[company])) <= latest[0]:
            break
        cutoff = _latest_day(settings, spans, company)
        if cutoff is not None and (latest is None or cutoff > latest[0]):
            latest = cutoff, company
    return latest


def _day_before(settings: Settings, end: int) -> int:
    """Return the latest day whose window ends by `end`."""
    return microseconds(settings.calendar.horizon.before(from_microseconds(end)).floor("D"))


def _latest_day(settings: Settings, spans: ObservedSpans, company: int) -> int | None:
    """Return the latest day that fits a company, which may be before a gap; None if none does."""
    end = int(spans.until[company])
    while (cutoff := _day_before(settings, end)) > spans.first_customer_at[company]:
        if not _in_gap(settings, spans, np.array([company]), np.array([cutoff])):
            return cutoff
        gap = spans.gaps.first_in(company, cutoff, end)
        if gap is None or gap[0] >= end:
            return None
        end = gap[0]
    return None


def _before_gaps(settings: Settings, spans: ObservedSpans) -> np.ndarray:
    """Return the latest month start of each company whose window is whole and touches no gap.

    In microseconds, shape (n_companies,); not later than the first customer where there is none.
    """
    latest = settings.calendar.latest_whole(spans.until)
    companies = np.unique(spans.gaps.company)
    while len(companies):
        in_gap = _in_gap(settings, spans, companies, latest[companies])
        companies = companies[in_gap & (latest[companies] > spans.first_customer_at[companies])]
        months = latest[companies].astype("datetime64[us]").astype("datetime64[M]")
        latest[companies] = (months - 1).astype("datetime64[us]").astype(np.int64)
    return latest


def _in_gap(
    settings: Settings, spans: ObservedSpans, companies: np.ndarray, cutoffs: np.ndarray
) -> np.ndarray:
    """Return whether the window at each company's cutoff touches a gap; shapes (n_companies,)."""
    ends = np.array([settings.calendar.end_of(cutoff) for cutoff in cutoffs.tolist()], np.int64)
    return touches_gap(spans.gaps, companies, cutoffs, ends)
