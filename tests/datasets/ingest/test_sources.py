"""Folders and patterns of files; companies named by a path; parts of a company are no companies."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest.company_from import CompanyFrom
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from scale_eval.datasets.ingest.sources import files_at
from tests.support.transaction_files import FEBRUARY, HEADER, JANUARY, contents

BOTH = sorted(
    [
        ("a", "2017-01-01 10:00:00", 1.0),
        ("a", "2017-02-01 10:00:00", 3.0),
        ("b", "2017-01-31 12:00:00", 2.0),
        ("c", "2017-02-28 12:00:00", 4.0),
    ]
)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Writes files of January and February by turns below the current folder."""
    monkeypatch.chdir(tmp_path)

    def tree(*names: str) -> None:
        for name, lines in zip(names, itertools.cycle([JANUARY, FEBRUARY]), strict=False):
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".parquet"):
                columns = zip(*(line.split(",") for line in lines), strict=True)
                names_of_columns = HEADER.strip().split(",")
                pq.write_table(
                    pa.table(dict(zip(names_of_columns, map(list, columns), strict=True))), path
                )
            else:
                path.write_text(HEADER + "".join(f"{line}\n" for line in lines))

    return tree


def ids(report) -> list[str]:
    return report.dataset.company_ids


SPARK = [f"part-0000{i}-5f3c-c000.snappy.parquet" for i in range(2)]


# Folders and patterns


def test_a_folder_stands_for_the_files_in_it_at_any_depth(tree):
    tree("shops/one.csv", "shops/more/two.csv.gz.txt", "shops/more/three.parquet")
    Path("shops/.hidden.csv").write_text("?")
    report = ingest("shops", "into")
    assert ids(report) == ["one", "three", "two"]
    assert list(report.files["file"]) == [
        "shops/more/three.parquet",
        "shops/more/two.csv.gz.txt",
        "shops/one.csv",
    ]


def test_a_file_in_a_folder_that_is_no_table_is_named_with_how_to_leave_it_out(tree):
    tree("shops/one.csv")
    Path("shops/README.md").write_text("# About\n")
    with pytest.raises(IngestError, match=r"shops/README.md: .*leave it out.*'shops/\*.csv'"):
        ingest("shops", "into")


@pytest.mark.parametrize("given", ["shops/*.csv", Path("shops/*.csv"), ["shops/*.csv"], "**/*.csv"])
def test_a_pattern_stands_for_the_files_that_match(tree, given):
    tree("shops/one.csv", "shops/two.csv", "shops/three.parquet")
    assert ids(ingest(given, "into")) == ["one", "two"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree):
    tree("shop [1].csv", "shop 1.csv")
    assert ids(ingest("shop [1].csv", "into")) == ["shop [1]"]


def test_a_pattern_that_nothing_matches_and_an_empty_folder_are_errors(tree):
    Path("empty").mkdir()
    with pytest.raises(IngestError, match=r"\*.csv: no file matches"):
        ingest("*.csv", "into")
    with pytest.raises(IngestError, match="empty is a directory without files"):
        ingest("empty", "into")


def test_what_spark_leaves_beside_the_rows_is_no_file_of_rows(tree):
    tree(*(f"acme.parquet/{name}" for name in SPARK))
    for name in ("_SUCCESS", "_committed_1", f".{SPARK[0]}.crc", "x.crc", "_metadata"):
        Path("acme.parquet", name).write_bytes(b"")
    report = ingest(sorted(Path("acme.parquet").iterdir()), "a", company_from="{company}.parquet/")
    assert contents(report.dataset) == {"acme": BOTH}
    assert contents(ingest("acme.parquet", "b").dataset) == {"acme": BOTH}
    with pytest.raises(IngestError, match="_SUCCESS holds no rows"):
        ingest("acme.parquet/_SUCCESS", "c")


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("_delta_log/0.json", "shop is a Delta table.*deleted"),
        ("metadata/v1.metadata.json", "shop is a Iceberg table|an Iceberg table"),
        ("_temporary/0/x", "a job of Spark that has not ended"),
        ("manifest.parquet", "shop is a dataset already"),
    ],
)
def test_a_folder_that_is_more_than_its_files_is_an_error(tree, mark, says):
    tree("all/shop/one.csv", f"all/shop/{mark}")
    for folder in ("all", "all/shop"):
        with pytest.raises(IngestError, match=says):
            ingest(folder, "into")


