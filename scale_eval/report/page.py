"""Make the report: one self-contained HTML page of at most 2 MB, however many companies there are.

What is asked and three figures come first, then the verdict, then its evidence. Plots are SVG
inside the page. Names are escaped, since they come from files. The same run gives the same bytes.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePath

import jinja2
from markupsafe import Markup

from scale_eval.report.company_table import PageCompanies
from scale_eval.report.findings import Findings
from scale_eval.report.opening import opening
from scale_eval.report.sections import sections
from scale_eval.report.svg import svg
from scale_eval.report.verdict import verdict
from scale_eval.storage import Store


def write_page(findings: Findings, store: Store, name: str) -> None:
    """Write the report under `name`, and all companies beside it where it cannot hold them."""
    findings = findings.short
    companies, beside = _companies(findings), ""
    if companies is not None and companies.n_left_out:
        beside = f"{PurePath(name).stem}-companies.csv"
        store.write(beside, companies.whole.csv())
    store.write(name, _rendered(findings, companies, beside).encode())


def page(findings: Findings) -> str:
    """Return the report of a run as HTML; it calls models by short names."""
    findings = findings.short
    return _rendered(findings, _companies(findings), "")


def _companies(findings: Findings) -> PageCompanies | None:
    return PageCompanies.of(findings) if findings.models else None


def _rendered(findings: Findings, companies: PageCompanies | None, beside: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scale_eval.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"unbroken": _unbroken, "svg": svg}
    template = environment.get_template("page.html.jinja")
    return template.render(
        css=_asset("page.css"),
        script=_asset("page.js"),
        verdict=verdict(findings),
        opening=opening(findings),
        sections=list(sections(findings, companies, beside)),
        finished=findings.document.get("status") == "finished",
        version=findings.document.get("versions", {}).get("scale_eval", ""),
    )


def _asset(name: str) -> Markup:
    return Markup(files("scale_eval.report").joinpath(name).read_text(encoding="utf-8").rstrip())


def _unbroken(cell: object) -> str:
    """Keep an interval, and a number with its unit, on one line."""
    return str(cell).replace(" to ", "\u00a0to\u00a0").replace(" %", "\u00a0%")
