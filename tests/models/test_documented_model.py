"""The model that the documentation shows, on synthetic companies and as a stranger would run it."""

from __future__ import annotations

import importlib
import re
import sys

import numpy as np
import pandas as pd
import pytest

import scale_eval as se
from scale_eval.evaluation.customer_summaries import SUMMARY_FIELDS
from scale_eval.evaluation.history import LabelledHistory
from scale_eval.evaluation.windows import Window
from tests.support.documentation import page

HOW_TO = page("how-to/your-model")


@pytest.fixture
def boosting(tmp_path, monkeypatch):
    """The module of the page's example, on the path."""
    block = re.search(r"<!-- model: boosting -->\n```python\n(.*?)```", HOW_TO, re.DOTALL)
    assert block
    (tmp_path / "documented_boosting.py").write_text(block[1])
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("documented_boosting")
    sys.modules.pop("documented_boosting")


@pytest.mark.slow
def test_the_documented_model_is_evaluated_and_tells_customers_apart(boosting, client, tmp_path):
    dataset = se.synthesize(
        tmp_path / "data", companies=2, seed=4, median_customers=400, sigma=0.2, observed_whole=True
    )
    run = se.evaluate(
        dataset,
        ["documented_boosting:Boosting"],
        out=tmp_path / "run",
        client=client,
        last=1,
        progress=False,
    )
    rows = run.evaluations.query("model == 'documented_boosting:Boosting'")
    assert rows["status"].tolist() == ["ok"] * 2, rows["note"].tolist()
    skill = run.compare("Boosting", "base_rate").loc["log_loss"]
    assert skill["better"] == "documented_boosting:Boosting"
    assert run.figures("roc_auc").loc["documented_boosting:Boosting", "value"] > 0.65
    assert run.predictions("Boosting")["probability"].between(0, 1).all()


def test_the_steps_that_the_page_shows_by_hand_work(boosting, shops):
    history = se.History(shops.read("big"), Window.at(pd.Timestamp("2020-01-01", tz="UTC")))
    model = boosting.Boosting()
    model.fit(history)
    probabilities = model.predict_proba(history)
    assert probabilities.shape == (history.n_customers,)
    features = model.features(history)
    days = history.transactions["timestamp"] >= history.cutoff - pd.Timedelta(days=90)
    recent = history.transactions[days & history.transactions["is_purchase"]]
    counts = recent.groupby("customer_id").size().reindex(history.customers, fill_value=0)
    assert np.array_equal(features[:, -1], counts)


def test_every_field_of_a_summary_and_public_attribute_of_a_history_is_on_the_page():
    names = [name for name in vars(se.History) if not name.startswith("_")]
    names += [*SUMMARY_FIELDS, "first_us", "n_customers", "codes", "timestamps", "values"]
    assert [n for n in names if f"`{n}" not in HOW_TO and f".{n}" not in HOW_TO] == []
    of_labelled = [*LabelledHistory.__annotations__, "to_horizon", "note", "require_both_classes"]
    assert [n for n in of_labelled if f"labelled.{n}" not in HOW_TO] == []
