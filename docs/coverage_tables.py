"""Write the tables of how often intervals hold, from what the benchmarks recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_table import table

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

FIGURE = ("what", "metric", "estimand")
MANY = 5
"""An interval is shown as sure where a fifth of the samples gave one."""


def intervals() -> str:
    """Return a table for each number of companies: a row a figure, a column a population."""
    figures = recorded("coverage")
    sizes, populations = figures["asked"]["sizes"], figures["asked"]["populations"]
    ours = [row for row in figures["coverage"] if row["method"] == "ours"]
    short = {_key(row) for row in figures["falling_short"] if row["beyond_chance"]}
    parts = []
    for k in sizes:
        by_figure: dict[tuple[str, ...], dict[str, str]] = {}
        for row in ours:
            if row["k"] == k and row["population"] in populations:
                figure = tuple(row[name] for name in FIGURE)
                cells = by_figure.setdefault(figure, {})
                cells[row["population"]] = _cell(row, outside=_key(row) in short)
        rows = (
            (*figure, *(cells.get(p, "") for p in populations))
            for figure, cells in sorted(by_figure.items())
            if set(cells.values()) != {"-"}
        )
        parts.append(f"### {k} companies\n\n{table((*FIGURE, *populations), rows)}")
    return "\n".join(parts)


def half_years() -> str:
    """Return a table of the intervals of fixed companies and of half-years."""
    figures = recorded("coverage")
    short = {_key(row) for row in figures["falling_short"] if row["beyond_chance"]}
    rows = (
        (
            *(row[name] for name in FIGURE),
            row["population"],
            f"{row['k']}",
            _cell(row, _key(row) in short),
        )
        for row in figures["coverage"]
        if row["what"] in ("spread", "these companies", "their difference")
    )
    return table((*FIGURE, "population", "companies", "coverage"), rows)


def shortfalls() -> str:
    """Return a table of what holds less or more often than it should, and why."""
    by_reason: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in recorded("coverage")["falling_short"]:
        if row["beyond_chance"]:
            key = row["why"], row["what"], row["metric"], row["estimand"]
            by_reason.setdefault(key, []).append(row)
    rows = (
        (
            *figure,
            _range(ones),
            ", ".join(sorted({f"{o['population']} ({o['k']})" for o in ones})),
            why,
        )
        for (why, *figure), ones in by_reason.items()
    )
    return table((*FIGURE, "holds", "populations (companies)", "why"), rows)


def probabilities() -> str:
    """Return a table of probabilities as they are said, and how often they are true."""
    rows = recorded("coverage")["probabilities"]
    sizes = sorted({row["k"] for row in rows})
    by_cell = {(row["k"], row["tenth"]): row for row in rows}
    lines = (
        (
            f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}",
            *(_said(by_cell.get((k, tenth))) for k in sizes),
        )
        for tenth in range(10)
    )
    return table(("said", *(f"{k} companies" for k in sizes)), lines)


def others() -> str:
    """Return a table of intervals that others would have published, beside those published here."""
    figures = recorded("coverage")
    of_others = [row for row in figures["coverage"] if row["method"] != "ours"]
    ours = {_key(row): row for row in figures["coverage"] if row["method"] == "ours"}
    population, k = figures["asked"]["populations"][0], 30
    rows = (
        (
            *(row[name] for name in FIGURE),
            row["method"],
            _share(row["coverage"]),
            f"{row['width'] / ours[_key(row)]['width']:.2f}",
            _share(ours[_key(row)]["coverage"]),
        )
        for row in of_others
        if (row["population"], row["k"]) == (population, k)
    )
    return table((*FIGURE, "method", "holds", "width / ours", "ours holds"), rows)


def samples() -> str:
    """Return a table of the figures of runs of a sample."""
    records = ["sampling", *sorted(path.stem for path in RESULTS.glob("sampling-*.json"))]
    of_sizes = {_sizes(recorded(name)["asked"]): name for name in records}
    lines: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for sizes, name in of_sizes.items():
        for row in recorded(name)["coverage"]:
            if row["method"] == "sampled" and row.get("n_sure", 0) * MANY >= row["n"] > 0:
                model = "difference" if row["model"] == "difference" else "each model"
                figure = row["metric"], row["estimand"], f"{row['figure']}, {model}"
                lines.setdefault(figure, {}).setdefault(sizes, []).append(row["sure"])
    rows = (
        (*figure, *(_between(shares.get(sizes, [])) for sizes in of_sizes))
        for figure, shares in lines.items()
    )
    return table(("metric", "estimand", "figure", *of_sizes), rows)


def _sizes(asked: dict[str, Any]) -> str:
    """Return the heading of a benchmark of samples: how sizes, and spend, are distributed."""
    heading = f"Pareto {asked['pareto']:g}" if asked.get("pareto") else "log-normal"
    spend = asked.get("pareto_spend")
    return f"{heading}, spend Pareto {spend:g}" if spend else heading


def recorded(name: str) -> dict[str, Any]:
    """Return the figures that a benchmark recorded."""
    figures: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())["figures"]
    return figures


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (*(row[name] for name in FIGURE), row["population"], row["k"])


def _cell(row: dict[str, Any], outside: bool) -> str:
    shown = row["n_sure"] + row["n_marked"]
    if shown < row["n_refused"]:
        return "-"
    if row["n_sure"] * MANY >= shown:
        share = _share(row["sure"])
        return f"**{share}**" if outside else share
    return f"({_share(row['marked'])})"


def _share(share: float) -> str:
    return f"{share:.3f}".removeprefix("0")


def _between(shares: list[float]) -> str:
    if not shares:
        return "(marked)"
    low, high = _share(min(shares)), _share(max(shares))
    return low if low == high else f"{low} to {high}"


def _range(rows: list[dict[str, Any]]) -> str:
    return _between([row["sure"] for row in rows])


def _said(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    text = f"{_share(row['said'])}: {_share(row['true'])}"
    return f"**{text}**" if abs(row["said"] - row["true"]) > 0.05 else text
