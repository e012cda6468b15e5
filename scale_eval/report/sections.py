"""What the report says, question by question: words, a plot, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.report.extremes import worst_and_best
from scale_eval.report.findings import FEW, PRIMARY, Findings, Pair
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    companies,
    listed,
    metric_words,
    number,
    percent,
    percent_with_interval,
    reason,
    span,
)
from scale_eval.statistics.proportions import wilson_interval
from scale_eval.statistics.ranks import friedman, nemenyi_critical_difference
from scale_eval.statistics.undefined import Undefined

MOST_COLUMNS = 8
"""Models that stand side by side in a table: the best."""


def sections(findings: Findings) -> Iterator[Section]:
    """All that there is something to say of, in the order of the page."""
    for make in _SECTIONS:
        section = make(findings)
        if section is not None:
            yield section


def _with_interval(row: pd.Series, step: float = 0.001) -> str:
    if pd.isna(row["value"]):
        return reason(str(row["reason"] or ""))
    told = number(row["value"], step)
    if not pd.isna(row["ci_low"]):
        told += f" ({span(row['ci_low'], row['ci_high'], step)})"
    return told


def _leaderboard(findings: Findings) -> Section | None:
    if not findings.models:
        return None
    rows = []
    for model in findings.models:
        auc = findings.figure("roc_auc", model)
        within = findings.figure("roc_auc", model, "within_company")
        of_rows, on = findings.figure("roc_auc", model, "row"), ""
        if of_rows["reason"] == "scores_not_kept_by_company":
            of_rows, on = findings.figure("roc_auc", model, "row", "own"), " on its own windows"
        prediction = _why_no_effects(auc)
        if not pd.isna(auc["prediction_low"]):
            prediction = span(auc["prediction_low"], auc["prediction_high"], 0.01)
        all_rows = _with_interval(of_rows) + on
        if of_rows["error_bound"] > 0.0005:
            all_rows += f" ± {number(of_rows['error_bound'])} by bins"
        rows.append(
            {
                "model": model,
                "log loss": _with_interval(findings.figure(PRIMARY, model), 0.0001),
                "skill": _with_interval(findings.figure("log_loss_skill", model)),
                "AUC": _with_interval(auc),
                "AUC, next company": prediction,
                "AUC, pairs within companies": _with_interval(within),
                "AUC, all rows": all_rows,
                "observed / expected": _with_interval(
                    findings.figure("observed_expected_ratio", model), 0.01
                ),
            }
        )
    best = findings.models[0]
    within = findings.figure("roc_auc", best, "within_company")
    of_rows = findings.figure("roc_auc", best, "row", "own")
    text = [
        "The average company (each counts once) is what the verdict speaks of; pairs within "
        "companies compare only customers of one company at one cutoff; all rows are what a "
        "customer drawn at random meets. They answer different questions."
    ]
    if not pd.isna(of_rows["constant_floor"]):
        text.append(
            "Over all rows a constant per company, which tells no customer from another, already "
            f"reaches an AUC of {number(of_rows['constant_floor'])}: read those of all rows "
            "against it."
        )
    few = [
        f"{name} {row['n_effective']:.0f}"
        for name, row in (
            ("all rows", findings.figure(PRIMARY, best, "row")),
            ("pairs within companies", within),
        )
        if row["n_effective"] < FEW
    ]
    if few:
        text.append(
            f"Effective companies, where large ones weigh more: {', '.join(few)}. Below {FEW} an "
            "interval is to be taken with care."
        )
    return Section(
        "Which model is best?",
        figure=draw("leaderboard", findings),
        alt="Log loss, AUC and observed over expected of each model, with 95 % intervals.",
        text=text,
        tables=[
            table(f"{companies(findings.n_companies)}; in brackets 95 % intervals", rows),
            table("Every metric, at the average company", _every_metric(findings)),
        ],
    )


def _every_metric(findings: Findings) -> list[dict[str, Any]]:
    """A row a metric, a column a model."""
    return [
        {
            "metric": metric_words(metric),
            "better": {"target": "nearer to its target"}.get(
                findings.better(metric), findings.better(metric)
            ),
            **{
                model: _with_interval(findings.figure(metric, model))
                for model in findings.models[:MOST_COLUMNS]
            },
        }
        for metric in findings.metrics
    ]


def _comparison(findings: Findings) -> Section | None:
    if len(findings.models) < 2:
        return None
    rows = []
    best = findings.models[0]
    for metric in (PRIMARY, "roc_auc", "brier_score"):
        for other in findings.models[1:]:
            pair = findings.pair(metric, best, other)
            if pair is None:
                continue
            step = 0.0001
            rows.append(
                {
                    "metric": metric_words(metric),
                    f"{best} against": other,
                    "better by": number(pair.better_by, step),
                    "95 %": _or_none(pair.low, pair.high, step),
                    "these customers' chance": _or_none(*pair.by_chance(), step),
                    "next company": _or_none(pair.next_low, pair.next_high, step),
                    "better : tie : worse": f"{pair.wins} : {pair.ties} : {pair.losses}",
                    "better at": _better_at(pair),
                    "p, adjusted": "" if np.isnan(pair.p_adjusted) else _p(pair.p_adjusted),
                    "": _in_words(pair),
                }
            )
    return Section(
        "How sure is the difference?",
        figure=draw("comparison", findings),
        alt=f"Differences of log loss between {best} and each other model.",
        text=[
            "Models are compared on the same customers. The first interval is for the average of "
            f"companies like these; the second for these companies in these {findings.window}s, "
            "were their customers' luck drawn again; the third holds the true difference at the "
            "next company.",
            *_ranks(findings),
        ],
        tables=[table("A tie is a difference within the margin", rows, numeric=tuple(rows[0])[2:6])]
        if rows
        else [],
    )


def _better_at(pair: Pair) -> str:
    """The share of companies, with Wilson's interval."""
    low, high = wilson_interval(pair.wins, pair.n)
    return percent_with_interval(pair.wins / pair.n, float(low), float(high))


