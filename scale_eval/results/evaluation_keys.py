"""Read the keys of evaluations, part by part: which row is of which window and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scale_eval.results.panel_columns import Cells, Codes, Parts, latest_attempts, whole_numbers

NO_CUTOFF = np.iinfo(np.int64).min
"""The instant that stands for a missing cutoff; it comes before all others."""


@dataclass(frozen=True)
class EvaluationKeys:
    """The keys of the rows of `evaluations`; refused windows have keys as well.

    Attributes
    ----------
    company_ids, models : ndarray of object
        Sorted.
    instants : ndarray of int64
        Every cutoff, sorted, in microseconds since 1970-01-01 UTC; `NO_CUTOFF` for those without.
    windows : ndarray of int64
        Each pair of a company and a cutoff, sorted: company * len(instants) + cutoff, as positions
        in the arrays above.
    cells : ndarray of int, shape (n_rows,)
        model * len(windows) + window, as positions, of each row in the order of the parts; -1 for a
        row that a later attempt supersedes.
    codes : dict of ndarray of int64, shape (n_rows,)
        The texts of other columns by name, as positions in `texts`.
    texts : dict of list of str
    """

    company_ids: np.ndarray
    models: np.ndarray
    instants: np.ndarray
    windows: np.ndarray
    cells: np.ndarray
    codes: dict[str, np.ndarray]
    texts: dict[str, list[str]]

    @classmethod
    def of(cls, parts: Parts, others: Sequence[str] = ()) -> EvaluationKeys:
        """Read the keys, and the texts of `others`."""
        texts = {name: Codes() for name in ("company_id", "model", *others)}
        read: dict[str, list[np.ndarray]] = {name: [] for name in (*texts, "cutoff", "attempts")}
        for part in parts(list(read)):
            for name, codes in texts.items():
                read[name].append(codes.of(part[name]))
            read["cutoff"].append(whole_numbers(part["cutoff"].cast(pa.int64()), NO_CUTOFF))
            read["attempts"].append(whole_numbers(part["attempts"], 1))

        def taken(name: str) -> np.ndarray:
            values = read.pop(name)
            return np.concatenate(values) if values else np.empty(0, dtype=np.int64)

        company_ids, company = texts["company_id"].ranked(taken("company_id"))
        models, model = texts["model"].ranked(taken("model"))
        instants, cutoff = np.unique(taken("cutoff"), return_inverse=True)
        windows, window = np.unique(company * len(instants) + cutoff, return_inverse=True)
        del company, cutoff
        cells = latest_attempts(model * len(windows) + window, taken("attempts"))
        if len(cells) < np.iinfo(np.int32).max:
            cells = cells.astype(np.int32)
        return cls(
            company_ids=company_ids,
            models=models,
            instants=instants,
            windows=windows,
            cells=cells,
            codes={name: taken(name) for name in others},
            texts={name: texts[name].texts for name in others},
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of models and of windows."""
        return len(self.models), len(self.windows)

    def positions(self) -> Cells:
        """Return the position in the panel of each row."""
        return Cells(self.cells, self.shape)

    def order(self) -> np.ndarray:
        """Return the rows that count, as positions, sorted by company, cutoff and model."""
        rows = np.flatnonzero(self.cells >= 0)
        model, window = np.divmod(self.cells[rows].astype(np.int64), max(len(self.windows), 1))
        return rows[np.argsort(window * len(self.models) + model)]
