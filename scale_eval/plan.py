"""The plan: every evaluation that a run will do or refuse, with its cost estimate.

It is made from the dataset's manifest alone; no transaction is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa

from scale_eval.datasets import Dataset
from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.windows import Calendar

MAX_SCORES_BY_COMPANY = 4_096
"""Companies up to which the scores of each are kept apart."""

N_COMPANY_GROUPS = 64
"""Groups in which the scores of more companies are kept, for leaving one out."""

PLAN_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("cutoff", TIMESTAMP),
        ("horizon_end", TIMESTAMP),
        ("model", pa.string()),
        ("status", pa.string()),  # planned or skipped
        ("reason", pa.string()),
        ("note", pa.string()),
        ("overlaps", pa.bool_()),
        ("company_group", pa.int32()),
        ("cost", pa.float64()),  # comparable within a plan: rows to read and summarise
    ]
)


@dataclass(frozen=True)
class Plan:
    """Windows of companies, crossed with models.

    Attributes
    ----------
    windows : DataFrame
        One row a (company, window), sorted; the columns of PLAN_SCHEMA but for `model`.
    models : tuple of str
    """

    windows: pd.DataFrame
    models: tuple[str, ...]

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row a (company, cutoff, model): `status` is ``planned`` or ``skipped``."""
        names = pd.DataFrame({"model": sorted(self.models)})
        crossed = self.windows.merge(names, how="cross")
        return crossed[PLAN_SCHEMA.names]

    @property
    def planned(self) -> pd.DataFrame:
        """The evaluations that will be done."""
        return self.evaluations[self.evaluations["status"] == "planned"]

    @property
    def refused(self) -> pd.DataFrame:
        """The evaluations that the data cannot bear, with their reason."""
        return self.evaluations[self.evaluations["status"] == "skipped"]

    def table(self) -> pa.Table:
        """The evaluations by PLAN_SCHEMA."""
        return pa.Table.from_pandas(self.evaluations, schema=PLAN_SCHEMA, preserve_index=False)

    @classmethod
    def from_table(cls, table: pa.Table) -> Plan:
        """The plan whose `table` this is."""
        frame = table.to_pandas()
        models = tuple(sorted(frame["model"].unique()))
        windows = frame[frame["model"] == models[0]].drop(columns="model")
        return cls(windows.reset_index(drop=True), models)

    @cached_property
    def company_groups(self) -> dict[str, int]:
        """The group of companies in which each company's scores are kept."""
        pairs = zip(self.windows["company_id"], self.windows["company_group"], strict=True)
        return {company: int(group) for company, group in pairs}


def make_plan(
    dataset: Dataset,
    models: Sequence[str],
    calendar: Calendar,
    *,
    purchase_rule: str = "non_negative",
    observed_until: pd.Timestamp | None = None,
) -> Plan:
    """Plan the evaluation of `models` for every company of `dataset`."""
    observed = {
        company: dataset.observed(
            company, purchase_rule=purchase_rule, observed_until=observed_until
        )
        for company in dataset.company_ids
    }
    if calendar.shared and observed:
        calendar = calendar.shared_by(list(observed.values()))
    groups = company_groups(dataset.company_ids)
    n_rows = dict(zip(dataset.company_ids, dataset.manifest["n_rows"], strict=True))
    rows = [
        {
            "company_id": company,
            "cutoff": None if planned.window is None else planned.window.cutoff,
            "horizon_end": None if planned.window is None else planned.window.horizon_end,
            "status": "skipped" if planned.refusal else "planned",
            "reason": planned.refusal,
            "note": planned.note,
            "overlaps": planned.overlaps,
            "company_group": groups[company],
            "cost": 0.0 if planned.refusal else float(n_rows[company]),
        }
        for company in dataset.company_ids
        for planned in calendar.windows(observed[company])
    ]
    columns = [name for name in PLAN_SCHEMA.names if name != "model"]
    schema = pa.schema([PLAN_SCHEMA.field(name) for name in columns])
    return Plan(pa.Table.from_pylist(rows, schema=schema).to_pandas(), tuple(models))


def company_groups(company_ids: Sequence[str]) -> dict[str, int]:
    """Companies ordered by a stable hash and dealt round-robin into groups.

    Up to 4,096 companies each is a group of its own, numbered in that order; more are dealt into
    64. The number modulo 64 is the group that a jackknife leaves out, either way.
    """
    ordered = sorted(company_ids, key=lambda c: hashlib.sha256(c.encode()).digest())
    n_groups = len(ordered) if len(ordered) <= MAX_SCORES_BY_COMPANY else N_COMPANY_GROUPS
    return {company: i % n_groups for i, company in enumerate(ordered)}
