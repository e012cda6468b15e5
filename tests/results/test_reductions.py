"""Reductions: three companies worked by hand, and brute force from the table of evaluations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from scale_eval.datasets.instants import as_utc
from scale_eval.evaluation.evaluate import Evaluation, evaluate_one
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import SCORES_SCHEMA, evaluations_schema
from scale_eval.evaluation.windows import Window
from scale_eval.models import resolve
from scale_eval.planning.plan import company_groups
from scale_eval.results.reduce import reduce_tables
from tests.support.companies import BY_HAND, FIRST, SECOND, company_with, given_model, shop
from tests.support.planted import Planted, planted_tables
from tests.support.tables import pooled, tables_of


@pytest.fixture(scope="module")
def by_hand() -> dict[str, pd.DataFrame]:
    outcomes: dict[str, dict[Window, list[int]]] = {}
    for company, window, y, _ in BY_HAND:
        outcomes.setdefault(company, {})[window] = y
    model = given_model("hand")
    return tables_of(
        [
            evaluate_one(company_with(company, outcomes[company]), window, model, Rules())
            for company, window, _, _ in BY_HAND
        ]
    )


# docs/reference/statistics.md, "Pooling over companies: three companies by hand".
@pytest.mark.parametrize(
    ("metric", "estimand", "value"),
    [
        ("roc_auc", "row", 0.666667),
        ("roc_auc", "within_company", 0.7),
        ("roc_auc", "equal_company", 0.569444),
        ("brier_score", "row", 0.2669),
        ("brier_score", "equal_company", 0.315856),
        ("observed_expected_ratio", "row", 1.045296),
        # Mean rate over mean prediction: (.375 + .333333 + .5) / (.45 + .048333 + .925).
        ("observed_expected_ratio", "equal_company", 0.848946),
    ],
)
def test_three_companies_worked_by_hand(by_hand, metric, estimand, value):
    row = pooled(by_hand, metric, estimand)
    assert row["value"] == pytest.approx(value, abs=5e-7)
    assert row["error_bound"] <= 0.02  # .05 of B at both cutoffs: ties that a bin cannot tell


def test_customers_who_all_have_one_score_are_truly_tied():
    random = np.random.default_rng(8)

    def tables_with(rates, others=()):
        windows = [
            Planted(f"company-{i}", random.random(60) < rate, {"graded": np.full(60, 0.3)}, rate)
            for i, rate in enumerate(rates)
        ]
        windows += [
            Planted(f"other-{i}", random.random(60) < 0.3, {"graded": scores}, 0.45 + i)
            for i, scores in enumerate(others)
        ]
        return {name: of.to_pandas() for name, of in planted_tables(windows).items()}

    alike = tables_with([0.1, 0.1, 0.1])
    apart = tables_with([0.1, 0.2, 0.3])
    for tables in (alike, apart):  # one score a bin, of one window or of several
        assert pooled(tables, "roc_auc", "row", "base_rate")["error_bound"] == 0
        assert pooled(tables, "roc_auc", "row", "graded")["error_bound"] == 0
    assert pooled(alike, "roc_auc", "row", "base_rate")["value"] == 0.5
    close = tables_with([0.1, 0.1001])  # one bin, two scores: pairs across are in doubt
    row = pooled(close, "roc_auc", "row", "base_rate")
    bought = close["evaluations"].query("model == 'base_rate'")["n_positive"].to_numpy()
    others = 60 - bought
    across = bought[0] * others[1] + bought[1] * others[0]
    assert row["error_bound"] == across / (2 * bought.sum() * others.sum())
    mixed = tables_with([0.1, 0.2], [np.where(np.arange(60) < 30, 0.3, 0.3001)])
    row = pooled(mixed, "roc_auc", "row", "graded")
    assert 0 < row["error_bound"] < 0.5 - 0.02  # pairs of the first two companies are tied


def test_the_spread_of_the_three_companies_worked_by_hand(by_hand):
    row = pooled(by_hand, "roc_auc", "equal_company")
    assert row["std"] == pytest.approx(0.514264, abs=5e-7)
    figures = by_hand["companies"].query("metric == 'observed_expected_ratio'")["mean"]
    assert figures.tolist() == pytest.approx([0.833333, 6.896552, 0.540541], abs=5e-7)


def test_one_evaluation_of_the_three_companies_is_undefined_and_no_company(by_hand):
    row = pooled(by_hand, "roc_auc", "equal_company")
    assert (row["n_defined"], row["n_undefined"]) == (4, 1)
    assert row["undefined_reasons"] == "no_positives:1"
    assert (row["n_companies"], row["n_companies_defined"]) == (3, 3)


def test_at_one_cutoff_only_its_evaluations_count(by_hand):
    row = pooled(by_hand, "roc_auc", "equal_company", cutoff=SECOND.cutoff)
    assert row["value"] == pytest.approx(2 / 3)
    assert (row["n_companies"], row["n_companies_defined"], row["n_undefined"]) == (2, 1, 1)


MODELS = ("base_rate", "recency", "frequency", "bgnbd")
WINDOWS = [Window.at(as_utc(c)) for c in ("2018-12-01", "2019-06-01", "2019-12-01")]


@pytest.fixture(scope="module")
def several() -> tuple[dict[str, pd.DataFrame], dict]:
    """Seven companies of unequal size, three cutoffs, four models; and every single prediction."""
    sizes = [12, 25, 40, 60, 90, 150, 400]
    companies = [shop(f"shop{i}", n, seed=i) for i, n in enumerate(sizes)]
    models = {name: resolve(name) for name in MODELS}
    evaluations = [
        evaluate_one(company, window, model, Rules())
        for company in companies
        for window in WINDOWS
        for model in models.values()
    ]
    predictions = {
        (e.row["company_id"], e.row["cutoff"], e.row["model"]): e.predictions
        for e in evaluations
        if e.predictions is not None
    }
    return tables_of(evaluations), predictions


def test_equal_company_figures_agree_with_a_plain_group_by(several):
    tables, _ = several
    evaluations = tables["evaluations"].query("status == 'ok'")
    for metric in ("log_loss", "brier_score", "roc_auc", "average_precision", "lift_at_10"):
        for model in MODELS:
            rows = evaluations[evaluations["model"] == model]
            means = rows.groupby("company_id")[metric].mean().dropna()
            row = pooled(tables, metric, "equal_company", model)
            assert row["value"] == pytest.approx(means.mean(), rel=1e-12)
            assert row["std"] == pytest.approx(means.std(), rel=1e-12)
            assert row["mad"] == pytest.approx(stats.median_abs_deviation(means), rel=1e-12)
            assert row["iqr"] == pytest.approx(stats.iqr(means), rel=1e-12)
            assert row["p05"] == pytest.approx(means.quantile(0.05), rel=1e-12)
            assert row["min"] == pytest.approx(means.min(), rel=1e-12)
            assert row["max"] == pytest.approx(means.max(), rel=1e-12)
            assert row["n_companies_defined"] == len(means)


def test_skills_are_one_minus_a_ratio_of_mean_losses(several):
    tables, _ = several
    rows = tables["evaluations"].query("status == 'ok' and model == 'bgnbd'")
    rows = rows[rows["log_loss_skill"].notna()]
    by_company = rows.groupby("company_id")[["log_loss", "reference_log_loss"]].mean()
    equal = 1 - by_company["log_loss"].mean() / by_company["reference_log_loss"].mean()
    n = rows["n_customers"]
    row = 1 - (n * rows["log_loss"]).sum() / (n * rows["reference_log_loss"]).sum()
    for estimand, value in (("equal_company", equal), ("row", row)):
        told = pooled(tables, "log_loss_skill", estimand, "bgnbd")["value"]
        assert told == pytest.approx(value)


def test_row_figures_agree_with_all_predictions_in_one_array_within_the_error_bound(several):
    tables, predictions = several
    for model in MODELS:
        together = pd.concat([p for (_, _, m), p in predictions.items() if m == model])
        y, p = together["bought"].to_numpy(), together["probability"].to_numpy()
        brier = pooled(tables, "brier_score", "row", model)["value"]
        assert brier == pytest.approx(np.mean((y - p) ** 2), rel=1e-12)
        ratio = pooled(tables, "observed_expected_ratio", "row", model)["value"]
        assert ratio == pytest.approx(y.sum() / p.sum(), rel=1e-9)
        auc = pooled(tables, "roc_auc", "row", model)
        assert abs(auc["value"] - roc_auc_score(y, p)) <= auc["error_bound"] + 1e-12
        assert auc["error_bound"] < (0.01 if model == "bgnbd" else 0.1)  # others have ties


def test_within_company_auc_counts_pairs_of_one_company_and_cutoff(several):
    tables, predictions = several
    right = pairs = 0.0
    for (_, _, model), frame in predictions.items():
        if model == "bgnbd":
            positive = frame.loc[frame["bought"], "probability"].to_numpy()
            negative = frame.loc[~frame["bought"], "probability"].to_numpy()
            difference = positive[:, None] - negative
            right += (difference > 0).sum() + 0.5 * (difference == 0).sum()
            pairs += difference.size
    value = pooled(tables, "roc_auc", "within_company", "bgnbd")["value"]
    assert value == pytest.approx(right / pairs, rel=1e-12)


def test_within_company_gain_adds_up_each_companys_own_top_tenth(several):
    tables, _ = several
    rows = tables["evaluations"].query("status == 'ok' and model == 'recency'")
    rows = rows[rows["gain_at_10"].notna()]
    gain = (rows["n_positive"] * rows["gain_at_10"]).sum() / rows["n_positive"].sum()
    spend = rows["future_spend"]
    value = (spend * rows["value_captured_at_10"]).sum() / spend.sum()
    assert pooled(tables, "gain_at_10", "within_company", "recency")["value"] == pytest.approx(gain)
    assert pooled(tables, "lift_at_10", "within_company", "recency")["value"] == pytest.approx(
        10 * gain
    )
    assert pooled(tables, "value_captured_at_10", "within_company", "recency")[
        "value"
    ] == pytest.approx(value)


def test_the_counts_of_every_pooled_row_add_up_to_the_evaluations(several):
    tables, _ = several
    counts = tables["pooled"].query("estimand == 'equal_company'")
    kinds = ["n_defined", "n_undefined", "n_skipped", "n_failed", "n_not_common"]
    total = counts[kinds].sum(axis=1)
    assert set(total[counts["cutoff"].isna()]) == {len(WINDOWS) * 7}
    assert set(total[counts["cutoff"].notna()]) == {7}


def test_comparisons_agree_with_a_plain_join_of_two_models(several):
    tables, _ = several
    ok = tables["evaluations"].query("status == 'ok'")
    everywhere = ok.groupby(["company_id", "cutoff"]).size() == len(MODELS)
    common = ok.set_index(["company_id", "cutoff"]).loc[everywhere[everywhere].index]
    wide = common.set_index("model", append=True)["log_loss"].unstack("model")
    differences = (wide["bgnbd"] - wide["recency"]).groupby("company_id").mean()
    row = tables["comparisons"].query(
        "metric == 'log_loss' and model_a == 'bgnbd' and model_b == 'recency' "
        "and estimand == 'equal_company' and stratum == 'all'"
    )
    margin = row["margin"].item()
    assert row["mean_difference"].item() == pytest.approx(differences.mean(), rel=1e-12)
    assert row["wins"].item() == (differences < -margin).sum()
    assert row["losses"].item() == (differences > margin).sum()
    assert row["ties"].item() == (differences.abs() <= margin).sum()


def test_each_pair_of_models_is_compared_once_with_the_names_in_order(several):
    tables, _ = several
    comparisons = tables["comparisons"]
    assert (comparisons["model_a"] < comparisons["model_b"]).all()
    key = ["metric", "model_a", "model_b", "estimand", "stratum"]
    assert not comparisons.duplicated(key).any()
    assert set(map(tuple, comparisons[["model_a", "model_b"]].drop_duplicates().to_numpy())) == {
        (a, b) for a in MODELS for b in MODELS if a < b
    }


def test_the_classes_of_company_size_add_up_to_all_companies(several):
    tables, _ = several
    equal = tables["comparisons"].query("estimand == 'equal_company' and metric == 'brier_score'")
    for _, pair in equal.groupby(["model_a", "model_b"]):
        whole = pair[pair["stratum"] == "all"].iloc[0]
        classes = pair[pair["stratum"] != "all"]
        assert len(classes) > 1
        for column in ("n_companies", "wins", "ties", "losses"):
            assert classes[column].sum() == whole[column]


def test_a_metric_with_a_target_is_compared_by_its_distance_from_it(several):
    tables, _ = several
    ok = tables["evaluations"].query("status == 'ok'")
    everywhere = ok.groupby(["company_id", "cutoff"])["model"].transform("size") == len(MODELS)
    common = ok[everywhere].assign(expected=lambda r: r["n_customers"] * r["mean_prediction"])
    sums = common.groupby(["company_id", "model"])[["n_positive", "expected"]].sum()
    far = np.log(sums["n_positive"] / sums["expected"]).abs().unstack("model")
    row = tables["comparisons"].query(
        "metric == 'observed_expected_ratio' and model_a == 'frequency' and model_b == 'recency' "
        "and estimand == 'equal_company' and stratum == 'all'"
    )
    difference = (far["frequency"] - far["recency"]).replace(np.inf, np.nan).mean()
    assert row["mean_difference"].item() == pytest.approx(difference)
    both = far[["frequency", "recency"]].replace(np.inf, np.nan).notna().all(axis=1).sum()
    assert row["wins"].item() + row["ties"].item() + row["losses"].item() == both


def test_a_model_that_skips_the_hard_companies_does_not_lead_on_the_common_coverage():
    companies = [shop(f"shop{i}", 120, seed=10 + i) for i in range(4)]
    window = WINDOWS[-1]

    class OnlyTheEasy:
        name = "picky"

        def fit(self, history):
            if history.company_id != "shop0":
                from scale_eval.evaluation.no_prediction import Skipped

                raise Skipped("too_hard")

        def predict_proba(self, history):
            return resolve("bgnbd").prototype.fit(history).predict_proba(history)

    models = [resolve("base_rate"), resolve(OnlyTheEasy)]
    tables = tables_of([evaluate_one(c, window, m, Rules()) for c in companies for m in models])
    own = pooled(tables, "log_loss", "equal_company", "base_rate")
    common = pooled(tables, "log_loss", "equal_company", "base_rate", coverage="common")
    assert (own["n_companies"], common["n_companies"], common["n_not_common"]) == (4, 1, 3)
    picky = pooled(tables, "log_loss", "equal_company", "picky", coverage="common")
    assert (picky["n_companies"], picky["n_skipped"]) == (1, 3)
    assert pooled(tables, "roc_auc", "row", "base_rate", coverage="common")["value"] == 0.5


def test_a_model_that_never_answered_does_not_empty_the_common_coverage():
    company = shop("shop", 120, seed=3)
    evaluations = [
        evaluate_one(company, w, resolve(m), Rules()) for w in WINDOWS for m in ("recency", "bgnbd")
    ]
    broken = [
        {
            "company_id": "shop",
            "cutoff": w.cutoff,
            "model": "broken",
            "status": "error",
            "reason": "exception:ValueError",
        }
        for w in WINDOWS
    ]
    tables = tables_of(evaluations, broken)
    assert pooled(tables, "log_loss", "equal_company", "bgnbd", coverage="common")["n_defined"] == 3
    lost = pooled(tables, "log_loss", "equal_company", "broken")
    assert (lost["reason"], lost["n_failed"], lost["n_defined"]) == ("no_evaluations", 3, 0)


def test_the_order_of_the_rows_does_not_matter(several):
    tables, _ = several
    groups = company_groups(sorted(tables["evaluations"]["company_id"].unique()))
    table = pa.Table.from_pandas(
        tables["evaluations"], schema=evaluations_schema(), preserve_index=False
    )
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    scores = pa.Table.from_pandas(tables["scores"], schema=SCORES_SCHEMA, preserve_index=False)
    one = reduce_tables(table, scores, [], groups)
    other = reduce_tables(shuffled, scores, [], groups)
    assert all(one[name].equals(other[name]) for name in one)


def test_a_window_of_no_company_is_a_row_of_no_figure():
    company = shop("shop", 60, seed=4)
    evaluation = evaluate_one(company, FIRST, resolve("recency"), Rules())
    refused = {
        "company_id": "young",
        "cutoff": None,
        "model": "recency",
        "status": "skipped",
        "reason": "no_whole_window",
    }
    groups_of_both = tables_of([evaluation, Evaluation(refused)])
    companies = groups_of_both["companies"].query("company_id == 'young' and metric == 'log_loss'")
    assert companies["n_evaluations"].item() == 1
    assert companies["n_cutoffs"].item() == 0
    assert pooled(groups_of_both, "log_loss", "equal_company", "recency")["n_skipped"] == 1
