"""Say why a run has no window to evaluate, and which cutoff would fit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import DAY, NEVER, from_microseconds
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
    in microseconds since 1970 UTC. None where no day fits.
    """
    known = spans.first_customer_at < NEVER
    if not known.any():
        return None
    first, last = int(spans.first_customer_at[known].min()), int(spans.until[known].max())
    dates = pd.date_range(
        from_microseconds(first).ceil("D"), from_microseconds(last), freq="D", unit="us"
    )
    days, ends = (instants.asi8 for instants in (dates, settings.calendar.horizon.after(dates)))
    starts = dates.day == 1
    return _latest(days[starts], ends[starts], spans) or _latest(days, ends, spans)


def _latest(cutoffs: np.ndarray, ends: np.ndarray, spans: ObservedSpans) -> tuple[int, int] | None:
    """Return the latest of the cutoffs (ascending) that fits a company, and the company's position.

    `ends` says where the windows end; both of shape (n_cutoffs,).
    """
    first = np.searchsorted(cutoffs, spans.first_customer_at, side="right")
    stop = np.searchsorted(ends, spans.until, side="right")
    companies = np.flatnonzero(first < stop)
    best, of_company = -1, -1
    for company in companies[np.argsort(-stop[companies], kind="stable")].tolist():
        if stop[company] <= best + 1:
            break
        begin = max(int(first[company]), best + 1)
        window = slice(begin, int(stop[company]))
        alone = np.zeros(window.stop - begin, np.int64)
        gaps = spans.gaps.take(np.array([company]))
        fitting = np.flatnonzero(~touches_gap(gaps, alone, cutoffs[window], ends[window]))
        if len(fitting):
            best, of_company = begin + int(fitting[-1]), company
    return None if best < 0 else (int(cutoffs[best]), of_company)
