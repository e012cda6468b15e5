"""The plan: every evaluation that a run will do or refuse, with its cost estimate.

It is made from the dataset's manifest alone; no transaction is read. It holds companies and windows
as arrays, and combines them with the models only where it is written or shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets import Dataset
from scale_eval.datasets.hash_order import MAX_UNCUT, ranks_of, slices_of
from scale_eval.datasets.instants import DAY, NEVER, as_utc, from_microseconds, microseconds
from scale_eval.datasets.purchases import MIN_CUSTOMERS
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.planning.calendar import REFUSALS, ObservedSpans, PlannedWindows
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.planning.company_sample import Sample
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.settings import Settings
from scale_eval.storage.columns import TIME

MAX_SCORES_BY_COMPANY = MAX_UNCUT
"""The largest number of companies whose scores are kept company by company."""

PLAN_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("cutoff", TIME),
        ("horizon_end", TIME),
        ("model", pa.string()),
        ("status", pa.string()),  # planned or skipped
        ("reason", pa.string()),
        ("note", pa.string()),
        ("overlaps", pa.bool_()),
        ("company_group", pa.int32()),
        ("cost", pa.float64()),  # seconds on one core, as estimated before the run
    ]
)


@dataclass(frozen=True)
class Plan:
    """A plan lists every evaluation that a run will do or refuse: windows, times models.

    Attributes
    ----------
    company_ids : list of str
        Every company, sorted.
    observed : ObservedSpans
        The span over which each was observed.
    n_rows, n_customers : ndarray of int64, shape (n_companies,)
    group : ndarray of int64, shape (n_companies,)
        The group in which each company's scores are kept.
    windows : PlannedWindows
    models : tuple of str
        Sorted.
    """

    company_ids: list[str]
    observed: ObservedSpans
    n_rows: np.ndarray
    n_customers: np.ndarray
    group: np.ndarray
    windows: PlannedWindows
    models: tuple[str, ...]

    @cached_property
    def is_planned(self) -> np.ndarray:
        """Return which windows are evaluated, bool of shape (n_windows,); others are refused."""
        return self.windows.refusal == 0

    @property
    def n_planned(self) -> int:
        """Return the number of evaluations that will be done."""
        return int(self.is_planned.sum()) * len(self.models)

    @property
    def n_refused(self) -> int:
        """Return the number of evaluations that are refused."""
        return int((~self.is_planned).sum()) * len(self.models)

    @property
    def n_evaluations(self) -> int:
        """Return the number of evaluations, done or refused."""
        return len(self.is_planned) * len(self.models)

    def costs(self, costs: Costs) -> np.ndarray:
        """Return seconds on one core for each window, all models; float64 of shape (n_windows,)."""
        company = self.windows.company
        seconds = costs.window_seconds(self.n_rows[company], self.n_customers[company], self.models)
        return np.where(self.is_planned, seconds, 0.0)

    def parts(self, costs: Costs) -> Iterator[pa.Table]:
        """Yield the evaluations by PLAN_SCHEMA, model by model."""
        windows, company = self._windows_table(), self.windows.company
        for model in self.models:
            cost = costs.window_seconds(self.n_rows[company], self.n_customers[company], [model])
            whole = windows.append_column("model", pa.repeat(pa.scalar(model), len(windows)))
            whole = whole.append_column("cost", pa.array(np.where(self.is_planned, cost, 0.0)))
            yield whole.select(PLAN_SCHEMA.names).cast(PLAN_SCHEMA)

    @property
    def evaluations(self) -> pd.DataFrame:
        """Return one row per evaluation, ``planned`` or ``skipped``; for small plans."""
        return pa.concat_tables(self.parts(Costs())).to_pandas()

    def frame(self, n_companies: int | None = None) -> pd.DataFrame:
        """Return one row per (company, window) of the first `n_companies`, to be read by people."""
        n = len(self.company_ids) if n_companies is None else n_companies
        return self._windows_table(int(np.searchsorted(self.windows.company, n))).to_pandas()

    def refusals(self) -> dict[str, int]:
        """Count the windows that are refused, by reason."""
        codes, counts = np.unique(self.windows.refusal[~self.is_planned], return_counts=True)
        return {REFUSALS[c]: n for c, n in zip(codes.tolist(), counts.tolist(), strict=True)}

    def note(self, window: int) -> str:
        """Explain the refusal of a window to a person; "" where it is not refused."""
        planned = self.windows
        company, cutoff = planned.company[window], int(planned.cutoff[window])
        until = from_microseconds(int(self.observed.until[company]))
        match REFUSALS[planned.refusal[window]]:
            case "no_whole_window":
                first = from_microseconds(int(self.observed.first[company]))
                return f"observed from {first:%Y-%m-%d} until {until:%Y-%m-%d}"
            case "too_few_customers":
                return (
                    f"fewer than {MIN_CUSTOMERS} customers there; "
                    "name the cutoff to evaluate it all the same"
                )
            case "not_observed_whole":
                horizon_end = from_microseconds(int(planned.horizon_end[window]))
                return f"ends {horizon_end:%Y-%m-%d}, observed until {until:%Y-%m-%d}"
            case "gap_in_data":
                return self._gap_note(window)
            case "no_customers":
                return f"nobody had bought before {from_microseconds(cutoff):%Y-%m-%d}"
        return ""

    def _gap_note(self, window: int) -> str:
        planned = self.windows
        cutoff, horizon_end = int(planned.cutoff[window]), int(planned.horizon_end[window])
        gap = self.observed.gaps.first_in(
            int(planned.company[window]), 2 * cutoff - horizon_end, horizon_end
        )
        start, end = map(from_microseconds, gap or (cutoff, horizon_end))
        return f"few or no sales from {start:%Y-%m-%d} to {end:%Y-%m-%d}"

    def digest(self) -> str:
        """Return the SHA-256 of the companies and windows; it does not depend on the models."""
        digest = hashlib.sha256("\n".join(self.company_ids).encode())
        planned = self.windows
        for column in (planned.company, planned.cutoff, planned.horizon_end, planned.refusal):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def _windows_table(self, n: int | None = None) -> pa.Table:
        """Return the first `n` windows, all by default, by PLAN_SCHEMA without model and cost."""
        planned = self.windows
        company, refused = planned.company[:n], ~self.is_planned[:n]
        notes = [""] * len(company)
        for window in np.flatnonzero(refused).tolist():
            notes[window] = self.note(window)
        names = pa.array(self.company_ids, pa.string())
        return pa.table(
            {
                "company_id": names.take(pa.array(company)),
                "cutoff": _instants(planned.cutoff[:n]),
                "horizon_end": _instants(planned.horizon_end[:n]),
                "status": pa.array(["planned", "skipped"]).take(pa.array(refused.astype(np.int8))),
                "reason": pa.array(REFUSALS).take(pa.array(planned.refusal[:n])),
                "note": pa.array(notes, pa.string()),
                "overlaps": planned.overlaps[:n],
                "company_group": self.group[company].astype(np.int32),
            }
        )


def plan_run(
    dataset: Dataset, models: Iterable[str], settings: Settings, sample: Sample | None = None
) -> Plan:
    """Plan the evaluation of `models` on all companies of `dataset`, or on a sample of them.

    The scores of a sample are kept company by company, numbered as among all companies, so that
    others can be added later.
    """
    manifest = dataset.manifest_table
    company_ids = all_ids = dataset.company_ids
    if sample is None:
        group = np.fromiter(company_groups(all_ids).values(), np.int64)
    else:
        company_ids = sample.company_ids
        chosen = np.searchsorted(np.array(all_ids, dtype=object), company_ids)
        manifest = manifest.take(pa.array(chosen))
        group = ranks_of(all_ids)[chosen]
    observed = observed_spans(manifest, settings)
    return Plan(
        company_ids,
        observed,
        manifest["n_rows"].to_numpy(),
        manifest["n_customers"].to_numpy(),
        group,
        settings.calendar.windows(observed),
        tuple(sorted(models)),
    )


def disk_order(plan: Plan, dataset: Dataset) -> np.ndarray:
    """Return positions of a plan's companies in the order in which their rows lie on disk."""
    position = {company_id: i for i, company_id in enumerate(plan.company_ids)}
    names = dataset.reading_order(plan.company_ids)
    return np.fromiter((position[name] for name in names), np.int64, len(names))


