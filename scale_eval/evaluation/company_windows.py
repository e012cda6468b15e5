"""Summarise all windows of companies in one pass: a summary and the outcomes at each cutoff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.customer_summaries import Summaries, summarise
from scale_eval.evaluation.history import History
from scale_eval.evaluation.outcomes import Outcomes
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.summary_history import SummaryHistory
from scale_eval.evaluation.training_window import (
    TrainingBounds,
    TrainingWindow,
    training_note,
)
from scale_eval.evaluation.windows import Window
from scale_eval.evaluation.windows_to_summarise import windows_to_summarise


class WindowArrays(NamedTuple):
    """The summaries and outcomes of companies' windows, as compiled models take them.

    The windows that are evaluated and those that models train on are summarised together. Arrays
    of shape (n_summarised,) have one entry for each summarised window, and those of shape
    (n_windows,) one for each window that is evaluated. Arrays by customer hold one summarised
    window after the other, see `Summaries`. A model of the package that predicts for all windows at
    once receives everything; for each evaluated window it must use only the summary at
    `label_window` and the summary and outcomes at `training_window`, which the history of that
    window has too.

    Attributes
    ----------
    start : ndarray of int64, shape (n_summarised + 1,)
    n_customers, n_bought : ndarray of int64, shape (n_summarised,)
    fields, reals : ndarray of int64 and of float64, shape (7, start[-1])
        Two views of the same memory.
    bought : ndarray of bool, shape (start[-1],)
    cutoff, horizon_end : ndarray of int64, shape (n_summarised,)
        Microseconds since 1970 UTC.
    label_window, training_window : ndarray of int64, shape (n_windows,)
        Positions of each evaluated window, and of the one that its models train on, among the
        summarised ones.
    exponent : ndarray of float64, shape (n_windows,)
        The horizon divided by the length of the window to train on, see `TrainingBounds`.
    """

    start: np.ndarray
    n_customers: np.ndarray
    n_bought: np.ndarray
    fields: np.ndarray
    reals: np.ndarray
    bought: np.ndarray
    cutoff: np.ndarray
    horizon_end: np.ndarray
    label_window: np.ndarray
    training_window: np.ndarray
    exponent: np.ndarray


class CompanyWindows:
    """Companies at each of their windows; a sequence of `CompanyWindow`.

    Attributes
    ----------
    companies : list of Transactions
        The company of each window.
    windows : list of Window
    summaries : Summaries
        The summarised windows of `arrays`.
    arrays : WindowArrays
    n_customers : ndarray of int64, shape (n_windows,)
    """

    def __init__(
        self,
        companies: list[Transactions],
        windows: list[Window],
        rules: PopulationRules,
        first: list[int],
        summaries: Summaries,
        arrays: WindowArrays,
    ) -> None:
        self.companies, self.windows = companies, windows
        self.summaries, self.arrays = summaries, arrays
        self.n_customers = summaries.n_customers[arrays.label_window]
        self._rules, self._first = rules, first

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[CompanyWindow]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, i: int) -> CompanyWindow:
        arrays, summaries = self.arrays, self.summaries
        label_window, training_window = int(arrays.label_window[i]), int(arrays.training_window[i])
        bounds = TrainingBounds(
            int(arrays.cutoff[training_window]),
            int(arrays.horizon_end[training_window]),
            float(arrays.exponent[i]),
        )
        training = TrainingWindow.of(summaries, training_window, bounds)
        return CompanyWindow(
            self.companies[i],
            self.windows[i],
            self._rules,
            self._first[i],
            summaries,
            label_window,
            training,
        )

    def customers(self, i: int) -> slice:
        """Return the positions of a window's customers in the arrays by customer."""
        return self.summaries.population(int(self.arrays.label_window[i]))

    @property
    def start(self) -> np.ndarray:
        """Return where each window's customers begin in the arrays by customer; (n_windows,)."""
        return self.summaries.start[self.arrays.label_window]

    def training_note(self, i: int) -> str:
        """Return the note on the training window of window i; empty where it is a whole horizon."""
        window = self.arrays.training_window[i]
        days = int(self.arrays.horizon_end[window] - self.arrays.cutoff[window]) / DAY
        return training_note(days, float(self.arrays.exponent[i]))

    def customer_groups(self) -> np.ndarray:
        """Return each customer's group, for sums of influence; uint8 of shape (start[-1],).

        Only the customers of the evaluated windows have a group.
        """
        before = [None, *self.companies]
        is_new = [one is not other for one, other in zip(self.companies, before, strict=False)]
        groups_by_company = [
            company.customer_groups
            for company, begins in zip(self.companies, is_new, strict=True)
            if begins
        ]
        first = np.cumsum([0, *map(len, groups_by_company)])[np.cumsum(is_new) - 1]
        groups = np.empty(int(self.summaries.start[-1]), np.uint8)
        _fill_groups(
            np.concatenate(groups_by_company),
            first,
            self.summaries.customer,
            self.start,
            self.n_customers,
            groups,
        )
        return groups


