"""Files of a run that are damaged, replaced or removed: each is named, set aside and made anew."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import random
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import scale_eval as se
from scale_eval.cli.results import what_is_missing
from scale_eval.evaluation.schema import SCORES_SCHEMA
from scale_eval.results.damaged import DamagedFile, DamagedPart, naming_damage
from scale_eval.results.directory import RowsMissing
from scale_eval.results.evaluation_parts import damaged_parts, read_scores
from scale_eval.storage import open_store
from tests.support.companies import dataset_of, shop

MODELS = ["frequency"]


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    companies = [shop("big", 60, seed=1), shop("small", 30, seed=2)]
    return dataset_of(companies, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def whole(shops, client, tmp_path_factory):
    """A finished run, which nobody may change."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return se.evaluate(shops, MODELS, out=out, client=client, progress=False)


@pytest.fixture
def run(whole, tmp_path):
    """A copy of that run, to be damaged."""
    shutil.copytree(whole.path, tmp_path / "run")
    return tmp_path / "run"


def largest(run, folder):
    return max((run / folder).glob("*.parquet"), key=lambda file: file.stat().st_size)


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    os.truncate(file, 0)


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x40
    file.write_bytes(content)


def replace_by_another_table(file):
    shutil.copy(file.parent.parent / "pooled.parquet", file)


def rename_a_column(file):
    table = pq.read_table(file)
    names = [f"{name}_" if name == table.column_names[-1] else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), file)


def replace_by_a_folder(file):
    file.unlink()
    file.mkdir()
    (file / "mine").write_text("kept")


def replace_by_a_dead_link(file):
    file.unlink()
    file.symlink_to("nowhere")


def double_its_rows(file):
    table = pq.read_table(file)
    pq.write_table(pa.concat_tables([table, table]), file)


def drop_a_row(file):
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)


def give_it_to_another_model(file):
    table = pq.read_table(file)
    model = pc.replace_substring(table["model"], "base_rate", "recency")
    pq.write_table(table.set_column(table.column_names.index("model"), "model", model), file)


HARMS_OF_SCORES = [double_its_rows, drop_a_row, give_it_to_another_model]
"""Files that can be read, and hold the scores of other customers than their evaluations."""

HARMS = [
    cut,
    empty,
    flip,
    replace_by_another_table,
    rename_a_column,
    replace_by_a_folder,
    replace_by_a_dead_link,
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "folder"),
    [*itertools.product(HARMS, ["evaluations", "scores"]), (double_its_rows, "scores")],
)
def test_a_damaged_file_is_set_aside_and_what_it_held_is_evaluated_anew(
    run, shops, whole, client, harm, folder, capsys
):
    file = largest(run, folder)
    harm(file)
    again = se.evaluate(shops, MODELS, out=run, client=client)
    assert again.fingerprint() == whole.fingerprint()
    aside = file.with_name(f"{file.name}.damaged")
    assert os.path.lexists(aside)
    said = capsys.readouterr().err
    assert f"{file} cannot be read" in said
    assert f"{folder}/{aside.name}" in said
    assert again.document["set_aside"] == [f"{folder}/{file.name}"]
    if harm is replace_by_a_folder:
        assert (aside / "mine").read_text() == "kept"


@pytest.mark.parametrize("harm", [h for h in HARMS if h not in (flip, rename_a_column)])
def test_a_damaged_file_of_evaluations_is_named_by_all_that_read_it(run, harm):
    file = largest(run, "evaluations")
    harm(file)
    opened = se.open_run(run)
    for use in (
        lambda: opened.evaluations,
        lambda: opened.failures,
        opened.fingerprint,
        opened.report,
        lambda: se.reduce(run),
    ):
        with pytest.raises(DamagedPart, match="sets the file aside and evaluates anew") as named:
            use()
        assert str(file) in str(named.value)
        assert str(pickle.loads(pickle.dumps(named.value))) == str(named.value)


