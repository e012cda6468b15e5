"""Make faulty synthetic companies: damaged on disk, nearly empty, or with a single class.

They show how a run treats the faults of real data. Which companies are faulty depends on the seed
and on the number of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.datasets.dataset import Dataset
from scale_eval.datasets.synthetic.generator import (
    OBSERVED_UNTIL,
    company_id,
    draw_traits,
    generate_company,
    stream,
)
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import Store, read_metadata

_TRANSACTIONS, _CHOICE = 1, 2  # streams of random numbers; 0 and 1 are a company's


def draw_faulty(seed: int, companies: int, counts: Sequence[int]) -> list[list[int]]:
    """Draw the indices of the faulty companies of each kind, sorted; no company has two faults.

    Raises `ValueError` for a negative count, and where there are not enough companies.
    """
    if min(counts) < 0 or sum(counts) > companies:
        raise ValueError(
            f"{sum(counts)} faulty companies of {companies}: give counts of at least 0 that "
            "add up to no more than all"
        )
    order = stream(seed, 0, _CHOICE).permutation(companies)
    bounds = np.cumsum([0, *counts]).tolist()
    return [sorted(order[start:stop].tolist()) for start, stop in pairwise(bounds)]


def empty_company(seed: int, index: int, **options: Any) -> Transactions:
    """Make a company of one to four customers in five months: no window is observed whole."""
    traits = draw_traits(seed, index, **options)
    opened = OBSERVED_UNTIL - pd.Timedelta(days=150)
    traits = replace(
        traits, n_customers=1 + index % 4, opened=opened, closed=OBSERVED_UNTIL, growth=0.0
    )
    return generate_company(company_id(index), traits, stream(seed, index, _TRANSACTIONS))


def one_class_company(seed: int, index: int, **options: Any) -> Transactions:
    """Make a company with one class in every label window: nobody buys, or everybody does.

    By `index`, modulo 3:

    0. Every customer buys once and never again.
    1. Everybody buys about every six days; at most 200 customers, all from the first month.
    2. As 0, and in the second half of its life the company has only refunds.
    """
    traits = draw_traits(seed, index, **options)
    rng = stream(seed, index, _TRANSACTIONS)
    if index % 3 == 1:
        faithful = replace(
            traits,
            n_customers=min(traits.n_customers, 200),
            growth=-100.0,
            one_time_share=0.0,
            purchases_per_year=60.0,
            rate_shape=1e6,
            dropout=1e-9,
            dropout_concentration=1e9,
            season_amplitude=0.0,
            holiday_peak=0.0,
            weekend=1.0,
        )
        return generate_company(company_id(index), faithful, rng)
    company = generate_company(company_id(index), replace(traits, one_time_share=1.0), rng)
    return company if index % 3 == 0 else _refunds_from(company, _middle(company))


def _middle(company: Transactions) -> int:
    return int(company.timestamps.min() // 2 + company.timestamps.max() // 2)


def _refunds_from(company: Transactions, instant: int) -> Transactions:
    """Return `company` with every value from `instant` on turned into a refund."""
    late = company.timestamps >= instant
    values = np.where(late, -np.maximum(np.abs(company.values), 0.01), company.values)
    order = np.lexsort((values, company.timestamps, company.codes))
    return replace(
        company,
        codes=company.codes[order],
        timestamps=company.timestamps[order],
        values=values[order],
    )


def corrupt(dataset: Dataset, company_ids: Sequence[str]) -> None:
    """Damage the data of these companies on disk: flip every bit of one byte of their values.

    In a shared file the whole row group then cannot be read, so that the other companies in it,
    one or two hundred, are lost as well. Files keep their names.
    """
    for path, row_group in {dataset.place(company) for company in company_ids}:  # each once
        begin, n_bytes = _column_bytes(dataset.store, path, row_group, "value")
        _flip_byte(dataset.store, path, begin + n_bytes - 1)  # of a page, not of its header


def _column_bytes(store: Store, name: str, row_group: int, column: str) -> tuple[int, int]:
    """Return the first byte and the number of bytes of a column of a row group."""
    group = read_metadata(store, name).row_group(row_group)
    chunks = (group.column(i) for i in range(group.num_columns))
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema == column)
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    return int(begin), int(chunk.total_compressed_size)


def _flip_byte(store: Store, name: str, position: int) -> None:
    """Flip every bit of one byte of a file."""
    content = bytearray(store.read(name))
    content[position] ^= 0xFF
    store.write(name, bytes(content))
