import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1
from scipy.stats import chisquare

from scale_eval.datasets import Transactions, file_layout, open_dataset
from scale_eval.datasets.instants import microseconds
from scale_eval.datasets.synthetic import synthesize as synthesize_module
from scale_eval.datasets.synthetic.faults import draw_faulty, empty_company, one_class_company
from scale_eval.datasets.synthetic.generator import (
    OBSERVED_UNTIL,
    CompanyTraits,
    draw_traits,
    generate_company,
    synthetic_company,
)
from scale_eval.datasets.synthetic.synthesize import synthesize
from scale_eval.planning.calendar import Calendar
from scale_eval.planning.plan import observed_spans
from scale_eval.planning.settings import Settings
from tests.support.paths import PROJECT

DATA = PROJECT / "data"
HALF_YEAR = 184 * 86_400_000_000  # microseconds, at most

PLAIN = CompanyTraits(
    n_customers=5_000,
    opened=pd.Timestamp("2018-01-01", tz="UTC"),
    closed=pd.Timestamp("2024-01-01", tz="UTC"),
    growth=0.0,
    one_time_share=0.0,
    purchases_per_year=3.0,
    rate_shape=1.0,
    dropout=0.4,
    dropout_concentration=4.0,
    season_amplitude=0.0,
    season_peak=0.0,
    holiday_peak=0.0,
    weekend=1.0,
    busiest_hour=12.0,
    median_price=50.0,
    price_spread=0.5,
    refund_share=0.0,
    zero_share=0.0,
)
"""A company without season, growth, one-time buyers, refunds or zero values."""


def company_with(**traits: float) -> Transactions:
    return generate_company("c", replace(PLAIN, **traits), np.random.default_rng(1))


def times(company: Transactions) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(company.timestamps, unit="us", utc=True))


def first_purchases(company: Transactions) -> pd.DatetimeIndex:
    return times(company)[np.unique(company.codes, return_index=True)[1]]


def counts_of(numbers: pd.Index, first: int, last: int) -> np.ndarray:
    return np.array([np.sum(numbers == number) for number in range(first, last + 1)])


def test_the_same_seed_makes_the_same_content_and_another_seed_another(tmp_path):
    once = synthesize(tmp_path / "once", companies=3, seed=8)
    again = synthesize(tmp_path / "again", companies=3, seed=8)
    other = synthesize(tmp_path / "other", companies=3, seed=9)
    pd.testing.assert_frame_equal(once.manifest, again.manifest)
    assert once.content_hash == again.content_hash
    assert set(once.manifest["content_hash"]).isdisjoint(other.manifest["content_hash"])


def test_a_company_is_the_same_whether_three_or_ten_are_made(tmp_path):
    three = synthesize(tmp_path / "three", companies=3, seed=8).manifest
    ten = synthesize(tmp_path / "ten", companies=10, seed=8).manifest
    pd.testing.assert_frame_equal(three, ten.head(3))
    assert ten["content_hash"].is_unique