def test_a_link_to_a_folder_is_followed_and_one_to_its_own_parent_is_not_endless(tree):
    tree("shops/one.csv", "elsewhere/two.csv")
    Path("shops/linked").symlink_to("../elsewhere")
    Path("shops/circle").symlink_to(".")
    assert [path.as_posix() for path, _ in files_at("shops")] == [
        "shops/linked/two.csv",
        "shops/one.csv",
    ]


# Companies by their path


@pytest.mark.parametrize(
    ("pattern", "path", "company"),
    [
        ("shop={company}/", "orders/shop=acme/part-0.parquet", "acme"),
        ("shop={company}", "orders/shop=acme/part-0.parquet", "acme"),
        ("shop={company}/", "orders/year=2023/shop=acme/month=1/part-0.parquet", "acme"),
        ("shop=(.*)/", "orders/shop=acme/part-0.parquet", "acme"),
        (r"shop=(?P<company>[^/]*)", "orders/shop=acme/part-0.parquet", "acme"),
        ("{company}/*.csv", "orders/acme/2023-01.csv", "acme"),
        ("{company}/{}.csv", "acme/2023-01.csv", "acme"),
        ("{company}/{month}.csv", "acme/2023-01.csv", "acme"),
        ("{company}/*/*.csv", "orders/acme/2023/01.csv", "acme"),
        ("{company}.parquet/**", "lake/acme.parquet/2023/05.parquet", "acme"),
        ("{company}-????-??.csv", "orders/the-shop-2023-01.csv", "the-shop"),
        ("{company}-????-??", "orders/the-shop-2023-01.csv.gz", "the-shop"),
        ("????-??_{company}.csv", "2023-01_acme.csv", "acme"),
        ("{company}.csv", "orders/acme.csv", "acme"),
        ("{company}", "orders/acme.csv.gz", "acme"),
        ("shop={company}/", "shop=Caf%C3%A9%20%2F%3D/x.csv", "Café /="),
        ("{company}/*.csv", "100%25/x.csv", "100%25"),
    ],
)
def test_a_pattern_says_where_the_company_stands(pattern, path, company):
    assert CompanyFrom(pattern).read(Path(path))[0] == company


@pytest.mark.parametrize("pattern", ["shop", "*.csv", "(a)(b)", "(", "", 5])
def test_a_pattern_that_does_not_say_it_is_an_error_with_examples(pattern):
    with pytest.raises(IngestError, match=r"company_from: .* such as 'shop={company}/'"):
        CompanyFrom(pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "says"),
    [
        ("shop={company}/", "orders/acme.csv", "does not match this path"),
        ("{company}-*.csv", "the-shop-1.csv", "reads this as company 'the-shop' or as 'the'"),
        ("{company}/", "orders/acme/x.csv", "reads this as company 'orders' or as 'acme'"),
        ("shop={company}/", "shop=__HIVE_DEFAULT_PARTITION__/x.csv", "names no company"),
        ("shop=(.*)/", "shop=/x.csv", "names no company"),
        ("shop={company}/", "shop=%E9/x.csv", "is not UTF-8, percent-encoded"),
    ],
)
def test_a_path_that_leaves_its_company_open_is_an_error(pattern, path, says):
    with pytest.raises(IngestError, match=f"{path}: .*{says}"):
        CompanyFrom(pattern).read(Path(path))


@given(
    st.from_regex(r"[a-z%-][a-z%=.-]{0,12}", fullmatch=True),
    st.sampled_from(["{company}/*", "x_{company}_??"]),
)
def test_whatever_stands_there_is_the_company(company, pattern):
    path = pattern.replace("{company}", company).replace("*", "y.csv").replace("?", "z")
    assert CompanyFrom(pattern).read(Path(path))[0] == company


def test_the_files_of_a_company_are_one_company_in_any_order(tree):
    names = [f"orders/shop={shop}/{name}" for shop in ("acme", "b%20c") for name in SPARK]
    tree(*names)
    found = []
    for i, order in enumerate([names, names[::-1], ["orders"], ["orders/*/*"], ["orders/*"]]):
        report = ingest(order, f"into-{i}", company_from="shop={company}/")
        found.append(Path(f"into-{i}/manifest.parquet").read_bytes())
        assert contents(report.dataset) == {"acme": BOTH, "b c": BOTH}
    assert len(set(found)) == 1
    again = ingest("orders", "into-0", company_from="shop={company}/")
    assert set(again.companies["status"]) == {"unchanged"}


