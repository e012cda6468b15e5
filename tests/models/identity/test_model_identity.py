"""The identity of a model: what changes it, what does not, and what can be read in it."""

import copy
import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from scale_eval.models import (
    BGNBD,
    ClassifierModel,
    identity_of_source,
    load_object,
    resolve,
)
from scale_eval.models.identity.used_source import used_source
from tests.support.shop_models import MODULE, Local


def test_identity_tells_parameters_apart_and_nothing_else():
    assert resolve(BGNBD()).identity == resolve("bgnbd").identity
    assert resolve(BGNBD(1.0)).identity != resolve("bgnbd").identity
    forest = RandomForestClassifier(n_estimators=7)
    assert resolve(forest).identity == resolve(copy.deepcopy(forest)).identity
    deep = [make_pipeline(RandomForestClassifier(n_estimators=n)) for n in (7, 8)]
    assert (
        resolve(deep[0]).identity["parameters"]["estimator__randomforestclassifier__n_estimators"]
        == "7"
    )
    assert resolve(deep[0]).identity != resolve(deep[1]).identity
    large = [Local(np.arange(5000.0) + (np.arange(5000) == i)) for i in (2000, 3000)]
    assert resolve(large[0]).identity != resolve(large[1]).identity


def nested(value):
    for _ in range(9):
        value = [value]
    return value


def weighted(weight):
    made = Extended([1])
    made.weight = weight
    return made


class Extended(list):
    pass


def fitted(bound):
    made = ClassifierModel(LogisticRegression())
    made.estimator_ = LogisticRegression().fit([[0], [bound]], [0, 1])
    return made


@pytest.mark.parametrize(
    "make",
    [
        np.random.default_rng,
        weighted,
        nested,
        lambda v: pd.Index(np.arange(5000) * (np.arange(5000) != v)),
        lambda v: {"a": pd.Index(np.arange(5000) * (np.arange(5000) != v))},
        lambda v: pd.Series([1], dtype=f"int{16 * v}"),
        lambda v: make_pipeline(RandomForestClassifier(random_state=v), memory="a...b"),
        fitted,
    ],
    ids=["seed", "attribute", "deep", "long", "long inside", "type", "estimator", "fitted"],
)
def test_what_the_repr_of_a_value_leaves_out_is_part_of_an_identity(make):
    one, same, other = (resolve(Local([make(v)])).identity for v in (1, 1, 2))
    assert one == same
    assert one != other
    one, same, other = (resolve(Local(make(v))).identity for v in (1, 1, 2))
    assert one == same
    assert one != other


def test_plain_data_and_estimators_can_be_read_in_an_identity():
    inner = make_pipeline(LogisticRegression(C=0.3))
    shown = {
        "[1, 'a']": (1, "a"),
        "{'a': {'x', 'y'}, 1: None}": {"a": {"x", "y"}, 1: None},
        "array([0.1, 2. ])": np.array([0.1, 2]),
        "<function nested>": nested,
        "BGNBD(prior_sd=1.0)": BGNBD(1.0),
    }
    texts = [resolve(Local(each)).identity["parameters"]["weights"] for each in shown.values()]
    assert texts == list(shown)
    text = resolve(inner).identity["parameters"]["estimator"]
    assert text == "Pipeline(steps=[('logisticregression', LogisticRegression(C=0.3))])"


def test_memory_addresses_are_no_part_of_an_identity():
    named = resolve(ClassifierModel(LogisticRegression(), features=lambda history: None))
    assert "0x" not in json.dumps(named.identity)


def test_identity_changes_with_what_the_class_uses_in_its_module(module):
    before = resolve("models_of_a_shop:Mine").identity
    assert resolve("models_of_a_shop:Mine").identity == before
    module.write_text(MODULE.format(limit=2))
    after = resolve("models_of_a_shop:Mine").identity
    assert after["parameters"] == before["parameters"]
    assert after["source"] != before["source"]