def _or_none(low: float, high: float, step: float) -> str:
    return "" if np.isnan(low) or np.isnan(high) else span(low, high, step)


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else number(value)


def _in_words(pair: Pair) -> str:
    if pair.equivalent:
        return "equal: shown"
    if pair.surely_better:
        return "better"
    if pair.surely_worse:
        return "worse"
    return "differs by less than the margin" if pair.known else "not known"


def _ranks(findings: Findings) -> Iterator[str]:
    """Friedman and Nemenyi, where there are more than two models and companies enough."""
    if len(findings.models) < 3 or findings.n_companies < 6:
        return
    rows = findings.companies(PRIMARY)
    wide = rows.pivot(index="company_id", columns="model", values=["mean", "n_defined"])
    n_defined = wide["n_defined"][findings.models]
    together = n_defined.min(axis=1, skipna=False) == n_defined.max(axis=1, skipna=False)
    losses = wide["mean"][findings.models][together].dropna()
    try:
        test = friedman(losses.to_numpy())
    except Undefined:
        return
    ranks = ", ".join(
        f"{model} {number(rank, 0.01)}"
        for model, rank in sorted(zip(losses.columns, test.mean_ranks, strict=True), key=_second)
    )
    apart = nemenyi_critical_difference(len(losses.columns), len(losses))
    yield (
        f"Mean ranks by log loss over {companies(len(losses))} that all models answered at as many "
        f"cutoffs: {ranks}. Friedman's test that all are alike: p {_p(test.f_p_value)} (Iman & "
        "Davenport); "
        f"ranks that differ by less than {number(apart, 0.01)} are not told apart (Nemenyi)."
    )


