"""The page in Chromium: axe finds nothing, keys work, nothing is cut on a phone or on paper."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import scale_eval as se
from scale_eval.report.page import page
from tests.report.test_report import MODELS
from tests.support.browser import CHROMIUM, Browser
from tests.support.companies import dataset_of, shop
from tests.support.paths import PROJECT
from tests.support.planted import Planted, planted_findings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to open pages in"),
]

AXE = PROJECT / "tests" / "support" / "axe"

PAPER = 695
"""CSS pixels between the margins of an A4 page."""


@pytest.fixture(scope="module")
def pages(client, tmp_path_factory) -> dict[str, Path]:
    """Reports of one, of three, and of 25 companies."""
    made = {}
    for n in (1, 3, 25):
        companies = [
            shop(f"shop {i:02} <{'x' * i}>", 60 + 15 * i, seed=i, rate=8.0) for i in range(n)
        ]
        dataset = dataset_of(companies, tmp_path_factory.mktemp("data"))
        out = tmp_path_factory.mktemp("runs") / f"run{n}"
        settings = se.make_settings(last=2)
        run = se.evaluate(dataset, MODELS, out=out, client=client, settings=settings)
        made[str(n)] = run.report()
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The script of axe-core, installed by npm with the version and hash of its lock file."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm to install axe-core")
    place = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(AXE / name, place)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"npm cannot install axe-core: {done.stderr[-300:]}")
    return (place / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(browser: Browser, axe: str) -> list:
    browser.value(f"{axe};0")
    return browser.value(
        "axe.run(document).then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
    )


def open_panel(browser: Browser) -> None:
    browser.value("document.querySelector('#companies [data-body] button').click()")


def rows(browser: Browser) -> list[str]:
    return browser.value(
        "[...document.querySelectorAll('#companies [data-row] th')].map(e => e.textContent)"
    )


@pytest.mark.parametrize("n", ["1", "3", "25"])
def test_axe_finds_nothing(browser, pages, axe, n):
    for width, dark in ((1200, False), (390, False), (1200, True)):
        browser.open(pages[n], width, dark=dark)
        open_panel(browser)
        assert violations(browser, axe) == []


def test_axe_would_find_an_empty_header(browser, pages, axe):
    browser.open(pages["3"])
    browser.value("document.querySelector('thead th').textContent = ''")
    assert [name for name, _ in violations(browser, axe)] == ["empty-table-header"]


@pytest.mark.parametrize("n", ["1", "3", "25"])
def test_nothing_is_wider_than_a_phone_but_what_scrolls_by_itself(browser, pages, n):
    browser.open(pages[n], 390)
    open_panel(browser)
    assert browser.value("document.documentElement.scrollWidth") == 390
    assert browser.value("document.querySelectorAll('.scroll:not([tabindex=\"0\"])').length") == 0


@pytest.mark.parametrize("n", ["1", "3", "25"])
def test_no_table_loses_columns_on_paper(browser, pages, n):
    browser.open(pages[n], PAPER)
    browser.call("Emulation.setEmulatedMedia", media="print")
    right = browser.value(
        "[...document.querySelectorAll('table, img')].map(e => "
        "[e.getBoundingClientRect().right, e.querySelector('tr')?.textContent])"
    )
    browser.call("Emulation.setEmulatedMedia", media="")
    assert [name for at, name in right if at > PAPER + 1] == []


@pytest.fixture(scope="module")
def sixty(tmp_path_factory) -> Path:
    """The page of 60 companies, three cutoffs and four models."""
    random, windows = np.random.default_rng(5), []
    for i in range(60):
        logits = random.normal(-1, 1.2, 120)
        said = {"rfm_logistic": logits, "bgnbd": logits / 2, "recency": logits / 4 - 1}
        for year in (2018, 2019, 2020):
            bought = random.random(120) < 1 / (1 + np.exp(-logits - random.normal(0, 0.3)))
            probabilities = {model: 1 / (1 + np.exp(-x)) for model, x in said.items()}
            cutoff = pd.Timestamp(f"{year}-01-01", tz="UTC")
            windows.append(Planted(f"company-{i}", bought, probabilities, 0.3, cutoff=cutoff))
    path = tmp_path_factory.mktemp("sixty") / "report.html"
    path.write_text(page(planted_findings(windows)), encoding="utf-8")
    return path


def test_on_a_wide_screen_no_table_is_cut_and_no_date_or_short_caption_is_broken(browser, sixty):
    browser.open(sixty, 1200)
    tables = browser.value("document.querySelectorAll('.scroll table').length")
    cut = browser.value(
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => e.getAttribute('aria-label'))"
    )
    assert tables > 10 and cut == []
    broken = browser.value(
        "[...document.querySelectorAll('caption, tbody th')].filter(e => {"
        "const range = document.createRange(); range.selectNodeContents(e);"
        "const lines = new Set([...range.getClientRects()].map(r => r.top));"
        r"const whole = e.matches('caption') || /^[-\d]{10}$/.test(e.textContent.trim());"
        "return whole && lines.size > 1;"
        "}).map(e => e.textContent)"
    )
    assert broken == []


def edges(browser: Browser, number: int) -> tuple[float, float]:
    """Return how bright the left and the right edge of what scrolls are: the brightest of each."""
    x, y, width, height = browser.value(
        f"(r => [r.x, r.y + scrollY, r.width, r.height])"
        f"(document.querySelectorAll('.scroll')[{number}].getBoundingClientRect())"
    )
    clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
    shot = browser.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("L"))
    return tuple(float(np.quantile(pixels[:, at], 0.9)) for at in (1, int(width) - 2))


def test_what_goes_on_beyond_a_phone_has_a_shade_at_that_edge_and_only_there(browser, sixty):
    browser.open(sixty, 390)
    beyond = browser.value(
        "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    )
    assert sum(by > 0 for by in beyond) > 5 and beyond[0] > 0
    for number, by in enumerate(beyond):
        left, right = edges(browser, number)
        assert left > 250
        assert (right < 220) == (by > 3), number
    for number in (i for i, by in enumerate(beyond) if by > 3):
        browser.value(f"document.querySelectorAll('.scroll')[{number}].scrollLeft = 1e5")
        left, right = edges(browser, number)
        assert left < 220 and right > 250, number


def test_a_dark_screen_has_a_dark_page_and_paper_a_white_one(browser, pages):
    background = "getComputedStyle(document.body).backgroundColor"
    browser.open(pages["3"], dark=True)
    assert browser.value(background) == "rgb(25, 25, 23)"
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=features)
    assert browser.value(background) == "rgb(255, 255, 255)"
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.open(pages["3"])
    assert browser.value(background) == "rgb(255, 255, 255)"


def test_companies_are_sorted_by_keys_alone(browser, pages):
    browser.open(pages["25"])
    sizes = browser.value(
        "[...document.querySelectorAll('#companies [data-row] td:nth-child(2)')]"
        ".map(e => Number(e.textContent.replace(',', '')))"
    )
    assert sizes == sorted(sizes, reverse=True)
    browser.value("document.querySelector('#companies [data-download]').focus()")
    browser.press("Tab", 9)  # the table, which scrolls
    browser.press("Tab", 9)  # its first header
    assert browser.value("document.activeElement.textContent") == "company"
    browser.press("Enter", 13)
    assert rows(browser)[0].startswith("shop 0")
    header = "document.querySelector('#companies [aria-sort]')"
    assert browser.value(f"{header}.getAttribute('aria-sort')") == "ascending"
    assert browser.value("document.activeElement.textContent") == "company"
    browser.press("Enter", 13)
    assert browser.value(f"{header}.getAttribute('aria-sort')") == "descending"
    assert rows(browser) == sorted(rows(browser), reverse=True)


def test_a_name_opens_the_figures_of_its_company_and_keeps_the_focus(browser, pages):
    browser.open(pages["25"])
    browser.value("document.querySelector('#companies [data-row] button').focus()")
    browser.press("Enter", 13)
    heading = browser.value("document.querySelector('.company h3').textContent")
    assert heading == rows(browser)[0] == browser.value("document.activeElement.textContent")
    assert browser.value("document.activeElement.getAttribute('aria-expanded')") == "true"
    captions = browser.value(
        "[...document.querySelectorAll('.company caption')].map(e => e.textContent)"
    )
    assert captions == [
        "Figures of each model",
        "Share of the buyers, by share of customers ranked highest",
        "Its half-years: log loss of each model",
    ]
    browser.press("Enter", 13)
    assert browser.value("document.querySelector('.company')") is None


def test_companies_are_filtered_by_name_and_by_buyers(browser, pages):
    browser.open(pages["25"])

    def enter(field: str, value: str) -> None:
        browser.value(
            f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('input')); }})"
            f"(document.querySelector('#companies [data-{field}]'))"
        )

    enter("least", "0")
    count = "document.querySelector('#companies [data-count]').textContent"
    assert browser.value(count) == "1 to 25 of 25"
    enter("filter", "SHOP 1")
    assert browser.value(count) == "1 to 10 of 10, of 25 on this page"
    enter("least", "1000000")
    assert browser.value(count) == "No company matches." and rows(browser) == []


def test_the_download_has_the_companies_that_are_shown_with_every_metric(browser, pages):
    browser.open(pages["25"])
    text = browser.value(
        """(async () => {
            let blob = null;
            const make = URL.createObjectURL;
            URL.createObjectURL = (made) => { blob = made; return make(made); };
            HTMLAnchorElement.prototype.click = () => {};
            document.querySelector('#companies [data-download]').click();
            return await blob.text();
        })()"""
    )
    header, *lines = text.strip().split("\r\n")
    names = header.split(",")
    assert names[:5] == ["company", "customers", "half_years", "buyers", "best_model"]
    assert {f"roc_auc of {model}" for model in MODELS} <= set(names)
    assert all(len(line.split(",")) == len(names) for line in lines)
    assert lines[0].startswith(rows(browser)[0] + ",")
