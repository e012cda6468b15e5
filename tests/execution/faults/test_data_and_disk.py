"""Companies that cannot be read, and a disk that is full."""

from __future__ import annotations

import os
import shutil
import subprocess

import pandas as pd
import pytest

import scale_eval as se
from scale_eval.datasets.synthetic.faults import corrupt
from scale_eval.evaluation.schema import KEY
from tests.support import models
from tests.support.faults import evaluate, facts

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("free_bytes", [200_000, 900_000])
def test_a_disk_that_fills_while_workers_write_batches_names_the_place_and_is_resumed(
    many, client, quiet, small_disk, free_bytes
):
    there = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(there.f_bavail * there.f_frsize - free_bytes))
    with pytest.raises(OSError, match="No space left on device") as full:
        evaluate(many, small_disk / "run", client, [models.Unhurried(seconds=0)])
    assert str(small_disk) in str(full.value)
    ballast.unlink()
    run = evaluate(many, small_disk / "run", client, [models.Unhurried(seconds=0)])
    assert not list(small_disk.rglob("*.unfinished"))
    pd.testing.assert_frame_equal(facts(run), facts(quiet), check_exact=True)
    assert run.fingerprint() == quiet.fingerprint()


class TestData:
    def test_a_corrupt_company_in_a_file_of_its_own_is_error_rows(
        self, many, client, quiet, tmp_path
    ):
        shutil.copytree(many.store.root, tmp_path / "data")
        data = se.open_dataset(tmp_path / "data")
        rotten = data.company_ids[42]
        corrupt(data, [rotten])
        run = evaluate(data, tmp_path / "run", client, [models.Unhurried(seconds=0)])
        self.assert_unreadable(run, quiet, data, {rotten})

    def test_a_corrupt_row_group_of_many_companies_is_error_rows_of_these(self, client, tmp_path):
        made = {
            "companies": 1100,
            "seed": 3,
            "median_customers": 60,
            "sigma": 0.4,
            "observed_whole": True,
        }
        sound = se.synthesize(tmp_path / "sound", **made)
        data = se.synthesize(tmp_path / "data", **made)
        path, row_group = data.place(data.company_ids[500])
        corrupt(data, [data.company_ids[500]])
        rotten = {c for c in data.company_ids if data.place(c) == (path, row_group)}
        assert 1 < len(rotten) < 1100
        undisturbed = evaluate(sound, tmp_path / "quiet", client)
        run = evaluate(data, tmp_path / "run", client)
        self.assert_unreadable(run, undisturbed, data, rotten)

    def assert_unreadable(self, run, undisturbed, data, rotten):
        found, expected = facts(run), facts(undisturbed)
        pd.testing.assert_frame_equal(found[KEY], expected[KEY])
        lost = found["company_id"].isin(rotten) & (found["reason"] == "data_unreadable")
        assert set(found.loc[lost, "status"]) == {"error"}
        assert set(found.loc[lost, "company_id"]) == rotten
        for company_id, note in found.loc[lost, ["company_id", "note"]].drop_duplicates().values:
            assert data.place(company_id)[0] in note
        # Counts with a null among them are floats in pandas.
        pd.testing.assert_frame_equal(
            found[~lost], expected[~lost], check_exact=True, check_dtype=False
        )
        assert set(found.loc[~lost, "status"]) <= {"ok", "skipped"}
