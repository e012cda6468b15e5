"""The report: one page that stands alone, the same each time, whatever companies are called."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import scale_eval as se
from scale_eval.evaluation.histograms import score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.planning.plan import company_groups
from scale_eval.report.company_values import CompanyValues
from scale_eval.report.findings import Findings
from scale_eval.report.page import page
from scale_eval.report.plots import PLOTS
from scale_eval.results.directory import RunDirectory
from scale_eval.results.evaluation_parts import write_part
from scale_eval.results.reduce import reducer_of, write_reduced
from scale_eval.results.tables import TABLES
from scale_eval.storage import open_store, write_tables
from tests.support.companies import dataset_of, shop

MODELS = ["base_rate", "recency", "frequency", "bgnbd"]


@pytest.fixture(scope="module")
def run(client, tmp_path_factory) -> se.Run:
    """Seven companies, three cutoffs; two have names that would be markup or mathematics."""
    names = ["<script>alert(1)</script>", "a & b $x^2$", *(f"shop{i}" for i in range(5))]
    companies = [shop(n, 60 + 40 * i, seed=i, rate=8.0) for i, n in enumerate(names)]
    dataset = dataset_of(companies, tmp_path_factory.mktemp("data"))
    settings = se.make_settings(last=3)
    out = tmp_path_factory.mktemp("runs") / "run"
    return se.evaluate(dataset, MODELS, out=out, client=client, settings=settings)


class Page(HTMLParser):
    """Headings, images, links and tags of a page; fails on a tag that is not closed."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict] = []
        self.links: list[dict] = []
        self.headings: list[str] = []
        self.tags: list[str] = []
        self.scripts: list[dict] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag == "a":
            self.links.append(dict(attrs))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("h1", "h2"):
            self.headings.append(data.strip())


@pytest.fixture(scope="module")
def html(run) -> str:
    return run.report().read_text(encoding="utf-8")


def test_the_verdict_comes_first_and_the_questions_after_it(run, html):
    headings = Page(html).headings
    assert headings[0] == run.verdict.headline
    assert headings[1] == "What holds at each company?"
    assert headings[-2:] == ["What is left out, and why?", "How was it made?"]
    assert len(headings) == 15


def test_the_page_stands_alone_and_is_small(html):
    parsed = Page(html)
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in parsed.images)
    assert all(link["href"].startswith("#") for link in parsed.links)
    assert "link" not in parsed.tags
    data, script = parsed.scripts
    assert data == {"type": "application/octet-stream", "id": "companies-data"} and script == {}
    assert not re.search(r"""(src|href)=["']?https?:""", html)
    assert len(html.encode()) < 1_000_000


def test_names_of_companies_are_text_whatever_they_look_like(html):
    assert "<script>alert(1)</script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "a &amp; b $x^2$" in html


def test_every_image_says_in_words_what_it_shows_and_is_well_formed(html):
    images = Page(html).images
    assert len(images) == 10
    for image in images:
        assert len(image["alt"]) > 20
        svg = base64.b64decode(image["src"].partition(",")[2])
        ElementTree.fromstring(svg)


def test_every_plot_says_how_many_it_stands_on(run):
    for name in PLOTS:
        figure = getattr(run, f"plot_{name}")()
        title = figure.get_suptitle()
        assert re.search(r"\d|seven|compan", title), (name, title)


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(run, html):
    assert page(Findings.read(run.directory)) == html


@pytest.mark.slow
def test_the_report_goes_where_it_is_asked_to(run, tmp_path):
    path = run.report(tmp_path / "elsewhere" / "page.html")
    assert path == tmp_path / "elsewhere" / "page.html"
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert not list(path.parent.glob(".*"))


def test_a_model_that_is_not_compared_is_refused_by_name(run):
    with pytest.raises(ValueError, match="there is no model 'prophet'; there are"):
        run.plot_funnel(model="prophet")


def test_a_plot_takes_names_as_they_are_displayed_and_refuses_others(run):
    (axis, *_) = run.plot_comparison(metric="auc").axes
    (same, *_) = run.plot_comparison(metric="roc_auc").axes
    assert axis.get_xlabel() == same.get_xlabel()
    assert [t.get_text() for t in axis.texts] == [t.get_text() for t in same.texts]
    with pytest.raises(ValueError, match=r"'acu'; did you mean 'AUC'"):
        run.plot_sizes(metric="acu")
    with pytest.raises(ValueError, match="there is no metric 'nothing'; there are log_loss"):
        run.plot_comparison(metric="nothing")