def test_identity_does_not_change_with_another_model_of_the_same_module(module):
    def identities():
        return [resolve(f"models_of_a_shop:{name}").identity for name in ("Mine", "Named", "make")]

    before = identities()
    text = MODULE.format(limit=1)
    module.write_text(text.replace("class Needy(Mine):", "# Needs k.\nclass Needy(NoVerbs):"))
    assert identities() == before
    module.write_text(f"{text}\nclass Another(Mine):\n    LIMIT = 5\n")
    assert identities() == before
    module.write_text(text.replace('"my_name"', '"my_" + "name"'))
    assert [now == was for now, was in zip(identities(), before, strict=True)] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("change", "is_used"),
    [
        ("def helper(): return CONSTANT + 2", True),
        ("CONSTANT = 2", True),
        ("CONSTANT, other = 2, 3", True),
        ("SETTINGS['a'] = 2", True),
        ("print('made')", True),
        ("@wrapped\ndef helper(): return CONSTANT + 1", True),
        ("from shop import helper", True),
        ("class Other:\n    def fit(self): return 2", False),
        ("def unused(): return helper()", False),
        ("'Says what it is for.'", False),
        ("if __name__ == '__main__':\n    print(Mine())", False),
    ],
)
def test_of_a_module_only_what_a_class_uses_counts(change, is_used):
    source = """
SETTINGS = {}
CONSTANT = 1
def helper(): return CONSTANT + 1
class Base:
    def fit(self): return helper()
class Mine(Base):
    k = SETTINGS
"""
    changed = used_source(f"{source}\n{change}\n".encode(), "Mine")
    assert (changed != used_source(source.encode(), "Mine")) == is_used


@pytest.mark.parametrize("source", [b"class Mine(: pass", b"x = 1", b"class Mine: k = globals()"])
def test_all_of_a_module_counts_where_what_is_used_cannot_be_told(source):
    assert used_source(source, "Mine") == source


def test_identity_changes_with_the_class_of_an_object_that_a_model_is_given(module):
    given = """
from functools import partial
class Part:
    def __init__(self): self.x = 1
def weigh(k): return k
def make():
    return Mine([Part(), {"f": partial(weigh, 3)}])
"""

    def identity(text):
        module.write_text(MODULE.format(limit=1) + text)
        sys.modules.pop("models_of_a_shop", None)
        importlib.invalidate_caches()
        return resolve("models_of_a_shop:make").identity

    one = identity(given)
    assert identity(given) == one
    assert identity(given.replace("Part:\n", "Part:\n    y = 2\n"))["source"] != one["source"]
    assert identity(given.replace("return k", "return k + 10"))["source"] != one["source"]


def test_identity_changes_with_the_source_of_the_features(module):
    def features_from(text):
        module.with_name("shop_features.py").write_text(text)
        sys.modules.pop("shop_features", None)
        importlib.invalidate_caches()
        function = load_object("shop_features:features", "features")
        return resolve(ClassifierModel(LogisticRegression(), features=function)).identity

    one = features_from("def features(history): return 1")
    assert features_from("def features(history): return 2")["source"] != one["source"]


@pytest.mark.slow
@pytest.mark.parametrize("as_script", [True, False])
def test_a_class_of_a_notebook_or_script_is_known_by_its_own_code(tmp_path, as_script):
    """In `__main__` what surrounds the class is no part of it, be there a file or none."""

    def source_of(before, threshold, default):
        program = f"""{before}
class Mine:
    threshold = {threshold}
    def fit(self, history, k={default}): return k in {{"a", "b", "c"}}
    def predict_proba(self, history): return [x for x in range(3)]
from scale_eval.models import resolve
print(resolve(Mine).identity["source"])
"""
        path = tmp_path / "program.py"
        path.write_text(program if as_script else f"exec({program!r}, globals())")
        root = os.pathsep.join(sys.path)
        done = subprocess.run(
            [sys.executable, path],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": root},
        )
        return done.stdout

    one = source_of("", 0.5, 1)
    assert source_of("import os\n\n\nother = 3", 0.5, 1) == one
    assert source_of("", 0.6, 1) != one
    assert source_of("", 0.5, 2) != one


def test_what_a_model_is_given_inside_its_parts_is_part_of_its_identity():
    class Part:
        def __init__(self, weight):
            self.weight = weight

    class Whole:
        name = "whole"

        def __init__(self, part):
            self.part = part

        def fit(self, history):
            return self

        def predict_proba(self, history):
            return None

    def identity(part):
        return resolve(Whole(part)).identity

    assert identity(Part(0.1)) == identity(Part(0.1))
    assert identity(Part(0.1)) != identity(Part(0.9))
    assert identity([Part(0.1)]) != identity([Part(0.9)])
    long = pd.DataFrame({"x": range(1000)})
    assert identity(long) != identity(long.replace(500, -1))


def test_what_a_function_has_closed_over_is_part_of_its_identity():
    def above(threshold):
        def metric(outcomes, probabilities, future_spend):
            return (probabilities > threshold).mean()

        return metric

    assert identity_of_source(above(1)) == identity_of_source(above(1))
    assert identity_of_source(above(1)) != identity_of_source(above(2))
