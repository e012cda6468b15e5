"""The companies that a page holds, and the file that has the rest, are those of the tables."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scale_eval.report import company_table, page
from scale_eval.report.company_table import CompanyTable, PageCompanies
from scale_eval.report.findings import Findings
from scale_eval.report.sections.all_companies import all_companies
from scale_eval.storage import open_store
from tests.support.planted import Planted, planted_findings

MODELS = ["fine", "coarse", "base_rate"]


@pytest.fixture(scope="module")
def findings() -> Findings:
    """Twelve companies from 20 to 240 customers; the last has a name that CSV must quote."""
    random = np.random.default_rng(5)
    windows = []
    for i in range(12):
        n = 20 * (i + 1)
        logits = random.normal(-1, 1.0, n)
        said = {"fine": 1 / (1 + np.exp(-logits)), "coarse": np.where(logits > -1, 0.4, 0.15)}
        name = 'zoo, "south"' if i == 11 else f"company-{i:02}"
        windows.append(Planted(name, random.random(n) < said["fine"], said, 0.3))
    return planted_findings(windows).short


@pytest.fixture
def alone(monkeypatch) -> None:
    """Pages have the section of all companies alone, which is quick."""
    monkeypatch.setattr(page, "sections", lambda *choices: [all_companies(*choices)])


def unpacked(companies: PageCompanies) -> dict:
    return json.loads(gzip.decompress(base64.b64decode(companies.text)))


def test_the_page_holds_the_figures_of_the_table_companies(findings):
    content = unpacked(PageCompanies.of(CompanyTable.of(findings)))
    assert sorted(content["models"]) == sorted(MODELS)
    assert content["company"] == sorted(content["company"]) and len(content["company"]) == 12
    for metric, by_model in zip(content["metrics"], content["figures"], strict=True):
        rows = findings.companies(metric["name"])
        for model, values in zip(content["models"], by_model, strict=True):
            own = rows[model]
            for company, value in zip(content["company"], values, strict=True):
                assert value == (None if pd.isna(own[company]) else round(1000 * own[company]))
    for name, column in {"customers": "n_customers", "buyers": "n_positive"}.items():
        own = findings.companies("log_loss", column)["fine"]
        assert content[name] == own[content["company"]].tolist()


def test_the_best_model_of_a_company_has_its_lowest_loss(findings):
    content = unpacked(PageCompanies.of(CompanyTable.of(findings)))
    losses = findings.companies("log_loss")
    best = [content["models"][at] for at in content["best"]]
    assert best == losses.loc[content["company"]].idxmin(axis=1).tolist()


def test_the_gains_of_a_company_are_those_of_the_table(findings):
    content = unpacked(PageCompanies.of(CompanyTable.of(findings)))
    gains = content["gains"]
    rows = findings.company_gains
    for model, by_depth in zip(content["models"], gains["buyers"], strict=True):
        for depth, values in zip(gains["depths"], by_depth, strict=True):
            own = rows[(rows["model"] == model) & (100 * rows["depth"]).round().eq(depth)]
            shares = own.set_index("company_id").loc[content["company"], "share_of_buyers"]
            assert values == [round(1000 * share) for share in shares]


def test_of_many_companies_the_worst_best_and_largest_are_chosen(findings):
    table = CompanyTable.of(findings)
    table = replace(table, customers=np.arange(12.0), shrunk=np.r_[0.9, 0.1, np.nan, 0.5:0.86:9j])
    chosen = set(table.worst_best_and_largest(6).tolist())
    assert chosen == {1, 3, 0, 11, 10, 9}
    assert len(table.worst_best_and_largest(12)) == 12
    assert table.worst_best_and_largest(0).tolist() == []
    few = replace(table, shrunk=np.full(12, np.nan))
    assert set(few.worst_best_and_largest(4).tolist()) == {8, 9, 10, 11}


def test_companies_that_do_not_fit_are_in_a_file_beside_the_page(
    findings, tmp_path, monkeypatch, alone
):
    store = open_store(tmp_path)
    page.write_page(findings, store, "whole.html")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.html"]
    monkeypatch.setattr(company_table, "MOST_COMPANIES", 5)
    page.write_page(findings, store, "few.html")
    text = (tmp_path / "few.html").read_text(encoding="utf-8")
    assert "The page holds 5 of 12 companies" in text
    assert "All are in the file few-companies.csv beside it." in text
    rows = pd.read_csv(tmp_path / "few-companies.csv")
    assert len(rows) == 12 and rows["company"].iloc[-1] == 'zoo, "south"'
    own = findings.companies("roc_auc")["coarse"]
    assert rows["roc_auc of coarse"].to_numpy() == pytest.approx(
        own[rows["company"]].to_numpy(), abs=1e-6, nan_ok=True
    )
    assert (rows["customers"].diff().dropna() > 0).all()
    table = CompanyTable.of(findings)
    assert rows["best_model"].tolist() == [table.models[at] for at in table.best]


def test_a_page_that_would_be_too_large_holds_fewer_companies(findings, monkeypatch, alone):
    size = len(page.page(findings).encode())
    assert "The page holds" not in page.page(findings)
    monkeypatch.setattr(page, "MOST_BYTES", size - 300)
    text = html.unescape(page.page(findings))
    assert len(text.encode()) <= size - 300
    assert "of 12 companies" in text and "All are in the run's table companies." in text


def test_a_hundred_thousand_companies_take_as_much_room_as_five_thousand(findings):
    n, random = 100_000, np.random.default_rng(0)
    table = CompanyTable.of(findings)
    many = replace(
        table,
        ids=np.array([f"company-{i:06}" for i in range(n)], dtype=object),
        customers=random.integers(10, 5000, n).astype(float),
        buyers=random.integers(0, 900, n).astype(float),
        n_windows=random.integers(1, 9, n),
        figures={key: random.random(n) for key in table.figures},
        shrunk=random.random(n),
        best=random.integers(0, 3, n),
    )
    companies = PageCompanies.of(many)
    assert len(companies.shown) == company_table.MOST_COMPANIES
    assert len(companies.text) <= company_table.LARGEST
    assert companies.n_left_out == 95_000
    small = PageCompanies.of(many, 100_000)
    assert len(small.text) <= 100_000 and 100 < len(small.shown) < 5_000
    assert len(pd.read_csv(io.BytesIO(many.taken(np.arange(2_000)).csv()))) == 2_000
