"""Batches that are written twice."""

from __future__ import annotations

import shutil

import pyarrow.parquet as pq
import pytest

import scale_eval as se
from scale_eval.results.directory import open_run_directory
from tests.support import models
from tests.support.faults import bound_batches, evaluate, names_in

pytestmark = pytest.mark.slow


class TestRepeatedBatches:
    """A worker that was thought dead writes late what others have done meanwhile."""

    @pytest.fixture
    def place(self, quiet, tmp_path):
        shutil.copytree(quiet.path, tmp_path / "run")
        return tmp_path / "run"

    def late(self, many, place, companies, client, tmp_path):
        """A batch of some companies, as another division into batches would have made it."""
        some = open_run_directory(place)
        written = [
            file
            for file in (place / "evaluations").glob("*.parquet")
            if set(pq.read_table(file, columns=["company_id"])["company_id"].to_pylist())
            & set(companies)
        ]
        assert len(written) >= 2
        work = tmp_path / "elsewhere"
        shutil.copytree(place, work)
        for file in written:
            (work / "evaluations" / file.name).unlink()
        before = names_in(work / "evaluations")
        evaluate(many, work, client, [models.Unhurried(seconds=0)])
        made = names_in(work / "evaluations") - before
        assert made
        for name in made:
            for kind in ("evaluations", "scores"):
                if (work / kind / name).exists():
                    shutil.copy(work / kind / name, place / kind / name)
        return some, made

    def test_are_counted_once_when_the_run_is_reduced(self, many, client, quiet, place, tmp_path):
        names = many.reading_order(many.company_ids)
        with pytest.MonkeyPatch.context() as patch:
            bound_batches(patch, 17 * 8)
            directory, made = self.late(many, place, names[20:60], client, tmp_path)
        assert len(directory.evaluations()) == len(quiet.evaluations)  # at reading, too
        assert se.reduce(place).fingerprint() == quiet.fingerprint()
        assert not made & names_in(place / "evaluations")

    def test_are_counted_once_when_the_run_goes_on_and_what_goes_with_them_is_done_again(
        self, many, client, quiet, place, tmp_path
    ):
        # A batch that is larger than those that it overlaps takes their place.
        names = many.reading_order(many.company_ids)
        with pytest.MonkeyPatch.context() as patch:
            bound_batches(patch, 60 * 8)
            self.late(many, place, names[20:60], client, tmp_path)
        last = sorted((place / "evaluations").glob("*.parquet"), key=lambda f: f.stat().st_size)
        last[0].unlink()
        run = evaluate(many, place, client, [models.Unhurried(seconds=0)])
        assert run.finished
        assert run.fingerprint() == quiet.fingerprint()
