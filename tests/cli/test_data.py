"""Commands that make a dataset."""

from __future__ import annotations

import re
import shlex

import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from tests.support.commands import (
    assert_fits,
    assert_refused,
    write_csv,
)


class TestIngest:
    def test_tells_what_it_read_and_where_it_is(self, ingested):
        assert ingested.code == cli.OK
        assert "Companies: 3 new" in ingested.out
        assert re.search(r"([\d,]+) rows in = \1 kept \+ 0 refused", ingested.out)
        assert ingested.err == ""

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("missing.csv", None, ["No such file"]),
            ("empty.csv", b"", ["is empty"]),
            ("header.csv", b"CustomerID,Timestamp,PurchaseValue\n", ["no rows"]),
            ("columns.csv", b"a,b,c\n1,2020-01-01,3\n", ["'CustomerID'", "--columns"]),
            ("binary.csv", b"\x00\xff\x17" * 900, ["is not text"]),
            ("half.parquet", b"PAR1 and no more", ["is damaged or no Parquet"]),
            ("words.csv", b"CustomerID,Timestamp,PurchaseValue\na,noon,1\n", ["'a,noon,1'"]),
        ],
    )
    def test_a_file_that_is_none_is_refused_by_name(
        self, scale_eval, tmp_path, name, content, words
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert_refused(scale_eval("ingest", name, "--into", "data"), name, *words)
        assert not (tmp_path / "data").exists()

    def test_a_directory_stands_for_the_files_in_it(self, scale_eval, tmp_path):
        (tmp_path / "shops").mkdir()
        assert_refused(scale_eval("ingest", "shops", "--into", "data"), "shops", "without files")
        write_csv(tmp_path / "shops" / "one.csv", [("a", "2019-01-01", 1.0)])
        result = scale_eval("ingest", "shops", "--into", "data")
        assert result.code == cli.OK, result.err
        assert se.open_dataset("data").company_ids == ["one"]

    def test_every_option_of_text_and_paths_is_taken(self, scale_eval, tmp_path):
        (tmp_path / "shop=x").mkdir()
        text = "title\nName, first!when!amount\nMüller!2019-01-01!1\n"
        (tmp_path / "shop=x" / "orders.csv").write_bytes(text.encode("cp1252"))
        result = scale_eval(
            *("ingest", "shop=x", "--into", "data", "--separator", "!", "--skip-lines", "1"),
            *("--encoding", "cp1252", "--company-from", "shop={company}/"),
            *("--columns", "customer_id=Name, first,timestamp=when,value=amount"),
        )
        assert result.code == cli.OK, result.err
        company = se.open_dataset("data").read("x")
        assert company.customers.to_pylist() == ["Müller"]

    def test_a_suggestion_of_columns_can_be_pasted_whatever_their_names_are(
        self, scale_eval, tmp_path
    ):
        (tmp_path / "shop.csv").write_text('"Client, it\'s id",Timestamp,Value\na,2019-01-01,1\n')
        names = ["customer_id=Client, it's id", "timestamp=Timestamp", "value=Value"]
        result = scale_eval("ingest", "shop.csv", "--into", "data", "--columns", ",".join(names))
        assert result.code == cli.OK, result.err
        wrong = ",".join([*names[:2], "value=Valeu"])
        message = scale_eval("ingest", "shop.csv", "--into", "two", "--columns", wrong).err
        suggested = shlex.split(" ".join(message.split()).partition("which: ")[2])
        assert suggested == ["--columns", ",".join(names)]

    @pytest.mark.parametrize("columns", ["customer_id=a,timestamp=b", "a,b,c", "value=a,value=b"])
    def test_columns_that_are_not_all_named_are_refused(self, scale_eval, columns):
        assert_refused(
            scale_eval("ingest", "x.csv", "--into", "data", "--columns", columns), "name all three"
        )

    def test_a_run_is_no_place_for_a_dataset(self, scale_eval, files, first):
        assert_refused(scale_eval("ingest", files[0], "--into", first), "is not a dataset")

    def test_a_company_named_like_markup_keeps_its_name(self, scale_eval, tmp_path):
        write_csv(tmp_path / "[red]x.csv", [("a", "2019-01-01", 1.0), ("a", "2020-01-01", 1.0)])
        table = "CustomerID,Timestamp,PurchaseValue,shop\na,2019-01-01,1,a[/b]\n"
        (tmp_path / "table.csv").write_text(table)
        result = scale_eval("ingest", "[red]x.csv", "--into", "one")
        assert "[red]x" in result.out
        result = scale_eval("ingest", "table.csv", "--company-column", "shop", "--into", "two")
        assert result.code == cli.OK, result.err
        assert "a[/b]" in result.out
        assert "a[/b]" in scale_eval("plan", "two", "--guess").out

    @pytest.mark.parametrize(
        "name", ["my shop", "k=v", "Ünï 東京", ".hidden", "x" * 200, "0012", "20e1738615", "nan"]
    )
    def test_a_company_is_what_its_file_is_called(self, scale_eval, tmp_path, name):
        write_csv(tmp_path / f"{name}.csv", [("0017", "2019-01-01", 1), ("1e5", "2020-01-01", 2)])
        result = scale_eval("ingest", f"{name}.csv", "--into", "data")
        assert result.code == cli.OK, result.err
        assert_fits(result.out, tmp_path)
        dataset = se.open_dataset(tmp_path / "data")
        assert dataset.company_ids == [name]
        assert dataset.read(name).customers.to_pylist() == ["0017", "1e5"]
        folders = [path.name for path in (tmp_path / "data" / "transactions").iterdir()]
        assert not any(folder.startswith(".") or "=" in folder for folder in folders)


class TestSynth:
    def test_makes_what_can_be_planned(self, scale_eval):
        made = scale_eval("synth", "--companies", 3, "--seed", 4, "--into", "made")
        assert made.code == cli.OK
        assert made.out.startswith("3 companies, ")
        assert (
            "12 evaluations of 4 models" in scale_eval("plan", "made", "--guess", "--last", 1).out
        )

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--companies", 0), ("--seed", -1), ("--median-customers", "nan"), ("--sigma", -1)],
    )
    def test_a_number_out_of_place_is_refused_by_name(self, scale_eval, option, value):
        words = {"--companies": 2, option: value}
        result = scale_eval("synth", "--into", "made", *(w for pair in words.items() for w in pair))
        assert_refused(result)
        assert option.strip("-").partition("-")[0] in result.err

    def test_a_directory_with_other_things_in_it_is_left_alone(self, scale_eval, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("precious")
        result = scale_eval("synth", "--companies", 1, "--into", "thesis")
        assert_refused(result, "thesis")
        assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]
