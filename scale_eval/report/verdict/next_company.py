"""Write the sentences on a company that was not evaluated, and on one half-year of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.phrases import margin_of
from scale_eval.report.wording import (
    chance,
    companies,
    interval_step,
    metric_label,
    part_of_companies,
    span,
)
from scale_eval.statistics.next_window import next_window_interval

UNLIKELY = 0.05
"""Probability below which a model is not expected to be the better one."""

MOST_RIVALS = 4
"""Largest number of models that a sentence compares with the leader."""


def next_company(findings: Findings, best: str) -> Iterator[str]:
    """Say what to expect at a company that was not evaluated."""
    row = findings.figure("roc_auc", best)
    if not pd.isna(row["prediction_low"]):
        yield (
            f"At a company not yet seen expect of {best} a true AUC between "
            f"{_expected(findings, best, row)} "
            f"({_judged_by(findings, int(row['n_heterogeneity']))})."
        )
    pairs = [
        findings.pair(findings.primary, best, other) for other in findings.models if other != best
    ]
    known = [pair for pair in pairs if pair is not None and not np.isnan(pair.p_better_by_margin)]
    if known:
        yield _against_each(findings, best, known)


def _against_each(findings: Findings, best: str, pairs: list[Pair]) -> str:
    """Say how likely the leader is truly better than each rival that could be better than it."""
    likely = sorted(pairs, key=lambda pair: -pair.p_worse_by_margin)
    named = [pair for pair in likely if pair.p_worse_by_margin >= UNLIKELY] or pairs[:1]
    named = named[:MOST_RIVALS]
    probabilities = [
        (pair.b, chance(pair.p_better_by_margin), chance(pair.p_worse_by_margin)) for pair in named
    ]
    rival, better, worse = probabilities[0]
    text = (
        f"At the next company {best} is truly better than {rival} by more than "
        f"{margin_of(named[0])} of {metric_label(named[0].metric)}{_over(findings)} with a "
        f"probability of {better}, and worse by more than that with {worse}"
    )
    text += "".join(f"; than {b}, {better} and {worse}" for b, better, worse in probabilities[1:])
    others = [pair for pair in pairs if pair not in named]
    if others:
        whom = f"{others[0].b} is" if len(others) == 1 else "each of the others is"
        most = max(pair.p_worse_by_margin for pair in others)
        text += f"; {whom} better by that with {chance(max(most, UNLIKELY))} at most"
    n = min(pair.n_heterogeneity for pair in named)
    return f"{text} ({_judged_by(findings, n)})." if n else f"{text}."


def _judged_by(findings: Findings, n: int) -> str:
    """Return the companies that a prediction rests on, and of how many they are a part."""
    if n >= findings.n_companies:
        return f"judged by {companies(n)}"
    part = part_of_companies(n, findings.n_companies)
    return f"judged by {part}, those with enough buyers"


def _expected(findings: Findings, model: str, row: pd.Series) -> str:
    """Say between what the next company's AUC lies, in which half-years, and in one of them."""
    mean, spread = (row["prediction_low"], row["prediction_high"]), _spread(findings, model)
    if findings.n_cutoffs == 1:
        when = f" in the {findings.window} that was seen; another may differ by more"
        return f"{_between(mean)}{when}"
    if spread is not None and spread["n_evaluations"] == spread["n_companies"]:
        return f"{_between(mean)} in one {findings.window}, as each company was seen in one"
    single = one_window(findings, model, row)
    if single is None:
        return f"{_between(mean)}{_over(findings)} of which any one may differ by more"
    step = 0.01 if _between(mean) != _between(single) else 0.001
    averaged, alone = _between(mean, step), _between(single, step)
    if averaged == alone:
        return f"{averaged}, averaged over its {findings.window}s or in any one of them"
    return f"{averaged}{_over(findings)} and between {alone} in any one of them"


def _over(findings: Findings) -> str:
    """Say that a company's figure is a mean over half-years; "" where each was seen in one."""
    row = findings.figure(findings.primary, findings.models[0])
    several = row["n_defined"] > row["n_companies_defined"]
    return f", averaged over its {findings.window}s," if several else ""


def one_window(findings: Findings, model: str, row: pd.Series) -> tuple[float, float] | None:
    """Return the interval of the true AUC in one window of the next company.

    None where half-years cannot be told from companies and chance, see the table `spread`. `row` is
    the model's figure at the average company.
    """
    spread, effects = _spread(findings, model), METRICS["roc_auc"].effects
    if spread is None or pd.isna(spread["next_cutoff_low"]) or effects is None:
        return None
    low, centre, high = effects.to(
        row[["prediction_low", "expected", "prediction_high"]].to_numpy(dtype=float)
    )
    at_cutoffs = findings.by_cutoff("roc_auc", model)["n_heterogeneity"].fillna(0).to_numpy(float)
    noise = 0.0 if pd.isna(spread["noise_sd"]) else spread["noise_sd"]
    ends = next_window_interval(
        (low, high),
        centre,
        cutoff_variance=spread["cutoff_sd"] ** 2,
        interaction_variance=max(spread["residual_sd"] ** 2 - noise**2, 0.0),
        n_cutoffs=at_cutoffs.sum() ** 2 / np.square(at_cutoffs).sum(),
        windows_per_company=spread["n_evaluations"] / spread["n_companies"],
    )
    low, high = effects.back(np.array(ends))
    return float(low), float(high)


def _spread(findings: Findings, model: str) -> pd.Series | None:
    """Return the row of `spread` of a model's AUC; None where there is none."""
    rows = findings.spread
    if rows.empty:
        return None
    rows = rows[(rows["model"] == model) & (rows["metric"] == "roc_auc")]
    return rows.iloc[0] if len(rows) else None


def _between(ends: tuple[float, float], step: float = 0.01) -> str:
    """Return the ends of an interval of AUCs, such as ``.61 and .84``."""
    return span(*ends, interval_step(ends[0], *ends, step)).replace(" to ", " and ")
