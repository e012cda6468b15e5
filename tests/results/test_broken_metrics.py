"""The user's metrics that gave no number: which, why, and in how many evaluations."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pytest

from scale_eval.results.broken_metrics import broken_metrics


def found(undefined, own=("hits", "breaks"), status="ok"):
    """What is said of evaluations that have these texts in the column `undefined`."""
    table = pa.table({"status": [status] * len(undefined), "undefined": undefined})
    directory = SimpleNamespace(user_metrics=list(own), evaluations=lambda columns: table)
    return [str(each) for each in broken_metrics(directory)]


def test_each_metric_says_why_and_in_how_many_evaluations():
    undefined = ["hits:not_a_number;breaks:exception:KeyError 'no'", "hits:not_a_number", None, ""]
    assert found(undefined) == [
        "The metric hits has no value in 2 of 4 evaluations: it returned NaN.",
        "The metric breaks has no value in 1 of 4 evaluations: KeyError: 'no'.",
    ]


def test_messages_that_differ_are_one_line_with_the_most_frequent():
    undefined = [f"hits:exception:TypeError it has shape ({n},)" for n in (3, 5, 5)]
    assert found(undefined) == [
        "The metric hits has no value in all 3 evaluations: TypeError: it has shape (5,) (its "
        "most frequent of 2 messages)."
    ]


def test_all_of_them_are_told():
    undefined = ["hits:infinite;breaks:exception:ValueError"]
    assert found(undefined) == [
        "The metric breaks has no value in all 1 evaluations: ValueError.",
        "The metric hits has no value in all 1 evaluations: it returned an infinity.",
    ]


@pytest.mark.parametrize(
    "undefined",
    ["hits:too_few_buyers", "roc_auc:one_class", "hits_influence:exception:KeyError", ""],
)
def test_a_metric_that_states_its_reason_is_not_broken(undefined):
    assert found([undefined]) == []


def test_without_metrics_of_the_user_nothing_is_read():
    directory = SimpleNamespace(user_metrics=[])
    assert broken_metrics(directory) == []
