"""Many companies in a file: the same companies as one in a file each, and damage stays where it is.

What is read is compared with what was written, field by field.
"""

from __future__ import annotations

import hashlib
import pickle
import tracemalloc
import zlib
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets import Dataset, Transactions, file_layout, open_dataset
from scale_eval.datasets import dataset as dataset_module
from scale_eval.datasets.customer_ids import CustomerIds, customer_groups
from scale_eval.datasets.file_layout import (
    CompanyToWrite,
    assign_files,
    write_companies,
    write_shared_file,
)
from scale_eval.datasets.hash_order import N_SLICES, ranks_of, slices_of
from scale_eval.datasets.ingest.ingest import ingest
from scale_eval.datasets.manifest import (
    FORMAT,
    MANIFEST,
    TRANSACTIONS_SCHEMA,
    commit,
    manifest_table,
)
from scale_eval.planning.plan import company_groups
from scale_eval.storage import open_store
from tests.support.companies import dataset_of
from tests.support.paths import PROJECT

DATA = PROJECT / "data"


def company_of(name: str, n_rows: int, seed: int = 0) -> Transactions:
    """Rows drawn at random; ids of any script, some of which other companies have too."""
    rng = np.random.default_rng([seed, n_rows, *name.encode()])
    ids = np.array(["", "0", "00", "Ünï", "東京", "x" * 40, *(f"c{i}" for i in range(n_rows))])
    return Transactions.from_frame(
        name,
        pd.DataFrame(
            {
                "customer_id": rng.choice(ids, n_rows),
                "timestamp": pd.to_datetime(rng.integers(0, 10**15, n_rows), unit="us"),
                "value": rng.choice([0.0, -1.5, 9.99, 1e300], n_rows),
            }
        ),
    )


def shared(companies: list[Transactions], place: Path) -> Dataset:
    """Write a dataset of one shared file."""
    store = open_store(place)
    companies_to_write = (
        CompanyToWrite(c, dates_only=False, sources=["made for a test"])
        for c in sorted(companies, key=lambda c: c.company_id.encode())
    )
    commit(store, manifest_table(write_shared_file(store, companies_to_write)))
    return open_dataset(place)


def assert_equal(one: Transactions, two: Transactions) -> None:
    assert one.company_id == two.company_id
    assert one.customers.equals(two.customers)
    for name in ("codes", "timestamps", "values", "customer_groups"):
        a, b = getattr(one, name), getattr(two, name)
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), name


@pytest.fixture
def small_row_groups(monkeypatch):
    """Row groups of 40 rows, so that few rows make many, and giants are small."""
    monkeypatch.setattr(file_layout, "ROWS_PER_ROW_GROUP", 40)


@pytest.fixture
def companies() -> list[Transactions]:
    """Companies of one row to a hundred; `giant` is larger than a row group of 40."""
    sizes = [1, 7, 30, 12, 39, 40, 3, 1, 25, 40]
    made = [company_of(f"company-{i}", n) for i, n in enumerate(sizes)]
    return [*made, company_of("giant", 100), company_of("東", 5), company_of("a/b=c", 6)]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_the_same_companies_in_files_of_their_own_and_in_a_shared_one_are_equal(
    sizes, seed, tmp_path_factory
):
    made = [company_of(f"c{i}", n, seed) for i, n in enumerate(sizes)]
    place = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_layout, "ROWS_PER_ROW_GROUP", 40)
        apart, together = dataset_of(made, place / "apart"), shared(made, place / "together")
    assert apart.content_hash == together.content_hash
    order = together.reading_order(together.company_ids)
    assert sorted(order) == together.company_ids
    read = dict(together.read_many(order))
    for company, (name, alone) in zip(
        sorted(made, key=lambda c: c.company_id), apart.read_many(apart.company_ids), strict=True
    ):
        assert company.company_id == name
        for other in (alone, read[name], together.read(name), pickle.loads(pickle.dumps(alone))):
            assert_equal(company, other)