def test_what_is_read_back_is_what_was_made(tmp_path):
    dataset = synthesize(tmp_path, companies=2, seed=8)
    assert dataset.company_ids == ["company-000000", "company-000001"]
    read, made = dataset.read("company-000001"), synthetic_company(8, 1)
    assert read.customers.equals(made.customers)
    for name in ("codes", "timestamps", "values"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert dataset.manifest["sources"][1].tolist() == ["synth seed 8 company 1"]


@pytest.mark.parametrize("index", range(20))
def test_rows_are_sorted_whole_seconds_and_cents_within_the_life_of_the_company(index):
    traits, company = draw_traits(3, index), synthetic_company(3, index)
    order = np.lexsort((company.values, company.timestamps, company.codes))
    np.testing.assert_array_equal(order, np.arange(len(company)))
    assert len(company.customers) == traits.n_customers == len(np.unique(company.codes))
    assert company.customers[0].as_py() == "00000001"
    assert company.timestamps.min() >= microseconds(traits.opened)
    assert company.timestamps.max() < microseconds(traits.closed)
    assert traits.closed <= OBSERVED_UNTIL
    assert (company.timestamps % 1_000_000 == 0).all()
    np.testing.assert_array_equal(company.values, np.round(company.values, 2))


def test_sizes_are_log_normal_with_the_stated_median():
    drawn = [draw_traits(1, i) for i in range(4_000)]
    sizes = np.array([traits.n_customers for traits in drawn])
    assert np.median(sizes) == pytest.approx(110, rel=0.08)
    assert sizes.mean() == pytest.approx(289, rel=0.12)
    z = np.log(sizes / 110) / 1.39
    np.testing.assert_allclose(
        np.quantile(z, [0.1, 0.25, 0.75, 0.9]), [-1.282, -0.674, 0.674, 1.282], atol=0.1
    )
    closed_early = np.mean([traits.closed < OBSERVED_UNTIL for traits in drawn])
    assert closed_early == pytest.approx(0.06, abs=0.015)


def test_repeat_purchases_are_as_many_as_bg_nbd_expects():
    # Fader, Hardie & Lee (2005), equation 9: the expected number of repeat purchases by t.
    company = company_with(n_customers=40_000)
    r, alpha, a, b = 1.0, 1.0 / 3.0, 1.6, 2.4
    t = ((PLAIN.closed - first_purchases(company)) / pd.Timedelta(days=365.25)).to_numpy()
    unbought = (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t))
    expected = (a + b - 1) / (a - 1) * (1 - unbought)
    assert len(company) - 40_000 == pytest.approx(expected.sum(), rel=0.02)


def purchases_a_year_of_the_first_cohort(company: Transactions) -> np.ndarray:
    in_cohort = (first_purchases(company).year == 2018)[company.codes]
    return counts_of(times(company)[in_cohort].year, 2019, 2023)


def test_customers_drop_out_so_that_an_old_cohort_buys_less_and_less():
    falling = purchases_a_year_of_the_first_cohort(company_with())
    assert (np.diff(falling) < 0).all()
    assert falling[-1] < 0.5 * falling[0]
    faithful = company_with(dropout=0.001, dropout_concentration=1_000.0)
    steady = purchases_a_year_of_the_first_cohort(faithful)
    np.testing.assert_allclose(steady, steady.mean(), rtol=0.05)


