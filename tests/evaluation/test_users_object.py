"""What a user's own method raises is told from what the package refuses."""

from __future__ import annotations

import json

import pytest

from scale_eval.models import resolve
from scale_eval.planning.user_metrics import metrics_document, user_metrics


class Model:
    def fit(self, history): ...

    def predict_proba(self, history): ...

    def get_params(self, deep):
        return json.loads("{")


class Share:
    def __call__(self, outcomes, probabilities, future_spend):
        return 1.0


class Named(Share):
    @property
    def __name__(self):
        raise ValueError("no name")


class Lazy(Share):
    def __getattr__(self, name):
        raise KeyError(name)


def test_an_error_names_the_users_method_and_not_the_library_in_which_it_ended():
    words = (
        r"^the model 'Model' cannot be used: its `get_params` \(test_users_object\.py:\d+\) raises "
        r"JSONDecodeError: .*\. Mend that method$"
    )
    with pytest.raises(ValueError, match=words):
        resolve(Model())


def test_a_refusal_of_the_package_is_raised_as_it_is():
    with pytest.raises(ValueError, match=r"^a metric is a function of "):
        user_metrics([3])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Named, "'Named' cannot be used: its `__name__` .* raises ValueError: no name"),
        (Lazy, "'Lazy' cannot be used: its `__getattr__` .* raises KeyError: .*AttributeError"),
    ],
)
def test_a_metric_whose_own_methods_raise_is_refused_by_name(kind, words):
    with pytest.raises(ValueError, match=f"^the metric {words}"):
        metrics_document(user_metrics([kind()]))
