"""Summarise all windows of companies in one pass: what was known, what then happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

from scale_eval.datasets.instants import DAY, Duration
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.customer_summaries import Summaries, summarise
from scale_eval.evaluation.history import (
    History,
    Outcomes,
    PopulationRules,
    TrainingWindow,
    labelled_window,
    training_note,
    window_bounds,
)
from scale_eval.evaluation.windows import Window


class WindowArrays(NamedTuple):
    """What was known at the beginning of each of companies' windows, for compiled models.

    Arrays by window hold the windows that are asked for and those to train on; arrays by fold say
    which are which; arrays by customer hold one window after the other, see `Summaries`. A model of
    the package that answers for all folds at once is given it whole: it is bound to look, for each
    fold, at the summary of `own` and at the summary and outcomes of `past`, as the history of that
    fold has them.

    Attributes
    ----------
    start : ndarray of int64, shape (n_windows + 1,)
    n_customers, n_bought : ndarray of int64, shape (n_windows,)
    fields, reals : ndarray of int64 and of float64, shape (7, start[-1])
        The same memory.
    bought : ndarray of bool, shape (start[-1],)
    cutoff, horizon_end : ndarray of int64, shape (n_windows,)
        Microseconds since 1970 UTC.
    own, past : ndarray of int64, shape (n_folds,)
        The window of each fold, and the one that its models train on.
    exponent : ndarray of float64, shape (n_folds,)
        What carries probabilities from that one to the horizon.
    """

    start: np.ndarray
    n_customers: np.ndarray
    n_bought: np.ndarray
    fields: np.ndarray
    reals: np.ndarray
    bought: np.ndarray
    cutoff: np.ndarray
    horizon_end: np.ndarray
    own: np.ndarray
    past: np.ndarray
    exponent: np.ndarray


class CompanyWindows:
    """Companies at each of their windows; a sequence of `CompanyWindow`.

    Attributes
    ----------
    companies : list of Transactions
        The company of each fold.
    windows : list of Window
        The window of each fold.
    found : Summaries
        Of the windows in `known`.
    known : WindowArrays
    n_customers : ndarray of int64, shape (n_folds,)
    """

    def __init__(
        self,
        companies: list[Transactions],
        windows: list[Window],
        asked: PopulationRules,
        first: list[int],
        found: Summaries,
        known: WindowArrays,
    ) -> None:
        self.companies, self.windows = companies, windows
        self.found, self.known = found, known
        self.n_customers = found.n_customers[known.own]
        self._asked, self._first = asked, first

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> CompanyWindow:
        known, found = self.known, self.found
        if not 0 <= i < len(self):
            raise IndexError(i)
        own, past = int(known.own[i]), int(known.past[i])
        cutoff, horizon_end = int(known.cutoff[past]), int(known.horizon_end[past])
        trained = TrainingWindow(
            cutoff,
            horizon_end,
            float(known.exponent[i]),
            found.summary(past),
            found.known_bought(past),
            int(found.n_bought[past]),
        )
        company, window, first = self.companies[i], self.windows[i], self._first[i]
        return CompanyWindow(company, window, self._asked, first, found, own, trained)

    def training_note(self, i: int) -> str:
        """What is said of the window that the models of a fold train on, if anything."""
        past = self.known.past[i]
        days = int(self.known.horizon_end[past] - self.known.cutoff[past]) / DAY
        return training_note(days, float(self.known.exponent[i]))

    def customer_groups(self) -> np.ndarray:
        """The group of each customer, for sums of influence; uint8 of shape (start[-1],).

        Set for the folds' own windows.
        """
        before = [None, *self.companies]
        is_new = [one is not other for one, other in zip(self.companies, before, strict=False)]
        of_company = [
            company.customer_groups
            for company, begins in zip(self.companies, is_new, strict=True)
            if begins
        ]
        first = np.cumsum([0, *map(len, of_company)])[np.cumsum(is_new) - 1]
        found, own = self.found, self.known.own
        groups = np.empty(int(found.start[-1]), np.uint8)
        _take(
            np.concatenate(of_company),
            first,
            found.customer,
            found.start[own],
            self.n_customers,
            groups,
        )
        return groups


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _take(
    of_customers: np.ndarray,
    first: np.ndarray,
    customer: np.ndarray,
    start: np.ndarray,
    n_customers: np.ndarray,
    taken: np.ndarray,
) -> None:
    """What each fold's customers have, of its company's that stand from `first` on."""
    for f in range(len(start)):
        for i in range(start[f], start[f] + n_customers[f]):
            taken[i] = of_customers[first[f] + customer[i]]


class CompanyWindow:
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
        self,
        company: Transactions,
        window: Window,
        asked: PopulationRules,
        first: int,
        found: Summaries,
        at: int,
        past: TrainingWindow,
    ) -> None:
        self.company, self.window = company, window
        self.n_customers, self.n_positive = int(found.n_customers[at]), int(found.n_bought[at])
        self.n_lapsed = int(found.n_lapsed[at])
        self.outcomes = Outcomes(found.bought(at), found.future_spend(at), self.n_positive)
        self._asked, self._first = asked, first
        self._customers = found.customers(at)
        self._known, self._past = found.summary(at), past

    def history(self, reads: str = "transactions") -> History:
        """What a model is given: its own, made from copies of what lies before the cutoff."""
        if reads == "summary":
            return History.of_summary(
                self.company.company_id,
                self.window.cutoff_us,
                self.window.horizon_end_us,
                self._first,
                self._known,
                self._past,
            )
        return History(self.company, self.window, **self._asked._asdict())

    @property
    def customer_ids(self) -> np.ndarray:
        """Customer ids as strings; shape (n_customers,), dtype object."""
        ids = self.company.customers.take(self._customers)
        return ids.to_numpy(zero_copy_only=False)


def windows_of_companies(
    asked: Sequence[tuple[Transactions, Sequence[Window]]],
    horizon: Duration,
    *,
    purchase_rule: str = "non_negative",
    lookback: Duration | None = None,
) -> CompanyWindows:
    """The folds of companies, one a window, in the order in which they are asked for.

    A window to train on that is itself a window of the company, as on a grid of horizons, is
    summarised once.
    """
    rules = PopulationRules(purchase_rule, lookback, horizon)
    companies: list[Transactions] = []
    windows: list[Window] = []
    firsts, spans, own, past, exponent = [], [], [], [], []
    n_before = 0
    for company, of_company in asked:
        first = int(company.timestamps.min()) if len(company) else 0
        keys = [(window.cutoff_us, window.horizon_end_us) for window in of_company]
        pasts = [
            labelled_window(cutoff, horizon_end, first, horizon) for cutoff, horizon_end in keys
        ]
        wanted = tuple(sorted({*keys, *(past[:2] for past in pasts)}))
        place = {window: n_before + at for at, window in enumerate(wanted)}
        n_before += len(wanted)
        spans.append(window_bounds(wanted, rules, horizon))
        own += [place[key] for key in keys]
        past += [place[cutoff, horizon_end] for cutoff, horizon_end, _ in pasts]
        exponent += [each[2] for each in pasts]
        companies += [company] * len(keys)
        firsts += [first] * len(keys)
        windows += of_company
    found = summarise([company for company, _ in asked], spans, purchase_rule)
    known = WindowArrays(
        found.start,
        found.n_customers,
        found.n_bought,
        found.fields,
        found.fields.view(np.float64),
        found.all_bought.view(),
        np.concatenate([each.cutoff for each in spans]),
        np.concatenate([each.horizon_end for each in spans]),
        np.array(own, np.int64),
        np.array(past, np.int64),
        np.array(exponent, np.float64),
    )
    for array in known:
        array.flags.writeable = False  # models share them
    return CompanyWindows(companies, windows, rules, firsts, found, known)


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
    asked = PopulationRules(purchase_rule, lookback, horizon)
    if reads != "summary":
        return History(company, window, **asked._asdict())
    known = company.before(window.cutoff_us)
    first = int(known.timestamps.min()) if len(known) else window.cutoff_us
    near = labelled_window(window.cutoff_us, window.horizon_end_us, first, horizon)
    far = labelled_window(near[0], near[1], first, horizon)
    spans = [(window.cutoff_us, window.horizon_end_us), near[:2], far[:2]]
    order = tuple(sorted(set(spans)))
    found = summarise([known], [window_bounds(order, asked)], purchase_rule)
    past: TrainingWindow | None = None
    for cutoff, horizon_end, exponent in (far, near):
        at = order.index((cutoff, horizon_end))
        bought, n_bought = found.known_bought(at), int(found.n_bought[at])
        past = TrainingWindow(
            cutoff, horizon_end, exponent, found.summary(at), bought, n_bought, past
        )
    summary = found.summary(order.index(spans[0]))
    return History.of_summary(
        company.company_id, window.cutoff_us, window.horizon_end_us, first, summary, past
    )
