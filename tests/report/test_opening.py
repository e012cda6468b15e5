"""The first screen, and the ladder of companies, say what customers counted by hand say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scale_eval.report.findings import Findings
from scale_eval.report.ladder import ladder
from scale_eval.report.opening import opening
from scale_eval.report.section import Section
from scale_eval.report.sections import sections
from scale_eval.report.sections.distribution import distribution
from tests.support.planted import Planted, planted_findings


def planted(n_companies: int, seed: int = 2) -> tuple[Findings, list[Planted]]:
    random = np.random.default_rng(seed)
    windows = []
    for i in range(n_companies):
        n = 100 * (1 + i)
        logits = random.normal(-2, 1.5, n)
        said = {"sharp": 1 / (1 + np.exp(-logits)), "blunt": 1 / (1 + np.exp(-logits / 3 - 1))}
        windows.append(Planted(f"company-{i}", random.random(n) < said["sharp"], said, 0.2))
    return planted_findings(windows).short, windows


@pytest.fixture(scope="module")
def three() -> tuple[Findings, list[Planted]]:
    return planted(3)


@pytest.fixture(scope="module")
def sections_of_three(three) -> list[Section]:
    return list(sections(three[0]))


def test_the_question_counts_each_customer_once(three):
    findings, _ = three
    screen = opening(findings, "sharp")
    assert screen.question == (
        "Who of 600 customers of three companies buys in the next six months?"
    )
    assert "600 answers of each of three models" in screen.how
    alone, _ = planted(1)
    assert opening(alone, None).question.startswith("Who of 100 customers of one company buys")


def test_of_the_customers_ranked_highest_as_many_buy_as_are_counted(three):
    findings, windows = three
    buyers = customers = bought = 0
    shares = []
    for window in windows:
        n = len(window.outcomes) // 10
        top = np.argsort(-window.probabilities["sharp"])[:n]
        buyers += window.outcomes[top].sum()
        customers += n
        bought += window.outcomes.sum()
        shares.append(window.outcomes[top].sum() / window.outcomes.sum())
    first, second, third = opening(findings, "sharp").figures
    assert first.value == f"{100 * buyers / customers:.0f} of 100"
    assert f"random {100 * bought / 600:.0f} do" in first.words
    assert second.value == f"{100 * np.mean(shares):.0f} %"  # each buyer spends the same
    expected = [w.probabilities[findings.models[0]].mean() for w in windows]
    observed = [w.outcomes.mean() for w in windows]
    assert third.value == f"{100 * np.mean(observed) / np.mean(expected):.0f} for 100"


def test_figures_of_choosing_are_of_the_model_that_the_verdict_names(three):
    findings, _ = three
    for model in ("sharp", "blunt"):
        first, second, _ = opening(findings, model).figures
        assert model in first.words and model in second.words


def test_each_figure_says_whose_it_is_and_over_what(three):
    findings, _ = three
    first, second, third = opening(findings, "sharp").figures
    assert findings.models[0] == "sharp"
    assert "that sharp ranks highest buy, over the customers of all companies" in first.words
    assert "that sharp ranks highest, at the average company" in second.words
    assert "that sharp expected, at the average company" in third.words
    first, second, third = opening(findings, "blunt").figures
    assert "that blunt, which chooses customers best, ranks highest buy" in first.words
    assert "that blunt ranks highest, at the average company" in second.words
    assert "that sharp, which leads by log loss, expected, at the average company" in third.words
    for figure in opening(planted(1)[0], "sharp").figures:
        assert "average" not in figure.words and "companies" not in figure.words


def test_where_nobody_buys_there_is_a_question_and_no_figure(three):
    _, windows = three
    nobody = replace(windows[0], outcomes=np.zeros(100, bool))
    screen = opening(planted_findings([nobody]).short, None)
    assert screen.question.startswith("Who of 100 customers") and screen.figures == []


def test_the_ladder_goes_down_and_ends_with_the_companies_of_the_figures():
    findings, _ = planted(6)
    rungs = ladder(findings)
    counts = [rung.companies for rung in rungs]
    assert counts == sorted(counts, reverse=True)
    steps = {rung.step: rung for rung in rungs}
    assert steps["predicted by every model: compared"].companies == findings.n_companies == 6
    assert steps["predicted by every model: compared"].windows == 6


def test_below_five_companies_nothing_says_that_it_needs_five(sections_of_three):
    titles = [section.title for section in sections_of_three]
    assert "How do companies differ?" not in titles
    assert "What do small numbers do by themselves?" not in titles
    assert not any("chance?" in title for title in titles)
    for section in sections_of_three:
        cells = [str(cell) for of in section.tables for row in of["rows"] for cell in row.values()]
        assert not any("fewer than five" in text for text in [*section.text, *cells])
    six, _ = planted(6)
    assert distribution(six) is not None


def test_no_table_has_a_column_without_a_name_or_without_a_figure(sections_of_three):
    for section in sections_of_three:
        for table in section.tables:
            assert all(column.strip() for column in table["columns"])
            for column in table["columns"]:
                assert any(row[column] != "" for row in table["rows"]), (section, column)
