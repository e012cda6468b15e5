"""Making a dataset of synthetic companies: three or 100,000, on one core or many, and with trouble.

The arguments say all of the content: not a byte depends on the number of workers. Companies are
divided into files before any is made, and each file is made by one worker from beginning to end,
with no more than a row group and a company in memory.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from scale_eval.datasets.dataset import Dataset, commit_manifest, remove_unnamed
from scale_eval.datasets.file_layout import (
    PACKED_FROM,
    CompanyToWrite,
    FileAssignment,
    parcels_of,
    write_alone,
    write_pack,
)
from scale_eval.datasets.manifest import MANIFEST_SCHEMA
from scale_eval.datasets.synthetic.faults import corrupt, empty_company, one_class_company, troubled
from scale_eval.datasets.synthetic.generator import (
    MEDIAN_CUSTOMERS,
    SIGMA,
    company_id,
    draw_traits,
    synthetic_company,
)
from scale_eval.datasets.transactions import Transactions
from scale_eval.progress_bar import bar
from scale_eval.storage import Store, open_store

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

ROWS_PER_CUSTOMER = 3.0
"""About, over all companies: for dividing them into files before they are made."""


@dataclass(frozen=True)
class Population:
    """Which companies there are: company i depends on these fields and i alone.

    Attributes
    ----------
    seed : int
    median_customers, sigma : float
        Median and log-standard deviation of the log-normal sizes.
    observed_whole : bool
        See `draw_traits`.
    empty, one_class : frozenset of int
        Companies that are in trouble; see `synthetic.faults`.
    """

    seed: int
    median_customers: float = MEDIAN_CUSTOMERS
    sigma: float = SIGMA
    observed_whole: bool = False
    empty: frozenset[int] = frozenset()
    one_class: frozenset[int] = frozenset()

    def company(self, index: int) -> Transactions:
        """The company at the place `index`."""
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

    def delivery(self, index: int) -> CompanyToWrite:
        """The company at the place `index`, to be written."""
        source = f"synth seed {self.seed} company {index}"
        return CompanyToWrite(self.company(index), dates_only=False, sources=[source])

    @property
    def expected_rows(self) -> float:
        """Rows of a company, about."""
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
    """Make a dataset of `companies` synthetic companies; the arguments say all of its content.

    Parameters
    ----------
    into : path
    companies, seed : int
    median_customers, sigma : float
        Sizes are log-normal: their median, and the standard deviation of their logarithms.
    observed_whole : bool
        All companies are 4.5 to 9 years old and open: six half-yearly windows are observed whole.
    corrupt_companies, empty_companies, one_class_companies : int
        Companies in trouble, drawn by the seed; see `synthetic.faults`. They are
        different ones, as long as there are enough.
    workers : int
        Processes. They change nothing but the time that it takes. In a script, more than one need
        ``if __name__ == "__main__":``.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    FileExistsError
        There are data at `into` already.
    ValueError
        No company is asked for, more trouble than there are companies, or an argument is outside
        its range.
    """
    if companies < 1:
        raise ValueError(f"{companies} companies: ask for at least one")
    damaged, empty, one_class = troubled(
        seed, companies, (corrupt_companies, empty_companies, one_class_companies)
    )
    population = Population(
        seed, median_customers, sigma, observed_whole, frozenset(empty), frozenset(one_class)
    )
    draw_traits(seed, 0, median_customers=median_customers, sigma=sigma)  # says what is wrong
    store = open_store(into)
    if set(store.names("*")) - {"transactions"} or store.names("transactions/**/*.parquet"):
        raise FileExistsError(
            f"{store.root} already holds data; remove it or name another directory"
        )
    with store.lock():
        try:
            with _bar(companies, shown=progress) as tell:
                commit_manifest(store, _made(store, population, companies, workers, tell))
        except BaseException:  # so that the same command can be run again
            remove_unnamed(store, set())
            store.delete_unfinished()
            raise
        dataset = Dataset(store)
        corrupt(dataset, [company_id(index) for index in damaged])
    return dataset


def _made(
    store: Store,
    population: Population,
    companies: int,
    workers: int,
    tell: Callable[[int], object],
) -> pa.Table:
    """Make and write all companies; the manifest. `tell` is told how many more there are."""
    if companies < PACKED_FROM:
        alone = []
        for index in range(companies):
            alone.append(write_alone(store, population.delivery(index)))
            tell(1)
        return _manifest(alone)
    ids = [company_id(index) for index in range(companies)]
    parcels = parcels_of(ids, [population.expected_rows] * companies)
    if workers == 1 or len(parcels) == 1:
        return pa.concat_tables([_make_file(store, population, each, tell) for each in parcels])
    return pa.concat_tables(_made_together(store, population, parcels, workers, tell))


def _make_file(
    store: Store,
    population: Population,
    parcel: FileAssignment,
    tell: Callable[[int], object],
) -> pa.Table:
    """Make and write the companies of one file; their rows of the manifest."""

    def deliveries() -> Iterator[CompanyToWrite]:
        for index in parcel.companies:
            yield population.delivery(index)
            tell(1)

    return _manifest(write_pack(store, deliveries(), parcel.directory))


def _manifest(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def _made_together(
    store: Store,
    population: Population,
    parcels: Sequence[FileAssignment],
    workers: int,
    tell: Callable[[int], object],
) -> list[pa.Table]:
    """`_make_file` for each of `parcels`, in several processes."""
    context = multiprocessing.get_context("spawn")  # a fork of threads may hang
    done, stopped = context.Value("q", 0), context.Event()
    told = 0
    with ProcessPoolExecutor(
        min(workers, len(parcels)), context, initializer=_begin, initargs=(done, stopped)
    ) as pool:
        tasks = [pool.submit(_make_file_apart, store, population, each) for each in parcels]
        waiting: set[Any] = set(tasks)
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                for task in finished:
                    task.result()
                tell(done.value - told)
                told = done.value
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [task.result() for task in tasks]


_done: Synchronized[int]
_stopped: Event


def _begin(done: Synchronized[int], stopped: Event) -> None:
    """What a worker shares with the process that asked for it."""
    global _done, _stopped
    _done, _stopped = done, stopped


def _make_file_apart(store: Store, population: Population, parcel: FileAssignment) -> pa.Table:
    with contextlib.suppress(KeyboardInterrupt):  # the process that asked hears of it as well
        return _make_file(store, population, parcel, _tell_apart)
    raise InterruptedError("stopped")


def _tell_apart(n: int) -> None:
    if _stopped.is_set():
        raise KeyboardInterrupt
    with _done.get_lock():
        _done.value += n


@contextlib.contextmanager
def _bar(companies: int, *, shown: bool) -> Iterator[Callable[[int], object]]:
    with bar(total=companies, shown=shown, doing="making", unit="companies") as made:
        yield made.update
