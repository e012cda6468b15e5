"""Say which model chooses the right customers, the second question of a verdict.

Whoever contacts some customers and not others needs their order, not their probabilities. A model
can be the best for one use and not for the other. Judged are the AUC, and what the tenth of
customers that a model ranks highest holds of the later spend and of the buyers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from scipy.special import stdtrit

from scale_eval.metrics import N_GROUPS
from scale_eval.report.at_a_glance import MOST_COMPANIES
from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.top_tenth import AT_RANDOM, HELD, Failure, failures, shares_of
from scale_eval.report.verdict.identical import distinct_models
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, at_part, reach
from scale_eval.report.wording import (
    companies,
    difference_with_interval,
    figure_with_interval,
    listed,
    metric_label,
    number,
    part_of_companies,
    percent,
    span,
    step_apart,
    step_of_difference,
)

RANKING = (*HELD, "roc_auc")
"""The metrics that depend on the order of customers alone."""

MOST_NAMED = 3
"""Largest number of companies that a sentence names."""


def choose_whom(findings: Findings, best: str) -> tuple[str | None, list[str]]:
    """Return the model that chooses customers best, or None where that is not known, and say so."""
    ranking = [model for model in distinct_models(findings) if model != "base_rate"]
    if not ranking:
        return None, []
    start = best if best in ranking else _first_by_auc(findings, ranking)
    told = [] if best in ranking else [f"{best} cannot choose: it says the same of everybody."]
    others = [model for model in ranking if model != start]
    rivals = [_Rival(findings, rival, start, n_rivals=len(others)) for rival in others]
    ahead = [rival for rival in rivals if rival.sure and not rival.behind]
    mixed = [rival for rival in rivals if rival.sure and rival.behind]
    unsure = [rival for rival in rivals if rival.unsure and not rival.behind and not rival.sure]
    if ahead:
        found = max(ahead, key=lambda rival: (len(rival.sure), rival.lead))
        against = f", not {best}" if best == start else ""
        sentence = f"To choose customers, take {found.model}{against}: {found.facts()}"
        sentence += f"{found.by_company()}."
        return found.model, [*told, sentence]
    if mixed:
        found = max(mixed, key=lambda rival: rival.lead)
        by = listed([_plainly(pair.metric) for pair in found.sure])
        sentence = (
            f"Which model chooses customers better depends on what counts: by {by} it is "
            f"{found.model}, by {listed([_plainly(pair.metric) for pair in found.behind])} "
            f"{start}: {found.facts()}."
        )
        return None, [*told, sentence]
    if unsure:
        found = max(unsure, key=lambda rival: rival.lead)
        sentence = (
            f"Whether {found.model} chooses customers better than {start} is not known: "
            f"{found.facts()}."
        )
        return None, [*told, sentence]
    if not _ranks(findings, start):
        sentence = f"No model is shown to choose customers better than chance, {start} included."
        return None, [*told, sentence]
    return start, [*told, _none_better(findings, start, rivals)]


def by_own_metrics(findings: Findings, best: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield each metric of the user's own, the best model by it or None, and the sentence."""
    for metric in findings.own_metrics:
        if metric == findings.primary:
            continue
        values = pd.Series({m: findings.figure(metric, m)["value"] for m in findings.models})
        distances = findings.distance(metric, values.dropna().astype(float))
        if distances.empty:
            continue
        first, label = str(distances.idxmin()), metric_label(metric)
        if first == best:
            pairs = [findings.pair(metric, best, m) for m in distances.index if m != best]
            sure = pairs and all(p is not None and reach(findings, p)[0] > 0 for p in pairs)
            text = "is the best as well" if sure else "leads, though not beyond doubt"
            yield metric, best if sure else None, f"By {label} {best} {text}."
            continue
        pair = findings.pair(metric, first, best)
        if pair is None:
            continue
        by = f"By {label} {first} is ahead of {best} by {_difference(findings, pair)}"
        if _surely(findings, pair, len(findings.models) - 1):
            yield metric, first, f"{by}: take it where that is what counts."
        elif pair.better_by <= pair.margin:
            yield metric, None, f"{by}, less than the margin."
        else:
            yield metric, None, f"{by}, which is not beyond doubt."


