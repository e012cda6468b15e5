"""An ingest that fails or is killed leaves the dataset as it was."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys

import pytest

from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from scale_eval.storage import StoreLocked
from scale_eval.storage.unfinished import unfinished_name
from tests.support.paths import PROJECT as ROOT
from tests.support.transaction_files import FEBRUARY, JANUARY, contents, statuses


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
    with pytest.raises(IngestError, match=r"is not a dataset, and holds other files \(acme.csv\)"):
        ingest(path, tmp_path)
    with pytest.raises(IngestError, match="Not a directory; choose a place that is a directory"):
        ingest(path, path / "below")
    with pytest.raises(ValueError, match="only paths are served"):
        ingest(path, "s3://bucket/dataset")


def test_the_leftovers_of_an_interrupted_first_ingest_are_no_hindrance(file, into):
    (into / "transactions/acme").mkdir(parents=True)
    (into / "transactions/acme/0123.parquet").write_bytes(b"half")
    (into / "transactions/acme" / unfinished_name("x.parquet")).write_bytes(b"half")
    (into / ".uncommitted").write_text("transactions/acme/0123.parquet\n")
    (into / ".lock").touch()
    report = ingest(file("acme.csv", JANUARY), into)
    assert statuses(report) == {"acme": "new"}
    (kept,) = (path for path in into.glob("transactions/**/*") if path.is_file())
    assert kept.name in open_dataset(into).manifest["path"].item()
    assert not (into / ".uncommitted").exists()


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


@pytest.mark.slow
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
module.ingest(path, into, replace=True, max_refused=0.5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["write_refused", "commit"])
def test_killed_before_the_manifest_the_old_dataset_stands_and_the_next_ingest_succeeds(
    file, into, step
):
    old = ingest(file("acme.csv", JANUARY), into).dataset
    path = file("new/acme.csv", [*FEBRUARY, "?"])
    assert _python(KILLED, step, path, into).returncode == -signal.SIGKILL
    assert contents(open_dataset(into)) == contents(old)
    assert len(list(into.glob("transactions/**/*.parquet"))) == 2
    report = ingest(path, into, replace=True, max_refused=0.5)
    assert statuses(report) == {"acme": "replaced"}
    assert [row[0] for row in contents(report.dataset)["acme"]] == ["a", "c"]
    assert report.dataset.refused["text"].tolist() == ["?"]
    assert len(list(into.glob("transactions/**/*.parquet"))) == 1
