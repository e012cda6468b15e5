"""Which model to choose, for whom, what to expect of it, and what speaks against saying so.

The words follow the evidence, not the numbers alone: a winner, models shown to be equal, a
difference that is not known, one too small to matter, a baseline that nothing beats, companies too
few to say anything of the next one. Models are compared by log loss at the average company, on the
windows that all of them answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from scale_eval.models import BASELINES
from scale_eval.report.findings import FEW, PRIMARY, Findings, Pair
from scale_eval.report.notebook import sentences_html
from scale_eval.report.wording import (
    chance,
    companies,
    count,
    listed,
    metric_words,
    number,
    percent,
    percent_with_interval,
    reason,
    share,
    span,
    step_of,
)

MIN_FOR_THE_NEXT = 5
"""With fewer companies nothing is said of companies not seen."""

MISCALIBRATED = 0.05
"""Probabilities too high or low by a smaller share are well enough."""


@dataclass(frozen=True)
class Verdict:
    """What to do, why, and with what reservations.

    Attributes
    ----------
    kind : str
        ``winner``, ``winner_here`` (these companies only), ``equal``, ``small``, ``unknown``,
        ``baseline``, ``alone`` or ``none``.
    choice : str or None
        The model to deploy, where one is named.
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
        """All of it in reading order."""
        return [self.headline, *self.support, *self.reservations]

    def _repr_html_(self) -> str:
        return sentences_html(self.headline, self.support, self.reservations)


def verdict(findings: Findings) -> Verdict:
    """The verdict on a run."""
    if not findings.models:
        headline = "There is no verdict: no company and cutoff was answered by every model."
        return Verdict("none", None, headline, reservations=list(_coverage(findings)))
    kind, choice, headline = _headline(findings)
    best = choice or findings.models[0]
    support = [
        *_against_the_base_rate(findings, best),
        *_other_metrics(findings, best),
        *_other_estimand(findings, best),
        *_for_whom(findings, best),
        *_next_company(findings, best),
        *_calibration(findings),
    ]
    reservations = [
        *_sample(findings),
        *_evidence(findings, best),
        *_selection(findings, kind),
        *_coverage(findings),
    ]
    return Verdict(kind, choice, headline, support, reservations)


def _headline(findings: Findings) -> tuple[str, str | None, str]:
    best, *others = findings.models
    n = findings.n_companies
    loss = number(findings.figure(PRIMARY, best)["value"])
    if not others:
        return "alone", None, f"Only {best} answered: log loss {loss} at {_average(n)}."
    pair = findings.pair(PRIMARY, best, others[0])
    if pair is None:
        return "unknown", None, f"{best} and {others[0]} have no company in common."
    if n < MIN_FOR_THE_NEXT:
        return _few_companies(findings, pair)
    if best in BASELINES and all(_surely(findings, best, other) for other in others):
        return (
            "baseline",
            best,
            f"No model beats {_baseline(best)}: {_difference(pair)}. Deploy {best}, or nothing.",
        )
    near = [other for other in others if not _surely(findings, best, other)]
    if not near:
        return "winner", best, f"Choose {best} over {others[0]}: {_difference(pair)}."
    rivals = [pair for other in near if (pair := findings.pair(PRIMARY, best, other))]
    open_ones = [rival for rival in rivals if not rival.equivalent and not rival.low > 0]
    if open_ones:
        rival = open_ones[0]
        names = listed([best, *(one.b for one in open_ones)], "or")
        return (
            "unknown",
            None,
            f"It is not known whether {names} is better: against {rival.b}, {_difference(rival)}. "
            f"{_to_settle(rival)}",
        )
    equal = [rival for rival in rivals if rival.equivalent]
    if equal:
        rival = equal[-1]
        return (
            "equal",
            None,
            f"{listed([best, *(one.b for one in equal)])} are equal for any practical purpose: "
            f"their log losses at {_average(n)} differ by less than the margin of {_margin(rival)} "
            f"({_interval(rival)}). Take the one that is cheaper to run.",
        )
    rival = rivals[0]
    return (
        "small",
        best,
        f"{best} is better than {rival.b}, but hardly by what matters: {_difference(rival)}; "
        f"the margin is {_margin(rival)}.",
    )