def purchases_by_month(company: Transactions) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the twelve months, and what a flat year would have by their days."""
    counts = counts_of(times(company).month, 1, 12)
    days = counts_of(pd.date_range(PLAIN.opened, PLAIN.closed, inclusive="left").month, 1, 12)
    return counts, counts.sum() * days / days.sum()


def test_the_season_shows_in_the_months_and_without_one_they_are_flat():
    flat = company_with(purchases_per_year=0.0)  # arrivals alone: their number does not decline
    assert chisquare(*purchases_by_month(flat)).pvalue > 0.001
    summer = company_with(purchases_per_year=0.0, season_amplitude=0.4, season_peak=0.54)
    counts, expected = purchases_by_month(summer)
    assert chisquare(counts, expected).pvalue < 1e-9
    ratio = counts / expected
    assert ratio.argmax() + 1 in (6, 7, 8)
    assert ratio.max() / ratio.min() == pytest.approx(np.exp(2 * 0.4), rel=0.2)


def test_holidays_weekends_and_hours_have_their_rhythm():
    company = company_with(holiday_peak=1.0, weekend=0.5, busiest_hour=20.0)
    counts, expected = purchases_by_month(company)
    assert (counts / expected)[[10, 11]].min() > 1.2 * (counts / expected)[:10].max()
    by_weekday = counts_of(times(company).day_of_week, 0, 6)
    assert by_weekday[5:].mean() / by_weekday[:5].mean() == pytest.approx(0.5, rel=0.05)
    assert counts_of(times(company).hour, 0, 23).argmax() in (19, 20)


def test_new_customers_grow_at_the_stated_rate():
    arrived = counts_of(first_purchases(company_with(growth=0.4)).year, 2018, 2023)
    np.testing.assert_allclose(arrived[1:] / arrived[:-1], np.exp(0.4), rtol=0.2)


def test_one_time_buyers_have_their_share_where_everybody_else_returns():
    company = company_with(
        one_time_share=0.3, purchases_per_year=100.0, rate_shape=20.0, growth=-2.0
    )
    assert np.mean(np.bincount(company.codes) == 1) == pytest.approx(0.3, abs=0.02)


def test_refunds_and_zero_values_have_about_the_stated_share():
    company = company_with(refund_share=0.06, zero_share=0.1)
    n_refunds, n_zero = (company.values < 0).sum(), (company.values == 0).sum()
    n_purchases = len(company) - n_refunds
    assert n_zero / n_purchases == pytest.approx(0.1, rel=0.1)
    assert n_refunds / (n_purchases - n_zero) == pytest.approx(0.06, rel=0.1)
    positive = company.values[company.values > 0]
    assert np.median(positive) == pytest.approx(50, rel=0.05)
    assert np.log(positive).std() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("left", "remedy"),
    [("a dataset", "remove it or name another"), ("files of rows", "choose an empty folder")],
)
def test_data_that_are_there_are_refused_and_left_alone(tmp_path, left, remedy):
    synthesize(tmp_path, companies=1, seed=8)
    if left == "files of rows":
        (tmp_path / "manifest.parquet").unlink()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileExistsError, match=remedy):
        synthesize(tmp_path, companies=2, seed=8)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "wrong", [{"companies": 0}, {"seed": -1}, {"median_customers": 0.0}, {"sigma": -1.0}]
)
def test_arguments_outside_their_range_are_errors(tmp_path, wrong):
    with pytest.raises(ValueError):
        synthesize(tmp_path, **({"companies": 1, "seed": 8} | wrong))


def test_the_demo_data_are_what_the_command_in_their_readme_makes(tmp_path):
    command = re.search(r"scale-eval synth .*", (DATA / "README.md").read_text())
    assert command is not None
    words = shlex.split(command[0])[2:]
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert options.pop("--into") == "data/demo"
    made = synthesize(
        tmp_path,
        companies=int(options.pop("--companies")),
        seed=int(options.pop("--seed")),
        median_customers=float(options.pop("--median-customers")),
    )
    assert options == {}
    pd.testing.assert_frame_equal(made.manifest, open_dataset(DATA / "demo").manifest)


def test_each_demo_company_has_a_whole_window():
    demo = open_dataset(DATA / "demo")
    assert len(demo.company_ids) == 3
    windows = Calendar().windows(observed_spans(demo.manifest_table, Settings()))
    assert set(windows.company[windows.refusal == 0]) == {0, 1, 2}


# Many, on several cores, and with faults


@pytest.fixture
def small_files(monkeypatch):
    """Share files from a dozen companies on, of a few companies each."""
    monkeypatch.setattr(synthesize_module, "SHARED_FROM", 12)
    monkeypatch.setattr(file_layout, "ROWS_PER_FILE", 2_000)


def files_under(place: Path) -> dict[str, bytes]:
    return {
        path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.parquet")
    }


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(tmp_path, small_files):
    options: dict[str, Any] = {
        "companies": 40,
        "seed": 8,
        "median_customers": 30.0,
        "empty_companies": 3,
        "one_class_companies": 3,
        "corrupt_companies": 2,
    }
    for workers in (1, 2, 3):
        synthesize(tmp_path / str(workers), workers=workers, **options)
    files = files_under(tmp_path / "1")
    assert len(files) > 4
    assert files_under(tmp_path / "2") == files_under(tmp_path / "3") == files
    assert [p.name for p in tmp_path.rglob("*unfinished")] == []


def test_companies_in_shared_files_are_those_of_one_file_each(tmp_path, small_files, monkeypatch):
    together = synthesize(tmp_path / "together", companies=40, seed=8, median_customers=30.0)
    monkeypatch.setattr(synthesize_module, "SHARED_FROM", 1_000)
    apart = synthesize(tmp_path / "apart", companies=40, seed=8, median_customers=30.0)
    assert together.manifest["path"].nunique() < 20
    assert apart.manifest["path"].nunique() == 40
    assert together.content_hash == apart.content_hash
    where = ["path", "first_row_group", "row_offset"]
    pd.testing.assert_frame_equal(
        together.manifest.drop(columns=where), apart.manifest.drop(columns=where)
    )


def test_with_observed_whole_every_company_is_old_enough_and_open_and_else_the_same():
    for index in range(300):
        old, plain = draw_traits(5, index, observed_whole=True), draw_traits(5, index)
        assert old.closed == OBSERVED_UNTIL
        assert old.closed - old.opened >= pd.Timedelta(days=4.5 * 365)
        assert replace(plain, opened=old.opened, closed=old.closed) == old


def test_faulty_companies_are_different_ones_drawn_by_the_seed():
    corrupt, empty, one_class = draw_faulty(8, 30, (5, 6, 7))
    assert [len(corrupt), len(empty), len(one_class)] == [5, 6, 7]
    assert len({*corrupt, *empty, *one_class}) == 18
    assert draw_faulty(8, 30, (5, 6, 7)) == [corrupt, empty, one_class]
    assert draw_faulty(9, 30, (5, 6, 7)) != [corrupt, empty, one_class]
    for wrong in ((-1, 0, 0), (10, 10, 11)):
        with pytest.raises(ValueError, match="faulty companies"):
            draw_faulty(8, 30, wrong)


def test_an_empty_company_has_a_handful_of_customers_and_less_than_a_window():
    for index in range(20):
        company = empty_company(8, index)
        assert 1 <= company.n_customers <= 4
        assert company.timestamps.min() >= microseconds(OBSERVED_UNTIL - pd.Timedelta(days=150))
    assert {empty_company(8, index).n_customers for index in range(8)} == {1, 2, 3, 4}


@pytest.mark.parametrize("index", range(12))
def test_in_every_window_of_a_one_class_company_all_do_the_same(index):
    company = one_class_company(8, index, observed_whole=True)
    begin, end = company.timestamps.min(), company.timestamps.max()
    purchases = company.values >= 0
    shares, n_refunds = [], 0
    for cutoff in np.linspace(begin + (end - begin) // 2, end - HALF_YEAR, 5).astype(np.int64):
        before = company.codes[purchases & (company.timestamps < cutoff)]
        inside = (company.timestamps >= cutoff) & (company.timestamps < cutoff + HALF_YEAR)
        bought = np.isin(np.unique(before), company.codes[purchases & inside])
        shares.append(bought.mean())
        n_refunds += int((~purchases & inside).sum())
    assert set(shares) == {1.0 if index % 3 == 1 else 0.0}
    if index % 3 == 2:
        late = company.timestamps >= (begin + end) / 2 + 1e6
        assert late.any()
        assert (company.values[late] < 0).all()
    order = np.lexsort((company.values, company.timestamps, company.codes))
    np.testing.assert_array_equal(order, np.arange(len(company)))


@pytest.mark.parametrize("shared", [False, True])
def test_corrupt_companies_cannot_be_read_and_what_lies_elsewhere_can(
    tmp_path, small_files, monkeypatch, shared
):
    if not shared:
        monkeypatch.setattr(synthesize_module, "SHARED_FROM", 1_000)
    dataset = synthesize(
        tmp_path / "damaged", companies=40, seed=8, median_customers=30.0, corrupt_companies=3
    )
    damaged, *_ = draw_faulty(8, 40, (3, 0, 0))
    places = {dataset.place(f"company-{index:06d}") for index in damaged}
    lost = set()
    for name, company in dataset.read_many(dataset.company_ids):
        if isinstance(company, Exception):
            assert "CRC checksum" in str(company)
            lost.add(name)
    assert lost == {name for name in dataset.company_ids if dataset.place(name) in places}
    assert len(lost) == 3 if not shared else 3 < len(lost) < 40
    sound = synthesize(tmp_path / "sound", companies=40, seed=8, median_customers=30.0)
    assert dataset.content_hash == sound.content_hash


def test_what_stops_it_leaves_nothing_behind(tmp_path, small_files, monkeypatch):
    made = synthesize_module.synthetic_company

    def stopped(seed, index, **options):
        if index == 20:
            raise KeyboardInterrupt
        return made(seed, index, **options)

    for shared_from in (12, 1_000):
        monkeypatch.setattr(synthesize_module, "SHARED_FROM", shared_from)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(synthesize_module, "synthetic_company", stopped)
            synthesize(tmp_path, companies=40, seed=8, median_customers=30.0)
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]
    assert len(synthesize(tmp_path, companies=40, seed=8, workers=2).company_ids) == 40
