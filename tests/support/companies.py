"""Companies made for tests: those worked by hand, and small ones that a model can be fitted to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.datasets import Dataset, Transactions, open_dataset
from scale_eval.datasets.file_layout import CompanyToWrite, write_company
from scale_eval.datasets.instants import as_utc
from scale_eval.datasets.manifest import commit, manifest_table
from scale_eval.evaluation.windows import Window
from scale_eval.models import NamedModel, resolve
from scale_eval.storage import open_store

FIRST, SECOND = Window.at(as_utc("2020-01-01")), Window.at(as_utc("2021-01-01"))

# docs/reference/statistics.md: (company, window, outcomes, probabilities)
BY_HAND = [
    ("A", FIRST, [1, 0, 1, 0], [0.8, 0.3, 0.4, 0.6]),
    ("A", SECOND, [1, 0, 0, 0], [0.5, 0.2, 0.7, 0.1]),
    ("B", FIRST, [1, 1, 0], [0.10, 0.05, 0.02]),
    ("B", SECOND, [0, 0, 0], [0.05, 0.04, 0.03]),
    ("C", FIRST, [1, 0], [0.9, 0.95]),
]


def company_with(company_id: str, outcomes: dict[Window, list[int]]) -> Transactions:
    """Everybody buys in 2019, and then as `outcomes` say, for 10 each time."""
    n = len(next(iter(outcomes.values())))
    rows = [(f"{i:02}", "2019-06-01", 10.0) for i in range(n)]
    for window, bought in outcomes.items():
        when = window.cutoff + pd.Timedelta(days=60)
        rows += [(f"{i:02}", when, 10.0) for i, b in enumerate(bought) if b]
    frame = pd.DataFrame(rows, columns=["customer_id", "timestamp", "value"])
    frame["timestamp"] = [as_utc(when) for when in frame["timestamp"]]
    return Transactions.from_frame(company_id, frame)


class Given:
    """A model that says what it is told to, by company and cutoff."""

    def __init__(self, name: str, answers: dict[tuple[str, pd.Timestamp], list[float]]) -> None:
        self.name = name
        self.answers = answers

    def fit(self, history):
        return self

    def predict_proba(self, history):
        return np.array(self.answers[history.company_id, history.cutoff])


def given_model(name: str, cases=BY_HAND) -> NamedModel:
    return resolve(Given(name, {(c, window.cutoff): p for c, window, _, p in cases}))


def shop(
    company_id: str, n_customers: int, seed: int, *, first="2018-01-01", days=900, rate=6.0
) -> Transactions:
    """A company of customers who arrive evenly and buy at random, some of them not for long."""
    rng = np.random.default_rng(seed)
    begin = as_utc(first)
    rows = []
    for i in range(n_customers):
        arrival = rng.uniform(0, days)
        leaves = min(days, arrival + rng.exponential(300))
        n = rng.poisson(rng.gamma(0.7, rate / 0.7) * (leaves - arrival) / 365)
        for day in [arrival, *rng.uniform(arrival, leaves, n)]:
            value = -5.0 if rng.random() < 0.03 else round(float(rng.lognormal(3, 1)), 2)
            when = begin + pd.Timedelta(seconds=int(day * 86400))
            rows.append((f"{i:05}", when, value))
    rows.append(("last", begin + pd.Timedelta(days=days), 1.0))
    return Transactions.from_frame(
        company_id, pd.DataFrame(rows, columns=["customer_id", "timestamp", "value"])
    )


def frame_of(company: Transactions) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": company.customers.to_numpy(zero_copy_only=False)[company.codes],
            "timestamp": pd.to_datetime(company.timestamps, unit="us", utc=True),
            "value": company.values,
        }
    )


def dataset_of(companies: list[Transactions], place) -> Dataset:
    store = open_store(place)
    rows = [
        write_company(store, CompanyToWrite(c, dates_only=False, sources=["made for a test"]))
        for c in companies
    ]
    commit(store, manifest_table(rows))
    return open_dataset(place)


def companies_of_unequal_size(place) -> Dataset:
    """Eleven companies of unequal size, one of them too young for a window."""
    companies = [shop(f"{name}{i}", 12 + 9 * i, seed=i) for i, name in enumerate("abcdefghij")]
    companies.append(shop("young", 50, seed=90, first="2020-03-01", days=100))
    return dataset_of(companies, place)
