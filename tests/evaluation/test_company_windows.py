"""Many windows at once: the same as each for itself, whoever is evaluated beside."""

import numpy as np
import pandas as pd
import pytest

from scale_eval.datasets.instants import SIX_MONTHS, Duration, as_utc
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation import evaluate as evaluation
from scale_eval.evaluation.company_windows import windows_of_companies
from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts, score_table
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.reference import base_rates
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import PopulationRules, Rules
from scale_eval.evaluation.training_history import training_history
from scale_eval.evaluation.windows import Window
from scale_eval.models import BGNBD, BaseRate, Frequency, Recency, RidgeLogistic, resolve
from tests.support.companies import shop

WINDOWS = [Window.at(as_utc(day)) for day in ("2018-08-01", "2019-02-01", "2019-08-01")]
OFF_THE_GRID = [Window.at(as_utc(day)) for day in ("2018-09-15", "2019-03-01", "2020-01-01")]
HALF_YEARS = PopulationRules(horizon=SIX_MONTHS)
AT_ONCE = [BaseRate, Recency, Frequency, RidgeLogistic, BGNBD]


def once_each(company_id: str) -> Transactions:
    """Nobody comes twice: one class wherever something could be learnt."""
    days = pd.date_range("2018-01-01", periods=400, freq="D", tz="UTC")
    ids = [f"{i:04}" for i in range(len(days))]
    return Transactions.from_frame(
        company_id, pd.DataFrame({"customer_id": ids, "timestamp": days, "value": 1.0})
    )


def companies() -> list[Transactions]:
    """Old and young ones, large and small, of one class, and of three customers."""
    return [
        shop("large", 300, seed=1),
        shop("tiny", 3, seed=2),
        shop("young", 80, seed=3, first="2019-05-01", days=300),
        once_each("once"),
        shop("middle", 90, seed=4),
    ]


def loaded(windows=WINDOWS, models=("base_rate", "recency", "rfm_logistic", "bgnbd")):
    resolved = [resolve(model) for model in models]
    return [
        LoadedCompany(company, [(window, i > 0) for i, window in enumerate(windows)], resolved, g)
        for g, company in enumerate(companies())
    ]


def evaluated(companies, rules=Rules()) -> tuple[pd.DataFrame, pd.DataFrame]:  # noqa: B008
    n = sum(len(each.windows) * len(each.models) for each in companies)
    rows, counts = EvaluationRows(n, rules.metric_names), ScoreCounts()
    evaluate_companies(companies, rules, rows, counts)
    frame = rows.table().to_pandas()
    unlike = frame.columns.str.endswith("_seconds") | (frame.columns == "evaluated_at")
    return frame.loc[:, ~unlike], score_table([counts.sparse()]).to_pandas()


@pytest.mark.parametrize("kind", AT_ONCE)
@pytest.mark.parametrize("windows", [WINDOWS, OFF_THE_GRID])
@pytest.mark.parametrize("lookback", [None, Duration.parse("1 year")])
def test_a_model_answers_at_once_what_it_answers_at_each_window_bit_for_bit(
    kind, windows, lookback
):
    rules = PopulationRules(lookback=lookback, horizon=SIX_MONTHS)
    company_windows = windows_of_companies([(c, windows) for c in companies()], rules)
    together = kind()
    fitted = together.fit_windows(company_windows.arrays)
    probabilities = np.full(int(company_windows.summaries.start[-1]), np.nan)
    together.predict_windows(company_windows.arrays, fitted, probabilities)
    assert fitted.any()
    for i, window in enumerate(company_windows):
        if window.n_customers == 0:
            continue
        history = window.history("summary")
        try:
            expected = kind().fit(history).predict_proba(history)
        except Skipped:
            assert not fitted[i]
            continue
        assert fitted[i]
        assert probabilities[company_windows.customers(i)].tobytes() == expected.tobytes()


def test_references_are_what_the_base_rate_gives_and_none_where_it_declines():
    windows = windows_of_companies([(company, OFF_THE_GRID) for company in companies()], HALF_YEARS)
    references = base_rates(windows.arrays)
    declined = 0
    for window, reference in zip(windows, references, strict=True):
        try:
            assert BaseRate().fit(window.history()).rate_ == reference
        except Skipped:
            assert np.isnan(reference)
            declined += 1
    assert 0 < declined < len(windows)


@pytest.mark.parametrize("together", [1, 700, 10**9])
@pytest.mark.parametrize("windows", [WINDOWS, OFF_THE_GRID])
def test_companies_evaluated_together_are_as_each_alone(together, windows, monkeypatch):
    models = ("base_rate", "recency", "frequency", "rfm_logistic", "bgnbd")
    several = loaded(windows, models)
    alone = [evaluated([each]) for each in several]
    monkeypatch.setattr(evaluation, "MAX_TOGETHER", together)
    rows, scores = evaluated(several)
    expected = pd.concat([rows for rows, _ in alone], ignore_index=True)
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)
    each = pd.concat([scores for _, scores in alone]).sort_values([*scores.columns[:5]])
    by_key = scores.sort_values([*scores.columns[:5]])
    pd.testing.assert_frame_equal(
        by_key.reset_index(drop=True), each.reset_index(drop=True), check_exact=True
    )
    assert set(rows["status"]) == {"ok", "skipped"}


