"""Values are told apart by their content, and are the same in every process and after use."""

from __future__ import annotations

import array
import collections
import configparser
import copy
import decimal
import functools
import json
import logging
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
import types
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.interpolate
import scipy.sparse
import scipy.spatial
import scipy.stats
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KDTree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scale_eval.models.identity.described_value import describe
from tests.support.paths import PROJECT


@dataclass
class Settings:
    rate: float


class Slots:
    __slots__ = ("rate", "unset")

    def __init__(self, rate):
        self.rate = rate


class Extended(dict):
    pass


class Text(str):
    pass


class SlotsInSet(set):
    __slots__ = ("rate",)


def rate(share):
    return share


def extended(kind, value):
    made = kind()
    made.rate = value
    return made


def slots_in_set(value):
    made = SlotsInSet({"a", "b"})
    made.rate = value
    return made


def config(value):
    parser = configparser.ConfigParser()
    parser.read_string(f"[m]\nrate={value}")
    return parser


def circle(value):
    one = Settings(value)
    one.itself = [one]
    return one


MAKE = {
    "plain data": lambda v: [{"a": (v, {"x", "y"})}],
    "decimal": lambda v: decimal.Decimal(str(v)),
    "namespace": lambda v: types.SimpleNamespace(rate=v),
    "dataclass": Settings,
    "slots": Slots,
    "attribute of a dict": lambda v: extended(Extended, v),
    "attribute of a text": lambda v: extended(Text, v),
    "time in a zone": lambda v: datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=v))),
    "distances": lambda v: KDTree([[0.0, 1.0]], metric="minkowski", p=v),
    "box": lambda v: scipy.spatial.KDTree([[0.0, 1.0]], boxsize=v),
    "object in objects": lambda v: Settings([Settings({"a": Slots(v)})]),
    "circle": circle,
    "partial": lambda v: functools.partial(rate, share=v),
    "method": lambda v: Slots(v).__init__,
    "bytearray": lambda v: bytearray([v]),
    "range": range,
    "deque": lambda v: collections.deque([v]),
    "array": lambda v: array.array("d", [v]),
    "frozenset": lambda v: frozenset({"a", v}),
    "mapping": lambda v: types.MappingProxyType({"a": v}),
    "parser": config,
    "chain": lambda v: collections.ChainMap({"a": v}),
    "pattern": lambda v: re.compile(f"a{v}"),
    "sparse": lambda v: scipy.sparse.csr_matrix(np.array([[v, 0]])),
    "array of objects": lambda v: np.array([v, "a"], dtype=object),
    "masked": lambda v: np.ma.masked_array([5, 6], mask=[v % 2, 0]),
    "interval": lambda v: pd.Interval(0, v),
    "arrow": lambda v: pa.array([v]),
    "polynomial": lambda v: np.poly1d([v, 1]),
    "interpolation": lambda v: scipy.interpolate.interp1d([0, 1], [0, v]),
    "distribution": lambda v: scipy.stats.gamma(v),
    "estimator": lambda v: LogisticRegression(C=v),
    "fitted": lambda v: LogisticRegression().fit([[0], [v], [9]], [0, 1, 1]),
    "pipeline": lambda v: make_pipeline(StandardScaler()).fit([[0], [v]]),
    "seed": np.random.default_rng,
    "seed of NumPy": lambda v: np.random.default_rng(np.int64(v)),
    "seeds": lambda v: np.random.default_rng([1, v]),
    "bits": np.random.PCG64,
    "old generator": lambda v: np.random.RandomState(np.random.MT19937(v)),
    "settings of a cache": lambda v: types.SimpleNamespace(use_cache=v == 2, days_cached=9),
    "days of a cache": lambda v: types.SimpleNamespace(_days_cached=v),
    "factory": lambda v: collections.defaultdict(functools.partial(rate, v)),
    "slots in a set": slots_in_set,
    "objects in a table": lambda v: pd.DataFrame({"a": [{"x", "y"}, Settings(v)]}),
    "objects in an array": lambda v: np.array([[Settings(v)]]),
    "categories": lambda v: pd.Series(["a"], dtype=pd.CategoricalDtype(["a", str(v)])),
}


def told(value, **options):
    return describe(value, Path.cwd(), **options)


@pytest.mark.parametrize("kind", MAKE)
def test_a_value_is_what_it_holds(kind):
    make = MAKE[kind]
    one = told(make(2))
    assert one.digest
    assert not one.not_comparable
    assert told(make(2)) == one
    if kind != "mapping":  # cannot be copied
        assert told(copy.deepcopy(make(2))) == one
    assert told(make(3)).digest != one.digest


def test_caches_locks_and_the_state_of_generators_are_no_content():
    @functools.lru_cache
    def cached(n):
        return n

    class Lazy:
        @functools.cached_property
        def ten(self):
            return 10

    lazy, generator, matrix = Lazy(), np.random.default_rng(3), scipy.sparse.csr_matrix([[1, 0]])
    log, memory = logging.getLogger("told"), types.SimpleNamespace(_cache={}, _row_cache=None)
    values = [
        cached,
        lazy,
        generator,
        matrix,
        log,
        memory,
        threading.Condition(),
        MAKE["circle"](1),
    ]
    before = [told(value) for value in values]
    assert all(each.digest and not each.not_comparable for each in before)
    assert (cached(1), lazy.ten) == (1, 10)
    generator.random(3)
    memory._cache[1], memory._row_cache = 1, {"a": 1}
    assert matrix.has_sorted_indices
    log.addHandler(logging.NullHandler())
    assert [told(value) for value in values] == before