@pytest.mark.parametrize("harm", [*HARMS, *HARMS_OF_SCORES])
def test_damaged_scores_are_named_by_fingerprint_and_reduce(run, harm):
    file = largest(run, "scores")
    harm(file)
    for use in (se.open_run(run).fingerprint, lambda: se.reduce(run)):
        with pytest.raises(DamagedPart) as named:
            use()
        assert str(file) in str(named.value)


def test_scores_that_lost_a_row_are_named_with_both_counts_of_customers(run):
    file = largest(run, "scores")
    row = pq.read_table(file).slice(0, 1).to_pylist()[0]
    rows = pq.read_table(file.parent.parent / "evaluations" / file.name).to_pandas()
    rows = rows[(rows["status"] == "ok") & (rows["model"] == row["model"])]
    buyers = rows["n_positive"].sum()
    others = rows["n_customers"].sum() - buyers
    drop_a_row(file)
    with pytest.raises(DamagedPart) as named:
        se.open_run(run).directory.scores()
    assert (
        f"for {row['model']} it counts {buyers - row['n_positive']:.0f} buyers and "
        f"{others - row['n_negative']:.0f} other customers, and evaluations/{file.name} "
        f"{buyers:.0f} and {others:.0f}"
    ) in str(named.value)


def test_what_was_set_aside_before_stays_when_a_file_of_the_same_name_is(tmp_path):
    store = open_store(tmp_path)
    for content in (b"first", b"second", b"third"):
        store.write("scores/a.parquet", content)
        store.set_aside("scores/a.parquet")
    store.set_aside("scores/a.parquet")  # it is not there
    kept = {path.name: path.read_bytes() for path in (tmp_path / "scores").iterdir()}
    assert kept == {
        "a.parquet.damaged": b"first",
        "a.parquet.damaged1": b"second",
        "a.parquet.damaged2": b"third",
    }
    assert store.names("scores/*.parquet") == []


@pytest.mark.slow
def test_a_changed_bit_is_found_or_changes_nothing(run, whole):
    """Half of the bits are those of the footer, which no checksum covers."""
    schema, directory = whole.directory.schema, whole.directory
    sound = {"evaluations": directory.evaluations(), "scores": directory.scores()}
    draw = random.Random(5)
    for folder in sound:
        file = largest(run, folder)
        content = file.read_bytes()
        footer = int.from_bytes(content[-8:-4], "little")
        places = [draw.randrange(len(content)) for _ in range(40)]
        places += [len(content) - 8 - draw.randrange(footer) for _ in range(40)]
        for place in places:
            changed = bytearray(content)
            changed[place] ^= 1 << draw.randrange(8)
            file.write_bytes(changed)
            copy = se.open_run(run).directory
            if not damaged_parts(copy.store, schema):
                read = copy.evaluations() if folder == "evaluations" else copy.scores()
                assert read.equals(sound[folder]), place
        file.write_bytes(content)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE])
def test_an_error_of_the_disk_or_the_machine_is_no_damage_of_a_file(tmp_path, number):
    with (
        pytest.raises(OSError, match=r"\[Errno") as raised,
        naming_damage(open_store(tmp_path), "scores/a.parquet", "Mend it", DamagedPart),
    ):
        raise OSError(number, os.strerror(number))
    assert raised.value.errno == number


@pytest.mark.parametrize("number", [errno.EACCES, errno.EISDIR, errno.ENOENT, errno.ELOOP])
def test_an_error_of_one_file_is_damage(tmp_path, number):
    with (
        pytest.raises(DamagedPart, match=r"a.parquet cannot be read \(\w+"),
        naming_damage(open_store(tmp_path), "scores/a.parquet", "Mend it", DamagedPart),
    ):
        raise OSError(number, os.strerror(number))


def test_removed_evaluations_are_missed_by_all_that_read_them(run):
    files = list((run / "evaluations").glob("*.parquet"))
    n_rows = pq.read_metadata(largest(run, "evaluations")).num_rows
    n_all = sum(pq.read_metadata(file).num_rows for file in files)
    largest(run, "evaluations").unlink()
    opened = se.open_run(run)
    for use in (lambda: opened.evaluations, lambda: opened.failures, opened.fingerprint):
        with pytest.raises(RowsMissing, match="run the command that began the run again") as missed:
            use()
        assert f"{n_rows} of {n_all} evaluations" in str(missed.value)
    with pytest.raises(RowsMissing):
        opened.report()
    assert f"{n_rows} of {n_all} evaluations" in opened.directory.removed()


