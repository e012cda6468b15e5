"""One evaluation: the row it gives, and what becomes of models that misbehave."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import scale_eval as se
from scale_eval.datasets.instants import Duration, as_utc
from scale_eval.evaluation import schema
from scale_eval.evaluation.company_windows import windows_of_companies
from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies, evaluate_one
from scale_eval.evaluation.histograms import ScoreCounts
from scale_eval.evaluation.random_state import random_state
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.evaluation.windows import Window
from scale_eval.metrics import METRICS, Metric, user_metric
from scale_eval.models import resolve
from scale_eval.storage.columns import NUMBER, Column
from tests.support import models as bad
from tests.support.built_in import NAMES
from tests.support.companies import shop

WINDOW = Window.at(as_utc("2019-12-01"))
COMPANY = shop("shop", 80, seed=5)


def share_right(scores):
    return float(((scores.probabilities >= 0.5) == scores.outcomes).mean())


def row_of(model, company=COMPANY, rules: Rules | None = None):
    return evaluate_one(company, WINDOW, resolve(model), rules or Rules()).row


@pytest.mark.parametrize("name", NAMES)
def test_every_model_that_comes_with_the_project_gives_a_row_of_the_schema(name):
    row = row_of(name)
    assert row["status"] == "ok", row
    assert set(row) <= set(evaluations_schema().names)
    missing = {metric for metric in METRICS if row[metric] is None}
    undefined = {entry.partition(":")[0] for entry in row["undefined"].split(";")}
    assert missing <= undefined


def test_the_row_agrees_with_scikit_learn_on_the_predictions():
    evaluation = evaluate_one(COMPANY, WINDOW, resolve("bgnbd"), Rules())
    y, p = evaluation.predictions["bought"], evaluation.predictions["probability"]
    assert evaluation.row["roc_auc"] == pytest.approx(roc_auc_score(y, p))
    assert evaluation.row["log_loss"] == pytest.approx(log_loss(y, p))
    assert evaluation.row["n_positive"] == y.sum()
    assert evaluation.row["mean_prediction"] == pytest.approx(p.mean())


def test_skill_is_against_the_base_rate_known_at_the_cutoff():
    reference, model = row_of("base_rate"), row_of("bgnbd")
    assert reference["log_loss_skill"] == 0.0
    assert model["reference_log_loss"] == reference["log_loss"]
    for skill, loss in (("log_loss_skill", "log_loss"), ("brier_skill", "brier_score")):
        assert model[skill] == pytest.approx(1 - model[loss] / reference[loss])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (bad.Raises, "exception:ZeroDivisionError"),
        (bad.Exits, "exception:SystemExit"),
        (bad.Mute, "exception:WordlessError"),
        (bad.OddWords, "exception:ValueError"),
        (bad.CannotBeCopied, "exception:RuntimeError"),
        (bad.TooShort, "wrong_length"),
        (bad.NotANumber, "not_a_number"),
        (bad.Outside, "outside_0_1"),
        (bad.TwoColumns, "wrong_shape"),
        (bad.Words, "not_numeric"),
        (bad.WrongOrder, "wrong_order"),
        (bad.OthersCustomers, "wrong_customers"),
    ],
)
def test_wrong_output_is_an_error_row_that_says_which(model, reason):
    row = row_of(model)
    assert (row["status"], row["reason"]) == ("error", reason)
    assert row["note"]
    assert row["log_loss"] is None
    assert row["n_customers"] > 0


def test_the_note_of_an_error_names_the_place_and_no_address_in_memory():
    row = row_of(bad.Raises)
    assert "models.py" in row["note"]
    assert "0x>" in row["note"]
    assert row_of(bad.Raises)["note"] == row["note"]


def test_a_series_in_the_order_of_the_customers_is_taken_as_an_array_is():
    class InASeries(bad.Constant):
        def predict_proba(self, history):
            return pd.Series(0.25, index=history.customers)

    plain, labelled = row_of(bad.Constant), row_of(InASeries)
    assert labelled["log_loss"] == plain["log_loss"]


def test_a_population_of_nobody_is_skipped_with_the_reason():
    row = evaluate_one(COMPANY, Window.at(as_utc("2010-01-01")), resolve("recency"), Rules()).row
    assert (row["status"], row["reason"]) == ("skipped", "no_customers")


def test_without_a_past_to_take_a_base_rate_from_skill_has_no_reference():
    company = shop("few", 6, seed=1)
    row = row_of("recency", company)
    assert row["status"] == "ok"
    assert row["log_loss_skill"] is None
    assert "log_loss_skill:no_reference" in row["undefined"]
    skipped = row_of("base_rate", company)
    assert (skipped["status"], skipped["reason"]) == ("skipped", "history_too_short")


def test_a_model_cannot_change_what_it_is_scored_on():
    class Vandal(bad.Constant):
        def fit(self, history):
            super().fit(history)
            history.values.flags.writeable = True
            history.values[:] = -1.0
            history.customers[:] = "x"
            history.timestamps.flags.writeable = True
            history.timestamps[:] = 0
            history.cutoff = as_utc("2000-01-01")

    before = row_of(bad.Constant)
    after = row_of(Vandal)
    again = row_of(bad.Constant)
    for column in ("log_loss", "n_positive", "n_customers", "roc_auc", "log_loss_skill"):
        assert before[column] == after[column] == again[column]


def test_a_models_prototype_is_never_fitted():
    model = resolve(bad.Constant)
    pristine = copy.deepcopy(vars(model.prototype))
    evaluate_one(COMPANY, WINDOW, model, Rules())
    assert vars(model.prototype) == pristine


def test_randomness_depends_on_seed_company_cutoff_and_model_alone():
    same = [row_of(bad.RandomForest)["log_loss"] for _ in range(2)]
    np.random.seed(99)
    assert row_of(bad.RandomForest)["log_loss"] == same[0] == same[1]
    assert row_of(bad.RandomForest, rules=Rules(seed=1))["log_loss"] != same[0]
    states = {
        random_state(seed, company, window, model)
        for seed in (0, 1)
        for company in ("a", "b")
        for window in (WINDOW, Window.at(as_utc("2019-06-01")))
        for model in ("m", "n")
    }
    assert len(states) == 16


def test_a_built_in_metric_without_a_compiled_twin_is_computed_by_its_function(monkeypatch):
    plain = Metric("share_right", share_right, "higher", margin=0)
    monkeypatch.setattr("scale_eval.evaluation.rules.PLAIN", (plain,))
    monkeypatch.setattr("scale_eval.evaluation.rows.PLAIN", (plain,))
    columns = (*schema.EVALUATION_COLUMNS, Column("share_right", NUMBER, "A metric."))
    monkeypatch.setattr(schema, "EVALUATION_COLUMNS", columns)
    evaluation = evaluate_one(
        COMPANY, WINDOW, resolve("bgnbd"), Rules(metrics=(user_metric(bad.hits),))
    )
    y, p = evaluation.predictions["bought"], evaluation.predictions["probability"]
    assert evaluation.row["share_right"] == ((p >= 0.5) == y).mean()
    assert evaluation.row["hits"] is not None
    failed = row_of(bad.Raises)
    assert failed["status"] == "error" and failed["share_right"] is None


def test_a_metric_of_the_user_is_a_column_and_its_failure_leaves_the_others():
    def broken(outcomes, probabilities, future_spend):
        raise KeyError("oh")

    rules = Rules(metrics=(user_metric(bad.hits), user_metric(broken)))
    row = row_of(bad.Constant, rules=rules)
    assert row["hits"] == pytest.approx(1 - row["observed_rate"])
    assert row["broken"] is None
    assert "broken:exception:KeyError" in row["undefined"]
    assert row["log_loss"] is not None


def groups_of(company, evaluation):
    known = dict(zip(company.customers.to_pylist(), company.customer_groups, strict=True))
    return np.array([known[customer] for customer in evaluation.predictions["customer_id"]])


def test_a_metric_of_the_user_keeps_the_influence_of_groups_of_customers():
    calls = []

    def furthest(outcomes, probabilities, future_spend):
        calls.append(len(outcomes))
        return np.abs(outcomes - probabilities).max()

    rules = Rules(metrics=(user_metric(bad.hits), user_metric(furthest)))
    evaluation = evaluate_one(COMPANY, WINDOW, resolve("bgnbd"), rules)
    row, groups = evaluation.row, groups_of(COMPANY, evaluation)
    y, p = (evaluation.predictions[name].to_numpy() for name in ("bought", "probability"))
    right = (p >= 0.5) == y
    mean = np.bincount(groups, (right - right.mean()) / len(y), 16)
    assert row["hits_influence"] == pytest.approx(mean, rel=1e-6, abs=1e-9)
    sizes = np.bincount(groups, minlength=16)
    assert calls == [len(y), *(len(y) - sizes[sizes > 0])]
    without = np.array([np.abs(y - p)[groups != g].max() for g in range(16)])
    moved = (1 - sizes / len(y)) * (np.abs(y - p).max() - without)
    moved -= sizes / len(y) * moved.sum()
    assert row["furthest_influence"] == pytest.approx(moved, rel=1e-6, abs=1e-9)
    assert row["undefined"] == ""


def test_a_metric_that_fails_without_a_group_of_customers_says_so_and_stays():
    def of_all(outcomes, probabilities, future_spend):
        if len(outcomes) < whole:
            raise se.Undefined("some_are_missing")
        return float(outcomes.mean())

    def broken(outcomes, probabilities, future_spend):
        assert len(outcomes) == whole, "too few"
        return 1.0

    whole = row_of(bad.Constant)["n_customers"]
    row = row_of(bad.Constant, rules=Rules(metrics=(user_metric(of_all), user_metric(broken))))
    assert row["of_all"] == pytest.approx(row["observed_rate"]) and row["broken"] == 1
    assert row["of_all_influence"] is None and row["broken_influence"] is None
    assert "of_all_influence:some_are_missing" in row["undefined"].split(";")
    assert "broken_influence:exception:AssertionError too few" in row["undefined"]


def test_warnings_of_a_model_stand_in_the_note():
    class Warns(bad.Constant):
        def fit(self, history):
            import warnings

            super().fit(history)
            warnings.warn("hm", RuntimeWarning, stacklevel=1)

    assert row_of(Warns)["note"] == "warned RuntimeWarning"


def test_a_shorter_horizon_asks_another_question():
    window = Window.at(as_utc("2019-12-01"), Duration(days=30))
    rules = Rules(horizon=Duration(days=30))
    short = evaluate_one(COMPANY, window, resolve("bgnbd"), rules).row
    assert short["observed_rate"] < row_of("bgnbd")["observed_rate"]
    assert short["mean_prediction"] < row_of("bgnbd")["mean_prediction"]


# docs/reference: "Numbers on real data" and "Influence by customer group".
def test_the_numbers_on_three_real_companies_are_those_of_independent_code(klaviyo):
    from scale_eval.datasets import Transactions

    window = Window.at(as_utc("2017-12-01"))
    expected = [
        (11036, 849, 0.6755, 0.6706),
        (6431, 892, 0.6013, 0.5748),
        (4344, 762, 0.6327, 0.6633),
    ]
    for file, (n, positive, recency, frequency) in zip(klaviyo, expected, strict=True):
        frame = pd.read_csv(file, dtype={"CustomerID": str})
        frame.columns = ["customer_id", "timestamp", "value"]
        company = Transactions.from_frame(file.stem, frame)
        rules = Rules(purchase_rule="all")
        row = evaluate_one(company, window, resolve("recency"), rules).row
        assert (row["n_customers"], row["n_positive"]) == (n, positive)
        assert row["roc_auc"] == pytest.approx(recency, abs=5e-5)
        other = evaluate_one(company, window, resolve("frequency"), rules).row
        assert other["roc_auc"] == pytest.approx(frequency, abs=5e-5)


def test_influence_sums_give_the_variance_of_a_mean_over_cutoffs(klaviyo):
    from scale_eval.datasets import Transactions

    frame = pd.read_csv(klaviyo[0], dtype={"CustomerID": str})
    frame.columns = ["customer_id", "timestamp", "value"]
    company = Transactions.from_frame("one", frame)
    cutoffs = pd.date_range("2014-12-01", "2017-12-01", freq="6MS", tz="UTC")
    rows = [
        evaluate_one(
            company, Window.at(as_utc(c)), resolve("recency"), Rules(purchase_rule="all")
        ).row
        for c in cutoffs
    ]
    auc = np.array([row["roc_auc"] for row in rows])
    assert len(auc) == 7
    assert auc.mean() == pytest.approx(0.603051, abs=5e-7)
    assert auc.std(ddof=1) == pytest.approx(0.037609, abs=5e-7)
    influence = np.array([row["roc_auc_influence"] for row in rows])
    clustered = np.sqrt((influence.mean(axis=0) ** 2).sum())
    independent = np.sqrt(sum(row["roc_auc_se"] ** 2 for row in rows)) / 7
    assert independent == pytest.approx(0.00526, abs=2e-5)
    assert clustered == pytest.approx(0.00575, rel=0.35)  # 16 groups: a noisy estimate of it


# docs/reference/statistics.md, "Ageing of the population".
def test_the_rate_of_a_real_company_falls_as_lapsed_customers_pile_up(klaviyo):
    from scale_eval.datasets import Transactions

    frame = pd.read_csv(klaviyo[0], dtype={"CustomerID": str})
    frame.columns = ["customer_id", "timestamp", "value"]
    company = Transactions.from_frame("one", frame)
    rules = Rules(purchase_rule="all")
    cutoffs = pd.date_range("2014-06-01", "2017-12-01", freq="6MS", tz="UTC")
    rows = [
        evaluate_one(company, Window.at(as_utc(c)), resolve("recency"), rules).row for c in cutoffs
    ]
    counts = [(row["n_customers"], row["n_positive"]) for row in rows]
    assert counts == [
        (258, 133),
        (793, 284),
        (1223, 412),
        (1801, 425),
        (2547, 711),
        (4497, 853),
        (8001, 1106),
        (11036, 849),
    ]
    assert [rows[0]["observed_rate"], rows[-1]["observed_rate"]] == pytest.approx(
        [0.516, 0.077], abs=5e-4
    )
    lapsed = [row["n_lapsed"] / row["n_customers"] for row in rows]
    assert lapsed[-1] > lapsed[0]


# docs/reference/statistics.md, "Drift taken for skill": company 1, 2017-12-01, all rows.
def test_the_reference_loss_of_a_real_company_is_uncertainty_and_drift(klaviyo):
    from scale_eval.datasets import Transactions
    from scale_eval.evaluation.schema import evaluations_schema
    from scale_eval.results.panel import Panel
    from scale_eval.results.panel_columns import parts_of
    from scale_eval.results.tables.periods import periods_table

    frame = pd.read_csv(klaviyo[0], dtype={"CustomerID": str})
    frame.columns = ["customer_id", "timestamp", "value"]
    company = Transactions.from_frame("one", frame)
    rules = Rules(purchase_rule="all")
    window = Window.at(as_utc("2017-12-01"))
    row = evaluate_one(company, window, resolve("base_rate"), rules).row
    assert row["mean_prediction"] == pytest.approx((1106 + 0.5) / (8001 + 1))  # the half rule
    assert row["reference_log_loss"] == pytest.approx(0.289579, abs=5e-7)
    row |= {"overlaps": False, "attempts": 1}
    table = pa.Table.from_pylist([row], schema=evaluations_schema())
    period = periods_table(Panel.of(parts_of(table))).to_pylist()[0]
    assert period["uncertainty"] == pytest.approx(0.271207, abs=5e-7)
    plug_in = period["reference_log_loss"] - period["uncertainty"]
    assert plug_in == pytest.approx(0.0184, abs=5e-5)
    assert plug_in - period["drift"] == pytest.approx(1 / (2 * 11_036), rel=0.01)
    assert (period["discrimination"], period["saved"]) == (0, 0)
    assert period["miscalibration"] == pytest.approx(period["drift"])


def test_a_model_that_saves_less_than_the_drift_may_tell_customers_apart(klaviyo):
    from scale_eval.datasets import Transactions
    from scale_eval.evaluation.schema import evaluations_schema
    from scale_eval.results.panel import Panel
    from scale_eval.results.panel_columns import parts_of
    from scale_eval.results.tables.periods import periods_table

    frame = pd.read_csv(klaviyo[0], dtype={"CustomerID": str})
    frame.columns = ["customer_id", "timestamp", "value"]
    company = Transactions.from_frame("one", frame)
    window = Window.at(as_utc("2014-12-01"))
    rows = [
        evaluate_one(company, window, resolve(name), Rules(purchase_rule="all")).row
        | {"overlaps": False, "attempts": 1}
        for name in ("base_rate", "bgnbd")
    ]
    table = pa.Table.from_pylist(rows, schema=evaluations_schema())
    period = periods_table(Panel.of(parts_of(table))).to_pylist()[1]
    told = [period[name] for name in ("saved", "drift", "discrimination", "miscalibration")]
    assert told == pytest.approx([0.006, 0.049, 0.018, 0.061], abs=5e-4)
    assert period["roc_auc"] == pytest.approx(0.605, abs=5e-4)


# docs/reference/statistics.md, "Numbers on real data": zero values are 16 % of company 2's rows.
def test_zero_values_counted_or_not_make_another_population(klaviyo):
    from scale_eval.datasets import Transactions

    frame = pd.read_csv(klaviyo[1], dtype={"CustomerID": str})
    frame.columns = ["customer_id", "timestamp", "value"]
    company = Transactions.from_frame("two", frame)
    window = Window.at(as_utc("2017-12-01"))
    for rule, n, rate in (("all", 6431, 0.1387), ("positive", 5640, 0.1183)):
        row = evaluate_one(company, window, resolve("recency"), Rules(purchase_rule=rule)).row
        assert row["n_customers"] == n
        assert row["observed_rate"] == pytest.approx(rate, abs=5e-5)


def test_a_company_whose_windows_cannot_be_made_is_error_rows_and_no_other_is(monkeypatch):
    def only_of_others(companies, rules):
        if any(company.company_id == "odd" for company, _ in companies):
            raise OverflowError("a time that nobody can count")
        return windows_of_companies(companies, rules)

    monkeypatch.setattr("scale_eval.evaluation.evaluate.windows_of_companies", only_of_others)
    models = [resolve("recency"), resolve("bgnbd")]
    rows, counts = EvaluationRows(6), ScoreCounts()
    companies = [
        LoadedCompany(shop(name, 60, seed=1), [(WINDOW, False)], models)
        for name in ("even", "odd", "other")
    ]
    evaluate_companies(companies, Rules(), rows, counts)
    assert rows.status == ["ok", "ok", "error", "error", "ok", "ok"]
    assert rows.reason[2:4] == ["exception:OverflowError"] * 2
