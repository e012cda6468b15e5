"""Synthesize a dataset: three companies or 100,000, on one core or many, and with faults.

The content depends on the arguments alone; the number of workers changes no byte of it. Companies
are assigned to files before any is made, and each file is made by one worker, with at most a row
group and a company in memory.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from scale_eval.children import killed_on_error, out_of_reach
from scale_eval.datasets.dataset import Dataset
from scale_eval.datasets.file_layout import (
    SHARED_FROM,
    CompanyToWrite,
    FileAssignment,
    assign_files,
    write_company,
    write_shared_file,
)
from scale_eval.datasets.manifest import (
    MANIFEST,
    TRANSACTIONS,
    commit,
    manifest_table,
    require_place,
)
from scale_eval.datasets.synthetic.faults import (
    corrupt,
    draw_faulty,
    empty_company,
    one_class_company,
)
from scale_eval.datasets.synthetic.generator import (
    MEDIAN_CUSTOMERS,
    SIGMA,
    company_id,
    draw_traits,
    synthetic_company,
)
from scale_eval.datasets.transactions import Transactions
from scale_eval.datasets.uncommitted import remove_uncommitted
from scale_eval.main_guard import require_main_guard
from scale_eval.progress_bar import Screen
from scale_eval.storage import Store, open_store

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

ROWS_PER_CUSTOMER = 3.0
"""Approximate rows per customer, by which companies are assigned to files before they exist."""


@dataclass(frozen=True)
class Population:
    """A population of synthetic companies: company i depends on these fields and i alone.

    Attributes
    ----------
    seed : int
    median_customers, sigma : float
        Median and log-standard deviation of the log-normal sizes.
    observed_whole : bool
        See `draw_traits`.
    empty, one_class : frozenset of int
        Indices of faulty companies; see `synthetic.faults`.
    """

    seed: int
    median_customers: float = MEDIAN_CUSTOMERS
    sigma: float = SIGMA
    observed_whole: bool = False
    empty: frozenset[int] = frozenset()
    one_class: frozenset[int] = frozenset()

    def company(self, index: int) -> Transactions:
        """Make the company at `index`."""
        make = synthetic_company
        if index in self.empty:
            make = empty_company
        elif index in self.one_class:
            make = one_class_company
        return make(
            self.seed,
            index,
            median_customers=self.median_customers,
            sigma=self.sigma,
            observed_whole=self.observed_whole,
        )

    def company_to_write(self, index: int) -> CompanyToWrite:
        """Make the company at `index`, with what the manifest says of it."""
        source = f"synth seed {self.seed} company {index}"
        return CompanyToWrite(self.company(index), dates_only=False, sources=[source])

    @property
    def expected_rows(self) -> float:
        """Return the approximate mean number of rows of a company."""
        return ROWS_PER_CUSTOMER * self.median_customers * float(np.exp(self.sigma**2 / 2))


def synthesize(
    into: str | os.PathLike[str] | Store,
    *,
    companies: int,
    seed: int,
    median_customers: float = MEDIAN_CUSTOMERS,
    sigma: float = SIGMA,
    observed_whole: bool = False,
    corrupt_companies: int = 0,
    empty_companies: int = 0,
    one_class_companies: int = 0,
    workers: int = 1,
    progress: bool = False,
) -> Dataset:
    """Make a dataset of `companies` synthetic companies; it depends on the arguments alone.

    Parameters
    ----------
    into : path
    companies, seed : int
    median_customers, sigma : float
        Sizes are log-normal: their median, and the standard deviation of their logarithms.
    observed_whole : bool
        All companies are 4.5 to 9 years old and open: six half-yearly windows are observed whole.
    corrupt_companies, empty_companies, one_class_companies : int
        Numbers of faulty companies, drawn by the seed; see `synthetic.faults`. No company has two
        faults.
    workers : int
        Number of processes; it changes only the time that this takes. In a script, more than one
        needs ``if __name__ == "__main__":``.
    progress : bool
        Show a progress bar.

    Raises
    ------
    FileExistsError
        `into` holds data already.
    ValueError
        There are no companies, fewer companies than faulty ones, or an argument is outside its
        range.
    RuntimeError
        There are several `workers`, and the script that calls this lacks the ``__main__`` guard.
    """
    whole_numbers = {
        "companies": (companies, 1),
        "seed": (seed, 0),
        "corrupt_companies": (corrupt_companies, 0),
        "empty_companies": (empty_companies, 0),
        "one_class_companies": (one_class_companies, 0),
        "workers": (workers, 1),
    }
    for name, (number, least) in whole_numbers.items():
        if not isinstance(number, int | np.integer) or number < least:
            raise ValueError(f"{name}={number!r}: write a whole number of at least {least}")
    for name, size in {"median_customers": median_customers, "sigma": sigma}.items():
        if not isinstance(size, int | float | np.number):
            raise ValueError(f"{name}={size!r}: write a number")
    damaged, empty, one_class = draw_faulty(
        seed, companies, (corrupt_companies, empty_companies, one_class_companies)
    )
    population = Population(
        seed, median_customers, sigma, observed_whole, frozenset(empty), frozenset(one_class)
    )
    draw_traits(seed, 0, median_customers=median_customers, sigma=sigma)  # raises `ValueError`
    store = open_store(into)
    if store.exists(MANIFEST):
        raise FileExistsError(
            f"{store.root} already holds data; remove it or name another directory"
        )
    require_place(store)
    with store.lock():
        store.delete_unfinished([TRANSACTIONS])
        remove_uncommitted(store, [])
        try:
            with _bar(companies, shown=progress) as advance:
                commit(store, _make(store, population, companies, workers, advance))
        except BaseException:  # so that the same command can be run again
            remove_uncommitted(store, [])
            store.delete_unfinished([TRANSACTIONS])
            raise
        dataset = Dataset(store)
        corrupt(dataset, [company_id(index) for index in damaged])
    return dataset


def _make(
    store: Store,
    population: Population,
    companies: int,
    workers: int,
    advance: Callable[[int], object],
) -> pa.Table:
    """Make and write all companies; return the manifest. `advance` takes the number newly made."""
    if companies < SHARED_FROM:
        rows = []
        for index in range(companies):
            rows.append(write_company(store, population.company_to_write(index)))
            advance(1)
        return manifest_table(rows)
    ids = [company_id(index) for index in range(companies)]
    files = assign_files(ids, [population.expected_rows] * companies)
    if workers == 1 or len(files) == 1:
        return pa.concat_tables([_make_file(store, population, each, advance) for each in files])
    return pa.concat_tables(_make_in_processes(store, population, files, workers, advance))


def _make_file(
    store: Store,
    population: Population,
    file: FileAssignment,
    advance: Callable[[int], object],
) -> pa.Table:
    """Make and write the companies of one file; return their rows of the manifest."""

    def made() -> Iterator[CompanyToWrite]:
        for index in file.companies:
            yield population.company_to_write(index)
            advance(1)

    return manifest_table(write_shared_file(store, made(), file.directory))


def _make_in_processes(
    store: Store,
    population: Population,
    files: Sequence[FileAssignment],
    workers: int,
    advance: Callable[[int], object],
) -> list[pa.Table]:
    """Call `_make_file` for each of `files`, in several processes."""
    require_main_guard()
    context = multiprocessing.get_context("spawn")  # forking a process with threads may hang
    with out_of_reach():
        done = context.Value("q", 0)
    n_shown = 0
    pool = ProcessPoolExecutor(min(workers, len(files)), context, _begin, (done,))
    with killed_on_error(pool):
        with out_of_reach():
            tasks = [pool.submit(_make_file_in_worker, store, population, each) for each in files]
        waiting: set[Any] = set(tasks)
        while waiting:
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
            for task in finished:
                task.result()
            advance(done.value - n_shown)
            n_shown = done.value
    return [task.result() for task in tasks]


_done: Synchronized[int]


def _begin(done: Synchronized[int]) -> None:
    """Keep what a worker shares with the process that started it."""
    global _done
    _done = done


def _make_file_in_worker(store: Store, population: Population, file: FileAssignment) -> pa.Table:
    return _make_file(store, population, file, _advance_in_worker)


def _advance_in_worker(n: int) -> None:
    with _done.get_lock():
        _done.value += n


@contextlib.contextmanager
def _bar(companies: int, *, shown: bool) -> Iterator[Callable[[int], object]]:
    with Screen(shown=shown).bar(total=companies, label="making", unit="companies") as made:
        yield made.update
