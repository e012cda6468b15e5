"""Files become a dataset, or more of one: what is kept, what is refused, what stays as it was."""

from __future__ import annotations

import csv
import errno
import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets import Dataset, file_layout, open_dataset
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from scale_eval.datasets.ingest.refused import REFUSED_SCHEMA
from scale_eval.datasets.manifest import MANIFEST_SCHEMA, TRANSACTIONS_SCHEMA
from scale_eval.storage import StoreLocked
from tests.support.paths import PROJECT as ROOT

HEADER = "CustomerID,Timestamp,PurchaseValue\n"

JANUARY = ["a,2017-01-01 10:00:00Z,1", "b,2017-01-31 12:00:00Z,2"]
FEBRUARY = ["a,2017-02-01 10:00:00Z,3", "c,2017-02-28 12:00:00Z,4"]


@pytest.fixture
def into(tmp_path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture
def file(tmp_path):
    """Writes a file of these lines; its path."""

    def file(name: str, lines: list[str], header: str = HEADER) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(header + "".join(f"{line}\n" for line in lines))
        return path

    return file


def contents(dataset: Dataset) -> dict[str, list[tuple[str, str, float]]]:
    """Every company's rows as (customer, UTC time, value), in the order of the dataset."""
    return {
        company_id: [
            (company.customers[int(code)].as_py(), str(pd.Timestamp(time, unit="us")), value)
            for code, time, value in zip(
                company.codes, company.timestamps.tolist(), company.values.tolist(), strict=True
            )
        ]
        for company_id in dataset.company_ids
        for company in [dataset.read(company_id)]
    }


def on_disk(into: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and when it was written."""
    return {
        str(path.relative_to(into)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in into.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def statuses(report) -> dict[str, str]:
    return dict(zip(report.companies["company_id"], report.companies["status"], strict=True))


# What comes of a first ingest


def test_each_file_becomes_a_company_sorted_by_customer_timestamp_and_value(file, into):
    lines = ["b,2017-01-02,5", "a,2017-01-03,1", "b,2017-01-02,-3", "a,2017-01-01,2"]
    acme = file("acme.csv", lines)
    other = file("other.csv", ["0012345678,2017-01-01T10:00Z,1", "20e1738615,2017-01-01,0"])
    report = ingest([acme, other], into)
    assert contents(report.dataset) == {
        "acme": [
            ("a", "2017-01-01 00:00:00", 2.0),
            ("a", "2017-01-03 00:00:00", 1.0),
            ("b", "2017-01-02 00:00:00", -3.0),
            ("b", "2017-01-02 00:00:00", 5.0),
        ],
        "other": [
            ("0012345678", "2017-01-01 10:00:00", 1.0),
            ("20e1738615", "2017-01-01 00:00:00", 0.0),
        ],
    }
    assert contents(open_dataset(into)) == contents(report.dataset)


def test_the_dataset_has_the_files_and_columns_that_others_rely_on(file, into):
    ingest([file("0012.csv", JANUARY), file("a=b.csv", FEBRUARY)], into)
    assert pq.read_schema(into / "manifest.parquet").names == MANIFEST_SCHEMA.names
    assert pq.read_schema(into / "refused.parquet").equals(REFUSED_SCHEMA)
    parts = sorted(into.glob("transactions/**/*.parquet"))
    assert len(parts) == 2
    assert all(pq.read_schema(part).equals(TRANSACTIONS_SCHEMA) for part in parts)
    everything = pq.read_table(into / "transactions").sort_by("company_id")
    assert everything["company_id"].to_pylist() == ["0012"] * 2 + ["a=b"] * 2


def test_the_report_tells_per_company_what_is_noteworthy(file, into):
    acme = file(
        "acme.csv",
        [
            "a,2017-01-01 00:00:00,1",
            "a,2017-01-01 00:00:00,1",
            "a,2017-02-01 00:00:00,-1",
            "b,2017-01-05 00:00:00,0",
            "c,2017-03-01 08:00:00Z,7",
            "c,soon,7",
            "d,later,7",
            ",2017,1",
        ],
    )
    report = ingest([acme], into)
    assert report.companies.to_dict("records") == [
        {
            "company_id": "acme",
            "status": "new",
            "rows": 5,
            "customers": 3,
            "first": pd.Timestamp("2017-01-01", tz="UTC"),
            "last": pd.Timestamp("2017-03-01 08:00", tz="UTC"),
            "refunds": 1,
            "zero_values": 1,
            "duplicates": 1,
            "one_time_buyers": 2,
        }
    ]
    assert report.files.to_dict("records") == [
        {
            "file": str(acme),
            "rows_in": 8,
            "rows_kept": 5,
            "rows_refused": 3,
            "n_naive_timestamps": 4,
            "status": "ingested",
        }
    ]
    assert report.refused.to_dict("records") == [
        {"reason": "timestamp_unparsable", "count": 2, "first_file": "acme.csv", "first_line": 7},
        {"reason": "customer_id_empty", "count": 1, "first_file": "acme.csv", "first_line": 9},
    ]
    assert (report.naive_timestamps, report.timezone) == (4, "UTC")


def test_refused_rows_are_kept_with_file_line_company_reason_and_text(file, into):
    files = [file("b.csv", [*JANUARY, "x,soon,1"]), file("a.csv", ["y", *JANUARY, ",2017-01-01,1"])]
    dataset = ingest(files, into).dataset
    assert dataset.refused.drop(columns="source").fillna("").values.tolist() == [
        ["a.csv", 2, "", "wrong_number_of_fields", "y"],
        ["a.csv", 5, "a", "customer_id_empty", ",2017-01-01,1"],
        ["b.csv", 4, "b", "timestamp_unparsable", "x,soon,1"],
    ]
    sources = {source for listed in dataset.manifest["sources"] for source in listed}
    assert set(dataset.refused["source"]) == sources


def test_neither_the_order_of_files_nor_of_rows_changes_the_dataset(file, tmp_path):
    a, b = file("a.csv", JANUARY + FEBRUARY), file("b.csv", FEBRUARY)
    first = ingest([a, b], tmp_path / "first").dataset
    second = ingest([b, a], tmp_path / "second").dataset
    reversed_rows = [file("x/a.csv", (JANUARY + FEBRUARY)[::-1]), file("x/b.csv", FEBRUARY[::-1])]
    third = ingest(reversed_rows, tmp_path / "third").dataset
    assert first.content_hash == second.content_hash == third.content_hash
    assert (tmp_path / "first/manifest.parquet").read_bytes() == (
        tmp_path / "second/manifest.parquet"
    ).read_bytes()


def test_the_dataset_does_not_depend_on_where_the_files_were(file, tmp_path):
    for place in ("here", "there"):
        ingest(file(f"{place}/acme.csv", [*JANUARY, "?"]), tmp_path / f"from_{place}")
    for name in ("manifest.parquet", "refused.parquet"):
        assert (tmp_path / "from_here" / name).read_bytes() == (
            tmp_path / "from_there" / name
        ).read_bytes()


def test_exact_duplicates_are_kept(file, into):
    report = ingest(file("acme.csv", [JANUARY[0]] * 3), into)
    assert contents(report.dataset) == {"acme": [("a", "2017-01-01 10:00:00", 1.0)] * 3}


@pytest.mark.parametrize(
    ("times", "options", "expected"),
    [
        (["2017-01-01", "20170102"], {}, True),
        (["2017-01-01", "2017-01-02 00:00:01"], {}, False),
        (["2017-01-01", "2017-07-01"], {"timezone": "Europe/Berlin"}, True),
        (["2017-01-01T00:00:00+02:00", "2017-07-01"], {}, True),
        (["2017-01-01 01:00", "2017-07-01 02:00"], {"timezone": "Europe/Berlin"}, True),
        (["2016-12-31T23:00Z", "2017-07-01"], {"timezone": "Europe/Berlin"}, False),
    ],
)
def test_timestamps_are_dates_where_all_are_midnight_as_written_or_in_utc(
    file, into, times, options, expected
):
    report = ingest(file("acme.csv", [f"a,{time},1" for time in times]), into, **options)
    assert report.dataset.manifest["dates_only"].tolist() == [expected]


def test_parquet_and_csv_of_the_same_rows_give_the_same_content(file, into, tmp_path):
    table = pd.read_csv(file("acme.csv", JANUARY), parse_dates=["Timestamp"])
    table.to_parquet(tmp_path / "acme.parquet")
    from_csv = ingest(tmp_path / "acme.csv", into).dataset
    from_parquet = ingest(tmp_path / "acme.parquet", tmp_path / "second").dataset
    assert from_csv.content_hash == from_parquet.content_hash


def test_the_real_files_are_kept_whole(klaviyo, into):
    expected = {}
    for path in klaviyo:
        with path.open(newline="") as lines:
            expected[path.stem] = sorted(
                (row[0], row[1].removesuffix("+00:00"), float(row[2]))
                for row in list(csv.reader(lines))[1:]
            )
    report = ingest(klaviyo, into)
    assert report.companies["rows"].tolist() == [22_369, 24_812, 11_111]
    assert report.files["rows_refused"].sum() == 0
    assert report.naive_timestamps == 0
    assert contents(report.dataset) == expected


# Several files, one company


def test_two_files_of_one_company_are_an_error_that_names_both(file, into):
    files = [file("x/acme.csv", JANUARY), file("y/acme.csv.gz", FEBRUARY)]
    for options in ({}, {"replace": True}):
        with pytest.raises(IngestError, match=r"x/acme.csv and .*y/acme.csv.gz are both .*'acme'"):
            ingest(files, into, **options)
    assert not into.exists()


def test_the_same_file_given_twice_is_an_error(file, into):
    path = file("acme.csv", JANUARY)
    with pytest.raises(IngestError, match=r"acme.csv and .*acme.csv are both"):
        ingest([path, path], into)
    table = file("sales.csv", ["x," + line for line in JANUARY], header="Shop," + HEADER)
    with pytest.raises(IngestError, match=r"sales.csv and .*sales.csv are the same rows"):
        ingest([table, table], into, company_column="Shop")


def test_append_takes_several_files_of_a_company_that_follow_each_other(file, into):
    january, february = file("x/acme.csv", JANUARY), file("y/acme.csv", FEBRUARY)
    report = ingest([february, january], into, append=True)
    assert len(contents(report.dataset)["acme"]) == 4
    overlapping = file("z/acme.csv", [*FEBRUARY, JANUARY[1]])
    with pytest.raises(IngestError, match=r"x/acme.csv and .*z/acme.csv .*overlap: one ends at"):
        ingest([january, overlapping], into.with_name("other"), append=True)


# One table of many companies


@pytest.fixture
def months(file) -> list[Path]:
    """Monthly exports of two shops; the second opens in February."""
    header = "Shop," + HEADER
    january = [f"01,{line}" for line in JANUARY]
    february = [f"{shop},{line}" for shop in ("01", "2") for line in FEBRUARY]
    return [file("m/2017-01.csv", january, header), file("m/2017-02.csv", february, header)]


def test_with_a_company_column_files_are_parts_of_one_table(months, into):
    report = ingest(months, into, company_column="Shop")
    assert {company: len(rows) for company, rows in contents(report.dataset).items()} == {
        "01": 4,
        "2": 2,
    }
    assert [len(sources) for sources in report.dataset.manifest["sources"]] == [2, 1]


def test_a_month_appended_later_gives_the_same_rows_as_both_at_once(months, into, tmp_path):
    ingest(months[:1], into, company_column="Shop")
    report = ingest(months, into, company_column="Shop", append=True)
    assert statuses(report) == {"01": "appended", "2": "new"}
    assert report.files["status"].tolist() == ["unchanged", "ingested"]
    at_once = ingest(months, tmp_path / "at_once", company_column="Shop").dataset
    assert report.dataset.content_hash == at_once.content_hash
    before = on_disk(into)
    assert set(statuses(ingest(months, into, company_column="Shop")).values()) == {"unchanged"}
    assert on_disk(into) == before


def test_a_new_month_without_append_is_an_error_that_tells_of_it(months, into):
    ingest(months[:1], into, company_column="Shop")
    before = on_disk(into)
    existing = r"'01' was ingested from 2017-01.csv, and other rows of it are in 2017-02.csv"
    with pytest.raises(IngestError, match=existing) as error:
        ingest(months, into, company_column="Shop")
    assert "--append" in str(error.value)
    assert "--replace" in str(error.value)
    assert on_disk(into) == before


# The same again


def test_the_same_file_again_changes_nothing_at_all(file, into):
    path = file("acme.csv", [*JANUARY, "?", "a,soon,1"])
    first = ingest(path, into)
    before = on_disk(into)
    for options in ({}, {"append": True}, {"replace": True}):
        again = ingest(path, into, **options)
        assert on_disk(into) == before
        assert statuses(again) == {"acme": "unchanged"}
        assert again.files["status"].tolist() == ["unchanged"]
        assert again.refused.equals(first.refused)
        assert again.companies.drop(columns="status").equals(first.companies.drop(columns="status"))


def test_the_same_rows_from_another_file_change_nothing(file, into):
    ingest(file("acme.csv", JANUARY), into)
    before = on_disk(into)
    for options in ({}, {"append": True}, {"replace": True}):
        report = ingest(file("x/acme.txt", [*JANUARY[::-1], "?"]), into, **options)
        assert statuses(report) == {"acme": "unchanged"}
        assert report.refused["count"].tolist() == [1]
        assert on_disk(into) == before


def test_the_same_file_read_otherwise_is_other_content(file, into):
    path = file("acme.csv", ["a,2017-01-01 10:00,1"])
    ingest(path, into)
    with pytest.raises(IngestError, match=r"from acme.csv, and other rows of it are in acme.csv"):
        ingest(path, into, timezone="Europe/Berlin")


def test_other_companies_come_beside_those_that_are_known(file, into):
    ingest(file("acme.csv", JANUARY), into)
    report = ingest(file("other.csv", FEBRUARY), into)
    assert statuses(report) == {"other": "new"}
    assert report.dataset.company_ids == ["acme", "other"]


# Append and replace


def test_append_adds_later_rows_and_refuses_what_overlaps(file, into):
    ingest(file("acme.csv", JANUARY), into)
    later = file("new/acme.csv", [JANUARY[1], "c,2017-01-31 12:00:00Z,9", *FEBRUARY])
    report = ingest(later, into, append=True)
    assert statuses(report) == {"acme": "appended"}
    assert report.files.loc[0, ["rows_in", "rows_kept", "rows_refused"]].tolist() == [4, 2, 2]
    assert report.dataset.refused[["line", "company_id", "reason", "text"]].values.tolist() == [
        [2, "acme", "overlap", JANUARY[1]],
        [3, "acme", "overlap", "c,2017-01-31 12:00:00Z,9"],
    ]
    whole = ingest(file("all/acme.csv", JANUARY + FEBRUARY), into.with_name("other")).dataset
    assert report.dataset.content_hash == whole.content_hash
    assert len(report.dataset.manifest["sources"][0]) == 2
    before = on_disk(into)
    for options in ({"append": True}, {}):  # and the same file again changes nothing
        again = ingest(later, into, **options)
        assert on_disk(into) == before
        assert again.files["rows_refused"].tolist() == [2]


def test_an_appended_file_that_overlaps_whole_is_an_error(file, into):
    ingest(file("acme.csv", JANUARY + FEBRUARY), into)
    before = on_disk(into)
    with pytest.raises(IngestError, match=r"new/acme.csv: every row is refused or overlaps"):
        ingest(file("new/acme.csv", [*JANUARY, "?"]), into, append=True)
    assert on_disk(into) == before


def test_to_dates_only_a_later_day_can_be_appended_also_where_the_clock_changes(file, into):
    ingest(file("acme.csv", ["a,2017-03-26,1"]), into, timezone="Europe/Berlin")
    report = ingest(
        file("new/acme.csv", ["a,2017-03-26 15:00,1", "a,2017-03-27,2"]),
        into,
        append=True,
        timezone="Europe/Berlin",
    )
    assert [row[1:] for row in contents(report.dataset)["acme"]] == [
        ("2017-03-25 23:00:00", 1.0),
        ("2017-03-26 22:00:00", 2.0),
    ]
    assert report.refused["reason"].tolist() == ["overlap"]
    assert report.dataset.manifest["dates_only"].tolist() == [True]


def test_dates_remain_dates_only_if_the_appended_ones_are(file, into):
    for part, time, expected in [
        ("1", "2017-01-01", True),
        ("2", "2017-01-02", True),
        ("3", "2017-01-03 10:00", False),
        ("4", "2017-01-04", False),
    ]:
        report = ingest(file(f"{part}/acme.csv", [f"a,{time},1"]), into, append=True)
        assert report.dataset.manifest["dates_only"].tolist() == [expected]


def test_replace_puts_rows_refused_rows_and_sources_in_the_place_of_the_old(file, into):
    old, other = file("acme.csv", [*JANUARY, "old,?,1"]), file("other.csv", [*JANUARY, "other,?,1"])
    ingest([old, other], into)
    report = ingest(file("new/acme.csv", [*FEBRUARY, "new,?,1"]), into, replace=True)
    assert statuses(report) == {"acme": "replaced"}
    assert [row[0] for row in contents(report.dataset)["acme"]] == ["a", "c"]
    assert report.dataset.refused["text"].tolist() == ["new,?,1", "other,?,1"]
    assert [len(sources) for sources in report.dataset.manifest["sources"]] == [1, 1]
    assert len(list(into.glob("transactions/**/*.parquet"))) == 2


def test_replacing_a_company_of_a_table_keeps_what_was_refused_of_the_others(months, file, into):
    months[0].write_text(months[0].read_text() + "01,x,?,1\n2,y,?,1\n2,a,2017-01-05,1\n")
    ingest(months, into, company_column="Shop")
    report = ingest(file("01.csv", JANUARY), into, replace=True)
    assert statuses(report) == {"01": "replaced"}
    assert report.dataset.refused["text"].tolist() == ["2,y,?,1"]


def test_one_of_the_files_that_a_company_came_from_can_replace_it_whole(file, into):
    january, later = file("acme.csv", JANUARY), file("new/acme.csv", [JANUARY[1], *FEBRUARY])
    for last, expected in [(january, JANUARY), (later, [JANUARY[1], *FEBRUARY])]:
        ingest(january, into, replace=True)
        ingest(later, into, append=True)
        report = ingest(last, into, replace=True)
        assert statuses(report) == {"acme": "replaced"}
        assert report.companies["rows"].tolist() == [len(expected)]
        assert report.files["rows_refused"].tolist() == [0]
        assert len(report.dataset.refused) == 0


def test_append_and_replace_exclude_each_other(file, into):
    with pytest.raises(IngestError, match="exclude each other"):
        ingest(file("acme.csv", JANUARY), into, append=True, replace=True)


# Faults


def test_nothing_is_written_if_one_of_the_files_has_an_error(file, into):
    good, bad = file("good.csv", JANUARY), file("bad.csv", [])
    with pytest.raises(IngestError, match=r"bad.csv has a header but no rows"):
        ingest([good, bad], into)
    assert not into.exists()
    with pytest.raises(IngestError, match="no files"):
        ingest([], into)


def test_a_place_that_is_a_file_or_holds_other_things_is_an_error(file, tmp_path):
    path = file("acme.csv", JANUARY)
    with pytest.raises(IngestError, match=r"acme.csv is a file; choose a directory"):
        ingest(path, path)
    with pytest.raises(IngestError, match=r"not a dataset and holds other things \('acme.csv'\)"):
        ingest(path, tmp_path)
    with pytest.raises(IngestError, match="Not a directory; choose a place that is a directory"):
        ingest(path, path / "below")
    with pytest.raises(ValueError, match="only paths are served"):
        ingest(path, "s3://bucket/dataset")


def test_the_leftovers_of_an_interrupted_first_ingest_are_no_hindrance(file, into):
    (into / "transactions/acme").mkdir(parents=True)
    (into / "transactions/acme/0123.parquet").write_bytes(b"half")
    (into / "transactions/acme/.x.parquet.1.unfinished").write_bytes(b"half")
    (into / ".lock").touch()
    report = ingest(file("acme.csv", JANUARY), into)
    assert statuses(report) == {"acme": "new"}
    assert len([path for path in into.glob("transactions/**/*") if path.is_file()]) == 1


def test_a_dataset_that_another_process_writes_is_left_alone(file, into):
    ingest(file("acme.csv", JANUARY), into)
    with (into / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreLocked, match="is being written by another process"):
            ingest(file("other.csv", JANUARY), into)


def test_nothing_is_appended_to_a_damaged_company_and_ingesting_it_again_restores_it(file, into):
    january, february = file("acme.csv", JANUARY), file("new/acme.csv", FEBRUARY)
    ingest(january, into)
    (part,) = into.glob("transactions/**/*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(IngestError, match=rf"'acme': .*{part.name} is damaged .*; remove it and"):
        ingest(february, into, append=True)
    part.unlink()
    assert statuses(ingest(january, into)) == {"acme": "replaced"}
    assert len(contents(ingest(february, into, append=True).dataset)["acme"]) == 4


def test_a_damaged_manifest_is_an_error_that_names_it(file, into):
    ingest(file("acme.csv", JANUARY), into)
    (into / "manifest.parquet").write_bytes(b"PAR1")
    with pytest.raises(IngestError, match=r"manifest.parquet.* The dataset is as it was"):
        ingest(file("other.csv", JANUARY), into)


def _python(script: str, *arguments: object, apart: bool = False) -> subprocess.CompletedProcess:
    """Run `script`; `apart` with mounts of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    if apart:
        command = ["unshare", "--user", "--map-root-user", "--mount", *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def mounts() -> None:
    """Skips where a test may not mount anything, even for itself alone."""
    try:
        probe = _python(
            "import subprocess; subprocess.run('mount -t tmpfs none /mnt', shell=True, check=True)",
            apart=True,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if probe.returncode:
        pytest.skip(f"mounting is not permitted: {probe.stderr.strip().splitlines()[-1]}")


ON_A_SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest.ingest import IngestError, ingest

small, another, large, place = sys.argv[1:]
def sh(command): subprocess.run(command, shell=True, check=True)
sh(f"mount -t tmpfs -o size=256k none {place}")
into = Path(place) / "dataset"
hash = ingest(small, into).dataset.content_hash
def fails():
    try:
        ingest([small, another, large], into)
    except IngestError as error:
        print(error)
    dataset = open_dataset(into)
    assert dataset.content_hash == hash and dataset.read("small") is not None
    files = sorted(path.name for path in into.rglob("*") if path.is_file())
    assert len(files) == 4 and files[0] == ".lock", files  # manifest, refused, one company
fails()
sh(f"mount -o remount,ro {place}")
fails()
"""


def test_a_full_or_read_only_disk_is_an_error_and_the_dataset_stays(mounts, file, tmp_path):
    small = file("small.csv", JANUARY)
    another = file("another.csv", FEBRUARY)
    large = file("large.csv", [f"{i * 7919 % 99991:x},2017-01-01,{i}.{i}" for i in range(60_000)])
    (tmp_path / "disk").mkdir()
    result = _python(ON_A_SMALL_DISK, small, another, large, tmp_path / "disk", apart=True)
    assert result.returncode == 0, result.stderr
    full, read_only = result.stdout.splitlines()
    assert "disk/dataset: No space left on device; free space there" in full
    assert "disk/dataset: Read-only file system; choose a place that can be written" in read_only
    assert full.endswith("The dataset is as it was before")


KILLED = """
import importlib, os, signal, sys
module = importlib.import_module("scale_eval.datasets.ingest.ingest")
step, path, into = sys.argv[1:]
setattr(module, step, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
module.ingest(path, into, replace=True)
"""


@pytest.mark.parametrize("step", ["write_refused", "commit"])
def test_killed_before_the_manifest_the_old_dataset_stands_and_the_next_ingest_succeeds(
    file, into, step
):
    old = ingest(file("acme.csv", JANUARY), into).dataset
    path = file("new/acme.csv", [*FEBRUARY, "?"])
    assert _python(KILLED, step, path, into).returncode == -signal.SIGKILL
    assert contents(open_dataset(into)) == contents(old)
    assert len(list(into.glob("transactions/**/*.parquet"))) == 2
    report = ingest(path, into, replace=True)
    assert statuses(report) == {"acme": "replaced"}
    assert [row[0] for row in contents(report.dataset)["acme"]] == ["a", "c"]
    assert report.dataset.refused["text"].tolist() == ["?"]
    assert len(list(into.glob("transactions/**/*.parquet"))) == 1


# Many companies


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


def test_many_companies_are_packed_and_their_content_stays_the_same(
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


def test_a_packed_company_is_appended_to_and_replaced_like_any_other(
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


def test_a_pack_that_cannot_be_finished_leaves_the_dataset_as_it_was(
    table_of_many, file, into, monkeypatch
):
    ingest(file("acme.csv", JANUARY), into)
    before = on_disk(into)
    monkeypatch.setattr(file_layout, "SHARED_FROM", 12)
    monkeypatch.setattr(file_layout, "ROWS_PER_FILE", 100)
    write, n_written = file_layout.write_shared_file, []

    def fails_later(store, deliveries, directory):
        if len(n_written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        n_written.append(write(store, deliveries, directory))
        return n_written[-1]

    monkeypatch.setattr(file_layout, "write_shared_file", fails_later)
    with pytest.raises(IngestError, match="No space left on device"):
        ingest(table_of_many, into, company_column="Shop")
    assert on_disk(into) == before
