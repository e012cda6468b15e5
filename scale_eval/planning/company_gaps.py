"""The gaps in companies' data, as arrays over all companies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.instants import NEVER
from scale_eval.datasets.time_span import TimeSpan


@dataclass(frozen=True)
class CompanyGaps:
    """The gaps of all companies, sorted by company and time; int64 of shape (n_gaps,).

    Attributes
    ----------
    company : ndarray
        Position of the company.
    start, end : ndarray
        In microseconds since 1970-01-01 UTC; the end is exclusive.
    """

    company: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def none(cls) -> CompanyGaps:
        """Return the gaps of companies that have none."""
        return cls(*(np.zeros(0, np.int64) for _ in range(3)))

    @classmethod
    def of(
        cls, manifest: pa.Table, until: int | None = None, observed: TimeSpan | None = None
    ) -> CompanyGaps:
        """Return the gaps of the companies in a manifest.

        Parameters
        ----------
        manifest : pyarrow.Table
        until : int, optional
            The instant until which all were observed, in microseconds since 1970. The silence after
            a company's last sale is judged like any other then, whether or not refunds go on.
        observed : TimeSpan, optional
            A gap that lies in this span whole is left out: somebody said that nobody bought then.
        """
        starts = manifest["gap_starts"].combine_chunks()
        company = pc.list_parent_indices(starts).cast(pa.int64()).to_numpy()
        start, end = (
            pc.list_flatten(manifest[column]).cast(pa.int64()).to_numpy()
            for column in ("gap_starts", "gap_ends")
        )
        if until is not None:
            silent_from, overdue_from = (
                pc.fill_null(manifest[column].cast(pa.int64()), NEVER).to_numpy()
                for column in ("silent_from", "overdue_from")
            )
            is_overdue = overdue_from <= until
            # Where refunds went on, ingest knows a part of the silence after the last sale.
            is_last = is_overdue[company] & (start == silent_from[company])
            company, start, end = company[~is_last], start[~is_last], end[~is_last]
            overdue = np.flatnonzero(is_overdue)
            at = np.searchsorted(company, overdue, side="right")
            company = np.insert(company, at, overdue)
            start = np.insert(start, at, silent_from[overdue])
            end = np.insert(end, at, until)
        if observed is not None:
            counts = (start < observed.start) | (end > observed.end)
            company, start, end = company[counts], start[counts], end[counts]
        return cls(company, start, end)

    def take(self, companies: np.ndarray) -> CompanyGaps:
        """Return the gaps of the companies at these positions, which are then 0, 1, 2, ..."""
        first, last = (np.searchsorted(self.company, companies, side=s) for s in ("left", "right"))
        n = last - first
        gaps = np.repeat(first - np.concatenate([[0], np.cumsum(n)[:-1]]), n) + np.arange(n.sum())
        return CompanyGaps(
            np.repeat(np.arange(len(companies)), n), self.start[gaps], self.end[gaps]
        )

    def missing(self, company: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return how much of each span ``[start, end)`` lies in gaps of its company.

        In microseconds; all shapes (n_spans,), `company` ascending.
        """
        missing = np.zeros(len(company), dtype=np.int64)
        first, last = (np.searchsorted(company, self.company, side=s) for s in ("left", "right"))
        for i in np.flatnonzero(first < last).tolist():
            spans = slice(int(first[i]), int(last[i]))
            inside = np.minimum(end[spans], self.end[i]) - np.maximum(start[spans], self.start[i])
            missing[spans] += np.maximum(inside, 0)
        return missing

    def first_in(self, company: int, start: int, end: int) -> tuple[int, int] | None:
        """Return the first gap of a company that shares time with ``[start, end)``, if any."""
        first, last = (np.searchsorted(self.company, company, side=s) for s in ("left", "right"))
        for i in range(int(first), int(last)):
            if self.start[i] < end and self.end[i] > start:
                return int(self.start[i]), int(self.end[i])
        return None
