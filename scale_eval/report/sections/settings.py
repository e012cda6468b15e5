"""The section that says how the figures were made."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from scale_eval.report.findings import Findings
from scale_eval.report.section import Section, table
from scale_eval.report.wording import listed

_HASH = re.compile("[0-9a-f]{64}")

VERSION = (
    "A version is that of a model's code, of what this uses in other files, of its parameters, and "
    "of the files that it declares or was seen to read. What else it depends on is not known: if "
    "that has changed, evaluate the model anew with --replace MODEL."
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
    return Section(
        "How was it made?",
        tables=[
            table("Models", _models(findings), numeric=("",), note=VERSION),
            table("Settings", chosen, numeric=("",)),
            table("Estimators and conventions", conventions, numeric=("",)),
            table("Versions", versions, numeric=("",)),
        ],
    )


def _models(findings: Findings) -> list[dict[str, Any]]:
    """Return what each model was when it was evaluated."""
    document = findings.document
    when = findings.evaluated_between
    rows = []
    unknown: dict[str, Any] = {whole: {} for whole in findings.names.values()}
    models = {**unknown, **document.get("models", {})}
    for whole, identity in sorted(models.items()):
        short = findings.short_name(whole)
        read = {**identity.get("files", {}), **document.get("read_files", {}).get(whole, {})}
        days = dict.fromkeys(f"{instant:%Y-%m-%d}" for instant in when.get(whole, ()))
        rows.append(
            {
                "model": short,
                "whole name": "" if short == whole else whole,
                "version": _version({**identity, "read": read}) if identity else "",
                "evaluated": " to ".join(days),
                "what it reads": ", ".join(sorted(read)),
            }
        )
    return rows


def _version(identity: dict[str, Any]) -> str:
    content = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _plain(value: Any) -> str:
    if isinstance(value, str) and _HASH.fullmatch(value):
        return value[:8]
    if isinstance(value, dict) and value:
        return ", ".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | dict):
        return listed([_plain(v) for v in value], most=None) if value else "not set"
    return "not set" if value is None else str(value)
