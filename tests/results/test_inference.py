"""Intervals, heterogeneity and comparisons of a run's tables, recomputed from its evaluations.

What is recomputed uses pandas, SciPy and statsmodels on the table `evaluations` and on the
predictions alone; nothing of `scale_eval.results`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, roc_auc_score
from statsmodels.stats.multitest import multipletests

from scale_eval.datasets.instants import as_utc
from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import SCORES_SCHEMA, evaluations_schema
from scale_eval.evaluation.windows import Window
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.models import resolve
from scale_eval.planning.plan import company_groups
from scale_eval.results.estimates import equal_company
from scale_eval.results.panel import Panel, parts_of
from scale_eval.results.reduce import reduce_tables
from tests.results.test_reductions import pooled, tables_of
from tests.support.companies import shop

MODELS = ("base_rate", "recency", "frequency", "bgnbd")
SIZES = [30, 45, 60, 80, 110, 130, 160, 220, 300, 420]
WINDOWS = [Window.at(as_utc(c)) for c in ("2018-12-01", "2019-06-01", "2019-12-01")]
KEY = ["company_id", "cutoff"]


@pytest.fixture(scope="module")
def shops() -> tuple[dict[str, pd.DataFrame], dict]:
    """Ten companies, three half-years, four models; and every single prediction."""
    models = [resolve(name) for name in MODELS]
    evaluations = [
        evaluate_one(shop(f"shop{i}", n, seed=i, rate=8.0), window, model, Rules())
        for i, n in enumerate(SIZES)
        for window in WINDOWS
        for model in models
    ]
    predictions = {
        (e.row["company_id"], e.row["cutoff"], e.row["model"]): e.predictions
        for e in evaluations
        if e.predictions is not None
    }
    return tables_of(evaluations), predictions


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


@pytest.mark.parametrize("metric", ["log_loss", "brier_score", "roc_auc", "average_precision"])
def test_the_interval_of_the_average_company_is_students_over_companies(shops, metric):
    tables, _ = shops
    means = of_model(tables, "bgnbd").groupby("company_id")[metric].mean().dropna()
    low, high = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
    row = pooled(tables, metric, "equal_company", "bgnbd")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
    assert row["std_error"] == pytest.approx(stats.sem(means))
    assert row["n_effective"] == pytest.approx(len(means))


def test_the_interval_of_the_average_ratio_of_observed_to_expected_is_on_logs(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd").assign(e=lambda r: r["n_customers"] * r["mean_prediction"])
    sums = rows.groupby("company_id")[["n_positive", "e"]].sum()
    logs = np.log(sums["n_positive"] / sums["e"])
    ends = np.exp(stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs)))
    row = pooled(tables, "observed_expected_ratio", "equal_company", "bgnbd")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(ends))


def linearised_by_hand(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, ...]:
    """Value, standard error, effective companies of a sum over a sum (textbook ratio estimator)."""
    value = numerator.sum() / denominator.sum()
    n_effective = denominator.sum() ** 2 / (denominator**2).sum()
    squares = ((numerator - value * denominator) ** 2).sum() / denominator.sum() ** 2
    return value, math.sqrt(squares * n_effective / (n_effective - 1)), n_effective


def test_the_interval_of_all_rows_is_that_of_a_ratio_of_company_sums(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd")
    rows = rows.assign(loss=rows["n_customers"] * rows["log_loss"])
    sums = rows.groupby("company_id")[["loss", "n_customers"]].sum()
    value, error, n_effective = linearised_by_hand(*sums.to_numpy(float).T)
    row = pooled(tables, "log_loss", "row", "bgnbd")
    half = stats.t.ppf(0.975, n_effective - 1) * error
    assert row["value"] == pytest.approx(value)
    assert row["n_effective"] == pytest.approx(n_effective)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((value - half, value + half))


def test_the_interval_of_the_auc_within_companies_weighs_by_pairs(shops):
    tables, _ = shops
    rows = of_model(tables, "recency").dropna(subset="roc_auc")
    pairs = rows["n_positive"] * (rows["n_customers"] - rows["n_positive"])
    rows = rows.assign(pairs=pairs, right=pairs * rows["roc_auc"])
    sums = rows.groupby("company_id")[["right", "pairs"]].sum()
    value, error, n_effective = linearised_by_hand(*sums.to_numpy(float).T)
    row = pooled(tables, "roc_auc", "within_company", "recency")
    assert (row["value"], row["std_error"], row["n_effective"]) == pytest.approx(
        (value, error, n_effective)
    )


@pytest.mark.parametrize(
    ("metric", "score"),
    [("roc_auc", roc_auc_score), ("average_precision", average_precision_score)],
)
def test_the_interval_of_a_rank_metric_of_all_rows_leaves_out_each_company(shops, metric, score):
    tables, predictions = shops
    frames = {}
    for (company, _, model), frame in predictions.items():
        if model == "bgnbd":
            frames.setdefault(company, []).append(frame)
    companies = {company: pd.concat(parts) for company, parts in frames.items()}

    def of(names) -> float:
        rows = pd.concat([companies[name] for name in names])
        return score(rows["bought"], rows["probability"])

    value = of(companies)
    left_out = np.array([of([n for n in companies if n != name]) for name in companies])
    k = len(companies)
    error = math.sqrt((k - 1) / k * ((left_out - left_out.mean()) ** 2).sum())
    row = pooled(tables, metric, "row", "bgnbd")
    assert row["value"] == pytest.approx(value, abs=row["error_bound"] + 1e-12)
    assert row["std_error"] == pytest.approx(error, rel=0.05)  # scores are known to a bin
    corrected = k * value - (k - 1) * left_out.mean()
    middle = (row["ci_low"] + row["ci_high"]) / 2
    assert middle == pytest.approx(corrected, abs=0.1 * error + k * row["error_bound"])


def test_a_constant_per_company_reaches_the_floor_of_the_row_auc(shops):
    tables, predictions = shops
    frames = [
        frame.assign(constant=frame["bought"].mean())
        for (_, _, model), frame in predictions.items()
        if model == "bgnbd"
    ]
    rows = pd.concat(frames)
    floor = pooled(tables, "roc_auc", "row", "bgnbd")["constant_floor"]
    assert floor == pytest.approx(roc_auc_score(rows["bought"], rows["constant"]), rel=1e-12)


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


def test_what_customers_chance_makes_uncertain_is_clustered_by_customer(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd").reset_index(drop=True)
    equal = 1 / rows.groupby("company_id")["cutoff"].transform("size") / len(SIZES)
    by_rows = rows["n_customers"] / rows["n_customers"].sum()
    for estimand, weights in (("equal_company", equal), ("row", by_rows)):
        variance = clustered_variance(rows, "log_loss_influence", weights)
        row = pooled(tables, "log_loss", estimand, "bgnbd")
        assert row["sampling_std_error"] == pytest.approx(math.sqrt(variance), rel=1e-6)


def test_a_comparison_is_paired_customer_by_customer(shops):
    tables, _ = shops
    a, b = (common(tables, m).set_index(KEY) for m in ("bgnbd", "recency"))
    both = a.index
    joined = pd.DataFrame(
        {
            "influence": [
                np.asarray(x, float) - np.asarray(y, float)
                for x, y in zip(
                    a["log_loss_influence"][both], b["log_loss_influence"][both], strict=True
                )
            ]
        },
        index=both,
    ).reset_index()
    joined["n_customers"] = a["n_customers"][both].to_numpy()
    weights = (
        1
        / joined.groupby("company_id")["cutoff"].transform("size")
        / joined["company_id"].nunique()
    )
    variance = clustered_variance(joined, "influence", weights)
    row = comparison(tables, "log_loss", "bgnbd", "recency")
    assert row["sampling_std_error"] == pytest.approx(math.sqrt(variance), rel=1e-5)
    marginal = math.hypot(
        *(
            pooled(tables, "log_loss", "equal_company", m, coverage="common")["sampling_std_error"]
            for m in ("bgnbd", "recency")
        )
    )
    assert row["sampling_std_error"] < 0.9 * marginal  # what an unpaired error would have said


def test_comparisons_have_students_interval_wilcoxons_p_and_tost(shops):
    tables, _ = shops
    means = {m: common(tables, m).groupby("company_id")["log_loss"].mean() for m in MODELS}
    p_values = {}
    for a, b in itertools.combinations(sorted(MODELS), 2):
        differences = means[a] - means[b]
        row = comparison(tables, "log_loss", a, b)
        df = len(differences) - 1
        interval = stats.t.interval(0.95, df, differences.mean(), stats.sem(differences))
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(interval)
        p_values[a, b] = stats.wilcoxon(differences).pvalue
        assert row["p_value"] == pytest.approx(p_values[a, b])
        margin = METRICS["log_loss"].margin
        ninety = stats.t.interval(0.90, df, differences.mean(), stats.sem(differences))
        assert row["equivalent"] == (ninety[0] > -margin and ninety[1] < margin)
    adjusted = multipletests(list(p_values.values()), method="fdr_bh")[1]
    for (a, b), p in zip(p_values, adjusted, strict=True):
        assert comparison(tables, "log_loss", a, b)["p_adjusted"] == pytest.approx(p)


def test_differences_of_all_rows_pair_companies(shops):
    tables, _ = shops
    sums = {
        m: common(tables, m)
        .assign(loss=lambda r: r["n_customers"] * r["brier_score"])
        .groupby("company_id")[["loss", "n_customers"]]
        .sum()
        for m in ("bgnbd", "frequency")
    }
    n = sums["bgnbd"]["n_customers"].to_numpy(float)
    difference = (sums["bgnbd"]["loss"] - sums["frequency"]["loss"]).to_numpy()
    value, error, n_effective = linearised_by_hand(difference, n)
    row = comparison(tables, "brier_score", "bgnbd", "frequency", "row")
    half = stats.t.ppf(0.975, n_effective - 1) * error
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((value - half, value + half))


def test_a_margin_of_the_users_moves_ties_and_equivalence_and_nothing_else(shops):
    tables, _ = shops
    table, scores, groups = reduced_from(tables)
    wide = {
        name: t.to_pandas()
        for name, t in reduce_tables(table, scores, [], groups, {"log_loss": 10.0}).items()
    }
    row = comparison(wide, "log_loss", "bgnbd", "recency")
    assert (row["wins"], row["losses"], row["ties"]) == (0, 0, row["n_companies"])
    assert row["equivalent"] and row["margin"] == 10.0
    assert row["probability_a_better_by_margin"] == pytest.approx(0, abs=1e-6)
    before = comparison(tables, "log_loss", "bgnbd", "recency")
    same = ["mean_difference", "ci_low", "ci_high", "p_value", "prediction_low"]
    assert row[same].tolist() == before[same].tolist()
    pd.testing.assert_frame_equal(wide["pooled"], tables["pooled"])


def test_tau_and_the_mean_of_effects_agree_with_statsmodels_paule_mandel_nearby(shops):
    """REML by an independent likelihood, maximised by brute force on a fine grid."""
    tables, _ = shops
    effects, variances = [], []
    for _, rows in of_model(tables, "bgnbd").groupby("company_id"):
        rich = rows[
            (rows["n_positive"] >= 10) & (rows["n_customers"] - rows["n_positive"] >= 10)
        ].head(99)
        if len(rich) == 1:  # of one cutoff, the effect's variance is DeLong's, hardly moderated
            effects.append(float(logit(rich["roc_auc"].iloc[0])))
            a = rich["roc_auc"].iloc[0]
            variances.append((rich["roc_auc_se"].iloc[0] / (a * (1 - a))) ** 2)
        elif len(rich):
            effects.append(float(logit(rich["roc_auc"]).mean()))
            variances.append(np.nan)
    row = pooled(tables, "roc_auc", "equal_company", "bgnbd")
    assert row["n_heterogeneity"] == len(effects)
    assert row["expected"] == pytest.approx(expit(np.mean(effects)), abs=0.05)
    assert row["expected_low"] < row["expected"] < row["expected_high"]
    assert row["tau_low"] <= row["tau"] <= row["tau_high"]
    assert row["prediction_low"] <= row["expected_low"]
    assert row["tau_scale"] == "logit"


def test_shrunk_values_lie_between_the_companys_own_and_the_mean_of_all(shops):
    tables, _ = shops
    for model in ("bgnbd", "recency"):
        row = pooled(tables, "roc_auc", "equal_company", model)
        companies = tables["companies"].query("metric == 'roc_auc' and model == @model")
        entered = companies.dropna(subset="shrunk")
        assert len(entered) == row["n_heterogeneity"]
        assert entered["shrinkage_weight"].between(0, 1).all()
        spread = entered["shrunk"].std()
        assert spread <= entered["mean"].std() + 1e-12


def test_three_companies_have_an_honest_interval_and_no_prediction():
    evaluations = [
        evaluate_one(shop(f"shop{i}", 200, seed=i), window, resolve(m), Rules())
        for i in range(3)
        for window in WINDOWS[-1:]
        for m in ("recency", "bgnbd")
    ]
    tables = tables_of(evaluations)
    equal = pooled(tables, "roc_auc", "equal_company", "bgnbd")
    assert equal["ci_high"] - equal["ci_low"] > 4 * equal["std_error"]  # t with 2 df: 4.3
    assert np.isnan(equal["prediction_low"])
    assert equal["heterogeneity_reason"] == "too_few_companies"
    for estimand in ("row", "within_company"):
        row = pooled(tables, "roc_auc", estimand, "bgnbd")
        assert np.isnan(row["ci_low"]) and row["ci_reason"] == "fewer_than_5_companies"
    pair = comparison(tables, "log_loss", "bgnbd", "recency")
    assert pair["p_reason"] == "fewer_than_6_companies" and np.isnan(pair["p_value"])
    assert pair["sampling_std_error"] > 0
    assert np.isnan(pair["probability_a_better"])


def test_one_company_has_no_interval_over_companies():
    evaluations = [
        evaluate_one(shop("shop", 200, seed=1), window, resolve(m), Rules())
        for window in WINDOWS
        for m in ("recency", "bgnbd")
    ]
    tables = tables_of(evaluations)
    row = pooled(tables, "log_loss", "equal_company", "bgnbd")
    assert row["ci_reason"] == "one_company" and np.isnan(row["ci_low"])
    assert row["sampling_std_error"] > 0


def test_the_slope_within_companies_is_one_regression_with_an_intercept_each(shops):
    tables, predictions = shops
    statsmodels = pytest.importorskip("statsmodels.api")
    rows = pd.concat(
        frame.assign(stratum=f"{company} {cutoff}")
        for (company, cutoff, model), frame in predictions.items()
        if model == "bgnbd"
    )
    dummies = pd.get_dummies(rows["stratum"], dtype=float)
    rate = rows.groupby("stratum")["bought"].mean()
    kept = rows["stratum"].map(rate).between(0, 1, inclusive="neither")
    design = dummies.assign(x=logit(rows["probability"].clip(1e-15, 1 - 1e-15)))[kept.to_numpy()]
    design = design.loc[:, (design != 0).any()]
    fit = statsmodels.Logit(rows["bought"][kept].to_numpy(float), design.to_numpy()).fit(disp=0)
    row = pooled(tables, "calibration_slope", "within_company", "bgnbd")
    assert row["value"] == pytest.approx(fit.params[-1], rel=0.01)  # logits are known to a bin


def test_periods_compare_the_same_companies_and_split_the_reference_loss(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd")
    at = rows[rows["cutoff"] == WINDOWS[-1].cutoff]
    rate = at["observed_rate"]
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    told = tables["periods"].query("companies == 'all' and model == 'bgnbd'")
    told = told[told["cutoff"] == WINDOWS[-1].cutoff].iloc[0]
    assert told["uncertainty"] == pytest.approx(entropy.mean())
    assert told["reference_log_loss"] == pytest.approx(at["reference_log_loss"].mean())
    assert told["drift"] == pytest.approx(told["reference_log_loss"] - told["uncertainty"])
    assert told["share_lapsed"] == pytest.approx(at["n_lapsed"].sum() / at["n_customers"].sum())
    same = tables["periods"].query("companies == 'same' and model == 'bgnbd'")
    assert same["n_companies"].nunique() == 1


def test_lapsed_customers_did_not_buy_in_one_horizon_before_the_cutoff(shops):
    tables, _ = shops
    rows = of_model(tables, "recency")
    assert (rows["n_lapsed"] < rows["n_customers"]).all()
    assert (rows["n_lapsed"] > 0).any()


def test_reliability_curves_rise_and_the_decomposition_adds_up(shops):
    tables, _ = shops
    for model, curve in tables["reliability"].groupby("model"):
        assert curve["probability"].is_monotonic_increasing
        assert curve["recalibrated"].is_monotonic_increasing
        assert (curve["ci_low"] <= curve["recalibrated"] + 1e-3).all()
        assert (curve["ci_high"] >= curve["recalibrated"] - 1e-3).all()
        assert curve["n_customers"].sum() == common(tables, model)["n_customers"].sum()
    parts = tables["decompositions"]
    total = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
    assert total.tolist() == pytest.approx(parts["value"].tolist())
    for _, row in parts.iterrows():
        told = pooled(tables, row["loss"], "row", row["model"], coverage="common")["value"]
        assert row["value"] == pytest.approx(told, rel=0.01)  # probabilities are known to a bin


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


def test_the_tables_are_the_same_bits_on_any_number_of_threads(shops, monkeypatch):
    tables, _ = shops
    evaluations, scores, groups = reduced_from(tables)
    reduced = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("scale_eval.results.reduce.THREADS", threads)
        reduced.append(reduce_tables(evaluations, scores, [], groups))
    for name, table in reduced[0].items():
        assert all(other[name].equals(table) for other in reduced[1:]), name


def test_the_order_of_evaluations_changes_no_bit(shops):
    tables, _ = shops
    evaluations, scores, groups = reduced_from(tables)
    one = reduce_tables(evaluations, scores, [], groups)
    rng = np.random.default_rng(0)
    shuffled = (t.take(rng.permutation(len(t))) for t in (evaluations, scores))
    other = reduce_tables(*shuffled, [], groups)
    for name, table in one.items():
        assert other[name].equals(table), name
