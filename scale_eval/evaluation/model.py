"""The two verbs of a model."""

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
    """What the evaluation asks of a model; any class with these two methods is one.

    Optional attributes:

    ``name``
        How the tables call it; by default the name that it was asked for by.
    ``random_state``
        Set before `fit` to an integer that depends on seed, company, cutoff and model alone.
    ``reads``
        ``"summary"`` for a model that works on `history.summary` alone; it is then given no
        transactions and no customer ids, which is many times as fast. ``"transactions"`` if not
        said.
    ``draws``
        False for a model that draws no random numbers, so that nothing is seeded for it.
    ``scope``
        ``"all"`` for one model of many companies: see `FitsMany`. ``"company"`` if not said.
    ``note_``
        Set by `fit` or `predict_proba`; stands in the evaluation's row.

    A model that cannot answer for a history raises `scale_eval.Skipped`; any other exception makes
    the evaluation an `error` row.
    """

    def fit(self, history: History) -> Any:
        """Learn from what was known at the cutoff; `history.labelled()` gives data to train on."""

    def predict_proba(self, history: History) -> np.ndarray | pd.Series:
        """The probability of at least one purchase in ``[cutoff, horizon_end)``.

        Returns
        -------
        ndarray of shape (n_customers,), in the order of `history.customers`, or a Series indexed by
        customer id in that order; values in [0, 1].
        """


class FitsMany(Protocol):
    """A model of many companies, told by ``scope = "all"``: fitted once a cutoff, on a sample.

    What is fitted is pickled, and predicts for every company at that cutoff. Where a call costs
    much whatever the number of customers, it can have a third verb besides:
    ``predict_many(histories)``, which gives for each of the histories (a list, of companies at that
    cutoff) what `predict_proba` gives for it, whoever else is among them.
    """

    def fit(self, histories: Iterable[History]) -> Any:
        """Learn from what was known of many companies at one cutoff.

        `history.labelled()` of each gives data to train on, all before that cutoff; `Skipped` is
        raised where a company has none. They are read one by one, and can be gone through again.
        """

    def predict_proba(self, history: History) -> np.ndarray | pd.Series:
        """As `Model.predict_proba`."""


class FitsWindows(Protocol):
    """A model of this package that answers for many windows in two compiled calls.

    What it gives is what `fit` and `predict_proba` give at each window, bit for bit. It sees the
    summaries of all windows, those of later ones too, and so must be trusted: no other model is
    asked for it.

    Attributes
    ----------
    trains : bool
        Whether it learns from the labelled window, of which the evaluation's row then tells.
    """

    trains: bool

    def fit_windows(self, known: WindowArrays) -> np.ndarray:
        """Learn at each window; bool of shape (n_folds,): where it could, and need not say why not.

        The others are left to `fit`.
        """

    def predict_windows(
        self, known: WindowArrays, answered: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Fill in `probabilities`, shape (start[-1],), of each answered fold's own window.

        `answered` is what `fit_windows` gave.
        """


_PLAIN = (type(None), bool, int, float, str)


@dataclass(frozen=True)
class NamedModel:
    """A model as a run knows it.

    Attributes
    ----------
    name : str
        How the tables call it.
    prototype : Model
        Never fitted: each evaluation fits a copy.
    identity : dict
        What its results depend on, as JSON; see `scale_eval.models.identity`.
    """

    name: str
    prototype: Model | FitsMany
    identity: dict[str, Any]

    @cached_property
    def reads(self) -> str:
        """``"summary"`` or ``"transactions"``: what its histories must hold."""
        return str(getattr(self.prototype, "reads", "transactions"))

    @cached_property
    def draws(self) -> bool:
        """Whether it may draw random numbers, so that generators are seeded for it."""
        return bool(getattr(self.prototype, "draws", True))

    @cached_property
    def scope(self) -> str:
        """``"company"``, or ``"all"`` for one model of many companies."""
        return str(getattr(self.prototype, "scope", "company"))

    @cached_property
    def fits_windows(self) -> bool:
        """Whether it is an `FitsWindows`: of this package, for it sees more than a history."""
        kind = type(self.prototype)
        return hasattr(kind, "fit_windows") and kind.__module__.startswith("scale_eval.models.")

    @cached_property
    def predicts_many(self) -> bool:
        """Whether it is one model of all companies that has `predict_many`."""
        return self.scope == "all" and callable(getattr(self.prototype, "predict_many", None))

    def fresh(self) -> Any:
        """A copy that has nothing in common with any other."""
        if not self._is_plain:
            return copy.deepcopy(self.prototype)
        fresh = object.__new__(type(self.prototype))
        fresh.__dict__ = dict(self.prototype.__dict__)
        return fresh

    @cached_property
    def _is_plain(self) -> bool:
        """Whether copying its attributes copies it: they are numbers and texts."""
        kind = type(self.prototype)
        hooks = ("__deepcopy__", "__copy__", "__reduce__", "__getstate__", "__new__", "__slots__")
        own = any(hook in vars(base) for base in kind.__mro__[:-1] for hook in hooks)
        values = vars(self.prototype).values() if hasattr(self.prototype, "__dict__") else [None]
        return not own and all(type(value) in _PLAIN for value in values)