def test_no_company_spans_two_row_groups_and_a_giant_has_a_file_of_its_own(
    companies, tmp_path, small_row_groups
):
    dataset = shared(companies, tmp_path)
    manifest = dataset.manifest.set_index("company_id")
    assert manifest.loc["giant", "n_row_groups"] == 3
    files = manifest["path"].value_counts()
    assert files[manifest.loc["giant", "path"]] == 1
    assert len(files) == 2
    for (path, group), rows in manifest.drop("giant").groupby(["path", "first_row_group"]):
        assert (rows["n_row_groups"] == 1).all()
        with pq.ParquetFile(tmp_path / path) as file:
            held = file.read_row_group(group)
        assert held.schema.equals(TRANSACTIONS_SCHEMA)
        assert len(held) == rows["n_rows"].sum() <= 40
        for name, row in rows.iterrows():
            own = held.slice(row["row_offset"], row["n_rows"])
            assert own["company_id"].unique().to_pylist() == [name]


def test_everything_under_transactions_is_one_sorted_table_to_any_reader(companies, tmp_path):
    dataset = shared(companies, tmp_path)
    everything = pq.read_table(tmp_path / "transactions")
    assert everything.schema.equals(TRANSACTIONS_SCHEMA)
    assert len(everything) == sum(map(len, companies))
    order = [(name, "ascending") for name in TRANSACTIONS_SCHEMA.names]
    assert everything.equals(everything.sort_by(order))
    assert len(dataset.company_ids) == len(companies)


def test_a_row_group_is_read_once_for_companies_that_follow_one_another(
    companies, tmp_path, small_row_groups, monkeypatch
):
    dataset = shared(companies, tmp_path)
    reads = []
    read = dataset_module.read_row_groups

    def counted(store, name, groups, **options):
        reads.append((name, *groups))
        return read(store, name, groups, **options)

    monkeypatch.setattr(dataset_module, "read_row_groups", counted)
    names = [name for name, _ in dataset.read_many(dataset.reading_order(dataset.company_ids))]
    assert len(names) == len(companies)
    assert len(reads) == len(set(reads))
    there_and_back = ["company-0", "giant", "company-0"]
    assert [name for name, _ in dataset.read_many(iter(there_and_back))] == there_and_back


def test_an_unknown_company_is_an_error_before_anything_is_read(companies, tmp_path):
    dataset = shared(companies, tmp_path)
    with pytest.raises(KeyError, match="'nobody' is not a company of"):
        next(dataset.read_many(["company-0", "nobody"]))
    with pytest.raises(KeyError, match="'nobody' is not a company of"):
        dataset.read("nobody")
    assert list(dataset.read_many([])) == []


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_and_hits_its_row_group_only(share, bit, damageable):
    dataset, made = damageable
    path = dataset.store.path(dataset.place("company-0")[0])
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[int(share * len(sound))] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        lost = set()
        for name, company in open_dataset(dataset.store).read_many(dataset.company_ids):
            if isinstance(company, Transactions):
                assert_equal(company, made[name])
            else:
                assert isinstance(company, OSError | ValueError)
                assert str(path) in str(company)
                lost.add(name)
        groups = dataset.manifest.set_index("company_id")["first_row_group"]
        if len({groups[name] for name in lost}) > 1:  # the footer, or the beginning of the file
            assert lost == set(made) - {"giant"}
        elif lost:
            held = groups.drop("giant")
            assert lost == set(held.index[held == groups[min(lost)]])
    finally:
        path.write_bytes(sound)