def test_nothing_is_missed_of_a_whole_run_and_of_one_that_is_under_way(run):
    assert se.open_run(run).directory.removed() == ""
    largest(run, "evaluations").unlink()
    document = json.loads((run / "run.json").read_text()) | {"status": "running"}
    (run / "run.json").write_text(json.dumps(document))
    assert se.open_run(run).directory.removed() == ""
    assert len(se.open_run(run).evaluations) < document["n_evaluations"]


def test_removed_scores_are_missed_by_the_fingerprint(run):
    file = largest(run, "scores")
    file.unlink()
    with pytest.raises(RowsMissing, match=f"the scores of evaluations/{file.name} are no longer"):
        se.open_run(run).fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["evaluations", "scores"])
def test_what_was_removed_is_evaluated_anew_by_the_same_command(run, shops, whole, client, folder):
    for file in (run / folder).glob("*.parquet"):
        file.unlink()
    again = se.evaluate(shops, MODELS, out=run, client=client, progress=False)
    assert again.fingerprint() == whole.fingerprint()


@pytest.mark.parametrize("name", ["plan", "pooled", "companies"])
def test_a_damaged_table_is_named_with_what_makes_it_again(run, name):
    cut(run / f"{name}.parquet")
    opened = se.open_run(run)
    with pytest.raises(DamagedFile, match=rf"{name}.parquet cannot be read .*again") as named:
        getattr(opened, name)
    assert not isinstance(named.value, DamagedPart)


def test_scores_of_another_type_than_the_runs_are_damage(run):
    file = largest(run, "scores")
    table = pq.read_table(file)
    at = table.column_names.index("cutoff")
    other = table["cutoff"].cast(pa.timestamp("ms", tz="UTC"))
    pq.write_table(table.set_column(at, "cutoff", other), file)
    with pytest.raises(DamagedPart, match=r"its column cutoff is timestamp\[ms"):
        list(read_scores(open_store(run), SCORES_SCHEMA))


class TestModelsThatTheCallDidNotName:
    """A run that was begun with more models than the call that goes on with it."""

    def test_the_sentence_names_them_and_the_options_that_add_them(self):
        document = {"n_missing": 5, "missing_by_model": {"frequency": 2, "mine:B": 3}}
        assert what_is_missing(document, ["base_rate", "recency"]) == (
            "5 evaluations have not been done, of frequency (2) and mine:B (3): the run was begun "
            "with them, and this command did not name them. Add --model frequency --model mine:B."
        )
        assert what_is_missing(document).endswith(
            "run the command that began the run again, with --model frequency --model mine:B."
        )

    def test_what_the_command_did_name_is_done_by_the_same_command(self):
        document = {"n_missing": 1, "missing_by_model": {"recency": 1}}
        done = what_is_missing(document, ["base_rate", "recency"])
        assert done == "1 evaluation has not been done: run the same command again."

    def test_a_name_that_is_no_option_is_not_made_one(self):
        document = {"n_missing": 2, "missing_by_model": {"Lapsed 30": 2}}
        assert "Add each of them by --model." in what_is_missing(document, [])

    @pytest.mark.slow
    def test_they_are_counted_by_evaluating_and_by_reducing(self, run, shops, client):
        document = json.loads((run / "run.json").read_text())
        document["models"]["mine:B"] = {"source": "a", "parameters": {}}
        (run / "run.json").write_text(json.dumps(document))
        plan = len(se.open_run(run).plan) // 3
        again = se.evaluate(shops, MODELS, out=run, client=client, progress=False)
        assert not again.finished
        assert again.document["missing_by_model"] == {"mine:B": plan}
        reduced = se.reduce(run)
        assert not reduced.finished
        assert reduced.document["missing_by_model"] == {"mine:B": plan}
