"""Make the report: one self-contained HTML page whose size does not grow with companies.

The verdict comes first, then its evidence. Plots are SVG inside the page. Names are escaped, since
they come from files. The same run gives the same bytes.
"""

from __future__ import annotations

import base64
import io

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from scale_eval.report.findings import Findings
from scale_eval.report.sections import sections
from scale_eval.report.verdict import verdict


def page(findings: Findings) -> str:
    """Return the report of a run as HTML; it calls models by short names."""
    findings = findings.short
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scale_eval.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"unbroken": _unbroken, "svg": _svg}
    template = environment.get_template("page.html.jinja")
    return template.render(
        verdict=verdict(findings),
        sections=list(sections(findings)),
        finished=findings.document.get("status") == "finished",
        finished_on=findings.document.get("finished_at", "")[:10],
        version=findings.document.get("versions", {}).get("scale_eval", ""),
        n_companies=findings.n_companies,
        n_cutoffs=findings.n_cutoffs,
    )


def _unbroken(cell: object) -> str:
    """Keep an interval, and a number with its unit, on one line."""
    return str(cell).replace(" to ", "\u00a0to\u00a0").replace(" %", "\u00a0%")


def _svg(figure: Figure) -> str:
    """Return a figure as an SVG in a data URI; the same figure gives the same bytes."""
    file = io.BytesIO()
    with mpl.rc_context(
        {
            "svg.hashsalt": "scale_eval",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        }
    ):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