@pytest.fixture(scope="module")
def damageable(tmp_path_factory):
    made = [company_of(f"company-{i}", n) for i, n in enumerate([30, 20, 20, 35, 3, 40, 39])]
    made.append(company_of("giant", 100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_layout, "ROWS_PER_ROW_GROUP", 40)
        dataset = shared(made, tmp_path_factory.mktemp("damageable"))
    return dataset, {company.company_id: company for company in made}


def test_a_missing_file_is_named_by_its_path(companies, tmp_path):
    dataset = shared(companies, tmp_path)
    path = dataset.store.path(dataset.place("company-0")[0])
    path.unlink()
    for _, error in dataset.read_many(["company-0", "company-1"]):
        assert isinstance(error, FileNotFoundError)
        assert str(path) in str(error)
    with pytest.raises(FileNotFoundError, match=path.name):
        dataset.read("company-0")


def test_a_dataset_of_another_format_or_without_a_number_is_refused(companies, tmp_path):
    shared(companies, tmp_path)
    manifest = pq.read_table(tmp_path / MANIFEST)
    written = {key.decode(): value.decode() for key, value in manifest.schema.metadata.items()}
    assert written == {
        "scale_eval.format": str(FORMAT),
        "scale_eval.version": version("scale_eval"),
    }
    later = {"scale_eval.format": str(FORMAT + 1), "scale_eval.version": "9.8.7"}
    pq.write_table(manifest.replace_schema_metadata(later), tmp_path / MANIFEST)
    says = (
        rf"{tmp_path} was written by scale_eval 9.8.7 in format {FORMAT + 1}; this version reads "
        rf"format {FORMAT}. Ingest or synthesize the data again with this version"
    )
    with pytest.raises(ValueError, match=says):
        open_dataset(tmp_path)
    # Made by an earlier version, which had other columns too.
    earlier = manifest.drop_columns(["row_offset"]).replace_schema_metadata(None)
    pq.write_table(earlier, tmp_path / MANIFEST)
    says = (
        rf"{tmp_path} was written by another version of scale_eval in a format without a number; "
        rf"this version reads format {FORMAT}"
    )
    with pytest.raises(ValueError, match=says):
        open_dataset(tmp_path)
    rows = tmp_path / "rows.csv"
    rows.write_text("CustomerID,Timestamp,PurchaseValue\n1,2017-01-01,1\n")
    with pytest.raises(ValueError, match=says):
        ingest(rows, tmp_path)
    assert pq.read_table(tmp_path / MANIFEST).equals(earlier)


def test_the_demo_dataset_is_read_as_it_was_made():
    demo = open_dataset(DATA / "demo")
    assert demo.manifest["row_offset"].tolist() == [0, 0, 0]
    assert [len(company) for _, company in demo.read_many(demo.company_ids)] == demo.manifest[
        "n_rows"
    ].tolist()
    assert demo.content_hash == "759df83619a15b817176322a52f26731aacdee808f0f25a77d8c9aaff90bf7bd"


# What is read


def test_arrays_are_read_only_and_what_is_kept_does_not_keep_its_neighbours(companies, tmp_path):
    dataset = shared(companies, tmp_path)
    ((_, view),) = dataset.read_many(["company-1"])
    kept = dataset.read("company-1")
    for company in (view, kept, pickle.loads(pickle.dumps(view)), view.before(10**14)):
        for array in (company.codes, company.timestamps, company.values):
            with pytest.raises(ValueError, match="read-only"):
                array[:1] = 0
    for company in (kept, pickle.loads(pickle.dumps(view)), view.before(10**15)):
        assert company.values.base is None or company.values.base.nbytes == company.values.nbytes
        assert set(company.ids.dictionary.to_pylist()) == set(kept.customers.to_pylist())


def test_before_leads_to_no_later_customer_and_no_other_company(companies, tmp_path):
    dataset = shared(companies, tmp_path)
    ((_, company),) = dataset.read_many(["company-8"])
    instant = int(np.median(company.timestamps))
    earlier = company.before(instant)
    rows = company.timestamps < instant
    expected = pa.array(sorted({company.customers[c].as_py() for c in company.codes[rows]}))
    assert earlier.ids.dictionary.equals(earlier.customers)
    assert sorted(earlier.customers.to_pylist()) == expected.to_pylist()
    assert earlier.timestamps.max() < instant
    np.testing.assert_array_equal(earlier.customer_groups, customer_groups(earlier.customers))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=20))
def test_groups_of_customers_are_zlibs_crc32_modulo_16(ids):
    expected = [zlib.crc32(each.encode()) % 16 for each in ids]
    array = pa.array(["before", *ids], pa.string()).slice(1)
    assert customer_groups(array).tolist() == expected
    assert CustomerIds.from_strings(array).take(np.arange(len(ids))).groups.tolist() == expected


