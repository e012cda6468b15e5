"""Show a verdict and a run as HTML in a notebook."""

from __future__ import annotations

from html import escape

from scale_eval.report.companies_behind import companies_behind
from scale_eval.report.findings import Findings
from scale_eval.report.leaderboard import Leaderboard
from scale_eval.report.wording import flattered


def sentences_html(
    headline: str, uses: list[str], support: list[str], reservations: list[str]
) -> str:
    """Return the headline, what it means by use, the reasons and the reservations as HTML."""
    parts = [f"<p><b>{escape(headline)}</b></p>"]
    for title, sentences in (
        ("For which use", uses),
        ("Why", support),
        ("With what reservations", reservations),
    ):
        if sentences:
            items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
            parts.append(f"<p>{title}</p><ul>{items}</ul>")
    return "".join(parts)


def leaderboard_html(findings: Findings) -> str:
    """Return the leaderboard as HTML, with notes on how to read it."""
    notes = [companies_behind(findings), *flattered(findings.short.models)]
    table = Leaderboard.of(findings)._repr_html_()
    return f"{table}<p>{escape(' '.join(filter(None, notes)))}</p>"
