"""The section that says how the figures were made."""

from __future__ import annotations

from typing import Any

from scale_eval.report.findings import Findings
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    listed,
)


def settings(findings: Findings) -> Section:
    """Make the section."""
    document = findings.document
    chosen = [
        {"setting": name, "value": _plain(value)}
        for name, value in document.get("settings", {}).items()
    ]
    compared = findings.comparisons.drop_duplicates("metric")
    margins = ", ".join(f"{row.metric} {row.margin:.3g}" for row in compared.itertuples())
    chosen.append({"setting": "margins", "value": margins or "no models to compare"})
    conventions = [
        {"figure": name, "convention": text}
        for name, text in document.get("conventions", {}).items()
    ]
    versions = [
        {"software": name, "version": text} for name, text in document.get("versions", {}).items()
    ]
    named = [
        {"model": name, "whole name": whole}
        for name, whole in sorted(findings.names.items())
        if name != whole
    ]
    return Section(
        "How was it made?",
        tables=[
            table("Models under short names", named, numeric=("",)),
            table("Settings", chosen, numeric=("",)),
            table("Estimators and conventions", conventions, numeric=("",)),
            table("Versions", versions, numeric=("",)),
        ],
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict) and value:
        return ", ".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | dict):
        return listed([_plain(v) for v in value], most=None) if value else "not set"
    return "not set" if value is None else str(value)
