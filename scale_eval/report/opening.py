"""The first screen of the report: what was asked, of whom, and what came, in plain words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath

import pandas as pd

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.nothing_to_judge import nothing_to_judge
from scale_eval.report.wording import companies, count, metric_label, number
from scale_eval.statistics.weighted_blocks import TOP


@dataclass(frozen=True)
class PlainFigure:
    """A figure in large print, and what it says."""

    value: str
    words: str


@dataclass(frozen=True)
class Opening:
    """What stands above the verdict.

    Attributes
    ----------
    about : str
        The run, its data, and when it was made.
    question, how : str
        What was asked, and how it was answered; "" where no model is compared.
    figures : list of PlainFigure
    loss : str
        What a log loss is.
    """

    about: str
    question: str = ""
    how: str = ""
    figures: list[PlainFigure] = field(default_factory=list)
    loss: str = ""


def opening(findings: Findings, ranking: str | None) -> Opening:
    """Return the first screen of findings whose models have short names.

    `ranking` is the model that chooses customers, if the verdict names one.
    """
    about = _about(findings)
    if not findings.models:
        return Opening(about)
    sizes = findings.companies(findings.primary, "n_customers")[findings.models[0]]
    n = int(sizes.fillna(0).sum())
    within = companies(findings.n_companies).removeprefix("one ")
    question = (
        f"Who of {n:,} customers of {'one ' if within == 'company' else ''}{within} buys in the "
        f"next {_horizon(findings)}?"
    )
    if nothing_to_judge(findings):
        return Opening(about, question, _how(findings))
    return Opening(about, question, _how(findings), _figures(findings, ranking), _loss(findings))


def _about(findings: Findings) -> str:
    document = findings.document
    parts = ["scale_eval"]
    if findings.directory is not None:
        parts.append(f"run {PurePath(str(findings.directory.store.root)).name}")
    if document.get("dataset"):
        name = PurePath(document["dataset"]).name
        period = document.get("data_period")
        spanned = f", {period[0][:10]} to {period[1][:10]}" if period else ""
        parts.append(f"data {name}{spanned}")
    if document.get("finished_at"):
        parts.append(f"made on {document['finished_at'][:10]}")
    return " · ".join(parts)


def _horizon(findings: Findings) -> str:
    """Return the length of a window in words: ``six months`` for ``6 months``."""
    horizon = str(findings.document.get("settings", {}).get("horizon", "6 months"))
    n, _, unit = horizon.partition(" ")
    return count(int(n), unit.removesuffix("s")) if n.isdigit() else horizon


def _how(findings: Findings) -> str:
    periods = findings.periods
    rows = periods[periods["cutoff"].notna() & (periods["n_companies"] > 0)]
    first, last = rows["cutoff"].min(), rows["cutoff"].max()
    when = f"at {first:%Y-%m-%d}"
    if findings.n_cutoffs > 1:
        when = f"at {count(findings.n_cutoffs, 'cutoff')} from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    whole = _all_windows(findings)
    models = count(len(findings.models), "model")
    each = "the model" if len(findings.models) == 1 else f"each of {models}"
    return (
        f"Asked {when}, by what was known then: {int(whole['n_customers']):,} answers of {each}, "
        f"held against who bought. A customer counts at every cutoff; "
        f"{_share(whole['observed_rate'])} bought."
    )


def _share(value: float) -> str:
    return f"{100 * value:.{0 if value >= 0.1 else 1}f} %"


def _all_windows(findings: Findings) -> pd.Series:
    rows = findings.periods
    of_best = rows["cutoff"].isna() & (rows["model"] == findings.models[0])
    return rows[of_best].iloc[0]


def _figures(findings: Findings, ranking: str | None) -> list[PlainFigure]:
    model = ranking or findings.models[0]
    if model == "base_rate":
        model = findings.best_ranking_model
    made = [_top_buyers(findings, model), _top_spend(findings, model), _level(findings, model)]
    return [figure for figure in made if figure is not None]


def _top_buyers(findings: Findings, model: str) -> PlainFigure | None:
    """Say how many of 100 customers ranked highest buy, of those whom each company ranks."""
    row = findings.figure("gain_at_10", model, "within_company")
    if pd.isna(row["value"]) or model == "base_rate":
        return None
    rate = float(_all_windows(findings)["observed_rate"])
    tenth, over = "tenth", ""
    if findings.n_companies > 1:
        tenth, over = "tenth of their company", ", over the customers of all companies together"
    which = "" if model == findings.models[0] else ", which chooses customers best,"
    return PlainFigure(
        f"{100 * row['value'] * rate / TOP:.0f} of 100",
        f"customers in the {tenth} that {model}{which} ranks highest buy{over}; of 100 taken at "
        f"random {100 * rate:.0f} do.",
    )


def _top_spend(findings: Findings, model: str) -> PlainFigure | None:
    """Say what share of the spend falls to the customers ranked highest."""
    row = findings.figure("value_captured_at_10", model)
    if pd.isna(row["value"]) or model == "base_rate":
        return None
    return PlainFigure(
        f"{100 * row['value']:.0f} %",
        f"of the later spend comes from the tenth of customers that {model} ranks highest"
        f"{_average(findings)}; a tenth taken at random brings 10 %.",
    )


def _level(findings: Findings, chosen: str) -> PlainFigure | None:
    """Say how many buyers come where the model that leads expects 100.

    It is said to lead where the other figures are of the model `chosen`, which is not the same.
    """
    model = findings.models[0]
    which = "" if model == chosen else f", which leads by {metric_label(findings.primary)},"
    row = findings.figure("observed_expected_ratio", model)
    if pd.isna(row["value"]):
        return None
    return PlainFigure(
        f"{100 * row['value']:.0f} for 100",
        f"buyers came for those that {model}{which} expected{_average(findings)}: how far its "
        "probabilities can be taken at their word.",
    )


def _average(findings: Findings) -> str:
    return "" if findings.n_companies == 1 else ", at the average company"


def _loss(findings: Findings) -> str:
    best = findings.models[0]
    parts = []
    for model in dict.fromkeys([best, "base_rate"]):
        row = findings.figure(LOSS, model)
        if not pd.isna(row["value"]):
            parts.append(f"{model} has {number(row['value'])}")
    base_rate = " base_rate gives each customer of a company the share that bought before."
    return (
        "Log loss says how far probabilities are from what happened; being sure and wrong costs "
        f"most. The lower, the better, 0 is perfect: {', '.join(parts)}."
        f"{base_rate if 'base_rate' in findings.models else ''}"
    )
