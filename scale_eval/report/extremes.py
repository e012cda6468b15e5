"""Find the companies at which a model ranks customers worst and best, chance left aside."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import Findings


def extremes_by(findings: Findings, model: str) -> pd.DataFrame:
    """Return one row for each company with a shrunk AUC, the worst first.

    Its columns are its sizes, its skill, AUC and O:E, and the shrunk AUC.
    """
    figures = _figures(findings, model)
    return figures.dropna(subset="auc_shrunk").sort_values("auc_shrunk", kind="stable")


def _figures(findings: Findings, model: str) -> pd.DataFrame:
    """Return one row per company with its sizes, skill, AUC and O / E."""

    def columns(metric: str, *names: str) -> pd.DataFrame:
        return pd.DataFrame({name: findings.companies(metric, name)[model] for name in names})

    sizes = ("n_customers", "n_positive", "n_cutoffs", "n_defined")
    skill = columns("log_loss_skill", *sizes, "mean")
    auc = columns("roc_auc", "mean", "std_error", "shrunk").add_prefix("auc_")
    ratio = columns("observed_expected_ratio", "mean").add_prefix("ratio_")
    return skill.join(auc).join(ratio)
