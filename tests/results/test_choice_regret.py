"""The table `choice_regret`, recomputed from the evaluations, and against planted truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import parts_of
from scale_eval.results.tables.choice_regret import CHOICE_REGRET, choice_regret_table
from scale_eval.statistics.survey import Design
from tests.support.tables import KEY, MODELS, WINDOWS, reduced_from

CUTOFFS = pd.date_range("2018-01-01", periods=5, freq="6MS", tz="UTC")


def run_of(losses: dict[tuple[str, int, str], float], months: int = 6) -> pd.DataFrame:
    """The table of a run with these log losses, by company, number of cutoff, and model."""
    return choice_regret_table(panel_of(losses, months)).to_pandas()


def panel_of(losses: dict[tuple[str, int, str], float], months: int = 6) -> Panel:
    rows = [
        {
            "company_id": company,
            "cutoff": CUTOFFS[cutoff],
            "horizon_end": CUTOFFS[cutoff] + pd.DateOffset(months=months),
            "model": model,
            "status": "ok",
            "attempts": 1,
            "n_customers": 50,
            "n_positive": 10,
            "log_loss": loss,
        }
        for (company, cutoff, model), loss in losses.items()
    ]
    table = pa.Table.from_pylist(rows, schema=evaluations_schema())
    return Panel.of(parts_of(table))


def by_hand(evaluations: pd.DataFrame, at: pd.Series | pd.Timestamp, model_names) -> dict:
    """Choose on the windows that had ended by `at`, and judge there; in pandas."""
    ok = evaluations.query("status == 'ok'")
    ok = ok[ok.groupby(KEY)["model"].transform("size") == len(model_names)]
    judged_at = ok["company_id"].map(at) if isinstance(at, pd.Series) else at
    judged = ok[ok["cutoff"] == judged_at].pivot(
        index="company_id", columns="model", values="log_loss"
    )
    earlier = ok[ok["horizon_end"] <= judged_at]
    earlier = earlier.pivot_table(
        index="company_id", columns="model", values="log_loss", aggfunc="mean"
    )
    both = judged.index.intersection(earlier.index)
    judged, earlier = judged.loc[both], earlier.loc[both]
    first, second = earlier.mean().sort_values(kind="stable").index[:2]
    promised = earlier[second] - earlier[first]
    kept = judged[second] - judged[first]
    regret = judged[first] - judged[judged.mean().idxmin()]
    row = {
        "model": first,
        "model_b": second,
        "model_best": judged.mean().idxmin(),
        "n_companies": len(both),
        "promised": promised.mean(),
    }
    for name, values in {"kept": kept, "curse": promised - kept, "regret": regret}.items():
        half = stats.t.ppf(0.975, len(both) - 1) * values.sem()
        row |= {
            name: values.mean(),
            f"{name}_low": values.mean() - half,
            f"{name}_high": values.mean() + half,
        }
    return row


def assert_is(row: pd.Series, expected: dict) -> None:
    for name, value in expected.items():
        assert row[name] == (value if isinstance(value, str) else pytest.approx(value)), name


def test_a_choice_and_what_it_kept_are_those_of_pandas(shops):
    tables, _ = shops
    rows = tables["choice_regret"].query("against == 'runner_up'")
    for window in WINDOWS[1:]:
        row = rows[rows["cutoff"] == window.cutoff].iloc[0]
        assert_is(row, by_hand(tables["evaluations"], window.cutoff, MODELS))
    assert rows["cutoff"].notna().sum() == len(WINDOWS) - 1
    ok = tables["evaluations"].query("status == 'ok'")
    ok = ok[ok.groupby(KEY)["model"].transform("size") == len(MODELS)]
    last = ok.groupby("company_id")["cutoff"].max()
    overall = rows[rows["cutoff"].isna()].iloc[0]
    assert_is(overall, by_hand(tables["evaluations"], last, MODELS))


def test_it_is_also_compared_with_the_base_rate(shops):
    tables, _ = shops
    rows = tables["choice_regret"].query("against == 'base_rate' and cutoff.isna()")
    row = rows.iloc[0]
    losses = tables["evaluations"].query("status == 'ok'")
    losses = losses.pivot(index=KEY, columns="model", values="log_loss").dropna()
    lead = losses["base_rate"] - losses[row["model"]]
    at = lead.groupby("company_id").tail(1).droplevel("cutoff")
    before = lead.drop(lead.groupby("company_id").tail(1).index).groupby("company_id").mean()
    assert row["model_b"] == "base_rate"
    assert row["kept"] == pytest.approx(at[before.index].mean())
    assert row["promised"] == pytest.approx(before.mean())
    assert row["curse"] == pytest.approx(row["promised"] - row["kept"])


def test_the_order_in_which_evaluations_were_written_changes_no_bit(shops):
    evaluations, _, _ = reduced_from(shops[0])
    shuffled = evaluations.take(np.random.default_rng(1).permutation(len(evaluations)))
    once, again = (choice_regret_table(Panel.of(parts_of(e))) for e in (evaluations, shuffled))
    assert once.equals(again)


@pytest.mark.slow
def test_of_models_that_are_equal_the_lead_promised_is_luck_and_nothing_of_it_is_kept():
    """Twelve models of the same worth, by chance some are better: the curse is the whole lead."""
    rng = np.random.default_rng(4)
    rows = []
    for _ in range(60):
        losses = {
            (f"c{i:02}", cutoff, f"m{m:02}"): 0.4 + 0.05 * rng.normal()
            for i in range(20)
            for cutoff in (0, 1)
            for m in range(12)
        }
        told = run_of(losses)
        rows.append(told[told["cutoff"].isna()].iloc[0])
    told = pd.DataFrame(rows)
    assert told["promised"].mean() > 0.004
    assert told["kept"].mean() == pytest.approx(0, abs=4 * told["kept"].sem())
    assert told["curse"].mean() == pytest.approx(told["promised"].mean(), abs=0.005)
    assert (told["regret"] >= 0).all() and told["regret"].mean() > 0.01
    held = (told["kept_low"] <= 0) & (told["kept_high"] >= 0)
    assert held.mean() == pytest.approx(0.95, abs=0.1)


def test_a_true_lead_is_kept():
    losses = {
        (f"c{i}", cutoff, model): 0.4 + 0.1 * (model == "b") + 0.01 * (i % 3) + 0.02 * cutoff
        for i in range(8)
        for cutoff in range(3)
        for model in ("a", "b")
    }
    told = run_of(losses)
    assert (told["model"] == "a").all() and (told["model_best"] == "a").all()
    assert told["promised"].tolist() == pytest.approx([0.1] * 3)
    assert told["kept"].tolist() == pytest.approx([0.1] * 3)
    assert told["regret"].tolist() == [0.0] * 3


def test_a_company_that_is_on_one_side_only_makes_no_curse():
    """The calendars mix years: three companies with one window, where b is far better."""
    losses = {
        (f"c{i}", cutoff, model): 0.4 + 0.1 * (model == "b") + 0.001 * i
        for i in range(4)
        for cutoff in (2, 3)
        for model in ("a", "b")
    }
    for i, cutoff in ((4, 0), (5, 1), (6, 3)):
        losses |= {(f"c{i}", cutoff, model): 0.9 - 0.5 * (model == "b") for model in ("a", "b")}
    told = run_of(losses)
    row = told[told["cutoff"].isna()].iloc[0]
    assert (row["model"], row["n_companies"]) == ("a", 4)
    assert row["curse"] == pytest.approx(0)
    assert told.loc[told["cutoff"] == CUTOFFS[1], "reason"].tolist() == ["no_earlier_window"]


def test_each_company_is_judged_at_its_own_last_window():
    losses = {
        (f"c{i}", cutoff, model): 0.4 + (0.1 if cutoff < i % 2 + 2 else 0.04) * (model == "b")
        for i in range(6)
        for cutoff in range(i % 2 + 3)
        for model in ("a", "b")
    }
    told = run_of(losses)
    row = told[told["cutoff"].isna()].iloc[0]
    assert row["n_companies"] == 6
    assert (row["promised"], row["kept"]) == pytest.approx((0.1, 0.04))


def test_a_window_that_had_not_ended_by_then_does_not_choose():
    """Windows of a year at cutoffs of half a year: the one before is not known yet."""
    losses = {
        (f"c{i}", cutoff, model): 0.4 + 0.1 * (model == "b") * (-1 if cutoff == 2 else 1) + 0.01 * i
        for i in range(5)
        for cutoff in range(4)
        for model in ("a", "b")
    }
    told = run_of(losses, months=12)
    assert told["model"].fillna("").tolist() == ["", "a", "a", "a"]
    assert told["promised"].tolist()[1:] == pytest.approx([0.1] * 3)  # with cutoff 2 it is less
    assert told["reason"].tolist() == ["no_earlier_window", "", "", ""]


def test_where_nothing_can_be_chosen_or_judged_the_reason_is_said():
    one = {(f"c{i}", 0, model): 0.4 for i in range(3) for model in ("a", "b")}
    told = run_of(one)
    assert told["reason"].tolist() == ["no_earlier_window"]
    assert told["n_companies"].tolist() == [0]
    assert told[["model", "promised", "kept", "curse", "regret"]].isna().all(axis=None)
    alone = {("c0", cutoff, "a"): 0.4 for cutoff in range(3)}
    assert set(run_of(alone)["reason"]) == {"fewer_than_2_models"}
    company = {
        ("c0", cutoff, model): 0.4 + 0.1 * (model == "b")
        for cutoff in range(2)
        for model in ("a", "b")
    }
    told = run_of(company)
    assert set(told["ci_reason"]) == {"one_company"}
    assert told["curse"].tolist() == pytest.approx([0.0, 0.0])


def test_a_model_is_not_the_runner_up_of_one_that_is_identical_to_it():
    losses = {
        (f"c{i}", cutoff, model): 0.4 + 0.1 * (model == "c") + 0.01 * i
        for i in range(3)
        for cutoff in range(2)
        for model in ("a", "b", "c")
    }
    told = run_of(losses)
    assert told["model_b"].tolist() == ["c", "c"]
    same = {key: loss for key, loss in losses.items() if key[2] != "c"}
    assert set(run_of(same)["reason"]) == {"identical_models"}


def test_no_run_at_all_has_one_row_with_a_reason():
    table = choice_regret_table(Panel.of(parts_of(evaluations_schema().empty_table())))
    assert table.schema.equals(CHOICE_REGRET.schema)
    assert table["reason"].to_pylist() == ["fewer_than_2_models"]


def test_companies_of_a_sample_weigh_by_how_many_they_represent():
    """Two strata: two companies of 2, where b is better, and two of 100, where a is."""
    losses = {
        (f"c{i}", cutoff, model): 0.4 + (0.3 if i < 2 else -0.1) * (model == "a") + 0.001 * i
        for i in range(4)
        for cutoff in range(2)
        for model in ("a", "b")
    }
    panel = panel_of(losses)
    plain = choice_regret_table(panel).to_pandas().iloc[-1]
    design = Design(np.array([0, 0, 1, 1]), np.array([2, 100]))
    weighted = choice_regret_table(panel, design).to_pandas().iloc[-1]
    assert (plain["model"], weighted["model"]) == ("b", "a")
    assert weighted["kept"] == pytest.approx((2 * -0.3 + 100 * 0.1) / 102)