def where_it_fails(findings: Findings, model: str) -> Iterator[str]:
    """Name the companies where the top tenth by a model holds less than without the model."""
    sure = [failure for failure in failures(findings, model) if failure.sure]
    if not sure:
        return
    worst, n = sure[0], findings.n_companies
    named = listed([failure.company for failure in sure], most=MOST_NAMED)
    if len(sure) == 1:
        yield f"At {worst.company} {_failing(model, worst)}."
    else:
        yield (
            f"At {len(sure):,} of {companies(n)} ({named}) the tenth of customers that {model} "
            f"ranks highest holds less than one at random or by a baseline does; most so at "
            f"{worst.company}, where {_failing(model, worst)}."
        )


def _failing(model: str, failure: Failure) -> str:
    if failure.than == AT_RANDOM:
        than = f"{AT_RANDOM} would hold 10 %"
    else:
        than = f"that of the baseline {failure.than} {_share(failure.its_share)}"
        than += " and one at random 10 %" if failure.share < 0.1 else ""
    return (
        f"the tenth of customers that {model} ranks highest holds {_share(failure.share)} of the "
        f"{failure.held}, {than}"
    )


class _Rival:
    """A model against the one that would be chosen by the metric that decides.

    `sure` are the metrics by which it surely ranks better, `behind` those by which it surely ranks
    worse, and `unsure` those by which it is ahead, perhaps by chance.
    """

    def __init__(self, findings: Findings, model: str, start: str, n_rivals: int) -> None:
        self.findings, self.model, self.start = findings, model, start
        pairs = [p for metric in RANKING if (p := findings.pair(metric, model, start)) is not None]
        self.pairs = pairs
        n = n_rivals * len(RANKING)
        self.sure = [pair for pair in pairs if _surely(findings, pair, n)]
        self.behind = [pair for pair in pairs if _surely_behind(findings, pair, n)]
        self.unsure = [p for p in pairs if p not in self.sure and p.better_by > p.margin]

    @property
    def lead(self) -> float:
        """Return by how many margins it is ahead where it is furthest ahead."""
        return max((pair.better_by / max(pair.margin, 1e-9) for pair in self.pairs), default=0.0)

    def facts(self) -> str:
        """Return what both models hold in the top tenth, and their AUC."""
        findings, words = self.findings, []
        for pair in self.pairs:
            mine, its = (
                findings.figure(pair.metric, model)["value"] for model in (self.model, self.start)
            )
            if pair.metric in HELD:
                shown = f"{_share(mine)} of the {HELD[pair.metric]} against {_share(its)}"
            else:
                step = step_apart([mine, its])
                shown = f"AUC {number(mine, step)} against {number(its, step)}"
            words.append(f"{shown} ({self._how_sure(pair)}){at_part(findings, pair.n)}")
        held = [word for word, p in zip(words, self.pairs, strict=True) if p.metric in HELD]
        others = [word for word, p in zip(words, self.pairs, strict=True) if p.metric not in HELD]
        parts = []
        if held:
            few = self.findings.n_companies < MIN_FOR_THE_NEXT
            chance = ", by their customers' chance" if few and self.findings.n_companies > 1 else ""
            parts.append(
                f"the tenth of customers that {self.model} ranks highest holds {listed(held)}"
                f"{chance}; one at random holds 10 %"
            )
        return "; ".join([*parts, *others])

    def by_company(self) -> str:
        """Say at how many companies it is ahead, of a few, and which one makes most of it."""
        findings, metric = self.findings, "value_captured_at_10"
        pair = next((pair for pair in self.pairs if pair.metric == metric), None)
        if pair is None or not 1 < findings.n_companies <= MOST_COMPANIES:
            return ""
        text = f". By spend it is ahead at {part_of_companies(pair.wins, pair.n)}"
        if pair.losses:
            text += f" and behind at {pair.losses}"
        shares, _ = shares_of(findings, metric)
        if self.model not in shares or self.start not in shares:
            return text
        ahead = (shares[self.model] - shares[self.start]).dropna()
        most = str(ahead.idxmax()) if len(ahead) else ""
        if most and ahead[most] > 0.5 * ahead.clip(lower=0).sum() and ahead[most] > pair.margin:
            mine, its = (_share(shares.at[most, m]) for m in (self.model, self.start))
            text += f"; most of it is {most}, {mine} against {its}"
        return text

    def _how_sure(self, pair: Pair) -> str:
        if pair in self.sure or pair in self.behind:
            which = "more" if pair in self.sure else "less"
            low, high = sorted(map(abs, reach(self.findings, pair)))
            step = step_of_difference(abs(pair.better_by), low, high)
            return f"{which} by {number(abs(pair.better_by), step)}, {span(low, high, step)}"
        if abs(pair.better_by) <= pair.margin:
            return "within the margin"
        return "not beyond doubt"