def test_what_happens_after_a_cutoff_does_not_change_answers_at_it_or_before():
    for last in WINDOWS:
        before = [w for w in WINDOWS if w.cutoff_us <= last.cutoff_us]
        given, poisoned = [], []
        for company in companies():
            frame = pd.DataFrame(
                {
                    "customer_id": company.customers.to_numpy(zero_copy_only=False)[company.codes],
                    "timestamp": pd.to_datetime(company.timestamps, unit="us", utc=True),
                    "value": company.values,
                }
            )
            frame.loc[frame["timestamp"] >= last.cutoff, "value"] = 1e6
            late = frame[frame["timestamp"] >= last.cutoff].assign(customer_id="nobody yet")
            other = Transactions.from_frame(company.company_id, pd.concat([frame, late, late]))
            given.append((company, before))
            poisoned.append((other, before))
        for kind in AT_ONCE:
            answers = []
            for several in (given, poisoned):
                windows = windows_of_companies(several, HALF_YEARS)
                model = kind()
                fitted = model.fit_windows(windows.arrays)
                probabilities = np.full(int(windows.summaries.start[-1]), np.nan)
                model.predict_windows(windows.arrays, fitted, probabilities)
                answers.append(
                    [
                        probabilities[windows.customers(i)].tobytes() if ok else b""
                        for i, ok in enumerate(fitted)
                    ]
                )
            assert answers[0] == answers[1]


def test_a_model_of_the_users_is_never_asked_at_once_even_where_it_could_answer():
    class Own(BGNBD):
        """Of the user's: its `fit` may do anything."""

    assert resolve("bgnbd").fits_windows
    assert not resolve(Own).fits_windows


@pytest.mark.parametrize("name", ["global_rfm_logistic", "global_rfm_gradient_boosting"])
def test_one_model_of_all_companies_predicts_for_many_at_once_what_it_predicts_for_each(name):
    model = resolve(name)
    assert model.predicts_many
    windows = windows_of_companies([(c, [WINDOWS[-1]]) for c in companies()], HALF_YEARS)
    histories = [window.history(model.reads) for window in windows if window.n_customers]
    fitted = model.fresh().fit(
        [training_history(c, WINDOWS[-1], HALF_YEARS, model.reads) for c in companies()]
    )
    for together, history in zip(fitted.predict_many(histories), histories, strict=True):
        assert together.tobytes() == fitted.predict_proba(history).tobytes()


class SometimesMany:
    """One model of all companies that predicts for several at once, unless `fails` says how."""

    name, scope, reads, draws = "several", "all", "summary", False
    fails = ""

    def fit(self, histories):
        return self

    def predict_proba(self, history):
        if history.n_customers < 100:
            raise Skipped("too_small")
        return np.full(history.n_customers, 0.25)

    def predict_many(self, histories):
        if self.fails == "raises":
            raise RuntimeError("not today")
        answers = [np.full(history.n_customers, 0.25) for history in histories]
        if self.fails == "warns":
            import warnings

            warnings.warn("odd", UserWarning, stacklevel=1)
        return {"short": answers[:-1], "nan": [a * np.nan for a in answers]}.get(
            self.fails, answers
        )


@pytest.mark.parametrize("fails", ["raises", "warns", "short", "nan"])
def test_what_goes_wrong_with_many_is_asked_again_of_each_alone(fails, monkeypatch):
    monkeypatch.setattr(SometimesMany, "fails", fails)
    model = SometimesMany()
    rows, counts = EvaluationRows(100), ScoreCounts()
    evaluate_companies(
        loaded([WINDOWS[-1]], [model]), Rules(), rows, counts, fitted=lambda *_: model
    )
    table = rows.table().to_pandas().set_index("company_id")
    assert table.loc["large", "status"] == "ok"
    assert set(table.loc[["tiny", "middle"], "reason"]) == {"too_small"}


def test_why_a_window_is_not_asked_for_is_said_whatever_models_train_on():
    frame = pd.DataFrame(
        {
            "customer_id": [f"{i % 40:02}" for i in range(400)],
            "timestamp": pd.date_range("2019-01-01", periods=400, freq="D", tz="UTC"),
            "value": 1.0,
        }
    )
    frame.loc[390, "value"] = 1e300
    company = Transactions.from_frame("shop", frame)
    # Two windows, with pasts shorter than two horizons; the spend is in the second alone.
    windows = [(Window.at(as_utc(day)), False) for day in ("2019-07-01", "2019-09-01")]
    models = [resolve(model) for model in ("base_rate", "rfm_logistic", "bgnbd")]
    rows, counts = EvaluationRows(6), ScoreCounts()
    evaluate_companies([LoadedCompany(company, windows, models)], Rules(), rows, counts)
    assert rows.reason[3:] == ["spend_too_large"] * 3
    assert rows.note[0].startswith("trained on")
    assert all(note.startswith("a customer spends 1e+300") for note in rows.note[3:])


def test_a_model_that_cannot_answer_at_once_is_asked_for_each_window(monkeypatch):
    def raises(self, arrays):
        raise FloatingPointError("not all at once")

    expected = evaluated(loaded())
    monkeypatch.setattr(BGNBD, "fit_windows", raises)
    for found, wanted in zip(evaluated(loaded()), expected, strict=True):
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)
