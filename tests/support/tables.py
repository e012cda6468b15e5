"""Result tables of small runs, and the figures of their rows recomputed by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.instants import as_utc
from scale_eval.evaluation.evaluate import Evaluation
from scale_eval.evaluation.schema import SCORES_SCHEMA, evaluations_schema
from scale_eval.evaluation.windows import Window
from scale_eval.planning.plan import company_groups
from scale_eval.results.evaluation_parts import merge_scores
from scale_eval.results.reduce import reduce_tables

MODELS = ("base_rate", "recency", "frequency", "bgnbd")
SIZES = [30, 45, 60, 80, 110, 130, 160, 220, 300, 420]
WINDOWS = [Window.at(as_utc(c)) for c in ("2018-12-01", "2019-06-01", "2019-12-01")]
KEY = ["company_id", "cutoff"]


def tables_of(evaluations: list[Evaluation], rows: list[dict] = ()) -> dict[str, pd.DataFrame]:
    """Reduce as a run does; `rows` are evaluations that never came to be."""
    groups = company_groups(sorted({e.row["company_id"] for e in evaluations}))
    at = SCORES_SCHEMA.get_field_index("company_group")
    scores = []
    for evaluation in evaluations:
        if evaluation.scores is not None:
            group = groups[evaluation.row["company_id"]]
            column = pa.array([group] * len(evaluation.scores), pa.int32())
            scores.append(evaluation.scores.set_column(at, "company_group", column))
    table = pa.Table.from_pylist(
        [e.row for e in evaluations] + list(rows), schema=evaluations_schema()
    )
    reduced = reduce_tables(table, merge_scores(scores), [], groups)
    tables = {**reduced, "evaluations": table, "scores": merge_scores(scores)}
    return {name: t.to_pandas() for name, t in tables.items()}


def pooled(tables, metric: str, estimand: str, model="hand", coverage="own", cutoff=None):
    rows = tables["pooled"]
    at = rows["cutoff"].isna() if cutoff is None else rows["cutoff"] == cutoff
    chosen = rows[
        at
        & (rows["model"] == model)
        & (rows["metric"] == metric)
        & (rows["estimand"] == estimand)
        & (rows["coverage"] == coverage)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def reduced_from(tables: dict[str, pd.DataFrame]) -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """The evaluations, scores and groups that the tables were reduced from."""
    evaluations, scores = (
        pa.Table.from_pandas(tables[name], schema=schema, preserve_index=False)
        for name, schema in (("evaluations", evaluations_schema()), ("scores", SCORES_SCHEMA))
    )
    return evaluations, scores, company_groups(sorted(set(tables["evaluations"]["company_id"])))


def of_model(tables: dict[str, pd.DataFrame], model: str) -> pd.DataFrame:
    return tables["evaluations"].query("status == 'ok' and model == @model")


def common(tables: dict[str, pd.DataFrame], model: str) -> pd.DataFrame:
    """The evaluations of a model at windows that every model answered."""
    ok = tables["evaluations"].query("status == 'ok'")
    everywhere = ok.groupby(KEY)["model"].transform("size") == len(MODELS)
    return ok[everywhere & (ok["model"] == model)]


def comparison(tables, metric, a, b, estimand="equal_company", stratum="all"):
    rows = tables["comparisons"].query(
        "metric == @metric and model_a == @a and model_b == @b and estimand == @estimand "
        "and stratum == @stratum"
    )
    assert len(rows) == 1
    return rows.iloc[0]


def linearised_by_hand(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, ...]:
    """Value, standard error, effective companies of a sum over a sum (textbook ratio estimator)."""
    value = numerator.sum() / denominator.sum()
    n_effective = denominator.sum() ** 2 / (denominator**2).sum()
    squares = ((numerator - value * denominator) ** 2).sum() / denominator.sum() ** 2
    return value, math.sqrt(squares * n_effective / (n_effective - 1)), n_effective


def clustered_variance(rows: pd.DataFrame, column: str, weights: pd.Series) -> float:
    """Sum over companies and groups of the squared sums of weighted influence."""
    total = 0.0
    n = rows["n_customers"]
    weights = weights * np.sqrt(n / (n - 1))  # ddof 1
    for _, company in rows.groupby("company_id"):
        sums = sum(
            w * np.asarray(v, float)
            for w, v in zip(weights[company.index], company[column], strict=True)
        )
        total += float((sums**2).sum())
    return total * 16 / 15  # the sums of 16 groups add to 0
