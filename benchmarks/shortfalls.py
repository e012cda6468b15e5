"""Why intervals hold less or more often than they should, where that is known."""

from __future__ import annotations

from typing import Any, NamedTuple


class Shortfall(NamedTuple):
    """A known reason, and the figures that it is of; an empty set is all of them."""

    why: str
    what: frozenset[str] = frozenset()
    metric: frozenset[str] = frozenset()
    estimand: frozenset[str] = frozenset()
    population: frozenset[str] = frozenset()

    def explains(self, row: dict[str, Any]) -> bool:
        return all(
            not wanted or row[name] in wanted
            for name, wanted in zip(self._fields[1:], self[1:], strict=True)
        )


def _shortfall(why: str, **chosen: set[str]) -> Shortfall:
    return Shortfall(why, **{name: frozenset(values) for name, values in chosen.items()})


KNOWN = (
    _shortfall(
        "all companies are truly the same: a prediction that holds one of them holds all",
        what={"next company", "next difference", "tau"},
        population={"alike"},
    ),
    _shortfall(
        "the two models rank alike: their difference is 0 in every sample",
        what={"difference"},
        metric={"roc_auc", "average_precision", "gain_at_10"},
        population={"alike"},
    ),
    _shortfall(
        "companies where nobody bought have no figure, and are not like the others",
        metric={"roc_auc", "average_precision", "gain_at_10"},
        estimand={"equal_company"},
        population={"rare events"},
    ),
    _shortfall(
        "figures go with size, and a sample that misses the largest companies does not know it",
        estimand={"row", "within_company"},
        population={"Pareto 1.2", "Pareto 1.6", "rare events"},
    ),
    _shortfall(
        "by how much losses differ goes with rate and size along no line, and companies that are "
        "known badly differ most",
        what={"next difference"},
        metric={"log_loss", "brier_score"},
    ),
)
"""In the order in which they are tried."""


def why(row: dict[str, Any]) -> str:
    """Return why the interval of a row falls short; empty where it is not known."""
    return next((known.why for known in KNOWN if known.explains(row)), "")
