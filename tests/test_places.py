"""What lies at a path, and which command is meant."""

from __future__ import annotations

import json

import pytest

from scale_eval.places import require_dataset, require_run


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a run, a dataset, files of rows, and other things."""
    monkeypatch.chdir(tmp_path)
    for folder in (
        "runs/one",
        "runs/two",
        "data/shops",
        "csv of mine",
        "empty",
        "photos",
        "broken",
    ):
        (tmp_path / folder).mkdir(parents=True)
    for run in ("one", "two"):
        (tmp_path / "runs" / run / "run.json").write_text(json.dumps({"dataset": "data/shops"}))
    (tmp_path / "broken" / "run.json").write_text("{")
    (tmp_path / "data" / "shops" / "manifest.parquet").write_bytes(b"PAR1")
    for name in ("a.CSV", "b.csv.gz", "notes.md"):
        (tmp_path / "csv of mine" / name).write_text("")
    (tmp_path / "photos" / "sea.jpg").write_text("")
    (tmp_path / "rows.parquet").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "there is nothing of this name; make one: scale-eval ingest FILE... "),
        (
            "runs/one",
            "it is a run of the dataset data/shops. Look at it: scale-eval show runs",
        ),
        ("runs/one", "Go on with it: scale-eval run data/shops --out runs/one"),
        ("broken", "it is a run. Look at it: "),
        ("runs", "it is a folder of other things"),
        ("data", "it is a folder that holds data/shops; name one of these"),
        ("data/shops/manifest.parquet", "it is a file of the dataset data/shops; name that"),
        ("csv of mine", "it is a folder of 2 files of rows"),
        ("csv of mine", ": scale-eval ingest 'csv of mine'/*.csv --into 'datasets/csv of mine'"),
        ("csv of mine/a.CSV", "a CSV file; make a dataset of it: scale-eval ingest 'csv of"),
        ("rows.parquet", "it is a Parquet file; make a dataset of it"),
        ("empty", "it is an empty folder"),
        ("photos", "it is a folder of other things"),
    ],
)
def test_what_is_no_dataset_is_recognized(place, path, words):
    with pytest.raises(FileNotFoundError, match=r"is not a dataset: ") as error:
        require_dataset(path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "there is nothing of this name; make one: scale-eval run DATASET --out"),
        ("data/shops", "it is a dataset; evaluate it: scale-eval run data/shops --out RUN"),
        ("runs", "it is a folder that holds runs/one, runs/two; name one of these"),
        ("runs/one/run.json", "it is a file of the run runs/one; name that"),
        (
            "csv of mine/a.CSV",
            "it is a CSV file; make a dataset of it, then a run: scale-eval ingest "
            "'csv of mine/a.CSV' --into datasets/a; scale-eval run datasets/a --out RUN",
        ),
        (
            "csv of mine",
            "make a dataset of them, then a run: scale-eval ingest 'csv of mine'/*.csv --into "
            "'datasets/csv of mine'; scale-eval run 'datasets/csv of mine' --out RUN",
        ),
        ("rows.parquet", "it is a Parquet file; make a dataset of it, then a run"),
        ("data/shops/manifest.parquet", "evaluate that: scale-eval run data/shops --out RUN"),
        ("empty", "it is an empty folder; make one: scale-eval run DATASET --out empty"),
        ("photos", "it is a folder of other things; make one: scale-eval run DATASET --out RUN"),
        ("photos/sea.jpg", "it is a file; make one: scale-eval run DATASET --out RUN"),
    ],
)
def test_what_is_no_run_is_recognized(place, path, words):
    with pytest.raises(FileNotFoundError, match=r"is not a run: ") as error:
        require_run(path)
    assert words in str(error.value)


def test_runs_and_datasets_pass(place):
    require_run("runs/one")
    require_dataset("data/shops")
