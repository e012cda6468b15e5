"""Which model is meant: every way to name one, and what is said when there is none."""

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
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from scale_eval.models import (
    BGNBD,
    BUILT_IN,
    ClassifierModel,
    Recency,
    identity_of_source,
    load_object,
    resolve,
)
from scale_eval.models.identity.used_source import used_source

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


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a user's module `models_of_a_shop` into a directory that is on the path."""
    path = tmp_path / "models_of_a_shop.py"
    path.write_text(MODULE.format(limit=1))
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    for name in ("models_of_a_shop", "shop_features"):
        sys.modules.pop(name, None)


class Local:
    def __init__(self, weights=(1, 2)):
        self.weights = weights

    def fit(self, history): ...

    def predict_proba(self, history): ...


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_model_has_the_name_that_it_is_known_by(name):
    named = resolve(name)
    assert named.name == named.prototype.name == name
    assert json.loads(json.dumps(named.identity)) == named.identity


@pytest.mark.parametrize(
    ("typed", "name", "k"),
    [
        ("models_of_a_shop:Mine", "models_of_a_shop:Mine", 3),
        ("models_of_a_shop:Named", "my_name", 3),
        ("models_of_a_shop:make", "models_of_a_shop:make", 5),
        ("models_of_a_shop:instance", "models_of_a_shop:instance", 7),
    ],
)
def test_a_class_a_function_or_an_instance_is_found_in_a_module(module, typed, name, k):
    named = resolve(typed)
    assert (named.name, named.prototype.k) == (name, k)
    assert named.identity["parameters"] == {"k": str(k)}


def test_classes_and_instances_are_taken_as_they_are():
    assert resolve(Recency).name == "recency"
    assert isinstance(resolve(Recency).prototype, Recency)
    assert (resolve(Local).name, resolve(Local((3,))).prototype.weights) == ("Local", (3,))


def test_a_scikit_learn_classifier_becomes_a_model_under_its_own_name(module):
    named = resolve(make_pipeline(RandomForestClassifier()))
    assert (named.name, type(named.prototype)) == ("Pipeline", ClassifierModel)
    assert resolve(LogisticRegression).name == "LogisticRegression"
    typed = resolve("models_of_a_shop:classifier")
    assert typed.name == typed.prototype.name == "models_of_a_shop:classifier"
    assert typed.prototype.estimator.C == 2.0


def test_predictions_are_named_by_their_path_and_known_by_their_content(tmp_path):
    frame = pd.DataFrame({"company_id": ["a"], "customer_id": ["b"], "probability": [0.5]})
    frame = frame.assign(cutoff="2017-12-01")
    one, two, other = (tmp_path / f"{name}.parquet" for name in ("one", "two", "other"))
    frame.to_parquet(one)
    frame.to_parquet(two)
    frame.assign(probability=0.6).to_parquet(other)
    assert resolve(f"predictions:{one}").name == f"predictions:{one}"
    identities = [resolve(f"predictions:{path}").identity for path in (one, two, other)]
    assert identities[0] == identities[1] != identities[2]


def test_an_unknown_name_is_told_its_nearest_neighbour_and_all_that_are_known():
    with pytest.raises(ValueError, match="did you mean 'recency'") as error:
        resolve("recencyy")
    assert all(name in str(error.value) for name in BUILT_IN)
    assert "did you mean 'recency'? Known: " in str(error.value)
    with pytest.raises(ValueError, match=r"there is no model 'xyzzy'\. Known: "):
        resolve("xyzzy")
    assert "package.module:Class" in str(error.value)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("no_such_module:Mine", r"cannot import no_such_module.*install"),
        ("models_of_a_shop:Mien", r"models_of_a_shop has no Mien; did you mean 'Mine'\?"),
        ("models_of_a_shop:LogisticRegressio", r"no LogisticRegressio; there are LIMIT, Mine, "),
        ("models_of_a_shop:", r"there is no model 'models_of_a_shop:'"),
        ("models_of_a_shop:NoVerbs", r"\(NoVerbs\) lacks predict_proba"),
        ("models_of_a_shop:LIMIT", r"\(int\) lacks fit and predict_proba"),
        ("models_of_a_shop:ForSome", r"scope 'some'; it is one of company, all"),
        (
            "models_of_a_shop:Proxy",
            r"shop:Proxy' cannot .*`__getattr__` \(.*py:\d+\) raises RuntimeError: no name\. Let",
        ),
        ("models_of_a_shop:Refuses", r"`__getattr__` \(.*py:\d+\) raises ValueError: no name\."),
        ("models_of_a_shop:Opens", r"Opens' .*`__getattr__` \(.*FileNotFoundError: .*no_such_file"),
        ("models_of_a_shop:Asked", r"`get_params` .* raises KeyError: True\. Mend that method"),
        ("models_of_a_shop:Panics", r"Panics cannot be made: lost"),
        ("models_of_a_shop:Awaits", r"Awaits' has an async method.* write def alone"),
        ("models_of_a_shop:Yields", r"Yields' has a yield in fit"),
        ("models_of_a_shop:Needy", r"Needy cannot be called without arguments.*'k'.*instance"),
    ],
)
def test_what_is_wrong_with_a_users_model_is_said_with_a_remedy(module, typed, message):
    with pytest.raises(ValueError, match=message):
        resolve(typed)


@pytest.mark.parametrize("name", ["Shown", "Compared"])
def test_a_value_that_cannot_be_shown_or_compared_is_no_fault_of_a_model(module, name):
    assert resolve(f"models_of_a_shop:{name}").name == f"models_of_a_shop:{name}"


@pytest.mark.parametrize("thing", [42, None, object(), LinearRegression(), np.mean])
def test_things_that_are_no_models_are_refused(thing):
    with pytest.raises(ValueError, match=r"lacks|without arguments"):
        resolve(thing)


def test_other_things_than_models_are_loaded_by_the_same_words(module):
    assert load_object("models_of_a_shop:LIMIT", "metric") == 1
    with pytest.raises(ValueError, match="there is no metric 'log_los'"):
        load_object("log_los", "metric")


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
