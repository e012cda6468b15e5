"""Gains by depth, of all customers and of each company, against customers sorted one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from scale_eval.metrics import GroupedHistograms
from scale_eval.metrics.gain import gain_of_blocks, gain_of_rows
from scale_eval.metrics.histogram import EDGES, bin_of
from scale_eval.metrics.leaving_out import captured_without_each
from scale_eval.results.company_curves import DEPTHS
from scale_eval.results.estimates import Estimate
from scale_eval.results.tables.company_gains import KEPT
from tests.support.planted import Planted, like_companies, planted_tables
from tests.support.tables import MODELS, pooled

METRIC = {"buyers": "gain_at_10", "spend": "value_captured_at_10"}


@pytest.fixture(scope="module")
def planted() -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Tables of nine companies with one to three windows, and every customer by model."""
    random = np.random.default_rng(3)
    windows, customers = [], []
    for company in range(9):
        n = int(random.integers(30, 400))
        for window in range(1 + company % 3):
            logits = random.normal(-1.5, 1.2, n)
            bought = random.random(n) < expit(logits)
            spend = np.where(bought, random.pareto(2, n).round(2) + 1, 0.0)
            said = {
                "fine": expit(logits + random.normal(0, 0.5, n)),
                "coarse": expit(np.round(logits)),
            }
            cutoff = pd.Timestamp("2020-01-01", tz="UTC") + pd.DateOffset(months=6 * window)
            name = f"company-{company}"
            windows.append(Planted(name, bought, said, 0.2, cutoff, spend=spend))
            customers += [
                pd.DataFrame(
                    {
                        "company": name,
                        "window": f"{name} {cutoff}",
                        "model": model,
                        "buyers": 1.0 * bought,
                        "spend": spend,
                        "probability": p,
                    }
                )
                for model, p in said.items()
            ]
    tables = {name: table.to_pandas() for name, table in planted_tables(windows).items()}
    return tables, dict(iter(pd.concat(customers).groupby("model")))


def held_by_hand(frame: pd.DataFrame, amount: str, depth: float) -> float:
    """What the highest scores hold to a depth; customers of one score hold equal parts."""
    ranked = frame.sort_values("probability", ascending=False)
    even = ranked.groupby("probability")[amount].transform("mean").to_numpy(float)
    whole = int(depth * len(ranked) + 1e-9)
    rest = depth * len(ranked) - whole
    return even[:whole].sum() + (rest * even[whole] if rest > 1e-9 else 0.0)


def binned(frame: pd.DataFrame) -> pd.DataFrame:
    """The customers with their bins in place of their scores, which is what a run keeps."""
    return frame.assign(probability=bin_of(frame["probability"].to_numpy()))


def curve(tables, model: str, counted: str, estimand: str) -> pd.DataFrame:
    rows = tables["gains"].query(
        "model == @model and counted == @counted and estimand == @estimand"
    )
    assert rows["depth"].tolist() == [percent / 100 for percent in DEPTHS]
    return rows


@pytest.mark.parametrize("counted", METRIC)
def test_at_a_tenth_the_share_is_the_figure_of_all_rows_to_the_last_digit(shops, counted):
    tables, _ = shops
    for model in MODELS:
        rows = curve(tables, model, counted, "row")
        row = rows[rows["depth"] == 0.1].iloc[0]
        figure = pooled(tables, METRIC[counted], "row", model, "common")
        assert row["share"] == figure["value"]
        for column in ("std_error", "ci_low", "ci_high", "error_bound", "n_effective"):
            assert row[column] == figure[column] or (
                pd.isna(row[column]) and pd.isna(figure[column])
            )
        assert row["ci_reason"] == figure["ci_reason"]
        assert row["ci_condition"] == figure["ci_condition"]


@pytest.mark.parametrize("counted", METRIC)
def test_customers_sorted_one_by_one_give_the_shares_within_their_bounds(planted, counted):
    tables, customers = planted
    for model, frame in customers.items():
        total = frame[counted].sum()
        for row in curve(tables, model, counted, "row").itertuples():
            share = held_by_hand(frame, counted, row.depth) / total
            assert abs(row.share - share) <= row.error_bound + 1e-12
            assert row.n_customers == pytest.approx(row.depth * len(frame))
            assert row.total == pytest.approx(total)
            assert row.held == pytest.approx(row.share * total)


