"""Which model is meant: every way to name one, and what is said when there is none."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from scale_eval.models import (
    BUILT_IN,
    ClassifierModel,
    Recency,
    load_object,
    resolve,
)
from scale_eval.models.built_in import WHY_NOT_COMPILED
from tests.support.shop_models import Local


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


def test_every_model_of_the_package_is_compiled_for_many_windows_or_says_why_not():
    compiled = {name for name in BUILT_IN if resolve(name).fits_windows}
    assert compiled.isdisjoint(WHY_NOT_COMPILED)
    assert compiled | set(WHY_NOT_COMPILED) == set(BUILT_IN)
    assert all(WHY_NOT_COMPILED.values())
