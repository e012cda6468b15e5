"""The verdict on a run: which model to choose, for whom, what to expect, and with what doubts.

The words follow the evidence, not the numbers alone: a winner; models that are equal at each
company, or on average only; a mean and a majority of companies that disagree; a difference that is
not known, or too small to matter; a baseline that nothing beats; too few companies to predict the
next one; outcomes by which nothing can be judged. Models are compared by log loss at the average
company, on the windows that all of them predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scale_eval.report.findings import Findings
from scale_eval.report.notebook import sentences_html
from scale_eval.report.verdict.calibration import calibration
from scale_eval.report.verdict.half_year import differs_in_latest, holds_in_latest
from scale_eval.report.verdict.headline import headline
from scale_eval.report.verdict.next_company import next_company
from scale_eval.report.verdict.reservations import coverage, evidence, sample
from scale_eval.report.verdict.rivals import rivals
from scale_eval.report.verdict.selection import selection
from scale_eval.report.verdict.support import against_the_base_rate, ranking


@dataclass(frozen=True)
class Verdict:
    """A recommendation with its reasons and its reservations.

    Attributes
    ----------
    kind : str
        ``winner``; ``winner_here``, of these companies only; ``split``, where the mean favours one
        model and more companies, or the next one, another; ``equal``, at each company;
        ``equal_on_average``; ``identical``; ``small``; ``unknown``; ``baseline``; ``alone``; or
        ``none``, where nothing can be judged.
    choice : str or None
        The model to deploy, by its whole name, where one is named.
    headline : str
    support, reservations : list of str
        Sentences, the most important first.
    """

    kind: str
    choice: str | None
    headline: str
    support: list[str] = field(default_factory=list)
    reservations: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """Return all sentences in reading order."""
        return [self.headline, *self.support, *self.reservations]

    def _repr_html_(self) -> str:
        return sentences_html(self.headline, self.support, self.reservations)


def verdict(findings: Findings) -> Verdict:
    """Return the verdict on a run; its sentences call models by short names."""
    findings = findings.short
    if not findings.models:
        sentence = "There is no verdict: no company and cutoff was predicted by every model."
        return Verdict("none", None, sentence, reservations=list(coverage(findings)))
    kind, choice, sentence = headline(findings)
    if kind == "none":  # figures exist, but nothing follows from them
        about = [*sample(findings), *coverage(findings)]
        return Verdict(kind, choice, sentence, reservations=about)
    best = choice or findings.models[0]
    support = [
        *against_the_base_rate(findings, best),
        *ranking(findings, best),
        *rivals(findings, best, kind),
        *holds_in_latest(findings, best),
        *next_company(findings, best),
        *calibration(findings),
    ]
    reservations = [
        *sample(findings),
        *differs_in_latest(findings, best, is_choice=choice is not None),
        *evidence(findings, best),
        *selection(findings, choice),
        *coverage(findings),
    ]
    named = None if choice is None else findings.whole_name(choice)
    return Verdict(kind, named, sentence, support, reservations)
