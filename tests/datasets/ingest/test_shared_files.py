"""Many companies share files: ingested, appended to and replaced like any other."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from scale_eval.datasets import file_layout, open_dataset
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from tests.support.transaction_files import FEBRUARY, HEADER, JANUARY, contents, on_disk, statuses


@pytest.fixture
def table_of_many(file) -> Path:
    """One table of a dozen shops, with rows that cannot be read."""
    lines = [
        f"shop-{shop:02},{customer},2017-01-{day:02} 10:00:00Z,{shop}.{day}"
        for day in (3, 1, 2)
        for shop in range(12)
        for customer in range(shop + 1)
    ]
    return file("many.csv", [*lines, "shop-03,a,?,1", "shop-13,,2017-01-01,1"], "Shop," + HEADER)


def test_many_companies_share_files_and_their_content_stays_the_same(
    table_of_many, tmp_path, monkeypatch
):
    apart = ingest(table_of_many, tmp_path / "apart", company_column="Shop")
    monkeypatch.setattr(file_layout, "SHARED_FROM", 12)
    monkeypatch.setattr(file_layout, "ROWS_PER_FILE", 100)
    together = ingest(table_of_many, tmp_path / "together", company_column="Shop")
    assert contents(together.dataset) == contents(apart.dataset)
    assert together.dataset.content_hash == apart.dataset.content_hash
    assert apart.dataset.manifest["path"].nunique() == 12
    assert 1 < together.dataset.manifest["path"].nunique() < 5
    assert together.companies.equals(apart.companies)
    assert together.dataset.refused.equals(apart.dataset.refused)
    before = on_disk(tmp_path / "together")
    again = ingest(table_of_many, tmp_path / "together", company_column="Shop")
    assert set(statuses(again).values()) == {"unchanged"}
    assert on_disk(tmp_path / "together") == before


def test_a_company_of_a_shared_file_is_appended_to_and_replaced_like_any_other(
    table_of_many, file, tmp_path, monkeypatch
):
    later = file("new/shop-03.csv", FEBRUARY)
    other = file("new/shop-05.csv", JANUARY)
    found = {}
    for name, shared_from in (("apart", 1_000), ("together", 12)):
        monkeypatch.setattr(file_layout, "SHARED_FROM", shared_from)
        into = tmp_path / name
        ingest(table_of_many, into, company_column="Shop")
        assert statuses(ingest(later, into, append=True)) == {"shop-03": "appended"}
        assert statuses(ingest(other, into, replace=True)) == {"shop-05": "replaced"}
        found[name] = open_dataset(into)
    assert contents(found["together"]) == contents(found["apart"])
    assert found["together"].content_hash == found["apart"].content_hash
    assert len(contents(found["together"])["shop-03"]) == 4 * 3 + 2
    assert found["together"].manifest["path"].nunique() == 3
    assert len(list((tmp_path / "together").glob("transactions/**/*.parquet"))) == 3


def test_a_shared_file_that_cannot_be_finished_leaves_the_dataset_as_it_was(
    table_of_many, file, into, monkeypatch
):
    ingest(file("acme.csv", JANUARY), into)
    before = on_disk(into)
    monkeypatch.setattr(file_layout, "SHARED_FROM", 12)
    monkeypatch.setattr(file_layout, "ROWS_PER_FILE", 100)
    write, n_written = file_layout.write_shared_file, []

    def fails_later(store, companies, directory):
        if len(n_written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_written.append(write(store, companies, directory))
        return n_written[-1]

    monkeypatch.setattr(file_layout, "write_shared_file", fails_later)
    with pytest.raises(IngestError, match="No space left on device"):
        ingest(table_of_many, into, company_column="Shop")
    assert on_disk(into) == before
