"""What several test files share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from scale_eval.execution.clusters.registry import dask_client
from tests.support.companies import dataset_of, shop
from tests.support.paths import SHARED

# Begun in the background of a shell, or by nohup, tests and what they start would be deaf to these.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def klaviyo() -> list[Path]:
    """The three real files; where they are not, what needs them is skipped."""
    files = [SHARED / "data" / "klaviyo" / f"TransactionsCompany{i}.csv" for i in (1, 2, 3)]
    if not all(file.exists() for file in files):
        pytest.skip("the three real CSV files are not on this machine")
    return files


@pytest.fixture(scope="session")
def client():
    """A local cluster of two processes."""
    with dask_client("local", workers=2) as client:
        yield client


@pytest.fixture(scope="session")
def shops(tmp_path_factory):
    """A dataset of five companies: four of unequal size, and one too young for a window."""
    sizes = {"big": 300, "middle": 120, "small": 40, "tiny": 14}
    companies = [shop(name, n, seed=i) for i, (name, n) in enumerate(sizes.items())]
    companies.append(shop("young", 50, seed=9, first="2020-03-01", days=100))
    return dataset_of(companies, tmp_path_factory.mktemp("shops"))
