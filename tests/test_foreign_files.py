"""Nothing that the project did not write is removed or overwritten, whatever command is run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import scale_eval as se
from scale_eval.cli.commands import cli
from scale_eval.datasets.ingest.ingest import IngestError
from scale_eval.datasets.manifest import read_manifest_rows
from scale_eval.results.directory import FOLDERS
from scale_eval.storage import open_store, write_table
from scale_eval.storage.unfinished import unfinished_name

LINES = "CustomerID,Timestamp,PurchaseValue\na,2017-01-01 10:00:00Z,1\nb,2017-01-31 12:00:00Z,2\n"
LATER = "CustomerID,Timestamp,PurchaseValue\na,2017-03-01 10:00:00Z,3\nc,2017-04-28 12:00:00Z,4\n"

FOREIGN = [
    "notes.txt",
    "my/deep/thesis.tex",
    ".mine.unfinished",
    ".plan.parquet.node.123.unfinished",
    "old.lock",
    "report-of-mine.html",
    "transactions/ShopB.parquet",
    "transactions/2023/ShopC.parquet",
    "transactions/acme/0123456789abcdef.parquet",
    "transactions/.half.parquet.node.12.unfinished",
    "evaluations/mine.parquet",
    "evaluations/0123456789abcdef.parquet",
    "scores/mine.parquet",
    "models/mine.pickle",
    f"models/{'0' * 64}.pickle",
    "predictions/mine.parquet",
    "shares/mine.json",
]
"""Files of a user: beside those of the project, below, and under names that are nearly its own."""


def plant(place: Path) -> None:
    """Put a user's files into a folder; tables are real ones, with columns of a user."""
    for name in FOREIGN:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pq.write_table(pa.table({"CustomerID": ["a"], "Value": [1.5]}), path)
        else:
            path.write_text(f"a user's own: {name}")