def _few_companies(findings: Findings, pair: Pair) -> tuple[str, str | None, str]:
    n = findings.n_companies
    those = "this one company" if n == 1 else f"these {companies(n)}"
    here = f"At {those}, in these {findings.window}s,"
    low, high = pair.by_chance()
    step = step_of(pair.better_by)
    told = f"log loss lower by {number(pair.better_by, step)}"
    chance = f"with other customers of theirs, {span(low, high, step)}"
    others = f"; better at {pair.wins} of {pair.n}" if n > 1 else ""
    if low > 0 and pair.better_by > pair.margin:
        return (
            "winner_here",
            pair.a,
            f"{here} {pair.a} was better than {pair.b}: {told} ({chance}){others}.",
        )
    return (
        "unknown",
        None,
        f"{here} {pair.a} and {pair.b} cannot be told apart: {told} ({chance}){others}.",
    )


def _surely(findings: Findings, best: str, other: str) -> bool:
    pair = findings.pair(PRIMARY, best, other)
    return pair is None or pair.surely_better


def _difference(pair: Pair) -> str:
    step = step_of(pair.better_by)
    better = f"better at {percent(pair.wins / pair.n)} of {companies(pair.n)}"
    if pair.ties:
        better += f", no worse at {percent((pair.wins + pair.ties) / pair.n)}"
    return (
        f"{metric_words(pair.metric)} lower by {number(pair.better_by, step)} "
        f"({_interval(pair)}) at the average company; {better}"
    )


def _margin(pair: Pair) -> str:
    return f"{pair.margin:g}".replace("0.", ".", 1)


def _interval(pair: Pair) -> str:
    return span(pair.low, pair.high, step_of(pair.better_by))


def _to_settle(pair: Pair) -> str:
    """How many companies would make the interval leave out 0 or lie inside the margin."""
    half = (pair.high - pair.low) / 2
    wanted = max(abs(pair.better_by), pair.margin - abs(pair.better_by))
    needed = pair.n * (half / wanted) ** 2 if wanted else np.inf
    if not np.isfinite(needed) or needed > 1e6:
        return "More companies of this kind would hardly settle it."
    if needed <= pair.n:
        return "A few more companies would settle it."
    return f"About {_rounded(needed)} companies would settle it."


def _rounded(n: float) -> str:
    digits = int(np.floor(np.log10(max(n, 1))))
    return f"{int(np.ceil(n / 10 ** max(digits - 1, 0)) * 10 ** max(digits - 1, 0)):,}"


def _against_the_base_rate(findings: Findings, best: str) -> Iterator[str]:
    if best == "base_rate":
        return
    skill = findings.figure("log_loss_skill", best)
    if pd.isna(skill["value"]):
        return
    if skill["value"] > 0:
        saved_share = percent_with_interval(skill["value"], skill["ci_low"], skill["ci_high"])
        yield f"Against the base rate known at the cutoff {best} saves {saved_share} of log loss."
    rows = findings.periods
    rows = rows[rows["cutoff"].isna() & (rows["model"] == best)]
    if len(rows):
        row = rows.iloc[0]
        saved, drift = row["saved"], row["drift"]
        if not skill["value"] > 0:
            pass
        elif saved > 0 and drift >= saved:
            yield (
                "All of that is drift: the rate that came was another than the one known, and "
                f"against the rate that came {best} saves nothing."
            )
        elif saved > 0 and drift > saved / 2:
            yield (
                f"Of what it saves, {percent(drift / saved)} is drift of the rate, which a base "
                "rate brought up to date would save as well."
            )
    worse = [
        model
        for model in findings.models
        if model != "base_rate"
        and (pair := findings.pair(PRIMARY, model, "base_rate"))
        and pair.surely_worse
    ]
    if worse:
        yield f"Worse than that base rate: {listed(worse)}."


def _other_metrics(findings: Findings, best: str) -> Iterator[str]:
    """Who ranks better, and what its probabilities are worth."""
    few = findings.n_companies < MIN_FOR_THE_NEXT
    ranks = findings.leaderboard().get("roc_auc", pd.Series(dtype=float)).dropna()
    if best not in ranks:
        return
    rival = ranks.drop(best).idxmax() if len(ranks) > 1 else best
    pair = findings.pair("roc_auc", rival, best) if rival != best else None
    if pair is None:
        return
    low = pair.by_chance()[0] if few else pair.low
    step = step_of(pair.better_by)
    if low > 0 and pair.better_by > pair.margin:
        interval = "" if few else f" ({_interval(pair)})"
        yield (
            f"{rival} ranks better, calibrated worse: its AUC is higher by "
            f"{number(pair.better_by, step)}{interval}, its log loss is not lower. Where only the "
            f"order of customers matters, take {rival}."
        )
    elif ranks.idxmax() == best and pair.better_by < -pair.margin:
        yield f"{best} also ranks customers best (AUC {number(ranks[best])})."
    else:
        others = [m for m in ranks.index if m != best and ranks[m] > ranks[best] - pair.margin]
        if others:
            yield (
                f"{listed(others)} {'ranks' if len(others) == 1 else 'rank'} customers as well as "
                f"{best} or nearly (AUC {number(ranks[best])}); the difference is in the "
                "probabilities."
            )
        else:
            yield f"{best} ranks customers with an AUC of {number(ranks[best])}."


