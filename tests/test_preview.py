"""A run before it is made: what is asked, on the time line, and what it would take."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import num2date

import scale_eval as se
from scale_eval.datasets.transactions import Transactions
from scale_eval.report.timeline import MOST_ROWS
from tests.support.companies import dataset_of, shop
from tests.support.earlier_runs import a_run, two_models


def bars(figure) -> list:
    """The rectangles of a time line."""
    return list(figure.axes[0].patches)


def test_a_preview_asks_for_what_the_run_then_does(shops, client, tmp_path):
    seen = se.preview(shops, ["frequency"], last=2)
    run = se.evaluate(shops, ["frequency"], out=tmp_path, client=client, last=2)
    assert seen.plan.n_planned == (run.plan["status"] == "planned").sum()
    assert set(seen.windows["cutoff"].dropna()) == set(run.evaluations["cutoff"].dropna())
    assert repr(seen).startswith(f"Preview({seen.plan.n_planned} evaluations of 3 models; ")


def test_a_preview_of_a_sample_has_as_many_companies(shops):
    assert se.preview(shops, sample=2).windows["company_id"].nunique() == 2


def test_a_preview_refuses_what_evaluate_refuses(shops):
    with pytest.raises(ValueError, match="did you mean 'horizon'"):
        se.preview(shops, horizont="6 months")
    with pytest.raises(ValueError, match="not both"):
        se.preview(shops, settings=se.make_settings(), last=2)


def test_an_estimate_of_more_workers_takes_less_time_and_as_much_work(shops):
    seen = se.preview(shops)
    one, many = seen.estimate(1, guess=True), seen.estimate(8, guess=True)
    assert one.core_hours == many.core_hours
    assert one.wall_seconds > many.wall_seconds
    assert not one.timed


def test_a_preview_says_by_an_earlier_run_how_many_companies_settle_which_model_is_better(
    shops, tmp_path
):
    a_run(tmp_path / "pilot", two_models())
    seen = se.preview(shops, power=tmp_path / "pilot")
    row = seen.power.iloc[0]
    assert (row["model"], row["model_b"], row["n_companies"]) == ("good", "weak", 40)
    assert row["n_planned"] == seen.windows.query("status == 'planned'")["company_id"].nunique()
    assert row["companies_50"] < row["companies_80"] < row["companies_95"]
    assert 0 < row["probability"] < 0.5
    assert se.preview(shops).power is None


def test_a_preview_of_a_sample_counts_the_companies_of_the_sample(shops, tmp_path):
    a_run(tmp_path / "pilot", two_models())
    seen = se.preview(shops, sample=2, power=tmp_path / "pilot")
    assert seen.power["n_planned"].item() <= 2


def test_what_is_no_earlier_run_is_refused(shops, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run"):
        se.preview(shops, power=tmp_path)
    a_run(tmp_path / "half", two_models(), status="running")
    with pytest.raises(ValueError, match="half is not finished: run the command that began it"):
        se.preview(shops, power=tmp_path / "half")


@pytest.mark.slow
def test_a_damaged_company_does_not_make_an_estimate_a_guess(tmp_path):
    damaged = se.synthesize(
        tmp_path, companies=20, seed=2, median_customers=40, corrupt_companies=5
    )
    seen = se.preview(damaged, ["frequency"])
    tried = set(seen.windows.loc[seen.windows["status"] == "planned", "company_id"])
    unread = [
        name for name, read in damaged.read_many(sorted(tried)) if isinstance(read, Exception)
    ]
    assert unread
    assert seen.estimate(1).timed


def test_each_window_is_drawn_from_its_cutoff_to_the_end_of_its_horizon(shops):
    seen = se.preview(shops)
    planned = seen.windows[seen.windows["status"] == "planned"]
    drawn = [(num2date(b.get_x()), num2date(b.get_x() + b.get_width())) for b in bars_of(seen)]
    spans = list(zip(planned["cutoff"], planned["horizon_end"], strict=True))
    for begin, end in spans:
        assert any(
            abs(a - begin) < pd.Timedelta("1s") and abs(b - end) < pd.Timedelta("1s")
            for a, b in drawn
        )
    told = f"{len(planned)} windows planned, {len(seen.windows) - len(planned)} refused"
    assert told in seen.plot_windows().get_suptitle()


def bars_of(seen) -> list:
    return bars(seen.plot_windows())


def test_windows_that_overlap_are_drawn_beside_each_other(shops):
    seen = se.preview(shops, every="1 month", last=9)
    drawn = [
        (b.get_x(), b.get_x() + b.get_width(), b.get_y(), b.get_y() + b.get_height())
        for b in bars_of(seen)
    ]
    assert len(drawn) > 20
    for i, (a0, a1, y0, y1) in enumerate(drawn):
        for b0, b1, z0, z1 in drawn[:i]:
            across, down = min(a1, b1) - max(a0, b0), min(y1, z1) - max(y0, z0)
            assert across < 1e-6 or down < 1e-6


def test_refused_windows_are_hatched(shops):
    until = pd.to_datetime(shops.manifest["last_timestamp"]).max()
    seen = se.preview(shops, cutoffs=[until.strftime("%Y-%m-01")])
    assert seen.plan.n_planned == 0
    hatched = [bar for bar in bars_of(seen) if bar.get_hatch()]
    assert len(hatched) == len(shops.company_ids)


def test_of_many_companies_the_first_are_drawn_and_the_title_says_so(tmp_path):
    n = MOST_ROWS + 3
    dataset = dataset_of([shop(f"s{i:02} $x^2$", 20, seed=i) for i in range(n)], tmp_path)
    figure = se.preview(dataset).plot_windows()
    assert f"the first {MOST_ROWS} are drawn" in figure.get_suptitle()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == dataset.company_ids[:MOST_ROWS]
    assert not any(label.get_parse_math() for label in labels)


def test_a_company_as_a_frame_is_read_back_as_it_was(shops):
    company = shops.read("small")
    again = Transactions.from_frame("small", company.to_frame())
    assert again.customers.equals(company.customers)
    for name in ("codes", "timestamps", "values"):
        np.testing.assert_array_equal(getattr(again, name), getattr(company, name))


def test_the_demo_dataset_is_the_one_that_is_carried():
    dataset = se.demo_dataset()
    assert len(dataset.company_ids) == 3
    assert int(dataset.manifest["n_rows"].sum()) == 15_359


@pytest.mark.slow
def test_a_verdict_and_a_run_show_themselves_whatever_models_are_called(shops, client, tmp_path):
    class Loud:
        name = "<b>loud</b>"

        def fit(self, history):
            pass

        def predict_proba(self, history):
            return np.full(history.n_customers, 0.5)

    run = se.evaluate(shops, [Loud()], out=tmp_path / "run", client=client, last=1)
    for html in (run.verdict._repr_html_(), run._repr_html_()):
        assert "<b>loud</b>" not in html
    assert "&lt;b&gt;loud&lt;/b&gt;" in run._repr_html_()
    assert all(words in run.verdict._repr_html_() for words in ("Why", "With what reservations"))
    assert "beside a figure is its 95 % interval" in run._repr_html_()


def test_a_run_without_tables_shows_its_name_alone(shops, client, tmp_path):
    se.evaluate(shops, ["recency"], out=tmp_path / "run", client=client, last=1)
    (tmp_path / "run" / "pooled.parquet").unlink()
    bare = se.open_run(tmp_path / "run")
    assert bare._repr_html_() is None
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] in repr(bare)
