"""Make the report: one self-contained HTML page of at most 2 MB, however many companies there are.

What is asked and three figures come first, then the verdict, then its evidence. Plots are SVG
inside the page. Names are escaped, since they come from files. The same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import PurePath

import jinja2
import matplotlib as mpl

from scale_eval.printable import printable_lines
from scale_eval.report.company_table import CompanyTable, PageCompanies
from scale_eval.report.findings import Findings
from scale_eval.report.opening import opening
from scale_eval.report.sections import sections
from scale_eval.report.svg import svg
from scale_eval.report.verdict import verdict
from scale_eval.storage import Store

MOST_BYTES = 1_950_000
"""Largest size of a page; it holds fewer companies where it would be larger."""

_HEAD = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
"""
_PAGE_BEGINS = [_HEAD + b'<meta name="generator" content="scale_eval">', _HEAD + b"<title>"]
_COMPANIES_BEGIN = b'"company","customers",'
"""How the files of a report begin; pages of earlier versions do not name what made them."""


def write_page(findings: Findings, store: Store, name: str) -> None:
    """Write the report under `name`, and all companies beside it where it cannot hold them.

    Raises `FileExistsError` where a name is taken by a file that is no report.
    """
    _require_own(store, name, _PAGE_BEGINS)
    beside = f"{PurePath(name).stem}-companies.csv"
    text, companies = _fitting(findings.short, beside)
    if companies is not None and companies.n_left_out:
        _require_own(store, beside, [_COMPANIES_BEGIN])
        store.write(beside, companies.whole.csv())
    store.write(name, text.encode())


def _require_own(store: Store, name: str, begins: Sequence[bytes]) -> None:
    """Raise `FileExistsError` where a file begins otherwise than a report, and is not empty.

    Raises `OSError` where the name is a link.
    """
    store.require_no_link(name)
    content = store.read(name, 0, max(map(len, begins))) if store.exists(name) else b""
    if content and not content.startswith(tuple(begins)):
        raise FileExistsError(
            f"{store.root}/{name} is there, and is no report of scale_eval; move it away or choose "
            "another name"
        )


def page(findings: Findings) -> str:
    """Return the report of a run as HTML; it calls models by short names."""
    return _fitting(findings.short, "")[0]


def _fitting(findings: Findings, beside: str) -> tuple[str, PageCompanies | None]:
    """Return a page of at most `MOST_BYTES`, and the companies on it.

    `beside` names the file that has all companies, if these are not all.
    """
    if not findings.models:
        return _rendered(findings, None, beside), None
    companies = PageCompanies.of(CompanyTable.of(findings))
    while True:
        text = _rendered(findings, companies, beside)
        excess = len(text.encode()) - MOST_BYTES
        if excess <= 0 or not len(companies.shown):
            return text, companies
        companies = PageCompanies.of(companies.whole, max(0, len(companies.text) - excess))


def _rendered(findings: Findings, companies: PageCompanies | None, beside: str) -> str:
    """Return the page, whose plots look the same whatever settings of matplotlib apply here.

    Some lie in the current folder (``matplotlibrc``), and could have text set by other programs.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        return _template_filled(findings, companies, beside)


def _template_filled(findings: Findings, companies: PageCompanies | None, beside: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scale_eval.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"unbroken": _unbroken, "percent": _percent, "svg": svg}
    template = environment.get_template("page.html.jinja")
    words = verdict(findings)
    chosen = words.choices.get("customers")
    text = template.render(
        css=_asset("page.css"),
        script=_asset("page.js"),
        verdict=words,
        opening=opening(findings, chosen and findings.short_name(chosen)),
        sections=list(sections(findings, companies, beside)),
        finished=findings.document.get("status") == "finished",
        version=findings.document.get("versions", {}).get("scale_eval", ""),
    )
    return printable_lines(text)  # names could turn the direction of a line, or of the title


def _asset(name: str) -> str:
    return files("scale_eval.report").joinpath(name).read_text(encoding="utf-8").rstrip()


def _unbroken(cell: object) -> str:
    """Keep an interval, a number with its unit, and what a share is of, on one line."""
    text = str(cell).replace(" to ", "\u00a0to\u00a0").replace(" % of ", " %\u00a0of\u00a0")
    return _percent(text)


def _percent(text: str) -> str:
    """Keep a number and its percent sign on one line."""
    return text.replace(" %", "\u00a0%")
