"""A run answers what is asked most often: figures, pairs, companies, predictions."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import scale_eval as se
from scale_eval.execution import recompute
from scale_eval.report.comparison import Comparison
from scale_eval.report.leaderboard import Leaderboard
from scale_eval.report.names import short_names
from scale_eval.report.wording import metric_label, reason
from scale_eval.results.tables import TABLES
from tests.support import models
from tests.support.companies import dataset_of, frame_of, shop

MODELS = ["rfm_logistic", "bgnbd", models.RandomForest, models.OneForAll]


@se.metric(margin=0.01)
def sold(outcomes, probabilities, future_spend):
    """What the customers with a high probability spend, on average."""
    return float(np.mean(future_spend * (probabilities > 0.3)))


@pytest.fixture(scope="module")
def run(shops, client, tmp_path_factory):
    """A finished run, which nobody may change."""
    place = tmp_path_factory.mktemp("run") / "run"
    return se.evaluate(
        shops, MODELS, out=place, client=client, last=2, metrics=[sold], progress=False
    )


@pytest.fixture
def copied(run, tmp_path):
    """A copy of it, in which a test may write."""
    shutil.copytree(run.path, tmp_path / "run")
    return se.open_run(tmp_path / "run")


# Figures


@pytest.mark.parametrize("estimand", ["equal_company", "row"])
@pytest.mark.parametrize("coverage", ["common", "own"])
def test_figures_of_a_metric_are_the_rows_of_pooled_one_a_model_best_first(run, estimand, coverage):
    figures = run.figures("log_loss", estimand=estimand, coverage=coverage)
    assert list(figures.index) == run.findings.models
    pooled = run.pooled[run.pooled["cutoff"].isna() & (run.pooled["metric"] == "log_loss")]
    pooled = pooled[(pooled["estimand"] == estimand) & (pooled["coverage"] == coverage)]
    for row in pooled.to_dict("records"):
        mine = figures.loc[row["model"]]
        for name in ("value", "ci_low", "ci_high", "n_companies", "prediction_low"):
            assert mine[name] == row[name] or (pd.isna(mine[name]) and pd.isna(row[name]))
    documented = {column.name for column in TABLES["pooled"].columns}
    assert set(figures.columns) | {"model"} <= documented


@pytest.mark.parametrize("name", ["AUC", "auc", "ROC-AUC"])
def test_figures_of_a_metric_are_found_by_its_label_in_any_case(run, name):
    assert run.figures(name).equals(run.figures("roc_auc"))


def test_without_a_metric_figures_have_a_row_a_metric_and_model(run):
    figures = run.figures()
    assert list(figures.index.names) == ["metric", "model"]
    assert list(dict.fromkeys(figures.index.get_level_values("metric"))) == run.findings.metrics
    assert figures.loc["sold"].equals(run.figures("sold"))
    assert len(figures) == len(run.findings.metrics) * len(run.findings.models)


def test_the_leaderboard_is_numbers_that_show_themselves_with_intervals(run):
    board = run.leaderboard()
    assert list(board.index) == run.findings.models
    for metric in ("log_loss", "log_loss_skill", "roc_auc", "observed_expected_ratio", "sold"):
        figures = run.figures(metric)
        for column, end in (("value", ""), ("ci_low", "_ci_low"), ("ci_high", "_ci_high")):
            assert board[f"{metric}{end}"].equals(figures[column].rename(f"{metric}{end}"))
    assert set(board.dtypes.astype(str)) == {"float64", "int64"}
    names = short_names(board.index)
    for text in (repr(board), board._repr_html_()):
        assert all(names[model] in text for model in board.index)
        assert "Each of three companies counts once" in text
    lines = repr(board).splitlines()
    assert max(map(len, lines)) <= 80
    best = f"{board['roc_auc'].iloc[0]:.3f}".lstrip("0")
    assert best in repr(board)
    assert "…" not in repr(board)


def test_what_is_taken_from_a_leaderboard_is_of_pandas_alone(run):
    board = run.leaderboard()
    for part in (board.head(2), board[["log_loss"]], board.sort_values("roc_auc"), board + 1):
        assert type(part) is pd.DataFrame
    del board["roc_auc_ci_low"]
    assert "AUC" not in repr(board)
    del board["n_companies"]
    assert repr(board) == repr(pd.DataFrame(board))  # no longer a leaderboard
    again = pickle.loads(pickle.dumps(run.leaderboard()))
    assert repr(again) == repr(run.leaderboard())


# Pairs


def test_a_pair_has_the_numbers_of_comparisons_whatever_the_order(run):
    table = run.comparisons[run.comparisons["estimand"] == "equal_company"]
    table = table[table["stratum"] == "all"].set_index(["model_a", "model_b", "metric"])
    here, there = run.compare("bgnbd", "rfm_logistic"), run.compare("rfm_logistic", "bgnbd")
    assert list(here.index) == list(there.index) == run.findings.metrics
    for metric in here.index:
        row = table.loc["bgnbd", "rfm_logistic", metric]
        for name in set(here) & set(table):
            assert pd.isna(row[name]) or here.loc[metric, name] == row[name], name
        for name in ("mean_difference", "mean_win", "mean_loss"):
            other = {"mean_win": "mean_loss", "mean_loss": "mean_win"}.get(name, name)
            assert np.isclose(here.loc[metric, name], -there.loc[metric, other], equal_nan=True)
        for low, high in (("ci_low", "ci_high"), ("prediction_low", "prediction_high")):
            assert np.isclose(here.loc[metric, low], -there.loc[metric, high], equal_nan=True)
            assert np.isclose(here.loc[metric, high], -there.loc[metric, low], equal_nan=True)
        assert here.loc[metric, "wins"] == there.loc[metric, "losses"]
        assert here.loc[metric, "losses"] == there.loc[metric, "wins"]
        by_margin = [f"probability_{m}_better_by_margin" for m in "ab"]
        assert np.isclose(here.loc[metric, by_margin[0]], there.loc[metric, by_margin[1]],
                          equal_nan=True)  # fmt: skip
        better = [pair.loc[metric, "probability_a_better"] for pair in (here, there)]
        assert np.isclose(sum(better), 1) or np.isnan(better).all()
        same = ["margin", "n_companies", "equivalent", "mean_p_value", "std_error", "better"]
        for name in same:
            a, b = here.loc[metric, name], there.loc[metric, name]
            assert (pd.isna(a) and pd.isna(b)) or a == b, name


def test_the_better_of_a_pair_has_the_better_figure(run):
    pair = run.compare("random", "base_rate")
    board = run.figures()["value"]
    for metric, row in pair.iterrows():
        assert row["value_a"] == board[metric, "random"] or pd.isna(row["value_a"])
        if row["better"] == "" or run.findings.better(metric) == "target":
            continue
        sign = 1 if run.findings.better(metric) == "higher" else -1
        ahead = "random" if sign * (row["value_a"] - row["value_b"]) > 0 else "base_rate"
        assert row["better"] == ahead, metric
    assert pair.loc["log_loss", "better"] == "base_rate"
    assert pair.loc["log_loss", "in_words"] == "worse here"


@pytest.mark.parametrize(("a", "b"), [("bgnbd", "rfm_logistic"), ("random", "base_rate")])
def test_no_model_is_called_better_for_a_difference_within_the_margin_or_chance(run, a, b):
    pair = run.compare(a, b)
    assert (pair["better"] == "").any()
    for metric, row in pair.iterrows():
        whole = run.findings.pair(metric, a, b)
        if whole is None:
            assert row["better"] == ""
            assert row["in_words"] == reason(row["reason"])
            continue
        low, high = whole.by_chance()  # of three companies
        surely = whole.better_by > whole.margin if low > 0 else -whole.better_by > whole.margin
        sure = surely and (low > 0 or high < 0)
        sure &= max(-low, high) >= whole.margin
        assert (row["better"] != "") == sure, metric


def test_a_pair_says_which_differences_are_of_distances_from_a_target(run):
    pair = run.compare("bgnbd", "rfm_logistic")
    assert "distances from the target" in pair.caption()
    assert metric_label("observed_expected_ratio") in pair.caption()
    assert (
        "distances"
        not in Comparison(pair.drop(index=pair.index[pair["direction"] == "target"])).caption()
    )


def test_a_pair_shows_itself_and_bends_to_80_characters(run):
    pair = run.compare("one_for_all", "bgnbd")
    assert max(map(len, repr(pair).splitlines())) <= 80
    assert "win:tie:loss" in repr(pair)
    html = pair._repr_html_()
    assert html.count("<tr>") == 1 + len(pair)  # and the header
    assert all(words in html for words in ("margin", "equivalent", "three companies"))
    assert type(pair[["wins"]]) is pd.DataFrame


def test_a_pair_over_all_customers_or_at_companies_of_one_size(run):
    pair = run.compare("bgnbd", "recency", estimand="row")
    assert pair["wins"].isna().all()
    assert "win:tie:loss |" not in repr(pair)
    small = run.compare("bgnbd", "recency", stratum=run.findings.strata[0])
    assert small["value_a"].isna().all()
    assert small["n_companies"].max() < 4


# Companies


def test_a_company_has_its_windows_models_and_figures(run):
    big = run.company("big")
    rows = run.evaluations.query("company_id == 'big'")
    assert len(big.evaluations) == len(rows)
    assert list(big.windows["cutoff"]) == sorted(set(rows["cutoff"]))
    first = rows[rows["cutoff"] == big.windows["cutoff"].iloc[0]].iloc[0]
    for name in ("horizon_end", "n_customers", "n_positive", "observed_rate", "future_spend"):
        assert big.windows[name].iloc[0] == first[name]
    assert big.windows["n_ok"].tolist() == [len(big.models)] * 2
    table = run.companies.query("company_id == 'big'").set_index(["metric", "model", "coverage"])
    assert len(table) == len(big.figures)
    for (metric, model, coverage), row in table.iterrows():
        if coverage == "common":
            assert big.models.loc[model, metric] == row["mean"] or pd.isna(row["mean"])
        assert big.figures.loc[(metric, model, coverage), "n_defined"] == row["n_defined"]
    assert big.models["log_loss"].is_monotonic_increasing


def test_a_company_that_was_refused_says_why(run):
    young = run.company("young")
    assert young.windows["n_ok"].tolist() == [0]
    assert "skipped no_whole_window: " in young.windows["not_ok"].item()
    assert "bgnbd" in young.windows["not_ok"].item()
    assert "no_whole_window" in young._repr_html_()
    assert repr(young).startswith("CompanyResults('young', no windows")


# Predictions


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("base_rate", "base_rate"),
        ("rfm_logistic", "rfm_logistic"),
        ("bgnbd", "bgnbd"),
        (models.RandomForest, "random"),
        (models.OneForAll(), "one_for_all"),
    ],
)
def test_predictions_are_those_of_the_run_to_the_last_digits(run, shops, model, name):
    states = random.getstate(), np.random.get_state()[1].tolist()
    predictions = run.predictions(model, trust=name == "one_for_all")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert list(predictions) == list(recompute.COLUMNS)
    rows = run.evaluations.query("model == @name and status == 'ok'")
    assert len(predictions) == rows["n_customers"].sum()
    for row in rows.to_dict("records"):
        mine = predictions.query("company_id == @row['company_id'] and cutoff == @row['cutoff']")
        assert mine["customer_id"].is_monotonic_increasing
        assert mine["bought"].sum() == row["n_positive"]
        assert mine["spend"].sum() == pytest.approx(row["future_spend"], rel=1e-12)
        p = mine["probability"].to_numpy()
        if row["n_clipped"] == 0:
            expected = log_loss(mine["bought"], p, labels=[False, True])
            assert row["log_loss"] == pytest.approx(expected, rel=1e-14)
        assert row["mean_prediction"] == pytest.approx(p.mean(), rel=1e-14)
        if 0 < row["n_positive"] < row["n_customers"]:
            assert row["roc_auc"] == pytest.approx(roc_auc_score(mine["bought"], p), rel=1e-14)
    alone = run.predictions(model, "middle", trust=name == "one_for_all")
    whole = predictions[predictions["company_id"] == "middle"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, whole, check_exact=True)


def test_predictions_of_several_companies_and_of_one_without_a_window(run):
    two = run.predictions("recency", ["small", "middle"])
    assert set(two["company_id"]) == {"small", "middle"}
    none = run.predictions("recency", "young")
    assert len(none) == 0
    assert list(none) == list(recompute.COLUMNS)


def test_a_model_that_cannot_be_made_again_or_has_changed_says_so(run, copied):
    with pytest.raises(ValueError, match=r"model 'random' .* cannot be made here .*give the model"):
        run.predictions("random")
    document = copied.directory.document
    document["models"]["bgnbd"]["source"] = "0"
    copied.directory.record(models=document["models"])
    with pytest.raises(ValueError, match=r"'bgnbd' has changed since .*source differ"):
        copied.predictions("bgnbd")
    with pytest.raises(ValueError, match="has no model 'constant'"):
        run.predictions(models.Constant)


def test_a_dataset_that_moved_or_changed_says_so(copied, shops, tmp_path):
    moved = shutil.copytree(shops.store.root, tmp_path / "moved")
    copied.directory.record(dataset=str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=r"is not at .*gone; say where .*dataset="):
        copied.predictions("recency")
    assert len(copied.predictions("recency", "small", dataset=moved)) > 0
    other = dataset_of([shop("big", 30, seed=3)], tmp_path / "other")
    with pytest.raises(ValueError, match="holds other data"):
        copied.predictions("recency", dataset=other)


def test_predictions_that_differ_from_the_run_are_warned_of(copied):
    original = recompute._compare

    def moved(rows, again, model):
        original(rows.assign(log_loss=rows["log_loss"] * (1 + 1e-6)), again, model)

    with pytest.MonkeyPatch.context() as patch, pytest.warns(RuntimeWarning, match="otherwise"):
        patch.setattr(recompute, "_compare", moved)
        copied.predictions("recency", "small")


# Names


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.figures("log_los"), "no metric 'log_los'; did you mean 'log_loss'"),
        (
            lambda run: run.figures("sold", estimand="rows"),
            "no estimand 'rows'; did you mean 'row'",
        ),
        (lambda run: run.figures(coverage="commn"), "did you mean 'common'"),
        (lambda run: run.figures("log_loss", estimand="within_company"), "log_loss has no figures"),
        (lambda run: run.compare("bgnbd", "recent"), "no model 'recent'; did you mean 'recency'"),
        (lambda run: run.compare("bgnbd", "xyzzy"), "no model 'xyzzy'; there are "),
        (lambda run: run.compare("bgnbd", "bgnbd"), "compared with itself"),
        (lambda run: run.compare("bgnbd", "recency", stratum="big"), "no stratum 'big'"),
        (lambda run: run.company(3), r"a company is named by text, not by 3 \(int\): write '3'"),
        (lambda run: run.predictions("recency", 3), "a company is named by text, not by 3"),
        (lambda run: run.figures(["AUC"]), r"a metric is named by text, not by \['AUC'\] \(list"),
        (lambda run: run.figures(estimand=None), "an estimand is named by text, not by None"),
        (lambda run: run.plot_rates(None), "a model is named by text, not by None"),
        (lambda run: run.plot_rates("recencyy"), "no model 'recencyy'; did you mean 'recency'"),
        (lambda run: run.plot_spread(None), "a metric is named by text, not by None"),
        (lambda run: run.company("bigg"), "no company 'bigg' .*; did you mean 'big'"),
        (lambda run: run.predictions("bgnbd", "bigg"), "no company 'bigg' .*; did you mean 'big'"),
        (lambda run: run.predictions("bgnb"), "no model 'bgnb'; did you mean 'bgnbd'"),
        (lambda run: run.plot_funnel("bgnb"), "no model 'bgnb'; did you mean 'bgnbd'"),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_with_the_nearest_one(run, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(run)


@pytest.mark.slow
def test_names_that_look_like_markup_are_escaped_wherever_they_are_shown(client, tmp_path):
    odd = "<b>$x$</b>"
    dataset = dataset_of([shop(odd, 40, seed=1), shop("other", 40, seed=2)], tmp_path / "data")

    class Loud(models.Constant):
        name = "<i>loud</i>"

    run = se.evaluate(
        dataset, [Loud()], out=tmp_path / "run", client=client, last=1, progress=False
    )
    history = se.History(dataset.read(odd), run_window(run))
    shown = {
        "dataset": dataset,
        "preview": se.preview(dataset, [Loud()]),
        "history": history,
        "company": run.company(odd),
        "leaderboard": run.leaderboard(),
        "pair": run.compare(Loud.name, "recency"),
        "run": run,
    }
    for name, thing in shown.items():
        html = thing._repr_html_()
        assert "<b>$" not in html, name
        assert "<i>loud" not in html, name
        assert len(html) < 20_000
    for name in ("dataset", "preview", "history", "company"):
        assert "&lt;b&gt;$x$&lt;/b&gt;" in shown[name]._repr_html_(), name
    assert "<i>loud</i>" in repr(run.leaderboard())


def run_window(run):
    from scale_eval.evaluation.windows import Window

    return Window.at(run.evaluations["cutoff"].max())


def test_a_dataset_a_preview_and_a_history_show_what_they_hold(shops, run):
    assert "5 companies" in shops._repr_html_()
    seen = se.preview(shops, last=2)
    html = seen._repr_html_()
    assert f"{seen.plan.n_planned:,} evaluations" in html
    assert "no_whole_window" in html
    history = se.History(shops.read("big"), run_window(run))
    html = history._repr_html_()
    assert f"customers: {history.n_customers:,}" in html
    assert f"The first 10 of {history.n_customers:,} customers." in html
    assert history.customers[0] in html
    frame = history.summary.to_frame()
    mine = frame_of(shops.read("big"))
    mine = mine[(mine["timestamp"] < history.cutoff) & (mine["value"] >= 0)]
    last = mine.groupby("customer_id")["timestamp"].max()
    assert frame["last_purchase"].tolist() == last.loc[history.customers].tolist()


def test_many_companies_are_shown_by_their_first(tmp_path):
    many = dataset_of([shop(f"s{i:02}", 11, seed=i) for i in range(12)], tmp_path)
    assert "The first 10 of 12 companies." in many._repr_html_()
    assert "The first 10 of 12 companies." in se.preview(many)._repr_html_()


def test_a_run_directory_is_not_touched_by_reading_it(run):
    before = json.dumps(run.directory.document, sort_keys=True)
    run.predictions("recency", "small")
    run.company("small")
    assert json.dumps(se.open_run(run.path).document, sort_keys=True) == before


def test_a_run_that_compares_nothing_has_an_empty_leaderboard_and_comparison():
    nothing = SimpleNamespace(
        metrics=[],
        own_metrics=[],
        models=[],
        primary="log_loss",
        comparisons=pd.DataFrame(columns=TABLES["comparisons"].schema.names),
    )
    board = Leaderboard.of(nothing)
    assert len(board) == 0
    assert "no company" in repr(board)
    pair = Comparison.of(nothing, "a", "b", "row", "all")
    assert len(pair) == 0
    assert "not compared" in repr(pair)
    assert "not compared" in pair._repr_html_()