def _surely(findings: Findings, pair: Pair, n: int) -> bool:
    """Return whether `a` is better beyond chance and the margin, `n` comparisons considered."""
    return pair.better_by > pair.margin and _beyond_chance(findings, pair, n)


def _surely_behind(findings: Findings, pair: Pair, n: int) -> bool:
    return -pair.better_by > pair.margin and _beyond_chance(findings, pair, n)


def _beyond_chance(findings: Findings, pair: Pair, n: int) -> bool:
    """Return whether a difference is no chance, allowing for `n` comparisons.

    Of five companies or more by the p value that is adjusted for all pairs of models (Benjamini &
    Hochberg); of fewer by chance among their customers (Bonferroni).
    """
    low, high = reach(findings, pair)
    if not (low > 0 or high < 0):
        return False
    if findings.n_companies >= MIN_FOR_THE_NEXT:
        return not pair.mean_p_adjusted > 0.05
    quantile = float(stdtrit(N_GROUPS - 1, 1 - 0.025 / n))
    return abs(pair.better_by) > quantile * pair.sampling_std_error


def _difference(findings: Findings, pair: Pair) -> str:
    low, high = reach(findings, pair)
    text = difference_with_interval(pair.better_by, low, high)
    return f"{text}{at_part(findings, pair.n)}"


def _ranks(findings: Findings, model: str) -> bool:
    """Return whether a model surely ranks customers better than one that says the same of all."""
    pair = findings.pair("roc_auc", model, "base_rate")
    return pair is None or bool(reach(findings, pair)[0] > 0)


def _first_by_auc(findings: Findings, models: list[str]) -> str:
    values = pd.Series({m: findings.figure("roc_auc", m)["value"] for m in models}, dtype=float)
    return models[0] if values.isna().all() else str(values.idxmax())


def _none_better(findings: Findings, start: str, rivals: list[_Rival]) -> str:
    """Say that no model chooses customers better, and which choose them as well."""
    shown = []
    for metric, held in HELD.items():
        value = findings.figure(metric, start)["value"]
        if not pd.isna(value):
            shown.append(f"{_share(value)} of the {held}")
    auc = findings.figure("roc_auc", start)
    facts = [f"its top tenth holds {listed(shown)}"] if shown else []
    if not pd.isna(auc["value"]):
        of = at_part(findings, int(auc["n_companies_defined"]))
        facts.append(f"AUC {figure_with_interval(auc)}{of}")
    alike = [
        rival.model
        for rival in rivals
        if rival.pairs and all(pair.equivalent for pair in rival.pairs if pair.metric == "roc_auc")
    ]
    by_auc = [pair for rival in rivals for pair in rival.pairs if pair.metric == "roc_auc"]
    n = len(rivals) * len(RANKING)
    if by_auc and all(_surely_behind(findings, pair, n) for pair in by_auc):
        by_tenth = [pair for rival in rivals for pair in rival.pairs if pair.metric in HELD]
        if all(_surely_behind(findings, pair, n) for pair in by_tenth):
            return f"{start} also chooses customers best: {'; '.join(facts)}."
        return (
            f"{start} also ranks customers best, by the AUC; what the top tenth holds does not "
            f"tell it from each of the others: {'; '.join(facts)}."
        )
    words = f"No model is shown to choose customers better than {start}: {'; '.join(facts)}"
    if alike and findings.n_companies >= MIN_FOR_THE_NEXT:
        words += f"; {listed(alike)} {'ranks' if len(alike) == 1 else 'rank'} them as well"
    return f"{words}."


def _share(value: float) -> str:
    """Return a share in percent, with a decimal where it is small."""
    return f"{100 * value:.1f} %" if 0.005 <= value < 0.095 else percent(value)


def _plainly(metric: str) -> str:
    return HELD.get(metric, metric_label(metric))