def test_the_same_part_twice_is_an_error_and_in_two_companies_it_is_none(tree):
    tree("acme/1.csv")
    tree("bolt/1.csv")
    assert ids(ingest(["acme", "bolt"], "a", company_from="{company}/*")) == ["acme", "bolt"]
    with pytest.raises(IngestError, match="are the same rows; give one of them"):
        ingest(["acme", "acme/1.csv"], "b", company_from="{company}/*")


def test_a_part_may_be_empty_but_not_all_of_them(tree):
    tree("acme/part-00000.csv", "acme/part-00001.csv")
    Path("acme/part-00002.csv").write_text(HEADER)
    Path("acme/part-00003.csv").write_text("")
    report = ingest("acme", "a")
    assert contents(report.dataset) == {"acme": BOTH}
    assert report.files["rows_in"].tolist() == [2, 2, 0, 0]
    for i in range(2):
        Path(f"acme/part-0000{i}.csv").unlink()
    with pytest.raises(IngestError, match="has a header but no rows, and so have the others"):
        ingest("acme", "b")


def test_options_of_text_where_there_is_none_are_errors(tree):
    tree("acme.parquet", "bolt.csv")
    with pytest.raises(IngestError, match=r"encoding is for delimited text, and acme.parquet is"):
        ingest("acme.parquet", "into", encoding="cp1252")
    assert ids(ingest(["acme.parquet", "bolt.csv"], "into", encoding="cp1252")) == ["acme", "bolt"]


def test_options_that_contradict_each_other_are_errors(tree):
    tree("acme/1.csv")
    with pytest.raises(IngestError, match="company_from and company_column exclude each other"):
        ingest("acme", "into", company_from="{company}/*", company_column="x")
    frame = pa.table({name: ["1"] for name in HEADER.strip().split(",")})
    for option in ({"company_from": "{company}"}, {"separator": ";"}, {"encoding": "utf-8"}):
        with pytest.raises(IngestError, match=f"{next(iter(option))} is for files, and tables are"):
            ingest({"acme": frame}, "into", **option)


# Parts are told from companies


def remedies(error: pytest.ExceptionInfo) -> list[str]:
    """Return the patterns that a message says to give."""
    words = shlex.split(str(error.value).replace(";", " ").replace(",", " ").rstrip("."))
    return [words[i + 1] for i, word in enumerate(words) if word == "--company-from"]


@pytest.mark.parametrize(
    ("names", "companies"),
    [
        (["acme-2023-01.csv", "acme-2023-02.csv"], ["acme"]),
        (["x/the-shop_202301.csv", "x/the-shop_202302.csv"], ["the-shop"]),
        (["2023-Q1 acme.csv", "2023-Q2 acme.csv"], ["acme"]),
        (["acme/2023-01.csv", "acme/2023-02.csv"], ["acme"]),
        (["acme-january.csv", "acme-february.csv", "bolt-march.csv"], ["acme", "bolt"]),
        (["acme-märz.csv", "acme-april.csv"], ["acme"]),
        (["acme 01.2023.csv", "acme 02.2023.csv"], ["acme"]),
        (["acme_31.01.2023.csv", "acme_28.02.2023.csv"], ["acme"]),
        (["a_2023-01-01_2023-01-31.csv", "a_2023-02-01_2023-02-28.csv"], ["a"]),
        (["a_20230101T120000Z.csv", "a_20230201T235959Z.csv"], ["a"]),
        (["acme/2023/01.csv", "acme/2023/02.csv"], ["acme"]),
        (["acme/01.csv", "acme/02.csv"], ["acme"]),
        (["acme_part1.csv", "acme_part2.csv"], ["acme"]),
        (["acme_part9.csv", "acme_part10.csv"], ["acme"]),
        ([f"acme/{c * 8}-0000-4000-8000-0123456789ab.csv" for c in "ab"], ["acme"]),
        ([f"acme/{c * 32}.csv" for c in "ab"], ["acme"]),
        (["acme-00000-of-00002.csv", "acme-00001-of-00002.csv"], ["acme"]),
        (["acme-000000000000.csv", "acme-000000000001.csv"], ["acme"]),
    ],
)
def test_files_whose_names_differ_only_as_parts_do_are_asked_about(tree, names, companies):
    tree(*names)
    with pytest.raises(IngestError, match="differ only as parts do") as error:
        ingest(names, "into")
    as_parts, as_companies = remedies(error)
    assert ids(ingest(names, "parts", company_from=as_parts)) == companies
    names_of_companies = {Path(name).stem for name in names}
    assert len(ids(ingest(names, "companies", company_from=as_companies))) == len(
        names_of_companies
    )


