"""The plots of a dataset's purchases and of a run's rates, and how figures describe themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import scale_eval as se
from scale_eval.report.figure import Figure
from scale_eval.report.rates import rates
from tests.support.companies import dataset_of, frame_of, shop


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    companies = [shop("one", 60, seed=1, days=700), shop("$x$", 30, seed=2, days=500)]
    return dataset_of(companies, tmp_path_factory.mktemp("two"))


def purchases(dataset, company) -> pd.DataFrame:
    frame = frame_of(dataset.read(company)).sort_values("timestamp", kind="stable")
    frame = frame[frame["value"] >= 0]
    frame["again"] = frame.groupby("customer_id").cumcount() > 0
    frame["gap"] = frame.groupby("customer_id")["timestamp"].diff().dt.total_seconds() / 86_400
    return frame


def test_purchases_a_month_are_those_that_pandas_counts(two):
    figure = se.preview(two).plot_purchases()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["$x$", "one"]
    for axis, company in zip(figure.axes, ["$x$", "one"], strict=True):
        frame = purchases(two, company)
        month = frame["timestamp"].dt.tz_localize(None).dt.to_period("M")
        monthly = frame.groupby([month, "again"]).size().unstack(fill_value=0)
        top = axis.collections[1].get_paths()[0].vertices[:, 1].max()
        assert top == monthly.sum(axis=1).max()


def test_habits_are_shares_of_customers_and_of_purchases(two):
    often, soon, much = se.preview(two).plot_habits().axes
    for line, company in zip(often.lines, ["$x$", "one"], strict=True):
        n = purchases(two, company).groupby("customer_id").size()
        assert np.allclose(line.get_ydata(), [(n >= k).mean() for k in range(1, 21)])
    gaps = purchases(two, "one")["gap"].dropna()
    curve = next(line for line in soon.lines if line.get_label() == "one")
    at = np.searchsorted(curve.get_xdata(), 100, "right") - 1
    assert curve.get_ydata()[at] == pytest.approx((gaps <= 100).mean())
    assert len(much.lines) == 2


def test_many_companies_are_drawn_by_their_largest(tmp_path):
    sizes = [20, 90, 30, 80, 40, 70, 50, 60]
    many = dataset_of([shop(f"s{n}", n, seed=n, days=300) for n in sizes], tmp_path)
    figure = se.preview(many).plot_purchases()
    drawn = [axis.get_title(loc="left") for axis in figure.axes]
    rows = many.manifest.set_index("company_id")["n_rows"]
    assert drawn == sorted(rows.nlargest(6).index)
    assert "the largest 6 of eight companies" in figure.alt


def test_rates_are_those_of_the_evaluations():
    rows = [
        ("shop", pd.Timestamp(cutoff, tz="UTC"), model, 100, observed, said)
        for cutoff, observed in (("2020-01-01", 0.3), ("2020-07-01", 0.2))
        for model, said in (("base_rate", 0.35), ("m:Own", 0.25))
    ]
    names = ["company_id", "cutoff", "model", "n_customers", "observed_rate", "mean_prediction"]
    figure = rates(pd.DataFrame(rows, columns=names), ["base_rate", "m:Own"])
    observed, *said = figure.axes[0].lines
    assert list(observed.get_ydata()) == [0.3, 0.2]
    assert [list(line.get_ydata()) for line in said] == [[0.35, 0.35], [0.25, 0.25]]
    assert [line.get_label() for line in said] == [
        "base_rate said, on average",
        "Own said, on average",
    ]


def test_a_figure_describes_itself_where_nbconvert_and_others_look(two, tmp_path):
    figure = se.preview(two).plot_purchases()
    png, metadata = figure._repr_png_()
    assert metadata == {"alt": figure.alt}
    assert repr(figure) == f"<Figure: {figure.alt}>"
    for words in ("Purchases a month", "incomplete", "one", "$x$", "bought before", "purchases"):
        assert words in figure.alt
    (tmp_path / "a.png").write_bytes(png)
    assert Image.open(tmp_path / "a.png").text["Description"] == figure.alt


def test_a_figure_is_described_by_its_words_not_by_its_numbers():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.plot([1, 2], [3, 4], label="a line")
    left.set_yticks([3, 4], ["third", "fourth"])
    right.set_xscale("log")
    right.set_xlabel("many\n lines")
    assert figure.alt == "y: third, fourth; drawn: a line. x: many lines"