@pytest.mark.parametrize("counted", METRIC)
def test_each_company_goes_to_the_same_depth_of_its_own_customers(planted, counted):
    tables, customers = planted
    for model, frame in customers.items():
        windows = [window for _, window in binned(frame).groupby("window")]
        for row in curve(tables, model, counted, "within_company").iloc[::4].itertuples():
            held = sum(held_by_hand(window, counted, row.depth) for window in windows)
            assert row.held == pytest.approx(held)
            assert row.share == pytest.approx(held / frame[counted].sum())


def test_the_interval_within_companies_is_that_of_a_quotient_of_sums(planted):
    tables, customers = planted
    rows = tables["company_gains"].query("model == 'fine' and depth == .2")
    bought = customers["fine"].groupby("company")["buyers"].sum().loc[rows["company_id"]]
    share = rows["n_positive"].sum() / bought.sum()
    residuals = rows["n_positive"].to_numpy() - share * bought.to_numpy()
    shown = curve(tables, "fine", "buyers", "within_company").query("depth == .2").iloc[0]
    assert shown["share"] == pytest.approx(share)
    weight = bought.to_numpy() / bought.sum()
    assert shown["n_effective"] == pytest.approx(1 / np.square(weight).sum())
    plain = np.sqrt(np.square(residuals).sum()) / bought.sum()
    assert plain <= shown["std_error"] < 1.5 * plain  # corrected for few companies


def test_all_customers_hold_everything_and_that_is_certain(shops):
    tables, _ = shops
    rows = tables["gains"].query("depth == 1")
    assert len(rows) == len(MODELS) * 4
    assert rows["share"].to_numpy() == pytest.approx(1)
    assert rows["std_error"].abs().max() < 1e-12


def test_more_customers_hold_more(shops):
    tables, _ = shops
    for _, rows in tables["gains"].groupby(["model", "counted", "estimand"]):
        assert (rows["share"].diff().dropna() >= 0).all()
        share, rounding = rows["share"], 1e-12
        assert (rows["ci_low"] <= share + rounding).all()
        assert (share <= rows["ci_high"] + rounding).all()


def test_what_a_company_holds_is_counted_over_its_own_windows(planted):
    tables, customers = planted
    for (company, model), rows in tables["company_gains"].groupby(["company_id", "model"]):
        assert rows["depth"].tolist() == [percent / 100 for percent in KEPT]
        if model == "base_rate":
            assert rows["share_of_buyers"].tolist() == pytest.approx(rows["depth"].tolist())
            continue
        own = customers[model][customers[model]["company"] == company]
        windows = [window for _, window in binned(own).groupby("window")]
        for row in rows.itertuples():
            held = sum(held_by_hand(window, "buyers", row.depth) for window in windows)
            spend = sum(held_by_hand(window, "spend", row.depth) for window in windows)
            assert row.n_customers == pytest.approx(row.depth * len(own))
            assert (row.n_positive, row.spend) == (pytest.approx(held), pytest.approx(spend))
            assert row.share_of_buyers == pytest.approx(held / own["buyers"].sum())
            assert row.share_of_spend == pytest.approx(spend / own["spend"].sum())


def test_below_five_companies_there_is_a_share_and_no_interval():
    tables = planted_tables(like_companies(4, 200, 0.2, {"model": 1.0}, spread=1.0))
    rows = tables["gains"].to_pandas()
    assert rows["share"].notna().all() and rows["ci_low"].isna().all()
    assert set(rows["ci_reason"]) == {"fewer_than_5_companies"}


def test_where_nobody_buys_there_is_no_share():
    nobody = [
        Planted(f"company-{i}", np.zeros(50, bool), {"model": np.linspace(0.1, 0.2, 50)}, 0.1)
        for i in range(6)
    ]
    rows = planted_tables(nobody)["gains"].to_pandas()
    assert rows["share"].isna().all() and rows["held"].eq(0).all()
    assert set(rows["reason"]) == {"no_positives", "no_spend"}


