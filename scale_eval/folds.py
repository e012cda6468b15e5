"""Folds: a company's windows, each with what was known and what then happened, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scale_eval.datasets.transactions import Transactions
from scale_eval.history import Asked, History, Outcomes, Past, labelled_window, spans_of
from scale_eval.summaries import CustomerSummary, Summaries, summarise
from scale_eval.windows import Duration, Window


class Fold:
    """One company at one window.

    Attributes
    ----------
    company : Transactions
    window : Window
    n_customers, n_positive, n_lapsed : int
        The population; of these, who bought in the window; and who had not bought for one horizon
        before the cutoff.
    outcomes : Outcomes
        Never shown to a model.
    """

    def __init__(
        self, company: Transactions, window: Window, asked: Asked, first: int,
        found: Summaries, at: int, known: CustomerSummary, past: Past,
    ) -> None:  # fmt: skip
        self.company, self.window = company, window
        self.n_customers, self.n_positive = found.n_customers[at], found.n_bought[at]
        self.n_lapsed = found.n_lapsed[at]
        self.outcomes = Outcomes(found.bought(at), found.future_spend(at), self.n_positive)
        self._asked, self._first = asked, first
        self._customers = found.customers(at)
        self._known, self._past = known, past

    def history(self, reads: str = "transactions") -> History:
        """What a model is given: its own, made from copies of what lies before the cutoff."""
        if reads == "summary":
            return History.of_summary(
                self.company.company_id, self.window.begin, self.window.end, self._first,
                self._known, self._past,
            )  # fmt: skip
        return History(self.company, self.window, **self._asked._asdict())

    @property
    def customer_groups(self) -> np.ndarray:
        """The group of each customer, for sums of influence; uint8 of shape (n_customers,)."""
        return self.company.customer_groups[self._customers]

    @property
    def customer_ids(self) -> np.ndarray:
        """Customer ids as strings; shape (n_customers,), dtype object."""
        ids = self.company.customers.take(self._customers)
        return ids.to_numpy(zero_copy_only=False)


def folds_of(
    company: Transactions,
    windows: Sequence[Window],
    horizon: Duration,
    *,
    purchase_rule: str = "non_negative",
    lookback: Duration | None = None,
) -> list[Fold]:
    """The folds of a company, one a window.

    A window to train on that is itself a window of the company, as on a grid of horizons, is
    summarised once.
    """
    asked = Asked(purchase_rule, lookback, horizon)
    first = int(company.timestamps.min()) if len(company) else 0
    own = [(w.begin, w.end) for w in windows]
    pasts = [labelled_window(begin, end, first, horizon) for begin, end in own]
    wanted = sorted({*own, *(past[:2] for past in pasts)})
    place = {window: at for at, window in enumerate(wanted)}
    found = summarise(company, spans_of(wanted, asked, horizon), purchase_rule)
    known = [found.summary(at) for at in range(len(wanted))]
    folds = []
    for window, key, (begin, end, exponent) in zip(windows, own, pasts, strict=True):
        at = place[begin, end]
        past = Past(begin, end, exponent, known[at], found.known_bought(at), found.n_bought[at])
        at = place[key]
        folds.append(Fold(company, window, asked, first, found, at, known[at], past))
    return folds


def training_history(
    company: Transactions,
    window: Window,
    horizon: Duration,
    *,
    purchase_rule: str = "non_negative",
    lookback: Duration | None = None,
    reads: str = "transactions",
) -> History:
    """A history for a model of all companies to train on: its labelled history has one, too.

    So that what a model learns of a company at the earlier cutoff is what it will know at this one.
    """
    asked = Asked(purchase_rule, lookback, horizon)
    if reads != "summary":
        return History(company, window, **asked._asdict())
    known = company.before(window.begin)
    first = int(known.timestamps.min()) if len(known) else window.begin
    near = labelled_window(window.begin, window.end, first, horizon)
    far = labelled_window(near[0], near[1], first, horizon)
    spans = [(window.begin, window.end), near[:2], far[:2]]
    order = sorted(set(spans))
    found = summarise(known, spans_of(order, asked), purchase_rule)
    past: Past | None = None
    for begin, end, exponent in (far, near):
        at = order.index((begin, end))
        bought, n_bought = found.known_bought(at), found.n_bought[at]
        past = Past(begin, end, exponent, found.summary(at), bought, n_bought, past)
    summary = found.summary(order.index(spans[0]))
    return History.of_summary(company.company_id, window.begin, window.end, first, summary, past)