def observed_spans(manifest: pa.Table, settings: Settings) -> ObservedSpans:
    """Return the span over which each company of the `manifest` was observed, and its gaps.

    Data are complete between a company's first and last row (to the end of the last day where all
    timestamps are dates), or until `observed_until` where that is given; but for silences that are
    probably missing data, also that after the last row, unless they lie in the span `observed`.
    """

    def instants(column: str) -> np.ndarray:
        return pc.fill_null(manifest[column].cast(pa.int64()), NEVER).to_numpy()

    if settings.observed_until is None:
        observed_until = None
        until = instants("last_timestamp") + DAY * manifest["dates_only"].to_numpy()
    else:
        observed_until = microseconds(as_utc(settings.observed_until))
        until = np.full(len(manifest), observed_until, np.int64)
    observed = None if settings.observed is None else TimeSpan.parse(settings.observed)
    return ObservedSpans(
        instants("first_timestamp"),
        until,
        instants(f"first_customer_at_{settings.purchase_rule}"),
        instants(f"tenth_customer_at_{settings.purchase_rule}"),
        CompanyGaps.of(manifest, observed_until, observed),
    )


def company_groups(company_ids: Sequence[str]) -> dict[str, int]:
    """Return the group in which each company's scores are kept.

    Companies are ordered by a stable hash. Up to 4,096 companies, each is a group of its own,
    numbered in that order; beyond that, the slices of `slices_of` are the groups, as in shared
    files. In both cases the number modulo 64 is the group that a jackknife leaves out.
    """
    many = len(company_ids) > MAX_SCORES_BY_COMPANY
    groups = slices_of(company_ids) if many else ranks_of(company_ids)
    return dict(zip(company_ids, groups.tolist(), strict=True))


def _instants(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=values == NEVER).cast(TIME)