def hashes(folder: Path, names: list[str] | None = None) -> dict[str, str]:
    """The digest of every file of a folder, or of these; of a link, where it leads to."""
    paths = folder.rglob("*") if names is None else map(folder.joinpath, names)
    return {
        path.relative_to(folder).as_posix(): (
            f"-> {path.readlink()}"
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in paths
        if path.is_symlink() or not path.is_dir()
    }


@pytest.fixture
def csv(tmp_path) -> Path:
    path = tmp_path / "csv" / "acme.csv"
    path.parent.mkdir()
    path.write_text(LINES)
    return path


def evaluate(dataset, out, client, **options):
    models = ["rfm_logistic"]
    return se.evaluate(dataset, models, out=out, client=client, progress=False, last=1, **options)


@pytest.fixture(scope="module")
def finished(shops, client, tmp_path_factory):
    return Path(evaluate(shops, tmp_path_factory.mktemp("finished") / "run", client).path)


def by_command(*words: object) -> None:
    """Run a command; raise what it raises."""
    result = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    if result.exit_code:
        raise ValueError(result.output)


COMMANDS: dict[str, Callable] = {
    "ingest": lambda place, csv, shops, client: se.ingest(csv, place),
    "ingest --append": lambda place, csv, shops, client: se.ingest(csv, place, append=True),
    "ingest --replace": lambda place, csv, shops, client: se.ingest(csv, place, replace=True),
    "ingest of what is in it": lambda place, csv, shops, client: se.ingest(
        place / "transactions/ShopB.parquet", place, columns={"customer_id": "CustomerID"}
    ),
    "synth": lambda place, csv, shops, client: se.synthesize(place, companies=2, seed=1),
    "run": lambda place, csv, shops, client: evaluate(shops, place, client),
    "run --share": lambda place, csv, shops, client: evaluate(shops, place, client, share=(1, 2)),
    "demo": lambda place, csv, shops, client: by_command("demo", "--out", place),
    "reduce": lambda place, csv, shops, client: se.reduce(place),
    "show": lambda place, csv, shops, client: by_command("show", place),
    "report": lambda place, csv, shops, client: by_command("report", place),
    "fingerprint": lambda place, csv, shops, client: by_command("fingerprint", place),
}
"""What writes or shows, by its name: a call with a place, a file, a dataset and a cluster."""


class TestAFolderThatIsNeitherEmptyNorTheProjects:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_it_is_refused_with_what_it_holds_and_stays_as_it_was(
        self, command, csv, shops, client, tmp_path
    ):
        place = tmp_path / "mine"
        plant(place)
        before = hashes(tmp_path)
        with pytest.raises((ValueError, OSError)) as refused:
            COMMANDS[command](place, csv, shops, client)
        assert hashes(tmp_path) == before
        if command in ("ingest", "synth", "run", "run --share", "demo"):
            assert "holds other files (" in str(refused.value)
            assert "choose an empty folder" in str(refused.value)

    @pytest.mark.parametrize("held", [".profile", "a/b/c.txt", "transactions/ShopA.parquet"])
    def test_one_file_is_enough_wherever_it_is(self, held, csv, tmp_path):
        path = tmp_path / "mine" / held
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        with pytest.raises(IngestError, match=f"holds other files \\({held}\\)"):
            se.ingest(csv, tmp_path / "mine")
        assert hashes(tmp_path / "mine") == hashes(tmp_path / "mine", [held])

    def test_folders_alone_and_what_systems_put_there_are_nothing(self, csv, tmp_path):
        place = tmp_path / "empty"
        (place / "transactions").mkdir(parents=True)
        (place / ".DS_Store").write_bytes(b"\0")
        assert len(se.ingest(csv, place).dataset.company_ids) == 1


class TestFilesBesideTheProjects:
    def test_ingest_removes_what_its_manifest_named_and_nothing_else(self, csv, tmp_path):
        place = tmp_path / "dataset"
        se.ingest(csv, place)
        (first,) = {row["path"] for row in read_manifest_rows(open_store(place)).values()}
        plant(place)
        before = hashes(place, FOREIGN)
        csv.write_text(LATER)
        se.ingest(csv, place, append=True)
        (second,) = {row["path"] for row in read_manifest_rows(open_store(place)).values()}
        assert not (place / first).exists()
        csv.write_text(LINES)
        se.ingest(csv, place, replace=True)
        assert not (place / second).exists()
        assert (place / first).exists()
        assert hashes(place, FOREIGN) == before
        others = {*hashes(place)} - {*FOREIGN}
        assert others == {first, "manifest.parquet", "refused.parquet", ".lock"}

    def test_ingest_that_fails_removes_what_it_wrote_and_nothing_else(
        self, csv, tmp_path, monkeypatch
    ):
        place = tmp_path / "dataset"
        se.ingest(csv, place)
        plant(place)
        before = hashes(place)
        csv.write_text(LATER)
        for step in ("write_refused", "commit"):
            with monkeypatch.context() as broken:
                broken.setattr(f"scale_eval.datasets.ingest.ingest.{step}", _fails)
                with pytest.raises(IngestError, match="as it was before"):
                    se.ingest(csv, place, append=True)
            if step == "write_refused":
                assert hashes(place) == before
        se.ingest(csv, place, append=True)
        assert hashes(place, FOREIGN) == {name: before[name] for name in FOREIGN}
        assert not (place / ".uncommitted").exists()
        assert len(list(place.glob("transactions/acme/*"))) == 2  # the user's, and the company's

    @pytest.mark.slow
    def test_a_run_that_is_continued_replaced_reduced_and_reported(
        self, finished, shops, client, tmp_path
    ):
        place = tmp_path / "run"
        shutil.copytree(finished, place)
        plant(place)
        before = hashes(place, FOREIGN)
        fingerprint = se.open_run(place).fingerprint()
        replaced = evaluate(shops, place, client, replace=["rfm_logistic"], save_predictions=True)
        replaced = evaluate(shops, place, client, replace=["rfm_logistic"])
        assert replaced.fingerprint() == fingerprint
        se.reduce(place).report()
        assert hashes(place, FOREIGN) == before

    @pytest.mark.parametrize("name", ["mine.html", "mine.csv", "report.html"])
    def test_a_report_does_not_take_the_place_of_something_else(self, name, finished, tmp_path):
        path = tmp_path / name
        path.write_text("<!DOCTYPE html>\n<title>a user's own</title>")
        before = hashes(tmp_path)
        with pytest.raises(FileExistsError, match=f"{name} is there, and is no report"):
            se.open_run(finished).report(path)
        assert hashes(tmp_path) == before

    @pytest.mark.slow
    def test_a_report_takes_the_place_of_a_report_of_an_earlier_version_too(
        self, finished, tmp_path
    ):
        path = se.open_run(finished).report(tmp_path / "report.html")
        written = path.read_bytes()
        earlier = written.replace(b'<meta name="generator" content="scale_eval">\n', b"")
        assert earlier != written
        path.write_bytes(earlier)
        assert se.open_run(finished).report(path).read_bytes() == written

    def test_a_table_takes_the_place_of_a_table_with_its_columns_alone(self, finished, tmp_path):
        place = tmp_path / "run"
        shutil.copytree(finished, place)
        frame = pd.DataFrame({"CustomerID": ["a"], "Value": [1.5]})
        for content in (frame.to_parquet(), b"a,b\n1,2\n"):
            (place / "companies.parquet").write_bytes(content)
            with pytest.raises(FileExistsError, match=r"companies.parquet is in the way, and was"):
                se.reduce(place)
            assert (place / "companies.parquet").read_bytes() == content

    def test_the_lock_is_no_file_of_a_user(self, tmp_path):
        (tmp_path / ".lock").write_text("the number of my bicycle lock: 4711")
        says = r"\.lock has the name of scale_eval's lock"
        with pytest.raises(OSError, match=says), open_store(tmp_path).lock():
            raise AssertionError
        assert (tmp_path / ".lock").read_text().endswith("4711")


class TestLinks:
    """A folder that somebody prepared leads elsewhere, to files that the user may write."""

    @pytest.fixture
    def outside(self, tmp_path) -> Path:
        plant(tmp_path / "outside")
        return tmp_path / "outside"

    @pytest.mark.parametrize("name", ["transactions", ".lock", "transactions/acme"])
    def test_ingest_does_not_write_through_one(self, name, csv, outside, tmp_path):
        place = tmp_path / "dataset"
        se.ingest(csv, place)
        _put_link(place / name, outside / name)
        before = hashes(outside)
        csv.write_text(LATER)
        with pytest.raises((ValueError, OSError), match=r"is a link to|does not lie in"):
            se.ingest(csv, place, append=True)
        assert hashes(outside) == before

    @pytest.mark.parametrize(
        "name",
        [*FOLDERS, ".lock", "run.json", "plan.parquet", "pooled.parquet"],
    )
    def test_a_run_does_not_write_through_one(
        self, name, finished, shops, client, outside, tmp_path
    ):
        place = tmp_path / "run"
        shutil.copytree(finished, place)
        target = outside / name
        if (place / name).is_file() and not target.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copy(place / name, target)
        _put_link(place / name, target)
        before = hashes(outside)
        with pytest.raises(OSError, match=f"{name} is a link to"):
            evaluate(shops, place, client, replace=["rfm_logistic"])
        assert hashes(outside) == before
        assert (place / name).is_symlink()

    @pytest.mark.parametrize("name", ["report.html", "other.html"])
    def test_a_report_does_not_follow_one(self, name, finished, outside, tmp_path):
        link = tmp_path / name
        link.symlink_to(outside / "notes.txt")
        before = hashes(outside)
        with pytest.raises(OSError, match="is a link to"):
            se.open_run(finished).report(link)
        assert hashes(outside) == before

    def test_cleaning_goes_into_no_folder_that_a_link_leads_to(self, outside, tmp_path):
        for folder in (outside, outside / "transactions"):
            (folder / unfinished_name("x")).write_text("half, of another place")
        before = hashes(outside)
        place = tmp_path / "place"
        (place / "scores").mkdir(parents=True)
        (place / "transactions").symlink_to(outside / "transactions")
        (place / "scores/x").symlink_to(outside)
        (place / unfinished_name("y")).symlink_to(outside / "notes.txt")
        open_store(place).delete_unfinished(["transactions", "scores"])
        assert hashes(outside) == before
        assert len(hashes(place)) == 3

    def test_a_hard_link_is_not_written_through_by_a_lock(self, outside, tmp_path):
        (outside / "empty").touch()
        (tmp_path / "place").mkdir()
        os.link(outside / "empty", tmp_path / "place/.lock")
        with (
            pytest.raises(OSError, match="is something else"),
            open_store(tmp_path / "place").lock(),
        ):
            raise AssertionError
        assert (outside / "empty").read_bytes() == b""


class TestAManifestThatLeadsElsewhere:
    @pytest.mark.parametrize(
        "path",
        [
            "../outside/x.parquet",
            "{outside}/x.parquet",
            "transactions/../../outside/x.parquet",
            "manifest.parquet",
            "x.parquet",
        ],
    )
    def test_a_path_outside_is_neither_read_nor_removed(self, path, csv, tmp_path):
        dataset, outside = self._with_path(path, csv, tmp_path)
        before = hashes(outside)
        with pytest.raises(ValueError, match="which does not lie in the dataset"):
            dataset.read("acme")
        csv.write_text(LATER)
        for choice in ({"append": True}, {"replace": True}):
            with pytest.raises((ValueError, IngestError), match="does not lie in the dataset"):
                se.ingest(csv, tmp_path / "dataset", **choice)
        assert hashes(outside) == before

    @pytest.mark.parametrize("linked", ["transactions/acme", "transactions/acme/FILE"])
    def test_neither_is_one_behind_a_link(self, linked, csv, tmp_path):
        _, outside = self._with_path(None, csv, tmp_path)
        (file,) = (tmp_path / "dataset").glob("transactions/acme/*")
        link = tmp_path / "dataset" / linked.replace("FILE", file.name)
        target = outside / link.name
        link.rename(target)
        link.symlink_to(target)
        with pytest.raises(ValueError, match="which does not lie in the dataset"):
            se.open_dataset(tmp_path / "dataset").read("acme")

    @staticmethod
    def _with_path(path, csv, tmp_path):
        dataset = se.ingest(csv, tmp_path / "dataset").dataset
        outside = tmp_path / "outside"
        outside.mkdir()
        (file,) = (tmp_path / "dataset").glob("transactions/acme/*")
        shutil.copy(file, outside / "x.parquet")
        if path is not None:
            table = dataset.manifest_table
            at = table.schema.get_field_index("path")
            named = pa.array([path.format(outside=outside)])
            table = table.set_column(at, table.schema.field(at), named)
            footer = pq.read_schema(tmp_path / "dataset/manifest.parquet").metadata
            write_table(dataset.store, "manifest.parquet", table.replace_schema_metadata(footer))
        return se.open_dataset(tmp_path / "dataset"), outside


LONG, ODD = ["x" * 5_000, "ä" * 200], ["a/b", "..", ".", "nul\0byte", ".hidden", "%2F", "a b"]


@pytest.mark.parametrize("company_id", ["acme.parquet", *ODD, *LONG])
def test_any_company_id_is_a_folder_of_its_own_and_stays_when_another_is_replaced(
    company_id, tmp_path
):
    frame = pd.DataFrame({"CustomerID": ["a", "b"], "Timestamp": "2020-01-01", "PurchaseValue": 1})
    place = tmp_path / "dataset"
    se.ingest({company_id: frame, "other": frame}, place)
    for value in (2, 3):
        se.ingest({"other": frame.assign(PurchaseValue=value)}, place, replace=True)
    dataset = se.ingest({company_id: frame.assign(PurchaseValue=4)}, place, replace=True).dataset
    assert dataset.read(company_id).values.tolist() == [4, 4]
    assert dataset.read("other").values.tolist() == [3, 3]
    files = [path for path in (place / "transactions").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert all(path.parent.parent == place / "transactions" for path in files)


def test_ids_that_differ_in_case_alone_share_a_file_where_the_disk_knows_no_case(
    tmp_path, monkeypatch
):
    from scale_eval.datasets import file_layout

    own = file_layout._directory_of
    monkeypatch.setattr(file_layout, "_directory_of", lambda each: own(each).lower())
    frame = pd.DataFrame({"CustomerID": ["a", "b"], "Timestamp": "2020-01-01", "PurchaseValue": 1})
    place = tmp_path / "dataset"
    se.ingest({"Acme": frame, "acme": frame}, place)
    dataset = se.ingest({"acme": frame.assign(PurchaseValue=2)}, place, replace=True).dataset
    assert dataset.read("Acme").values.tolist() == [1, 1]
    assert dataset.read("acme").values.tolist() == [2, 2]


def _put_link(link: Path, target: Path) -> None:
    """Replace a file or folder by a link."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(link) if link.is_dir() else link.unlink()
    link.symlink_to(target)


def _fails(*_, **__):
    raise OSError("no")
