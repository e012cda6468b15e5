"""The plots of the purchases in a dataset: when customers buy, how often, how soon, how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.purchases import is_purchase
from scale_eval.report.figure import Figure
from scale_eval.report.plots.style import INK, WIDTH, add_heading, simplify
from scale_eval.report.wording import companies

MOST_COMPANIES = 6
"""Largest number of companies that are drawn, those with the most rows."""

_DARK, _LIGHT, _RED = "#0b3c5d", "#b5b5b5", "#d1495b"
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 3)))
_HALF_YEAR = 182


class _Purchases(NamedTuple):
    """The purchases of a company, sorted by customer and time.

    Attributes
    ----------
    months : ndarray of datetime64[M]
        In UTC.
    is_first : ndarray of bool
        Whether it is its customer's first.
    gaps : ndarray of float64
        Days since the purchase before, of all that are not the first.
    values : ndarray of float64
    n_by_customer : ndarray of int64
    """

    months: np.ndarray
    is_first: np.ndarray
    gaps: np.ndarray
    values: np.ndarray
    n_by_customer: np.ndarray


def purchases_by_month(dataset: Dataset, purchase_rule: str = "non_negative") -> Figure:
    """Draw each company's purchases a month: first ones, and those of earlier customers."""
    drawn = _read(dataset, purchase_rule)
    figure = Figure(figsize=(WIDTH, 1.0 + 1.3 * len(drawn)), layout="constrained")
    axes = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for axis, (company_id, of) in zip(axes, drawn.items(), strict=True):
        months = np.arange(of.months.min(), of.months.max() + 1)
        at = (of.months - months[0]).astype(int)
        again, first = (
            np.bincount(at[of.is_first == is_first], minlength=len(months))
            for is_first in (False, True)
        )
        axis.stackplot(
            months.astype("M8[us]"),
            again,
            first,
            colors=[_DARK, _LIGHT],
            labels=["bought before", "first purchase"],
        )
        axis.set_title(company_id, loc="left", fontsize=9, parse_math=False)
        axis.set_ylabel("purchases", fontsize=8)
        simplify(axis, both=True)
    axes[0].legend(loc="upper left", ncols=2, fontsize=8, frameon=False)
    add_heading(
        figure,
        f"Purchases a month{_of(dataset, drawn)}",
        "the first and the last month of a company may be incomplete",
    )
    return figure


def purchase_habits(dataset: Dataset, purchase_rule: str = "non_negative") -> Figure:
    """Draw how many purchases customers make, how soon the next one follows, and their values."""
    drawn = _read(dataset, purchase_rule)
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    often, soon, much = figure.subplots(1, 3)
    times = np.arange(1, 21)
    for (company_id, of), line in zip(drawn.items(), _LINES, strict=False):
        look = {"color": _DARK, "linestyle": line}
        often.plot(times, [(of.n_by_customer >= k).mean() for k in times], label=company_id, **look)
        if len(of.gaps):
            soon.ecdf(of.gaps, label=company_id, **look)
        if (of.values > 0).any():
            much.ecdf(of.values[of.values > 0], label=company_id, **look)
    often.set_yscale("log")
    often.set_xticks([1, 5, 10, 15, 20])
    often.legend(fontsize=7, frameon=False)
    soon.axvline(_HALF_YEAR, color=_RED, linewidth=1)
    soon.set_xlim(0, 4 * _HALF_YEAR)
    much.set_xscale("log")
    for axis, title, label in (
        (often, "share of customers", "with so many purchases or more"),
        (soon, "share of next purchases", "up to so many days after (red: half a year)"),
        (much, "share of purchases", "up to this value, in own currencies"),
    ):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelcolor=INK)
        simplify(axis, both=True)
    add_heading(
        figure,
        f"How often, how soon, how much{_of(dataset, drawn)}",
        "customers who never came back, or have not yet, are in no next purchase",
    )
    return figure


def _read(dataset: Dataset, purchase_rule: str) -> dict[str, _Purchases]:
    """Read the largest companies that have a purchase, by name; raise `ValueError` without one."""
    sizes = dataset.manifest.set_index("company_id")["n_rows"]
    largest = sorted(sizes.sort_values(ascending=False, kind="stable").index[:MOST_COMPANIES])
    found = {}
    for company_id in largest:
        company = dataset.read(company_id)
        bought = is_purchase(company.values, purchase_rule)
        if not bought.any():
            continue
        codes, times = company.codes[bought], company.timestamps[bought]
        is_first = np.diff(codes, prepend=-1) != 0
        gaps = np.diff(times, prepend=times[0])[~is_first] / DAY
        n_by_customer = np.unique(codes, return_counts=True)[1]
        months = times.view("M8[us]").astype("M8[M]")
        found[company_id] = _Purchases(
            months, is_first, gaps, company.values[bought], n_by_customer
        )
    if not found:
        raise ValueError(f"there is nothing to plot: {dataset.store.root} has no purchases")
    return found


def _of(dataset: Dataset, drawn: dict[str, _Purchases]) -> str:
    """Return the end of a heading: that only the largest companies are drawn, if that is so."""
    n = len(dataset.company_ids)
    return f", the largest {len(drawn)} of {companies(n)}" if len(drawn) < n else ""