def _second(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def _sizes(findings: Findings) -> Section | None:
    if len(findings.models) < 2 or not findings.strata:
        return None
    best = findings.models[0]
    rows = []
    for stratum in findings.strata:
        pairs = [findings.pair(PRIMARY, best, m, stratum=stratum) for m in findings.models[1:]]
        known = [pair for pair in pairs if pair is not None]
        if not known:
            continue
        winner = min(known, key=lambda pair: pair.better_by)
        if winner.better_by >= 0:
            told = f"{best}" if all(p.surely_better for p in known) else f"{best}, not for sure"
        else:
            told = winner.b if winner.surely_worse else f"{winner.b}, not for sure"
        nearest = min(known, key=lambda pair: abs(pair.better_by))
        rows.append(
            {
                "size": stratum,
                "companies": f"{known[0].n:,}",
                "lowest log loss": told,
                f"{best} better by": number(nearest.better_by, 0.0001),
                "95 %": _or_none(nearest.low, nearest.high, 0.0001),
                "than": nearest.b,
            }
        )
    return Section(
        "Which model for which size of company?",
        figure=draw("sizes", findings),
        alt="Differences of log loss by class of company size.",
        text=["Customers at the company's latest cutoff that every model answered."],
        tables=[table("", rows)],
    )


def _distribution(findings: Findings) -> Section | None:
    if not findings.models:
        return None
    rows = []
    for model in findings.models:
        row = findings.figure("roc_auc", model)
        if pd.isna(row["mean"]):
            continue
        rows.append(
            {
                "model": model,
                **{name: number(row[name]) for name in ("p05", "p25", "p50", "p75", "p95")},
                "std, measured": number(row["std"]),
                "true spread (logit)": _tau(row),
                "I²": "" if pd.isna(row["i_squared"]) else percent(row["i_squared"]),
                "companies": f"{int(row['n_companies_defined']):,}",
                "with buyers enough": f"{int(row['n_heterogeneity'] or 0):,}",
            }
        )
    return Section(
        "How do companies differ?",
        figure=draw("distribution", findings),
        alt="Distribution of companies' own figures, by model.",
        text=[
            "The measured spread holds true differences, time and chance together; the true spread "
            "(tau) is what is left without chance, and I² its share."
        ],
        tables=[table("AUC over companies", rows)] if rows else [],
    )


def _why_no_effects(row: pd.Series) -> str:
    if row["n_heterogeneity"] == 0 and row["std"] == 0:
        return "the same everywhere"
    return reason(str(row["heterogeneity_reason"] or ""))


def _tau(row: pd.Series) -> str:
    if pd.isna(row["tau"]):
        return _why_no_effects(row)
    return f"{number(row['tau'])} ({span(row['tau_low'], row['tau_high'])})"


def _funnel(findings: Findings) -> Section | None:
    if not findings.models or findings.n_companies < 3:
        return None
    model = findings.telling
    return Section(
        "What do small numbers do by themselves?",
        figure=draw("funnel", findings, model=model),
        alt=f"AUC of each company against its number of buyers, for {model}.",
        text=[
            "The fewer its buyers, the more chance decides a company's AUC. Inside the dashed "
            "lines a company differs from the others by no more than that."
        ],
    )


def _over_time(findings: Findings) -> Section | None:
    periods = findings.periods
    if not findings.models or findings.n_cutoffs < 2:
        return None
    best = findings.models[0]
    rows = [
        {
            "cutoff": f"{row.cutoff:%Y-%m-%d}",
            "companies": f"{row.n_companies:,}",
            "customers": f"{row.n_customers:,}",
            "bought": percent(row.observed_rate),
            "lapsed": percent(row.share_lapsed),
            "reference log loss": number(row.reference_log_loss),
            "uncertainty": number(row.uncertainty),
            "drift": number(row.drift),
            f"log loss of {best}": number(row.log_loss),
        }
        for row in periods[
            (periods["companies"] == "all")
            & (periods["model"] == best)
            & (periods["n_companies"] > 0)
            & periods["cutoff"].notna()
        ].itertuples()
    ]
    return Section(
        "Does it hold over time?",
        figure=draw("over_time", findings),
        alt="Skill, AUC and rates cutoff by cutoff, for the same companies.",
        text=[
            "The reference is the base rate known at the cutoff. Its loss is the uncertainty that "
            "even the rate that came would leave, and drift: what it loses because the rate moved. "
            "A model that saves no more than the drift tells no customers apart."
        ],
        tables=[table("All companies at each cutoff", rows)],
    )


def _spread(findings: Findings) -> Section | None:
    rows_of = findings.spread
    told = []
    for metric in ("roc_auc", PRIMARY):
        rows = rows_of[(rows_of["metric"] == metric)].set_index("model")
        for model in findings.models:
            if model not in rows.index or pd.isna(rows.loc[model, "company_sd"]):
                continue
            row = rows.loc[model]
            next_one = (
                ""
                if pd.isna(row["next_cutoff_low"])
                else span(row["next_cutoff_low"], row["next_cutoff_high"])
            )
            told.append(
                {
                    "metric": metric_words(metric),
                    "model": model,
                    "scale": row["scale"],
                    "companies": number(row["company_sd"]),
                    f"{findings.window}s": number(row["cutoff_sd"])
                    + (
                        ""
                        if pd.isna(row["cutoff_sd_low"])
                        else f" ({span(row['cutoff_sd_low'], row['cutoff_sd_high'])})"
                    ),
                    "the rest": number(row["residual_sd"]),
                    "of which chance": number(row["noise_sd"]),
                    f"average at the next {findings.window}": next_one
                    or reason(str(row["reason"] or "")),
                }
            )
    if not told:
        return None
    return Section(
        f"Is it the company, the {findings.window}, or chance?",
        figure=draw("spread", findings),
        alt="Standard deviations of companies, windows and the rest, by model.",
        text=["Standard deviations of evaluations, taken apart as crossed random effects (REML)."],
        tables=[table("", told, numeric=tuple(told[0])[3:])],
    )


def _reliability(findings: Findings) -> Section | None:
    if findings.reliability.empty:
        return None
    parts = findings.decompositions
    rows = [
        {
            "model": row.model,
            "loss": metric_words(row.loss),
            "in all": number(row.value, 0.0001),
            "miscalibration": number(row.miscalibration, 0.0001),
            "discrimination": number(row.discrimination, 0.0001),
            "uncertainty": number(row.uncertainty, 0.0001),
        }
        for loss in (PRIMARY, "brier_score")
        for model in findings.models
        for row in parts[(parts["model"] == model) & (parts["loss"] == loss)].itertuples()
    ]
    return Section(
        "Can the probabilities be taken at their word?",
        figure=draw("reliability", findings),
        alt="Share that bought against the probability that was given, by model.",
        text=[
            "Loss = miscalibration − discrimination + uncertainty (CORP): what recalibrating with "
            "hindsight would save, what telling customers apart saves, and what is left to the "
            "rate alone. All customers in one."
        ],
        tables=[table("", rows, numeric=tuple(rows[0])[2:])] if rows else [],
    )


def _coverage(findings: Findings) -> Section:
    statuses = findings.statuses
    rows = [
        {
            "status": status,
            "reason": reason(why) if why else "",
            **{model: f"{int(n):,}" if n else "" for model, n in by_model.items()},
        }
        for (status, why), by_model in statuses.pivot_table(
            index=["status", "reason"], columns="model", values="n", aggfunc="sum", fill_value=0
        ).iterrows()
    ]
    undefined = []
    for metric in METRICS:
        for model in findings.models:
            row = findings.figure(metric, model)
            if row["n_undefined"]:
                undefined.append(
                    {
                        "metric": metric_words(metric),
                        "model": model,
                        "defined": f"{int(row['n_defined']):,}",
                        "undefined": f"{int(row['n_undefined']):,}",
                        "why": str(row["undefined_reasons"]).replace(";", "; "),
                    }
                )
    text = [
        "An evaluation is a model at a company and a cutoff. What was refused, failed or is "
        "undefined is counted here, and left out above."
    ]
    asked = findings.document.get("asked", {})
    dead = statuses[statuses["reason"] == "no_whole_window"]
    if len(dead) and not asked.get("observed_until"):
        text.append(
            "A company's windows end with its last transaction, so that companies that died count "
            "less, or not at all. To check what that does, run again with --observed-until at the "
            "end of the data: silent companies are then silent, not unobserved."
        )
    tables = [table("Evaluations", rows, numeric=tuple(rows[0])[2:])]
    if undefined:
        tables.append(
            table("Metrics that do not exist in some", undefined, numeric=("defined", "undefined"))
        )
    return Section("What is left out, and why?", text=text, tables=tables)


def _settings(findings: Findings) -> Section:
    document = findings.document
    asked = [
        {"setting": name, "value": _plain(value)}
        for name, value in document.get("asked", {}).items()
    ]
    margins = ", ".join(f"{k} {v:g}" for k, v in document.get("margins", {}).items())
    asked.append({"setting": "margins", "value": margins})
    conventions = [
        {"figure": name, "convention": text}
        for name, text in document.get("conventions", {}).items()
    ]
    versions = [
        {"software": name, "version": text} for name, text in document.get("versions", {}).items()
    ]
    return Section(
        "How was it made?",
        tables=[
            table("Settings", asked, numeric=("",)),
            table("Estimators and conventions", conventions, numeric=("",)),
            table("Versions", versions, numeric=("",)),
        ],
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict) and value:
        return ", ".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | dict):
        return listed([_plain(v) for v in value]) if value else "not set"
    return "not set" if value is None else str(value)


_SECTIONS: tuple[Callable[[Findings], Section | None], ...] = (
    _leaderboard,
    _comparison,
    _sizes,
    _distribution,
    _funnel,
    _over_time,
    _reliability,
    _spread,
    worst_and_best,
    _coverage,
    _settings,
)
