"""What the tables do not depend on: attempts, threads, the order of rows, groups of companies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.models import resolve
from scale_eval.results.estimates import equal_company
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import parts_of
from scale_eval.results.reduce import reduce_tables
from tests.support.companies import shop
from tests.support.tables import (
    WINDOWS,
    pooled,
    reduced_from,
    tables_of,
)


@pytest.mark.slow
def test_with_more_companies_than_groups_common_rows_are_still_told_apart():
    """70 companies, a model that skips some of them: scores of each company are kept."""
    companies = [shop(f"shop{i:02}", 25, seed=100 + i, rate=10.0) for i in range(70)]

    class Picky:
        name = "picky"

        def fit(self, history):
            from scale_eval.evaluation.no_prediction import Skipped

            if int(history.company_id[4:]) % 7 == 0:
                raise Skipped("too_hard")

        def predict_proba(self, history):
            return np.linspace(0.1, 0.9, history.n_customers)

    models = [resolve("recency"), resolve(Picky)]
    evaluations = [evaluate_one(c, WINDOWS[-1], m, Rules()) for c in companies for m in models]
    tables = tables_of(evaluations)
    kept = [
        e.predictions
        for e in evaluations
        if e.row["model"] == "recency" and int(e.row["company_id"][4:]) % 7
    ]
    rows = pd.concat(kept)
    row = pooled(tables, "roc_auc", "row", "recency", coverage="common")
    expected = roc_auc_score(rows["bought"], rows["probability"])
    assert row["value"] == pytest.approx(expected, abs=row["error_bound"] + 1e-12)


def test_of_an_evaluation_tried_again_only_the_last_attempt_counts():
    base = {"company_id": "a", "model": "m", "status": "ok", "n_customers": 4, "n_positive": 2}
    cutoff = pd.Timestamp("2020-01-01", tz="UTC")
    rows = [
        base | {"cutoff": cutoff, "attempts": 2, "log_loss": 0.2},
        base | {"cutoff": cutoff, "attempts": 1, "log_loss": 0.9},
    ]
    for order in (rows, rows[::-1]):
        table = pa.Table.from_pylist(order, schema=evaluations_schema())
        panel = Panel.of(parts_of(table)).holding([*METRICS, *STANDARD_ERRORS])
        figure, _ = equal_company(panel, METRICS["log_loss"], 0, panel.at(None))
        assert figure.value == 0.2


@pytest.fixture(scope="module")
def in_order(shops) -> dict[str, pa.Table]:
    evaluations, scores, groups = reduced_from(shops[0])
    return reduce_tables(evaluations, scores, [], groups)


def test_the_order_of_evaluations_changes_no_bit(shops, in_order):
    evaluations, scores, groups = reduced_from(shops[0])
    rng = np.random.default_rng(0)
    shuffled = (t.take(rng.permutation(len(t))) for t in (evaluations, scores))
    other = reduce_tables(*shuffled, [], groups)
    for name, table in in_order.items():
        assert other[name].equals(table), name
