"""Bins whose customers all have one score: what is tied, and that the bound leaves it out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts, score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import SCORES_SCHEMA
from scale_eval.metrics import bin_of
from scale_eval.models import resolve
from scale_eval.results.evaluation_parts import merge_scores, read_scores, write_part
from scale_eval.results.reduce import reduce_tables
from scale_eval.storage import open_store
from tests.support.companies import FIRST, company_with
from tests.support.tables import pooled

COUNTED = ("roc_auc", "average_precision", "gain_at_10")

CLOSE = (0.3, 0.3001)  # of one bin


class Told:
    """A model whose predictions are given by company."""

    name = "told"

    def __init__(self, told):
        self.told = told

    def fit(self, history):
        return self

    def predict_proba(self, history):
        return np.array(self.told[history.company_id])


class Case:
    """Companies of one window, their outcomes and predictions, evaluated in batches."""

    def __init__(self, predictions, seed=0):
        random = np.random.default_rng(seed)
        self.predictions = {f"company-{i}": np.asarray(p, float) for i, p in enumerate(predictions)}
        self.bought = {
            name: np.append([True, False], random.random(len(p) - 2) < p[2:])
            for name, p in self.predictions.items()
        }

    def batch(self, names, groups):
        models = [resolve(Told(self.predictions))]
        companies = [
            LoadedCompany(
                company_with(name, {FIRST: self.bought[name].astype(int).tolist()}),
                [(FIRST, False)],
                models,
                groups[name],
            )
            for name in names
        ]
        rows, counts = EvaluationRows(len(names)), ScoreCounts()
        evaluate_companies(companies, Rules(), rows, counts)
        return rows.table(), counts.sparse()

    def tables(self, batches=None, n_groups=64):
        names = list(self.predictions)
        groups = {name: i % n_groups for i, name in enumerate(names)}
        parts = [self.batch(some, groups) for some in batches or [names]]
        evaluations = pa.concat_tables([rows for rows, _ in parts])
        scores = [score_table([counts]) for _, counts in parts]
        return evaluations, scores, groups

    def row(self, metric, **how):
        evaluations, scores, groups = self.tables(**how)
        reduced = reduce_tables(evaluations, pa.concat_tables(scores), [], groups)
        return pooled({"pooled": reduced["pooled"].to_pandas()}, metric, "row", "told")

    @property
    def rows(self):
        return np.concatenate(list(self.bought.values())), np.concatenate(
            list(self.predictions.values())
        )


def graded(seed, n=60, grades=(0.05, 0.1, 0.3, 0.6)):
    return np.random.default_rng(seed).choice(grades, n)


def continuous(seed, n=60):
    return np.random.default_rng(seed).uniform(0.01, 0.6, n)


def gain(y, p):
    """Return the buyers in the first tenth; ties count for their mean."""
    tenth, taken, held = len(y) / 10, 0, 0.0
    for score in np.unique(p)[::-1]:
        tied = p == score
        part = min(tied.sum(), tenth - taken)
        taken, held = taken + part, held + part * y[tied].mean()
    return held / y.sum()


TRUTH = {"roc_auc": roc_auc_score, "average_precision": average_precision_score, "gain_at_10": gain}


@pytest.mark.parametrize("metric", COUNTED)
@pytest.mark.parametrize("n_groups", [2, 64])
def test_graded_models_have_exact_row_figures_with_a_bound_of_0(metric, n_groups):
    case = Case([graded(i) for i in range(7)])
    row = case.row(metric, n_groups=n_groups)
    assert row["error_bound"] == 0
    assert row["value"] == pytest.approx(TRUTH[metric](*case.rows), abs=1e-15)


@pytest.mark.parametrize("metric", COUNTED)
def test_two_scores_of_one_bin_keep_its_bound(metric):
    assert len(set(bin_of(np.array(CLOSE)))) == 1
    same_window = Case([graded(i, grades=CLOSE) for i in range(5)])
    across_windows = Case([np.full(60, CLOSE[i % 2]) for i in range(5)])
    for case in (same_window, across_windows):
        row = case.row(metric)
        assert row["error_bound"] > 0.001
        assert abs(row["value"] - TRUTH[metric](*case.rows)) <= row["error_bound"] + 1e-12


def test_only_pairs_of_unlike_scores_count_where_companies_differ():
    case = Case([graded(i, grades=(0.05, CLOSE[i % 2])) for i in range(6)])
    bought, p = case.rows
    shared = np.isin(p, CLOSE)
    pairs = bought[shared].sum() * (~bought[shared]).sum()
    tied = sum(bought[p == s].sum() * (~bought[p == s]).sum() for s in CLOSE)
    expected = (pairs - tied) / (2 * bought.sum() * (~bought).sum())
    assert case.row("roc_auc")["error_bound"] == pytest.approx(expected, rel=1e-12)


def test_scores_of_a_window_with_few_ties_are_not_kept():
    _, (scores,), _ = Case([continuous(1), graded(2)]).tables()
    kept = scores.to_pandas().groupby("company_group")["score"]
    assert kept.apply(lambda score: score.isna().all())[0]
    assert kept.apply(lambda score: score.notna().all())[1]


windows = st.lists(
    st.tuples(st.sampled_from([graded, continuous, "close", "constant"]), st.integers(0, 3)),
    min_size=3,
    max_size=7,
)


def case_of(kinds):
    made = {
        "close": lambda seed: graded(seed, grades=CLOSE),
        "constant": lambda seed: np.full(60, CLOSE[seed % 2]),
    }
    return Case([made.get(kind, kind)(seed) for kind, seed in kinds])


@pytest.mark.slow
@settings(database=None, deadline=None, max_examples=8)
@given(windows, st.sampled_from([1, 2, 64]), st.randoms(use_true_random=False))
def test_neither_batches_nor_order_change_what_is_known(kinds, n_groups, random):
    case = case_of(kinds)
    names = list(case.predictions)
    evaluations, (whole,), groups = case.tables(n_groups=n_groups)
    random.shuffle(names)
    cut = random.randint(1, len(names) - 1)
    others, parts, _ = case.tables([names[:cut], names[cut:]], n_groups)
    random.shuffle(parts)
    assert merge_scores(parts).equals(merge_scores([whole]))
    found = reduce_tables(others, pa.concat_tables(parts), [], groups)["pooled"].to_pandas()
    wanted = reduce_tables(evaluations, whole, [], groups)["pooled"].to_pandas()
    at = ["metric", "model", "estimand", "coverage", "cutoff"]
    for metric in COUNTED:
        pd.testing.assert_series_equal(
            *(
                t[t["metric"] == metric].sort_values(at)["error_bound"].reset_index(drop=True)
                for t in (found, wanted)
            ),
            check_exact=True,
        )


@settings(database=None, deadline=None, max_examples=8)
@given(windows, st.sampled_from([1, 2, 64]))
def test_the_figures_of_all_rows_lie_within_the_bound(kinds, n_groups):
    case = case_of(kinds)
    evaluations, scores, groups = case.tables(n_groups=n_groups)
    reduced = {"pooled": reduce_tables(evaluations, scores[0], [], groups)["pooled"].to_pandas()}
    for metric in COUNTED:
        row = pooled(reduced, metric, "row", "told")
        assert abs(row["value"] - TRUTH[metric](*case.rows)) <= row["error_bound"] + 1e-12


def test_a_file_without_the_column_knows_no_score(tmp_path):
    case = Case([graded(i) for i in range(3)])
    evaluations, (scores,), groups = case.tables()
    store = open_store(tmp_path)
    write_part(store, evaluations, scores)
    (path,) = tmp_path.glob("scores/*.parquet")
    pq.write_table(scores.drop_columns("score"), path)
    read = pa.concat_tables(read_scores(store, SCORES_SCHEMA))
    assert read["score"].null_count == len(read) == len(scores)
    assert read.drop_columns("score").equals(scores.drop_columns("score"))
    row = reduce_tables(evaluations, read, [], groups)["pooled"].to_pandas()
    assert pooled({"pooled": row}, "roc_auc", "row", "told")["error_bound"] > 0.05
