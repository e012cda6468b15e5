"""The sections of the report; each answers one question."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scale_eval.report.company_table import PageCompanies
from scale_eval.report.findings import Findings
from scale_eval.report.nothing_to_judge import nothing_to_judge
from scale_eval.report.section import Section
from scale_eval.report.sections.all_companies import all_companies
from scale_eval.report.sections.comparison import comparison
from scale_eval.report.sections.coverage import coverage
from scale_eval.report.sections.distribution import distribution
from scale_eval.report.sections.each_company import each_company
from scale_eval.report.sections.extremes import worst_and_best
from scale_eval.report.sections.funnel import funnel
from scale_eval.report.sections.gains import gains
from scale_eval.report.sections.leaderboard import leaderboard
from scale_eval.report.sections.over_time import over_time
from scale_eval.report.sections.reliability import reliability
from scale_eval.report.sections.scores import scores
from scale_eval.report.sections.settings import settings
from scale_eval.report.sections.sizes import sizes
from scale_eval.report.sections.spread import spread

SECTIONS: tuple[Callable[[Findings], Section | None], ...] = (
    each_company,
    leaderboard,
    comparison,
    gains,
    sizes,
    distribution,
    funnel,
    over_time,
    reliability,
    scores,
    spread,
    worst_and_best,
    all_companies,
    coverage,
    settings,
)
"""All sections in the order of the page; one that has nothing to say returns None."""


WITHOUT_JUDGEMENT = (coverage, settings)
"""The sections of a run by whose outcomes no model can be judged: the others would judge."""


def sections(
    findings: Findings, companies: PageCompanies | None = None, beside: str = ""
) -> Iterator[Section]:
    """Yield the sections that have something to say, in the order of the page.

    `companies` are those of the page, and `beside` names the file that has all, if there is one.
    """
    for make in WITHOUT_JUDGEMENT if nothing_to_judge(findings) else SECTIONS:
        if make is all_companies:
            section = all_companies(findings, companies, beside)
        else:
            section = make(findings)
        if section is not None:
            yield section