def test_a_run_in_which_nothing_could_be_compared_has_a_report_that_says_so(
    client, tmp_path, monkeypatch
):
    # An earlier version made such runs.
    monkeypatch.setattr("scale_eval.evaluate_run.require_window", lambda *_: None)
    young = shop("young", 50, seed=9, first="2020-03-01", days=100)
    dataset = dataset_of([young], tmp_path / "data")
    run = se.evaluate(dataset, ["recency"], out=tmp_path / "run", client=client)
    assert Page(run.report().read_text(encoding="utf-8")).headings[0] == run.verdict.headline
    assert run.verdict.headline.startswith("There is no verdict")
    assert any("is in no figure" in sentence for sentence in run.verdict.reservations)
    with pytest.raises(ValueError, match="nothing to plot"):
        run.plot_leaderboard()


@pytest.mark.slow
def test_a_run_that_is_not_finished_says_so_on_top(run):
    document = {**run.directory.document, "status": "unfinished"}
    findings = Findings.read(run.directory)
    text = page(Findings(**{**vars(findings), "document": document}))
    assert "not finished: these are figures of a part of" in text


@pytest.mark.parametrize(
    "n",
    [
        pytest.param(20_000, marks=pytest.mark.slow),
        pytest.param(100_000, marks=pytest.mark.long),
    ],
)
def test_the_page_of_very_many_companies_is_no_larger_than_2_mb(tmp_path, n):
    from benchmarks.reduction import company_ids, write_run

    write_run(tmp_path, n_companies=n, n_cutoffs=2, n_models=4)
    directory = RunDirectory(open_store(tmp_path))
    write_reduced(directory, reducer_of(directory, [], company_groups(company_ids(n)), {}))
    path = se.Run(directory).report()
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 2_000_000
    assert len(Page(text).images) >= 7
    assert f"The page holds 5,000 of {n:,} companies" in text
    with (tmp_path / "report-companies.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == n + 1


def test_statuses_count_the_last_attempt_of_each_evaluation(tmp_path):
    directory = RunDirectory(open_store(tmp_path))
    directory.begin({"metrics": {}}, {}, {})
    window = (0, 1, False)
    for attempt, status, reason in ((1, "error", "boom"), (2, "ok", "")):
        rows = EvaluationRows(1)
        rows.add("a", window, "m", attempt, status, reason)
        write_part(directory.store, rows.table(), score_table([]))
    statuses = directory.endings().statuses
    assert statuses[["status", "n"]].values.tolist() == [["ok", 1]]


def test_the_companies_of_a_metric_are_those_of_the_whole_table(run):
    whole = run.companies.query("metric == 'roc_auc'").reset_index(drop=True)
    rows = run.arrow("companies", metric="roc_auc").cast(TABLES["companies"].schema)
    pd.testing.assert_frame_equal(rows.to_pandas(), whole)


@pytest.mark.parametrize("column", ["mean", "std_error", "n_customers", "n_cutoffs"])
@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "gain_at_10"])
def test_a_column_by_company_and_model_is_the_pivot_of_the_table(run, metric, column):
    rows = run.companies.query("metric == @metric and coverage == 'common'")
    wide = rows.pivot(index="company_id", columns="model", values=column).astype(float)
    found = run.findings.companies(metric, column)[list(wide.columns)]
    pd.testing.assert_frame_equal(found, wide, check_names=False)


def test_a_column_by_company_and_model_is_null_where_a_model_has_no_row_of_a_company():
    rows = pa.table(
        {"model": list("aabb"), "company_id": ["x", "y", "x", "z"], "mean": [1, 2, 3, 4]}
    )
    rows = rows.set_column(0, "model", rows["model"].dictionary_encode())
    values = CompanyValues(lambda metric, columns: rows.select(columns)).of("m", "mean")
    expected = {"a": [1.0, 2.0, np.nan], "b": [3.0, np.nan, 4.0]}
    pd.testing.assert_frame_equal(
        values, pd.DataFrame(expected, index=["x", "y", "z"]), check_names=False
    )


def test_companies_are_found_across_row_groups(tmp_path):
    store = open_store(tmp_path)
    schema, n = TABLES["companies"].schema, 70_000
    empty = {field.name: pa.nulls(n, field.type) for field in schema}
    figures = {"mean": pa.array(np.arange(n, dtype=float))}
    parts = [pa.table(empty | figures | {"metric": [m] * n}, schema) for m in ("a", "b", "c")]
    write_tables(store, "companies.parquet", parts)
    rows = RunDirectory(store).rows("companies", {("metric",): "b"}, ["mean"])
    assert rows["mean"].to_pylist() == list(range(70_000))