def _other_estimand(findings: Findings, best: str) -> Iterator[str]:
    """Whether customers drawn at random would have it otherwise than the average company."""
    for rival in findings.models:
        pair = findings.pair(PRIMARY, best, rival, "row") if rival != best else None
        if pair is None or pair.better_by >= -pair.margin:
            continue
        surely = "" if pair.high < 0 else ", though not beyond doubt"
        yield (
            f"It differs between questions: over all customers in one, where large companies "
            f"count by their size, {rival} has the lower log loss (by "
            f"{number(-pair.better_by, step_of(pair.better_by))}){surely}."
        )
        return


def _for_whom(findings: Findings, best: str) -> Iterator[str]:
    for stratum in findings.strata:
        for rival in findings.models:
            if rival == best:
                continue
            pair = findings.pair(PRIMARY, best, rival, stratum=stratum)
            if pair is not None and pair.n >= MIN_FOR_THE_NEXT and pair.surely_worse:
                yield (
                    f"At companies of {stratum} choose {rival} instead: log loss lower by "
                    f"{number(-pair.better_by, step_of(pair.better_by))} "
                    f"({span(-pair.high, -pair.low, step_of(pair.better_by))}) there."
                )
                break


def _next_company(findings: Findings, best: str) -> Iterator[str]:
    row = findings.figure("roc_auc", best)
    if not pd.isna(row["prediction_low"]):
        yield (
            f"At a company not yet seen expect of {best} a true AUC between "
            f"{number(row['prediction_low'], 0.01)} and {number(row['prediction_high'], 0.01)} "
            f"(by {companies(int(row['n_heterogeneity']))} with buyers enough)."
        )
    if len(findings.models) < 2:
        return
    rival = next(model for model in findings.models if model != best)
    pair = findings.pair(PRIMARY, best, rival)
    if pair is not None and not np.isnan(pair.p_better_by_margin):
        yield (
            f"At the next company {best} is truly better than {rival} by more than "
            f"{_margin(pair)} of log loss with a probability of {chance(pair.p_better_by_margin)}, "
            f"and worse by more than that with {chance(pair.p_worse_by_margin)}."
        )


def _calibration(findings: Findings) -> Iterator[str]:
    """Models whose probabilities are too high or low, or too bold."""
    said: dict[str, list[str]] = {}
    for model in findings.models:
        if model in BASELINES and model != findings.models[0]:
            continue
        ratio = findings.figure("observed_expected_ratio", model)
        slope = findings.figure("calibration_slope", model)
        if (
            _is_off(ratio, 1.0)
            and ratio["value"] > 0
            and abs(np.log(ratio["value"])) > MISCALIBRATED
        ):
            off = 1 / ratio["value"] - 1
            told = f"too {'high' if off > 0 else 'low'} by {share(abs(off))}"
            said.setdefault(told, []).append(model)
        if _is_off(slope, 1.0) and not 0.8 < slope["value"] < 1.25:
            told = "too bold" if slope["value"] < 1 else "too timid"
            if slope["value"] <= 0:
                told = "the wrong way round"
            told += f" (slope {number(slope['value'], 0.01)})"
            said.setdefault(told, []).append(model)
    for told, models in said.items():
        yield f"Probabilities of {listed(models)} are {told}."


def _is_off(row: pd.Series, target: float) -> bool:
    """By its interval, or where there is none (few companies) by its value."""
    if pd.isna(row["value"]):
        return False
    return bool(pd.isna(row["ci_low"]) or not row["ci_low"] <= target <= row["ci_high"])


def _sample(findings: Findings) -> Iterator[str]:
    if findings.sample is None:
        return
    drawn, of_all = (f"{n:,}" for n in findings.sample)
    yield (
        f"Of {of_all} companies {drawn} were drawn and evaluated. Figures of the average company, "
        f"and their intervals, are of all {of_all} and of no other; shares of companies, curves, "
        "and what is said of the next company are of those drawn, among whom large ones are more "
        "frequent."
    )