@pytest.mark.parametrize(
    "make",
    [np.random.default_rng, lambda: np.random.RandomState(1), lambda: random.Random(1)],
    ids=["not given", "not kept by NumPy", "not kept by Python"],
)
def test_a_generator_whose_seed_is_unknown_is_named_and_does_not_differ(make):
    one = told([make(), 1])
    assert len(one.not_comparable) == 1
    assert told([make(), 1]) == one
    assert told([make(), 2]).digest != one.digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pd.Series([1, "a"], dtype=object), pd.Series(["1", "a"], dtype=object)),
        (pd.Series(["", "a"]), pd.Series([None, "a"])),
        (pd.Series([None, "a"], dtype=object), pd.Series([np.nan, "a"], dtype=object)),
        (pd.Series([1], index=[1]), pd.Series([1], index=["1"])),
        (pd.DataFrame({1: [1]}), pd.DataFrame({"1": [1]})),
        (pd.Series([1], dtype="int64"), pd.Series([1], dtype="int32")),
    ],
    ids=["number", "empty text", "missing", "index", "column", "type"],
)
def test_tables_that_a_text_file_would_write_alike_differ(one, other):
    assert told(one) == told(one.copy())
    assert told(one).digest != told(other).digest


class Node:
    def __init__(self, kind):
        self.near = kind()


def test_a_set_of_objects_that_refer_to_each_other_is_not_compared_as_it_has_no_order():
    tree, leaf, graph, other = Node(list), Node(set), Node(set), Node(set)
    tree.near += [leaf, tree]
    assert told(tree).digest  # a set beside a circle
    graph.near |= {other, leaf}
    other.near.add(graph)
    described = told([1, graph])
    assert (described.digest, described.not_comparable) == ("", ("list",))


def test_only_the_parameters_of_an_estimator_count_where_it_is_cloned():
    new, fitted = make_pipeline(LogisticRegression()), make_pipeline(LogisticRegression())
    fitted.fit([[0], [1]], [0, 1])
    assert told(new) != told(fitted)
    assert told(new, is_cloned=True) == told(fitted, is_cloned=True)
    assert told(new, is_cloned=True) != told(make_pipeline(LogisticRegression(C=2)), is_cloned=True)


class Raises:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


class Recurses:
    def __getattr__(self, name):
        return self.missing

    __reduce_ex__ = None


class DiffersEachTime:
    def __reduce__(self):
        return Settings, (random.random(),)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Raises(ZeroDivisionError()), "Raises"),
        (Raises(SystemExit(7)), "Raises"),
        (Recurses(), "Recurses"),
        (DiffersEachTime(), "DiffersEachTime"),
        (sqlite3.connect(":memory:"), "Connection"),
        ((each for each in ()), "generator"),
    ],
    ids=["error", "exit", "recursion", "different", "connection", "generator"],
)
def test_what_cannot_be_compared_is_named_and_what_stands_beside_it_counts(value, kind):
    described = told(Settings([1, value]))
    assert kind in described.not_comparable[0] or kind == "DiffersEachTime"
    if kind == "DiffersEachTime":
        assert not described.digest
    else:
        assert described.digest != told(Settings([2, value])).digest


PROGRAM = """
import json, numpy as np, pandas as pd, pyarrow as pa, sys, warnings
from pathlib import Path
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import scipy.interpolate, scipy.spatial, scipy.stats
from scale_eval.models.identity.described_value import describe

X = np.random.default_rng(0).random((80, 3))
kinds = [
    RandomForestClassifier(5, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, random_state=0),
    KNeighborsClassifier(),
    CalibratedClassifierCV(LogisticRegression(), cv=2),
    make_pipeline(StandardScaler(), LogisticRegression()),
]
fitted = [each.fit(X, X[:, 0] > 0.5) for each in kinds]
words = TfidfVectorizer().fit(["some words here", "and there words"])
curve, gamma = scipy.interpolate.CubicSpline([0, 1, 2], [1, 2, 4]), scipy.stats.gamma(2.0)
tree = scipy.spatial.cKDTree(X)
names = [{"some", "names", "of", "a", "set"}, frozenset({"x", "yy"}), {"k": {"p", "q", "rr"}}]
table = pd.DataFrame({"a": [1, 2]}).astype("category")
held = pd.DataFrame({"a": [{"x", "y", "zz"}, StandardScaler()]}, index=[Path("a"), "b"])

values = [*fitted, words, curve, gamma, tree, names, table, held, pa.table({"a": [1, None]})]

def told():
    return [describe(value, Path.cwd()) for value in values]

before = told()
for each in fitted:
    each.predict_proba(X)
words.transform(["words"]), curve(0.5), gamma.pdf(1.0), gamma.rvs(2), tree.query(X[0])
table["a"].value_counts()
print(json.dumps([before, told()]))
"""


@pytest.mark.slow
def test_a_value_is_the_same_in_two_processes_and_after_it_was_used():
    def told(seed):
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return json.loads(done.stdout)

    one, other = told("1"), told("2")
    assert one[0] == one[1] == other[0] == other[1]
    assert all(digest and not not_comparable for digest, not_comparable in one[0])


def test_what_is_nested_deeply_is_described_at_once_and_a_change_at_the_bottom_is_told():
    def nested(bottom):
        value = bottom
        for _ in range(50):
            value = {"key": [value, "text"]}
        return value

    one, same, other = (describe(nested(each), Path()) for each in ([1], [1], [2]))
    assert one == same
    assert one.digest != other.digest or one.not_comparable
    shallow = [describe({"key": [[[each]]] * 5}, Path()).digest for each in (1, 2)]
    assert shallow[0] != shallow[1]
