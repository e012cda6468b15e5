"""Models that do what a model should not; workers import this file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

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
        from scale_eval.evaluation.no_prediction import Skipped

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


class HoldsTheLock(Constant):
    """At one company C code holds the interpreter's lock for years; a file says when it begins."""

    name = "holds_the_lock"

    def __init__(self, company_id="middle", began=os.devnull):
        self.company_id, self.began = company_id, str(began)

    def fit(self, history):
        super().fit(history)
        if history.company_id == self.company_id:
            Path(self.began).write_text(str(os.getpid()))
            re.match(r"(a+)+$", "a" * 60 + "b")


class StartsAProcess(Constant):
    """Waits at one company for a process of its own, whose number is in a file."""

    name = "starts_a_process"

    def __init__(self, company_id, began):
        self.company_id, self.began = company_id, str(began)

    def fit(self, history):
        super().fit(history)
        if history.company_id == self.company_id:
            process = subprocess.Popen(["sleep", "1000"])
            Path(self.began).write_text(str(process.pid))
            process.wait()


class Kills(Constant):
    """Takes its process down at one company."""

    name = "kills"

    def fit(self, history):
        super().fit(history)
        if history.company_id == "middle":
            os.kill(os.getpid(), signal.SIGKILL)


class Slow(Constant):
    """Takes a while, longer until a gate is opened, and says in a file that it was here."""

    name = "slow"

    def fit(self, history):
        super().fit(history)
        diary = os.environ.get("DIARY_OF_SLOW")
        if diary:
            with open(diary, "a") as file:  # noqa: PTH123
                file.write(f"{history.company_id} {history.cutoff:%Y-%m-%d}\n")
        gate = os.environ.get("GATE_OF_SLOW")
        time.sleep(2 if gate and not os.path.exists(gate) else 0.15)  # noqa: PTH110


class At(Constant):
    """Does at some evaluations, told as "company cutoff", what a model should not."""

    reads = "summary"
    draws = False

    def __init__(self, *places):
        self.places = places

    def fit(self, history):
        super().fit(history)
        if f"{history.company_id} {history.cutoff:%Y-%m-%d}" in self.places:
            self.strike()

    def strike(self):
        """Nothing: the harmless twin of the others, by whose name it goes."""


class Harmless(At):
    name = "at"


class Segfaults(At):
    name = "at"

    def strike(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class Sleeps(At):
    name = "at"

    def strike(self):
        time.sleep(3600)


class EndsItself(At):
    name = "at"

    def strike(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(3600)


class EatsMemory(At):
    name = "at"

    def strike(self):
        held = []
        while True:
            held.append(np.ones(2**21))
            time.sleep(0.005)


class OneForAll:
    """The rate of all companies; at some cutoffs it does not come to that."""

    name = "one_for_all"
    scope = "all"
    reads = "summary"

    def __init__(self, how="", cutoff=""):
        self.how, self.cutoff = how, cutoff

    def fit(self, histories):
        n = bought = 0
        for history in histories:
            labelled = history.labelled()
            n, bought = n + len(labelled.bought), bought + int(labelled.bought.sum())
            cutoff = f"{history.cutoff:%Y-%m-%d}"
        self.rate = (bought + 1) / (n + 2)
        if cutoff >= self.cutoff:
            match self.how:
                case "raises":
                    raise ZeroDivisionError("nothing to divide by")
                case "hangs":
                    time.sleep(3600)
                case "segfaults":
                    os.kill(os.getpid(), signal.SIGSEGV)

    def predict_proba(self, history):
        return np.full(history.n_customers, self.rate)


class Unhurried(Constant):
    """Takes a little while, and says in a file that it was here."""

    name = "unhurried"
    reads = "summary"
    draws = False

    def __init__(self, diary="", seconds=0.02):
        self.diary, self.seconds = diary, seconds

    def get_params(self, deep=True):
        return {}

    def fit(self, history):
        super().fit(history)
        if self.diary:
            with open(self.diary, "a") as file:  # noqa: PTH123
                file.write(f"{history.company_id} {history.cutoff:%Y-%m-%d}\n")
        time.sleep(self.seconds)


def hits(outcomes, probabilities, future_spend):
    """A user's metric: the share of customers on the right side of one half."""
    return np.mean((probabilities >= 0.5) == outcomes)
