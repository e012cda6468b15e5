"""Tables of the report say whose figures they hold, and fit the page and the terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy.special import expit

from scale_eval.report.findings import Findings
from scale_eval.report.overview import overview
from scale_eval.report.page import page
from scale_eval.report.plots import draw
from scale_eval.report.sections.comparison import comparison
from scale_eval.report.sections.leaderboard import leaderboard
from scale_eval.report.sections.over_time import over_time
from scale_eval.report.terminal import print_table
from tests.report.test_verdict_support import plant
from tests.support.planted import Planted, planted_findings

LONG = [
    "predictions:/data/forecasts/2024/spring/shop_level.parquet",
    "predictions:/data/forecasts/2024/autumn/shop_level.parquet",
    "shop.models.lapsed:Lapsed",
    *(f"shop.models.ensembles:StackedGradientBoostingWith{n}Trees" for n in range(5)),
]


@pytest.fixture(scope="module")
def many() -> Findings:
    """Eight models with long names, each worse than the one before; 20 of 30 companies are tiny."""
    rng = np.random.default_rng(1)
    windows = []
    for i in range(30):
        n = 400 if i < 10 else 5
        logits = -2.5 + rng.normal(size=n)
        bought = rng.random(n) < expit(logits)
        said = {model: expit(logits + 0.15 * at) for at, model in enumerate(LONG)}
        windows.append(Planted(f"company-{i:04}", bought, said, 0.11))
    return planted_findings(windows)


@pytest.fixture(scope="module")
def html(many) -> str:
    return page(many)


def test_a_table_says_of_how_many_companies_each_figure_is(many, html):
    n = int(many.figure("roc_auc", LONG[0])["n_companies_defined"])
    assert 10 <= n < 30
    section = leaderboard(many.short)
    assert section is not None
    first, every = section.tables
    note = f"Not all figures are of 30 companies: AUC {n}, AUC of the next company 10."
    assert first["note"] == note and note in html
    assert {row["metric"]: row["companies"] for row in every["rows"]}["AUC"] == str(n)
    assert f", {n} companies" in draw("leaderboard", many).axes[1].get_title()


def test_the_leader_of_a_table_is_said_to_be_picked(many):
    section = leaderboard(many.short)
    assert section is not None
    assert sum("picked as the best of nine models on these data" in s for s in section.text) == 1


def test_intervals_that_suppose_no_larger_company_say_so(many):
    section = leaderboard(many.short)
    assert section is not None
    told = any("hold if no company is larger than those seen" in s for s in section.text)
    assert told == (many.pooled["ci_condition"] == "no_larger_company").any()
    assert told  # ten companies of 400 customers carry the figures of 30


def test_the_comparison_has_a_column_of_companies_only_where_their_numbers_differ(many):
    first = comparison(many.short).tables[0]
    assert "companies" in first["columns"] and first["caption"].startswith("A tie is")
    rows = many.comparisons
    same = replace(many, comparisons=rows[rows["metric"] == "log_loss"])
    first = comparison(same.short).tables[0]
    assert "companies" not in first["columns"] and len(first["rows"]) == len(many.models) - 1
    assert first["caption"] == "30 companies; a tie is a difference within the margin"


def test_every_model_is_compared_with_the_base_rate(many):
    section = comparison(many.short)
    assert section is not None
    against = section.tables[-1]
    assert len(against["rows"]) == len(LONG)
    for row in against["rows"]:
        low, high = (float(end) for end in row["95 %"].split(" to "))
        words = "better" if low > 0 else "worse" if high < 0 else "not shown to be better"
        assert row["in words"] == words


def test_long_names_are_short_on_the_page_but_for_the_table_that_explains_them(html):
    for name in LONG:
        assert html.count(name) == 1
    assert "spring/shop_level" in html and "autumn/shop_level" in html and "Lapsed" in html


def test_a_leaderboard_fits_80_columns_and_cuts_no_interval(many):
    console = Console(width=80, record=True, file=None)
    with console.capture() as captured:
        console.print(overview(many))
        print_table(console, "comparisons", many.comparisons, limit=3)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    board = lines[: next(i for i, line in enumerate(lines) if line.startswith("Each of"))]
    intervals = re.findall(r"-?\d?\.\d+ to (?:-?\d?\.\d\d+)?", "\n".join(board))
    assert len(intervals) > 30 and not any(i.endswith("to ") for i in intervals)
    assert "predictions:" not in captured.get() and "shop.models" not in captured.get()


def test_the_leader_of_each_half_year_stands_in_the_table_over_time():
    findings = plant(
        [200] * 20,
        lambda logits, _, j: {"old": logits + 1.2 * (j == 2), "new": logits + 0.9 * (j < 2)},
        half_years=3,
    )
    section = over_time(findings)
    assert section is not None
    rows = section.tables[0]["rows"]
    best = findings.models[0]
    assert [row["best by log loss"] for row in rows] == ["old", "old", "new"]
    assert [row["by"] == "" for row in rows] == [m == best for m in ("old", "old", "new")]


def test_what_an_interval_of_a_sample_depends_on_is_said_in_words(many):
    rows = many.pooled["estimand"] == "within_company"
    codes = many.pooled["ci_condition"].mask(rows, "no_bigger_spenders").where(rows, "")
    section = leaderboard(replace(many, pooled=many.pooled.assign(ci_condition=codes)).short)
    assert section is not None
    told = [sentence for sentence in section.text if "hold if" in sentence]
    assert told == [
        "Intervals over all rows, and of pairs within companies, hold if no company has customers "
        "who buy or spend much more than those of the companies sampled."
    ]
