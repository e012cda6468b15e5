"""Say why a run that compares no models has no verdict."""

from __future__ import annotations

from scale_eval.report.findings import Findings
from scale_eval.report.wording import metric_label


def why_no_verdict(findings: Findings) -> str:
    """Return the sentence that stands for the verdict where no model has the deciding figure."""
    figures = findings.figures()
    rows = figures[figures["metric"] == findings.primary]
    n = int(rows["n_undefined"].fillna(0).sum())
    if not n:
        return "There is no verdict: no company and cutoff was predicted by every model."
    reasons = ";".join(rows["undefined_reasons"].dropna()).split(";")
    failed = all(reason.startswith("exception") for reason in reasons if reason)
    return (
        f"There is no verdict: the metric that decides, {metric_label(findings.primary)}, "
        f"{'failed' if failed else 'is undefined'} in all {n:,} evaluations (the column "
        "`undefined` of the table evaluations says why). Let another decide: scale-eval reduce RUN "
        "--primary log_loss."
    )
