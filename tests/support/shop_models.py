"""Models of a user: the text of a module of them, and one that is defined here."""

from __future__ import annotations

MODULE = """
from sklearn.linear_model import LogisticRegression

LIMIT = {limit}

class Mine:
    def __init__(self, k=3):
        self.k = k
    def fit(self, history): return limit()
    def predict_proba(self, history): ...

def limit():
    return LIMIT

class Named(Mine):
    name = "my_name"

class Needy(Mine):
    def __init__(self, k): ...

class NoVerbs:
    def fit(self, history): ...

class ForSome(Mine):
    scope = "some"

class Proxy(Mine):
    def __getattr__(self, name): raise RuntimeError("no " + name)

class Shown(Mine):
    def __init__(self): self.k = type("K", (), {{"__repr__": lambda self: 1 / 0}})()

class Refuses(Mine):
    def __getattr__(self, name): raise ValueError("no " + name)

class Opens(Mine):
    def __getattr__(self, name): return open("no_such_file.bin")

class Asked(Mine):
    def get_params(self, deep=True): return {{}}[deep]

class Incomparable:
    def __eq__(self, other): raise AttributeError("x")
    __hash__ = object.__hash__

class Compared(Mine):
    K = 1
    def fit(self, history, k=2): ...

Compared.K, Compared.fit.__defaults__ = Incomparable(), (Incomparable(),)

class Panics(Mine):
    def __init__(self): raise type("Panic", (BaseException,), {{}})("lost")

class Awaits(Mine):
    async def predict_proba(self, history): ...

class Yields(Mine):
    def fit(self, history): yield

def make():
    return Mine(5)

instance = Mine(7)
classifier = LogisticRegression(C=2.0)
"""
"""A module `models_of_a_shop`, to be formatted with a `limit`."""


class Local:
    def __init__(self, weights=(1, 2)):
        self.weights = weights

    def fit(self, history): ...

    def predict_proba(self, history): ...