# Files


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=5), st.integers(1, 10**7)),
        max_size=40,
        unique_by=lambda pair: pair[0],
    )
)
def test_companies_are_divided_into_files_by_the_hash_of_their_id(companies):
    ids = [name for name, _ in companies]
    assignments = assign_files(ids, [n for _, n in companies])
    assert {directory for directory, _ in assignments} <= {"transactions"}
    files = [file for _, file in assignments]
    assert sorted(i for file in files for i in file) == list(range(len(ids)))

    def hashed(i: int) -> bytes:
        return hashlib.sha256(ids[i].encode()).digest()

    for file in files:
        assert [ids[i] for i in file] == sorted((ids[i] for i in file), key=str.encode)
        rows = [companies[i][1] for i in sorted(file, key=hashed)]
        assert sum(rows[:-1]) <= file_layout.ROWS_PER_FILE
    for one, next_one in pairwise(files):
        assert max(map(hashed, one)) < min(map(hashed, next_one))


@given(st.lists(st.text(min_size=1, max_size=5), max_size=300, unique=True))
def test_slices_are_of_equal_length_in_the_order_of_the_hash(ids):
    by_hash = sorted(ids, key=lambda name: hashlib.sha256(name.encode()).digest())
    assert [ids[i] for i in np.argsort(ranks_of(ids))] == by_hash
    slice_of = dict(zip(ids, slices_of(ids).tolist(), strict=True))
    expected = np.arange(len(ids)) * N_SLICES // max(len(ids), 1)
    assert [slice_of[name] for name in by_hash] == expected.tolist()


@pytest.mark.slow
def test_of_many_companies_each_file_holds_those_of_one_group_and_groups_lie_together(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(file_layout, "SHARED_FROM", 1_001)
    monkeypatch.setattr(file_layout, "ROWS_PER_FILE", 200)
    monkeypatch.setattr(file_layout, "ROWS_PER_ROW_GROUP", 40)
    ids = [f"shop {i}" for i in range(4_097)]
    n_rows = [50 if i % 1_000 == 0 else 1 + i % 7 for i in range(len(ids))]
    templates = {n: _fields(company_of("template", n)) for n in set(n_rows)}
    store = open_store(tmp_path)
    rows = write_companies(
        store,
        ids,
        n_rows,
        lambda i: CompanyToWrite(
            Transactions(ids[i], *templates[n_rows[i]]), dates_only=False, sources=[]
        ),
    )
    commit(store, manifest_table(rows))
    dataset = open_dataset(tmp_path)
    group = company_groups(ids)
    of_file = dataset.manifest.assign(group=dataset.manifest["company_id"].map(group))
    assert of_file.groupby("path")["group"].nunique().max() == 1
    n_files = of_file[of_file["n_rows"] < 50].groupby("group")["path"].nunique()
    assert n_files.between(2, 3).all()  # of 64 companies and 256 rows: cut further
    assert len(n_files) == N_SLICES
    visited = [group[name] for name in dataset.reading_order(ids)]
    assert visited == sorted(visited)
    assert all(len(company) == n_rows[int(name[5:])] for name, company in dataset.read_many(ids))


def test_a_file_is_named_after_its_content_and_writing_it_again_changes_nothing(
    companies, tmp_path
):
    shared(companies, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    shared(companies[::-1], tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before
    shared(companies[1:], tmp_path)
    assert len(set(tmp_path.rglob("*.parquet")) - set(before)) == 1  # and the old file is gone
    assert len(list(tmp_path.rglob("*.parquet"))) == len(before)


def test_a_shared_file_is_written_with_no_more_than_a_row_group_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(file_layout, "ROWS_PER_ROW_GROUP", 2_000)
    template = company_of("template", 500)

    def peak(n: int) -> int:
        companies_to_write = (
            CompanyToWrite(
                Transactions(f"c{i:04}", *_fields(template)), dates_only=False, sources=[]
            )
            for i in range(n)
        )
        store = open_store(tmp_path / str(n))
        before = pa.total_allocated_bytes()
        most = 0

        def watched():
            nonlocal most
            for each in companies_to_write:
                yield each
                most = max(most, pa.total_allocated_bytes() - before)

        tracemalloc.start()
        write_shared_file(store, watched())
        of_python = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most + of_python

    few, many = peak(40), peak(400)
    row_group = 2_000 * (8 + 8 + 60)
    assert many < few + 360 * 3_000 + 2 * row_group  # a row of the manifest for each


def _fields(company: Transactions) -> tuple:
    return company.ids, company.codes, company.timestamps, company.values