def _evidence(findings: Findings, best: str) -> Iterator[str]:
    """How thin it is."""
    n = findings.n_companies
    if n < MIN_FOR_THE_NEXT:
        yield f"{companies(n).capitalize()} cannot say what to expect at the next one."
    elif n < FEW:
        yield f"These are {companies(n)}: the intervals hold, and are as wide as that."
    if findings.n_cutoffs == 1:
        yield f"All of it is one {findings.window}: how models fare in others was not seen."
    elif n >= MIN_FOR_THE_NEXT:
        whose = "companies like these" if findings.sample is None else "these companies"
        yield (
            f"The intervals speak of {whose} at these {findings.n_cutoffs} cutoffs; "
            f"another {findings.window} may differ by more."
        )
    overlapping = findings.statuses[findings.statuses["overlaps"].fillna(False).astype(bool)]
    if len(overlapping):
        yield (
            f"{count(int(overlapping['n'].sum()), 'evaluation')} have label windows that overlap "
            "those of another cutoff: they are not separate evidence."
        )
    weighted = findings.figure(PRIMARY, best, "row")
    if n >= FEW and weighted["n_effective"] < FEW:
        yield (
            f"Figures over all customers in one rest on the few large companies: they weigh as "
            f"{weighted['n_effective']:.0f} companies would."
        )
    row = findings.figure("roc_auc", best)
    undefined = int(row["n_undefined"]) if not pd.isna(row["n_undefined"]) else 0
    defined = int(row["n_defined"]) if not pd.isna(row["n_defined"]) else 0
    if undefined > 0.1 * (undefined + defined):
        yield (
            f"The AUC does not exist in {percent(undefined / (undefined + defined))} of the "
            "evaluations, where all customers bought, or none."
        )
    why = row["heterogeneity_reason"]
    told = n >= MIN_FOR_THE_NEXT and pd.isna(row["prediction_low"]) and isinstance(why, str)
    if told and best != "base_rate":
        yield f"The next company's AUC was not predicted: {reason(why)}."


def _selection(findings: Findings, kind: str) -> Iterator[str]:
    """The winner's curse."""
    if kind not in ("winner", "small") or len(findings.models) < 3:
        return
    best, second = findings.models[:2]
    pair = findings.pair(PRIMARY, best, second)
    if pair is None or not pair.std_error > 0:
        return
    if pair.p_adjusted > 0.05:
        yield (
            f"{best} was picked from {count(len(findings.models), 'model')} on these data; "
            f"allowing for all the comparisons, its lead has p = {number(pair.p_adjusted)}."
        )
    elif pair.better_by < 4 * pair.std_error:
        yield (
            f"{best} was picked as the best of {count(len(findings.models), 'model')} on these "
            "data, which flatters it a little: expect somewhat less."
        )


def _coverage(findings: Findings) -> Iterator[str]:
    statuses = findings.statuses
    if findings.silent:
        yield f"Not compared, for want of a single answer: {listed(findings.silent)}."
    if findings.models:
        row = findings.figure(PRIMARY, findings.models[0])
        compared = int(row["n_defined"])
        other = int(row["n_not_common"] + row["n_failed"] + row["n_skipped"])
        if other:
            yield (
                f"Compared are {compared:,} of {compared + other:,} windows; the others were "
                "refused, or not answered by every model."
            )
    failed = statuses[statuses["status"].isin(["error", "timeout", "killed"])]
    if len(failed):
        by_model = failed.groupby("model")["n"].sum()
        told = listed([f"{model} {n:,}" for model, n in by_model.items()])
        yield f"Evaluations that failed: {told}."
    dead = statuses[statuses["reason"] == "no_whole_window"]
    if len(dead):
        n = int(dead.groupby("model")["n"].sum().max())
        yield (
            f"{companies(n).capitalize()} without a window that was observed whole (such as one "
            "that died) is in no figure."
            if n == 1
            else f"{companies(n).capitalize()} without a window that was observed whole (such as "
            "those that died) are in no figure."
        )


def _average(n: int) -> str:
    return f"the average of {companies(n)}" if n > 1 else "one company"


def _baseline(model: str) -> str:
    if model == "base_rate":
        return "the base rate that was known at the cutoff"
    return f"the baseline {model}"