@compiled
def _fill_groups(
    groups_by_company: np.ndarray,
    first: np.ndarray,
    customer: np.ndarray,
    start: np.ndarray,
    n_customers: np.ndarray,
    groups: np.ndarray,
) -> None:
    """Fill `groups` for each window; the groups of its company begin at `first`."""
    for w in range(len(start)):
        for i in range(start[w], start[w] + n_customers[w]):
            groups[i] = groups_by_company[first[w] + customer[i]]


class CompanyWindow:
    """One company at one window.

    Attributes
    ----------
    company : Transactions
    window : Window
    n_customers : int
        The size of the population.
    outcomes : Outcomes
        Never shown to a model.
    """

    def __init__(
        self,
        company: Transactions,
        window: Window,
        rules: PopulationRules,
        first: int,
        summaries: Summaries,
        position: int,
        training: TrainingWindow,
    ) -> None:
        self.company, self.window = company, window
        self.n_customers = int(summaries.n_customers[position])
        self.outcomes = Outcomes(
            summaries.bought(position),
            summaries.future_spend(position),
            int(summaries.n_bought[position]),
        )
        self._rules, self._first = rules, first
        self._customers = summaries.customers(position)
        self._summary, self._training = summaries.summary(position), training

    def history(self, reads: str = "transactions") -> History:
        """Return a history for one model, made from copies of what lies before the cutoff."""
        if reads == "summary":
            return SummaryHistory(
                self.company.company_id,
                self.window.cutoff_us,
                self.window.horizon_end_us,
                self._first,
                self._summary,
                self._training,
            )
        return History(self.company, self.window, **self._rules._asdict())

    @property
    def customer_ids(self) -> np.ndarray:
        """Return the customer ids as strings; shape (n_customers,), dtype object."""
        ids = self.company.customers.take(self._customers)
        return ids.to_numpy(zero_copy_only=False)


def windows_of_companies(
    companies: Sequence[tuple[Transactions, Sequence[Window]]], rules: PopulationRules
) -> CompanyWindows:
    """Summarise each company at each of its windows, in the order in which they are given.

    A customer has lapsed at a cutoff after one horizon without a purchase.
    """
    company_of_window: list[Transactions] = []
    windows: list[Window] = []
    first_rows, to_summarise = [], []
    for company, company_windows in companies:
        first = int(company.timestamps.min()) if len(company) else 0
        keys = tuple([(window.cutoff_us, window.horizon_end_us) for window in company_windows])
        to_summarise.append(windows_to_summarise(keys, first, rules.lookback, rules.horizon))
        company_of_window += [company] * len(keys)
        first_rows += [first] * len(keys)
        windows += company_windows
    bounds = [each.bounds for each in to_summarise]
    before = np.cumsum([0, *map(len, bounds)])[:-1]  # windows of the companies before
    summaries = summarise([company for company, _ in companies], bounds, rules.purchase_rule)
    arrays = WindowArrays(
        summaries.start,
        summaries.n_customers,
        summaries.n_bought,
        summaries.fields,
        summaries.fields.view(np.float64),
        summaries.all_bought.view(),
        np.concatenate([each.cutoff for each in bounds]),
        np.concatenate([each.horizon_end for each in bounds]),
        np.concatenate([each.label + n for each, n in zip(to_summarise, before, strict=True)]),
        np.concatenate([each.training + n for each, n in zip(to_summarise, before, strict=True)]),
        np.concatenate([each.exponent for each in to_summarise]),
    )
    for array in arrays:
        array.flags.writeable = False  # models share them
    return CompanyWindows(company_of_window, windows, rules, first_rows, summaries, arrays)
