"""Models that do what a model should not; workers import this file."""

from __future__ import annotations

import os
import signal
import time

import numpy as np


class Constant:
    name = "constant"

    def fit(self, history):
        self.n = history.n_customers

    def predict_proba(self, history):
        return np.full(self.n, 0.25)


class RandomForest:
    """Draws from its own random state, from NumPy's and from Python's."""

    name = "random"
    random_state = 0

    def fit(self, history):
        import random

        self.own = np.random.default_rng(self.random_state)
        self.shift = random.random() / 4 + np.random.random() / 4

    def predict_proba(self, history):
        return self.own.random(history.n_customers) / 2 + self.shift


class Raises(Constant):
    name = "raises"

    def fit(self, history):
        raise ZeroDivisionError(f"no such thing at {object()!r}")


class Exits(Constant):
    name = "exits"

    def fit(self, history):
        raise SystemExit(7)


class Throws(Constant):
    """Raises what is no Exception."""

    name = "throws"

    def fit(self, history):
        raise GeneratorExit("out")


class Mute(Constant):
    """Raises an exception that cannot say what it is."""

    name = "mute"

    def fit(self, history):
        class WordlessError(ValueError):
            def __str__(self):
                raise TypeError

        raise WordlessError


class OddWords(Constant):
    """Says what no file can hold."""

    name = "odd_words"

    def fit(self, history):
        raise ValueError("caf\udce9")


class DeclinesWithANumber(Constant):
    name = "declines"

    def fit(self, history):
        from scale_eval.history import Skipped

        raise Skipped(3, 4)


class CannotBeCopied(Constant):
    name = "cannot_be_copied"

    def __deepcopy__(self, memo):
        raise RuntimeError("there is only one of me")


class NotesANumber(Constant):
    name = "notes_a_number"
    note_ = 3


class TooShort(Constant):
    name = "too_short"

    def predict_proba(self, history):
        return np.full(history.n_customers - 1, 0.25)


class NotANumber(Constant):
    name = "not_a_number"

    def predict_proba(self, history):
        return np.where(np.arange(history.n_customers) == 3, np.nan, 0.5)


class Outside(Constant):
    name = "outside"

    def predict_proba(self, history):
        return np.linspace(0, 1.5, history.n_customers)


class TwoColumns(Constant):
    name = "two_columns"

    def predict_proba(self, history):
        return np.full((history.n_customers, 2), 0.5)


class Words(Constant):
    name = "words"

    def predict_proba(self, history):
        return ["often"] * history.n_customers


class WrongOrder(Constant):
    name = "wrong_order"

    def predict_proba(self, history):
        import pandas as pd

        return pd.Series(0.5, index=history.customers[::-1])


class OthersCustomers(Constant):
    name = "others_customers"

    def predict_proba(self, history):
        import pandas as pd

        return pd.Series(0.5, index=[f"x{c}" for c in history.customers])


class Hangs(Constant):
    """Sleeps for ever at one company."""

    name = "hangs"

    def fit(self, history):
        super().fit(history)
        while history.company_id == "middle":
            time.sleep(3600)


class Kills(Constant):
    """Takes its process down at one company."""

    name = "kills"

    def fit(self, history):
        super().fit(history)
        if history.company_id == "middle":
            os.kill(os.getpid(), signal.SIGKILL)


class Slow(Constant):
    """Takes a while, and says in a file that it was here."""

    name = "slow"

    def fit(self, history):
        super().fit(history)
        diary = os.environ.get("DIARY_OF_SLOW")
        if diary:
            with open(diary, "a") as file:  # noqa: PTH123
                file.write(f"{history.company_id} {history.cutoff:%Y-%m-%d}\n")
        time.sleep(0.15)


def hits(outcomes, probabilities, future_spend):
    """A user's metric: the share of customers on the right side of one half."""
    return np.mean((probabilities >= 0.5) == outcomes)
