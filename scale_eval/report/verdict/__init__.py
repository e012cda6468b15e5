"""The verdict on a run: which model to choose, for whom, what to expect, and with what doubts.

The words follow the evidence, not the numbers alone: a winner; models that are equal at each
company, or on average only; a mean and a majority of companies that disagree; a difference that is
not known, or too small to matter; a baseline that nothing beats; too few companies to predict the
next one; outcomes by which nothing can be judged. Models are compared by the metric that decides,
by default the log loss, at the average company, on the windows that all of them predicted.

Two questions are answered apart, because different models can be best for them: whether
probabilities can be taken at their word, and which model chooses the right customers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from scale_eval.printable import sentence_shown
from scale_eval.report.at_a_glance import at_a_glance, companies_frame
from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.no_verdict import why_no_verdict
from scale_eval.report.notebook import sentences_html
from scale_eval.report.verdict.against_each import against_each
from scale_eval.report.verdict.at_their_word import at_their_word
from scale_eval.report.verdict.calibration import calibration
from scale_eval.report.verdict.elsewhere import elsewhere
from scale_eval.report.verdict.half_year import differs_in_latest, holds_in_latest
from scale_eval.report.verdict.headline import headline
from scale_eval.report.verdict.next_company import next_company
from scale_eval.report.verdict.reservations import coverage, evidence, sample
from scale_eval.report.verdict.rivals import rivals
from scale_eval.report.verdict.selection import selection
from scale_eval.report.verdict.support import against_the_base_rate
from scale_eval.report.verdict.whom import by_own_metrics, choose_whom, where_it_fails


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
    uses, support, reservations : list of str
        Sentences, the most important first. `uses` says for which use which model is meant.
    choices : dict
        The model to take by use, by its whole name, or None where none is named:
        ``probabilities``, by the log loss; ``customers``, to choose whom to contact; and each
        metric of your own.
    companies : DataFrame
        What the run says about each company, as numbers, if there are 20 companies or fewer; else
        empty. Models have their short names.
    """

    kind: str
    choice: str | None
    headline: str
    uses: list[str] = field(default_factory=list)
    support: list[str] = field(default_factory=list)
    reservations: list[str] = field(default_factory=list)
    choices: dict[str, str | None] = field(default_factory=dict)
    companies: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False)

    @property
    def sentences(self) -> list[str]:
        """Return all sentences in reading order."""
        return [self.headline, *self.uses, *self.support, *self.reservations]

    def _repr_html_(self) -> str:
        return sentences_html(self.headline, self.uses, self.support, self.reservations)


def verdict(findings: Findings) -> Verdict:
    """Return the verdict on a run; its sentences call models by short names."""
    found = _verdict(findings)
    return replace(
        found,
        headline=sentence_shown(found.headline),
        uses=[*map(sentence_shown, found.uses)],
        support=[*map(sentence_shown, found.support)],
        reservations=[*map(sentence_shown, found.reservations)],
    )


def _verdict(findings: Findings) -> Verdict:
    """Return the verdict with names as they are."""
    findings = findings.short
    if not findings.models:
        sentence = why_no_verdict(findings)
        return Verdict("none", None, sentence, reservations=list(coverage(findings)))
    kind, choice, sentence, rival = headline(findings)
    if kind == "none":  # figures exist, but nothing follows from them
        about = [*sample(findings), *coverage(findings)]
        return Verdict(kind, choice, sentence, reservations=about)
    best = choice or findings.models[0]
    whom, chosen_by_order = choose_whom(findings, best)
    rows = at_a_glance(findings)
    by_own = list(by_own_metrics(findings, best))
    fails_at = [
        text
        for model in dict.fromkeys([best, whom or best])
        for text in where_it_fails(findings, model)
    ]
    support = [
        *against_each(findings, best, rival),
        *against_the_base_rate(findings, best),
        *rivals(findings, best, kind),
        *holds_in_latest(findings, best),
        *next_company(findings, best),
        *calibration(findings, best),
    ]
    reservations = [
        *sample(findings),
        *differs_in_latest(findings, best, is_choice=choice is not None),
        *evidence(findings, best),
        *selection(findings, choice),
        *coverage(findings),
    ]
    by_loss = choice if findings.primary == LOSS else headline(findings.by(LOSS)).choice
    choices = {"probabilities": by_loss, "customers": whom}
    choices |= {metric: model for metric, model, _ in by_own}
    if findings.primary in findings.own_metrics:
        choices[findings.primary] = choice
    return Verdict(
        kind,
        findings.whole_name(choice) if choice else None,
        sentence,
        [
            *at_their_word(findings, best),
            *chosen_by_order,
            *fails_at,
            *elsewhere(findings, best, rows),
            *(text for _, _, text in by_own),
        ],
        support,
        reservations,
        {use: findings.whole_name(model) if model else None for use, model in choices.items()},
        companies_frame(rows),
    )
