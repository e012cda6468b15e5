"""Find companies where the customers that a model ranks highest are chosen badly.

A model can be the best on average and, at one company, rank customers worse than chance does or a
baseline without parameters. Whoever contacts the customers that it ranks highest must know where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scale_eval.metrics import METRICS, N_GROUPS
from scale_eval.models import BASELINES
from scale_eval.report.findings import Findings

HELD = {"value_captured_at_10": "spend", "gain_at_10": "buyers"}
"""The metrics of the top tenth, with what it holds a share of."""

AT_RANDOM = "a tenth drawn at random"


@dataclass(frozen=True)
class Failure:
    """A company where the top tenth by a model holds less than one chosen without it.

    Attributes
    ----------
    company : str
    held : str
        What it holds a share of: ``spend`` or ``buyers``.
    share : float
    than : str
        The baseline whose top tenth holds most, or `AT_RANDOM`.
    its_share : float
    sure : bool
        Whether it is more than chance among the company's customers, all companies considered.
    """

    company: str
    held: str
    share: float
    than: str
    its_share: float
    sure: bool


def failures(findings: Findings, model: str) -> list[Failure]:
    """Return where the top tenth by a model holds less than one at random or by a baseline.

    The worst first, with one entry a company: of the spend, or else of the buyers. Differences
    within the margin are none.
    """
    found: dict[str, Failure] = {}
    for metric, held in HELD.items():
        for failure in _by_metric(findings, model, metric, held):
            found.setdefault(failure.company, failure)
    return sorted(found.values(), key=lambda f: (not f.sure, f.share - f.its_share))


def shares_of(findings: Findings, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the share that the top tenth holds, and its error, by company and model."""
    return findings.companies(metric), findings.companies(metric, "std_error")


def _by_metric(findings: Findings, model: str, metric: str, held: str) -> list[Failure]:
    shares, errors = shares_of(findings, metric)
    baselines = [m for m in BASELINES if m in shares and m not in (model, "base_rate")]
    if model not in shares:
        return []
    own, own_error = (frame[model].to_numpy(dtype=float) for frame in (shares, errors))
    n_compared = int(np.count_nonzero(~np.isnan(own)))
    quantile = float(stdtrit(N_GROUPS - 1, 1 - 0.025 / max(n_compared, 1)))  # Bonferroni
    names = np.array([*baselines, AT_RANDOM])
    others = _beside_random(shares[baselines], METRICS[metric].uninformed)
    other_errors = _beside_random(errors[baselines], 0.0)
    behind = np.nan_to_num(others - own[:, np.newaxis], nan=-np.inf)
    at = np.flatnonzero(behind.max(axis=1) > METRICS[metric].margin)
    best = behind[at].argmax(axis=1)
    sure = behind[at, best] > quantile * np.hypot(own_error[at], other_errors[at, best])
    companies = shares.index.to_numpy()[at]
    columns = (companies, own[at], names[best], others[at, best], sure)
    return [
        Failure(str(company), held, float(share), str(than), float(its_share), bool(is_sure))
        for company, share, than, its_share, is_sure in zip(*columns, strict=True)
    ]


def _beside_random(of_baselines: pd.DataFrame, of_random: float | None) -> np.ndarray:
    """Return a figure of each baseline, and that of a tenth drawn at random in the last column."""
    at_random = np.full((len(of_baselines), 1), of_random, dtype=float)
    return np.hstack([of_baselines.to_numpy(dtype=float), at_random])