def test_a_part_beside_the_file_of_its_company_is_to_be_appended_to_it(tree):
    tree("acme.csv", "acme-2017-02.csv")
    with pytest.raises(IngestError, match=r"ingest acme.csv first, then append acme-2.* --append"):
        ingest("*.csv", "into")
    ingest("acme.csv", "into")
    ingest("acme-2017-02.csv", "into", company_from="{company}-????-??.csv", append=True)
    assert contents(open_dataset("into")) == {"acme": BOTH}


@pytest.mark.parametrize(
    "names", [["a/orders.csv", "b/orders.csv"], ["x/a/2023/01.csv", "x/b/2023/01.csv"]]
)
def test_files_called_alike_in_the_folders_of_companies_are_told_how_to_be_read(tree, names):
    tree(*names)
    with pytest.raises(IngestError, match="are both company") as error:
        ingest(names, "into")
    assert ids(ingest(names, "into", company_from=remedies(error)[0])) == ["a", "b"]


def test_dates_in_the_current_folder_are_told_to_move_into_one(tree):
    tree("2023-01.csv", "2023-02.csv")
    with pytest.raises(IngestError, match="put them into a folder named as the company"):
        ingest("*.csv", "into")


@pytest.mark.parametrize(
    "names",
    [
        ["shop1.csv", "shop2.csv"],
        ["company_0007.csv", "company_2001.csv", "company_2002.csv"],
        ["acme-2023.csv", "bolt-2024.csv"],
        ["may.csv", "acme.csv"],
        ["2023-01.csv"],
        ["01.csv", "02.csv", "13.csv"],
        ["mayflower.csv", "marchand.csv"],
    ],
)
def test_other_files_are_companies_by_their_names(tree, names):
    tree(*names)
    assert ids(ingest(names, "into")) == sorted(Path(name).stem for name in names)


def test_a_copy_beside_its_original_is_asked_about(tree):
    tree("acme.csv", "acme (1).csv")
    with pytest.raises(IngestError, match=r"acme \(1\).csv and acme.csv .*if one is a copy"):
        ingest("*.csv", "into")


def test_a_month_is_no_new_company_beside_an_earlier_one_of_the_dataset(tree):
    tree("acme-2017-01.csv", "acme-2017-02.csv")
    ingest("acme-2017-01.csv", "into")
    tree("other-june.csv")
    ingest("other-june.csv", "c", company_from="{company}-june")
    with pytest.raises(IngestError, match="company 'other' of the dataset would be companies"):
        ingest("other-june.csv", "c", append=True)
    with pytest.raises(IngestError, match="company 'acme-2017-01' of the dataset would be comp"):
        ingest("acme-2017-02.csv", "into", append=True)
    assert open_dataset("into").company_ids == ["acme-2017-01"]
    for month in ("01", "02"):
        ingest(f"acme-2017-{month}.csv", "b", append=True, company_from="{company}-????-??")
    assert contents(open_dataset("b")) == {"acme": BOTH}


def test_parts_that_are_named_one_by_one_are_asked_about(tree):
    tree(*(f"orders/{name}" for name in SPARK))
    with pytest.raises(IngestError, match=r"named as a part of a table.*Name the folder.*orders"):
        ingest([f"orders/{name}" for name in SPARK], "into")


def test_a_folder_named_for_a_key_is_asked_about_unless_it_is_a_time(tree):
    tree("orders/shop=acme/part-00000.csv", "orders/shop=bolt/part-00000.csv")
    with pytest.raises(IngestError, match="which company is it") as error:
        ingest("orders", "into")
    assert ids(ingest("orders", "into", company_from=remedies(error)[0])) == ["acme", "bolt"]
    with pytest.raises(IngestError, match="in place of --company-column") as error:
        ingest("orders", "b", company_column="shop")
    assert remedies(error) == ["shop={company}/"]
    tree("sales/year=2017/month=1/part-00000.csv", "sales/year=2017/month=2/part-00000.csv")
    assert contents(ingest("sales", "c").dataset) == {"sales": BOTH}
    assert contents(ingest("sales/year=2017", "d").dataset) == {"sales": BOTH}


def test_folders_of_parts_are_companies(tree):
    tree(*(f"lake/{shop}.parquet/{name}" for shop in ("acme", "bolt") for name in SPARK))
    assert contents(ingest("lake", "into").dataset) == {"acme": BOTH, "bolt": BOTH}
