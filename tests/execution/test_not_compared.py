"""A run says which values of a model or metric no later run will compare."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace

from scale_eval.execution.session import Session
from scale_eval.models.registry import named_models
from scale_eval.planning.user_metrics import metrics_document, user_metrics
from tests.support.models import Constant


def test_what_cannot_be_compared_is_said_with_the_model_or_metric_that_uses_it():
    connection = sqlite3.connect(":memory:")

    class Connected(Constant):
        name = "my connected"

        def fit(self, history):
            connection.execute("select 1")

    def asked(outcomes, probabilities, future_spend):
        return len(connection.execute("select 1").fetchall())

    said: list[str] = []
    metrics = metrics_document(user_metrics([asked]))
    directory = SimpleNamespace(document={"settings": {"metrics": metrics}})
    models = named_models([Connected(), "recency"])
    progress = SimpleNamespace(say=said.append)
    Session(directory, None, None, models, None, None, progress)._say_what_is_not_compared()
    assert [text.partition(" uses ")[0] for text in said] == [
        "The model 'my connected'",
        "The metric 'asked'",
    ]
    assert (
        "connection (a sqlite3.Connection). If its content changes, add --replace 'my connected'."
        in said[0]
    )
