"""Plots of gains, profit and scores draw what the tables say, in colours for light and dark."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from scale_eval.report.findings import Findings
from scale_eval.report.gains import PER, gain_curves, profit_curves
from scale_eval.report.plots import PLOTS, draw
from scale_eval.report.plots.style import LINES, SHADES
from scale_eval.report.svg import on_dark, svg, with_dark_mode
from tests.support.planted import Planted, planted_findings


@pytest.fixture(scope="module")
def findings() -> tuple[Findings, list[Planted]]:
    random = np.random.default_rng(8)
    windows = []
    for i in range(6):
        n = 200 + 100 * i
        logits = random.normal(-1.5, 1.3, n)
        said = {"model": 1 / (1 + np.exp(-logits))}
        bought = random.random(n) < said["model"]
        spend = np.where(bought, random.integers(5, 200, n), 0).astype(float)
        windows.append(Planted(f"company-{i}", bought, said, 0.25, spend=spend))
    return planted_findings(windows), windows


def test_the_profit_is_what_contacting_these_customers_brings(findings):
    planted, windows = findings
    profits = profit_curves(gain_curves(planted, "row"), cost=4.0, margin=0.3)["model"]
    said = np.concatenate([window.probabilities["model"] for window in windows])
    spend = np.concatenate([window.spend for window in windows])
    order = np.argsort(-said)
    for depth in (0.05, 0.2, 0.5, 1.0):
        n = round(depth * len(said))
        by_hand = PER * (0.3 * spend[order[:n]].sum() - 4.0 * n) / len(said)
        row = profits[np.isclose(profits["depth"], depth)].iloc[0]
        rounding = 0.3 * PER * spend.max() * 3 / len(said)  # customers of one bin hold equal parts
        assert row["profit"] == pytest.approx(by_hand, abs=rounding)
        assert row["low"] <= row["profit"] <= row["high"]
    nobody, everybody = profits.iloc[0], profits.iloc[-1]
    assert nobody["depth"] == nobody["profit"] == 0
    assert everybody["profit"] == pytest.approx(PER * (0.3 * spend.sum() / len(said) - 4.0))
    assert everybody["at_random"] == pytest.approx(everybody["profit"])


def test_the_depth_with_the_most_profit_is_marked(findings):
    planted, _ = findings
    profits = profit_curves(gain_curves(planted), cost=30.0, margin=0.5)["model"]
    best = profits.loc[profits["profit"].idxmax()]
    assert 0 < best["depth"] < 1
    figure = draw("gains", planted, cost=30.0, margin=0.5)
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    at = {(float(m.get_xdata()[0]), float(m.get_ydata()[0])) for m in marks}
    assert (best["depth"], best["profit"]) in at
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"model: most at {100 * best['depth']:.0f} %, {best['profit']:,.0f}" in labels


def test_a_cost_without_a_margin_is_refused(findings):
    for choices in ({"cost": 1.0}, {"margin": 0.3}):
        with pytest.raises(ValueError, match="a profit needs both"):
            draw("gains", findings[0], **choices)


def test_an_estimand_that_is_not_kept_is_refused_by_name(findings):
    with pytest.raises(ValueError, match="'equal_company' in this run; there are row and within"):
        draw("gains", findings[0], estimand="equal_company")


def test_a_curve_of_gains_has_its_band_and_random_order_is_the_diagonal(findings):
    planted, _ = findings
    figure = draw("gains", planted)
    buyers, spend = figure.axes
    assert len(buyers.collections) >= 1 and len(spend.collections) >= 1
    rows = gain_curves(planted)["model"].query("counted == 'buyers'")
    line = next(line for line in buyers.lines if line.get_label() == "model")
    assert line.get_ydata()[1:].tolist() == rows["share"].tolist()
    assert line.get_xdata()[0] == line.get_ydata()[0] == 0
    assert buyers.lines[0].get_xdata().tolist() == buyers.lines[0].get_ydata().tolist()


def test_a_model_that_holds_what_random_order_does_is_named_beside_the_dotted_line(findings):
    planted, _ = findings
    rows = gain_curves(planted)["base_rate"]
    assert rows["share"].tolist() == pytest.approx(rows["depth"].tolist())
    figure = draw("gains", planted)
    assert any("dotted: at random, and base_rate" in text.get_text() for text in figure.texts)
    for axis in figure.axes:
        assert [line.get_label() for line in axis.lines[1:]] == ["model"]


def test_no_model_is_dotted_as_random_order_is():
    assert len(set(LINES)) == 8 and ":" not in LINES
    assert all(max(line[1]) >= 3 for line in LINES if isinstance(line, tuple))  # a dot is 1 long


def test_scores_are_drawn_as_shares_of_buyers_and_of_others(findings):
    planted, _ = findings
    figure = draw("scores", planted)
    at = planted.models.index("model")
    others, buyers = (
        patch.get_data().values for patch in figure.axes[at].patches if hasattr(patch, "get_data")
    )
    assert others.sum() == pytest.approx(1) and buyers.sum() == pytest.approx(1)
    rows = planted.score_spread.query("model == 'model'")
    shares = rows["n_positive"] / rows["n_positive"].sum()
    assert sorted(buyers[buyers > 0]) == pytest.approx(sorted(shares[shares > 0]))


@pytest.mark.parametrize("name", PLOTS)
def test_every_colour_of_a_plot_has_one_for_a_dark_page(findings, name):
    assert all(map(on_dark, SHADES))
    text = base64.b64decode(svg(draw(name, findings[0])).partition(",")[2]).decode()
    style, rest = text.partition("</style>")[::2]
    assert not re.findall(r"#[0-9a-f]{6}\b", rest.partition("<defs>")[2])
    for variable in set(re.findall(r"var\((--c[0-9a-f]{6})\)", rest)):
        assert style.count(f"{variable}:") == 2  # on a light page, and on a dark one


def test_a_colour_that_has_none_for_a_dark_page_stays():
    text = with_dark_mode('<svg xmlns="x"><path style="fill: #123456; stroke: #222222"/></svg>')
    assert "fill: #123456; stroke: var(--c222222)" in text
    assert "prefers-color-scheme:dark){:root{--c000000:#e6e6e6;--c222222:#cacaca}}" in text
