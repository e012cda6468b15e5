"""The contract of a model: its two methods, and how a run describes it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.history import History


class Model(Protocol):
    """A model is any class with the methods `fit` and `predict_proba`.

    Optional attributes:

    ``name``
        The model's name in the tables; by default the text by which it was chosen, or its class.
    ``random_state``
        Set before `fit` to an integer that depends only on seed, company, cutoff and model.
    ``reads``
        ``"summary"`` for a model that reads only `history.summary`; its histories then have no
        transactions and no customer ids, which is many times as fast. Default ``"transactions"``.
    ``draws``
        False for a model that draws no random numbers, so that nothing is seeded for it.
    ``scope``
        ``"all"`` for one model of many companies: see `FitsMany`. Default ``"company"``.
    ``note_``
        Set by `fit` or `predict_proba`; it is recorded in the evaluation's row.

    A model that cannot predict for a history raises `scale_eval.Skipped`; any other exception makes
    the evaluation an `error` row.
    """

    def fit(self, history: History) -> Any:
        """Learn from a history; `history.labelled()` gives an earlier one with its outcomes."""

    def predict_proba(self, history: History) -> np.ndarray | pd.Series:
        """Return each customer's probability of a purchase in ``[cutoff, horizon_end)``.

        Returns
        -------
        ndarray of shape (n_customers,), in the order of `history.customers`, or a Series indexed by
        customer id in that order; values in [0, 1].
        """


class FitsMany(Protocol):
    """A model with ``scope = "all"`` serves many companies: it is fitted once for each cutoff.

    It is fitted to a sample of the companies, stored, and predicts for every company at that
    cutoff. Where a call is expensive whatever the number of customers, it can have a third method,
    ``predict_many(histories)``: for each of the histories (a list, of companies at that cutoff) it
    returns what `predict_proba` returns for it, whichever companies are in the list.

    It may also have ``fitted_arrays()``, which returns all that was learned as arrays of numbers or
    texts by name (or None), and ``restore(arrays)``, which takes them. A run that is resumed reads
    arrays; what was pickled is fitted anew unless it is trusted, because a pickle runs code.
    """

    def fit(self, histories: Iterable[History]) -> Any:
        """Learn from the histories of many companies at one cutoff.

        `history.labelled()` of each gives data to train on, all before that cutoff; it raises
        `Skipped` where a company has none. Histories are read one by one, and can be iterated over
        again.
        """

    def predict_proba(self, history: History) -> np.ndarray | pd.Series:
        """Return each customer's probability, as `Model.predict_proba`."""


class FitsWindows(Protocol):
    """A built-in model may predict for many windows in two compiled calls.

    It gives what `fit` and `predict_proba` give at each window, bit for bit. It sees the summaries
    of all windows, later ones included, and so must be trusted: only the classes listed in
    `scale_eval.models.built_in` are called this way.

    Attributes
    ----------
    trains : bool
        Whether the model learns from the window to train on, whose length its rows then note.
    """

    trains: bool

    def fit_windows(self, arrays: WindowArrays) -> np.ndarray:
        """Learn at each window; return where that worked, bool of shape (n_windows,).

        The other windows are left to `fit`, which says why.
        """

    def predict_windows(
        self, arrays: WindowArrays, fitted: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Fill in `probabilities`, shape (start[-1],), for each window of `fitted`.

        `fitted` is what `fit_windows` returned.
        """


_PLAIN = (type(None), bool, int, float, str)


@dataclass(frozen=True)
class NamedModel:
    """A model with its name and its identity, as a run records it.

    Attributes
    ----------
    name : str
        The model's name in the tables.
    prototype : Model or FitsMany
        It is never fitted itself: each evaluation fits a copy.
    identity : dict
        The source and parameters that its results depend on, as JSON; see
        `scale_eval.models.identity`.
    fits_windows : bool
        Whether the prototype is a `FitsWindows` that is trusted with more than a history.
    """

    name: str
    prototype: Model | FitsMany
    identity: dict[str, Any]
    fits_windows: bool = False

    @cached_property
    def reads(self) -> str:
        """Return ``"summary"`` or ``"transactions"``: what its histories must hold."""
        return str(getattr(self.prototype, "reads", "transactions"))

    @cached_property
    def draws(self) -> bool:
        """Return whether it draws random numbers, so that generators are seeded for it."""
        return bool(getattr(self.prototype, "draws", True))

    @cached_property
    def scope(self) -> str:
        """Return ``"company"``, or ``"all"`` for one model of many companies."""
        return str(getattr(self.prototype, "scope", "company"))

    @cached_property
    def predicts_many(self) -> bool:
        """Return whether it is one model of many companies, with `predict_many`."""
        return self.scope == "all" and callable(getattr(self.prototype, "predict_many", None))

    def fresh(self) -> Any:
        """Return a copy that shares nothing with any other."""
        if not self._is_plain:
            return copy.deepcopy(self.prototype)
        fresh = object.__new__(type(self.prototype))
        fresh.__dict__ = dict(self.prototype.__dict__)
        return fresh

    @cached_property
    def _is_plain(self) -> bool:
        """Return whether a copy of the attributes is enough: they are numbers and texts."""
        kind = type(self.prototype)
        hooks = ("__deepcopy__", "__copy__", "__reduce__", "__getstate__", "__new__", "__slots__")
        own = any(hook in vars(base) for base in kind.__mro__[:-1] for hook in hooks)
        values = vars(self.prototype).values() if hasattr(self.prototype, "__dict__") else [None]
        return not own and all(type(value) in _PLAIN for value in values)