@pytest.mark.parametrize("percent", [1, 5, 10, 30, 50, 90, 95, 100])
def test_leaving_a_group_out_is_to_first_order_what_counting_without_it_gives(percent):
    random = np.random.default_rng(percent)
    n_groups, bins = 60, np.unique(bin_of(EDGES[1000:3000:8]))
    rate = np.linspace(0.02, 0.6, len(bins))
    rows = random.poisson(40, (n_groups, len(bins)))
    positive = random.binomial(rows, rate)
    negative = rows - positive
    grouped = GroupedHistograms(np.arange(n_groups), bins, positive, negative, 100 * positive)
    without = captured_without_each(grouped, "n_positive", percent / 100)
    exact = [
        gain_of_blocks(
            np.delete(positive, g, 0).sum(0)[::-1], np.delete(rows, g, 0).sum(0)[::-1], percent
        )
        for g in range(n_groups)
    ]
    assert np.std(without) == pytest.approx(np.std(exact), rel=0.1, abs=1e-9)
    assert without == pytest.approx(np.array(exact), abs=0.15 * np.std(exact) + 1e-9)


@pytest.mark.slow
def test_intervals_of_shares_hold_the_truth_at_every_depth():
    random, bins = np.random.default_rng(1), np.arange(1200, 2600, 4)
    logits = (bins - 0.5) / 128 - 16

    def company() -> tuple[np.ndarray, np.ndarray]:
        n = int(np.exp(random.normal(5.5, 0.8))) + 5
        rate, off, slope = random.normal(-1.7, 0.7), random.normal(0, 0.3), random.normal(1, 0.3)
        customers = random.normal(0, 1.2, n)
        bought = random.random(n) < expit(rate + off + slope * customers)
        at = np.clip(np.searchsorted(logits, rate + customers), 0, len(bins) - 1)
        return tuple(np.bincount(at[of], minlength=len(bins)) for of in (bought, ~bought))

    positive, negative = map(np.array, zip(*(company() for _ in range(4_000)), strict=True))
    held = dict.fromkeys((1, 10, 50, 90), 0)
    n_samples, k = 300, 40
    for _ in range(n_samples):
        drawn = random.integers(0, len(positive), k)
        grouped = GroupedHistograms(
            np.arange(k), bins, positive[drawn], negative[drawn], 100 * positive[drawn]
        )
        weight = grouped.by_group["n_positive"].astype(float)
        for percent in held:
            without = captured_without_each(grouped, "n_positive", percent / 100)
            share = gain_of_rows(grouped.total, percent)[0]
            estimate = Estimate(share, weight=weight, replicates=without, smooth=False)
            interval = estimate.interval(0, 1)
            every = (positive.sum(0)[::-1], (positive + negative).sum(0)[::-1])
            held[percent] += interval.low <= gain_of_blocks(*every, percent) <= interval.high
    assert all(0.91 < n / n_samples < 0.985 for n in held.values()), held


def test_classes_of_scores_hold_each_customer_once_between_their_edges(planted):
    tables, customers = planted
    for model, rows in tables["score_spread"].groupby("model"):
        assert (rows["low"] < rows["high"]).all() and (rows["low"].diff().dropna() > 0).all()
        if model == "base_rate":
            continue
        said, bought = (customers[model][name].to_numpy() for name in ("probability", "buyers"))
        for row in rows.itertuples():
            inside = (said >= row.low) & (said < row.high)
            assert (row.n_customers, row.n_positive) == (inside.sum(), (inside * bought).sum())
        assert rows["n_customers"].sum() == len(said)


def test_scores_beyond_all_classes_are_in_classes_of_their_own():
    said = np.concatenate([np.zeros(3), np.full(4, 1e-9), np.full(2, 0.4), np.ones(5)])
    tables = planted_tables([Planted("a", said > 0.5, {"model": said}, 0.3)])
    rows = tables["score_spread"].to_pandas().query("model == 'model'")
    assert rows["n_customers"].tolist() == [7, 2, 5]
    assert rows["low"].iloc[0] == 0 and rows["high"].iloc[-1] == 1
