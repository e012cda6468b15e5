"""Ids are what they are, told where they look odd, and made alike where somebody says so."""

from __future__ import annotations

import shlex
import unicodedata

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.datasets.ingest.ids import IdRemarks, make_alike
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from scale_eval.datasets.ingest.parse import ReadOptions
from scale_eval.datasets.transactions import Transactions


def orders(counts: dict[str, int]) -> list[str]:
    """Return lines of a shop in which each customer has so many orders."""
    return [
        f"{name},2017-{i % 12 + 1:02}-{i % 28 + 1:02},1"
        for name, n in counts.items()
        for i in range(n)
    ]


def typed(remark: str) -> list[str]:
    """Return the words of the option with which a remark ends, as a shell reads them."""
    return shlex.split(remark[remark.rindex(" --") : -1])


SHOP = {f"c{i:03}": 3 for i in range(60)}


@pytest.mark.parametrize("guest", ["0", "no account", "it's me"])
def test_one_id_with_a_large_share_of_the_orders_is_told_and_can_be_left_out(file, into, guest):
    path = file("woo.csv", orders({**SHOP, guest: 120}))
    (remark,) = ingest(path, into).remarks
    assert f"{guest!r} with 120 of the 300 orders of woo (40 %)" in remark
    assert typed(remark) == ["--not-customers", guest]
    report = ingest(path, into, not_customers=guest, replace=True)
    assert report.remarks == ()
    assert report.companies.loc[0, "rows"] == 180
    assert report.refused.loc[0, "reason"] == "not_a_customer"


def test_a_guest_by_name_is_told_from_a_hundredth_on_and_a_good_customer_is_not(file, into):
    assert "'Guest'" not in str(ingest(file("a.csv", orders({**SHOP, "vip": 20})), into).remarks)
    assert (
        "'guest' with 20 of the 200"
        in ingest(file("b.csv", orders({**SHOP, "guest": 20})), into).remarks[0]
    )
    assert (
        "'Guest' with 20 of the 200"
        in ingest(file("c.csv", orders({**SHOP, "Guest": 20})), into).remarks[0]
    )


@pytest.mark.parametrize("name", ["Total", "GRAND TOTAL", "Summe", "Итого", "合计"])
def test_a_row_with_the_sum_of_a_table_is_told_and_can_be_left_out(file, into, name):
    path = file("shop.csv", [*orders(SHOP), f"{name},2017-12-31,180"])
    (remark,) = ingest(path, into).remarks
    assert f"that of a sum below a table: {name!r} with 1 row at shop" in remark
    assert typed(remark) == ["--not-customers", name]
    report = ingest(path, into, not_customers=name, replace=True)
    assert report.remarks == ()
    assert report.companies.loc[0, "rows"] == 180


def test_an_id_per_order_is_told(file, into):
    path = file("olist.csv", orders({f"order-{i}": 1 for i in range(300)}))
    (remark,) = ingest(path, into).remarks
    assert "Nobody ever came back: 300 of the 300 customers of olist have one order each" in remark
    assert "Is this the person's id?" in remark


@pytest.mark.parametrize(
    ("name", "pair", "says"),
    [
        ("blanks", ("anna ", "anna"), "blanks around them"),
        ("case", ("Anna", "anna"), "capitals and small letters"),
        ("zeros", ("007", "7"), "leading zeros"),
        ("unicode", ("Zoe\u0308", "Zo\u00eb"), "how Unicode writes the same letters"),
        ("unicode", ("\uff11\uff12", "12"), "how Unicode writes the same letters"),
        ("invisible", ("\ufeffa1", "a1"), "characters that nobody sees"),
        ("invisible", ("a\u00ad1", "a1"), "characters that nobody sees"),
    ],
)
def test_ids_that_differ_in_spelling_only_are_told_and_one_where_that_is_said(
    file, into, name, pair, says
):
    path = file("acme.csv", orders({**SHOP, pair[0]: 2, pair[1]: 2}))
    report = ingest(path, into)
    (remark,) = report.remarks
    assert f"1 customer id differs from another only by {says}" in remark
    assert all(repr(each) in remark for each in pair)
    assert f"--ids {name}" in remark
    assert report.companies.loc[0, "customers"] == 62
    alike = ingest(path, into, ids=[name], replace=True)
    assert alike.companies.loc[0, "customers"] == 61
    assert alike.remarks == ()


def test_spellings_of_companies_are_told_with_their_rows(tmp_path, into):
    path = tmp_path / "all.csv"
    lines = ["Acme", "Acme", "acme ", "ACME", "Bolt"]
    path.write_text(
        "Shop,CustomerID,Timestamp,PurchaseValue\n"
        + "".join(f"{name},c{i},2017-01-01,1\n" for i, name in enumerate(lines))
    )
    report = ingest(path, into, company_column="Shop")
    (remark,) = report.remarks
    assert "'ACME' (1 rows), 'Acme' (2 rows), 'acme ' (1 rows)" in remark
    assert "Bolt" not in remark
    alike = ingest(path, tmp_path / "other", company_column="Shop", ids=["blanks", "case"])
    assert alike.companies["company_id"].tolist() == ["acme", "bolt"]
    assert alike.remarks == ()


def test_rows_without_an_id_are_an_error_unless_they_are_said_to_be_nobody(file, into):
    path = file("square.csv", orders({**SHOP, "": 40}))
    with pytest.raises(IngestError, match=r"customer_id_empty 40.*--not-customers ''"):
        ingest(path, into)
    report = ingest(path, into, not_customers=[""])
    assert report.companies.loc[0, "rows"] == 180
    assert report.remarks == ()


@pytest.mark.parametrize(
    ("written", "name", "ids"),
    [
        ("guest", "Guest", ["case"]),
        ("00", "000", ["zeros"]),
        ("guest ", "Guest", ["case", "blanks"]),
    ],
)
def test_ids_of_nobody_are_made_alike_as_all_others_are(file, into, written, name, ids):
    path = file("shop.csv", orders({**SHOP, written: 19}))
    report = ingest(path, into, ids=ids, not_customers=name)
    assert report.companies.loc[0, "rows"] == 180
    assert report.remarks == ()


def test_an_id_of_nobody_that_no_row_of_any_file_has_is_told(file, into):
    paths = [file("a.csv", orders({**SHOP, "Guest": 9})), file("b.csv", orders(SHOP))]
    report = ingest(paths, into, not_customers=["Gast", "Guest", "guest", ""])
    assert "--not-customers: no row has the id 'Gast', 'guest'. Capitals" in report.remarks[0]
    assert report.companies["rows"].tolist() == [180, 180]


def test_a_spelling_that_is_none_is_an_error():
    with pytest.raises(IngestError, match="ids: 'lower' is none of 'blanks', 'case', 'zeros'"):
        ReadOptions(ids=["lower"])


ids = st.text(st.sampled_from(" 0aAbBé\u0301eÉ\u00a0\u200b\uff10"), min_size=1, max_size=4)
BY_HAND = {
    "unicode": lambda text: unicodedata.normalize("NFKC", text),
    "invisible": lambda text: "".join(
        c for c in text if unicodedata.category(c) not in ("Cc", "Cf")
    ),
    "blanks": str.strip,
    "case": str.lower,
    "zeros": lambda text: (
        text[:-1].lstrip("0") + text[-1] if text.strip("0") == "" and text else text.lstrip("0")
    ),
}


@given(
    texts=st.lists(ids, min_size=1, max_size=8, unique=True),
    names=st.sets(st.sampled_from(list(BY_HAND))),
)
def test_ids_are_made_alike_as_plain_python_does(texts, names):
    expected = texts
    for name in BY_HAND:
        if name in names:
            expected = [BY_HAND[name](text) for text in expected]
    assert make_alike(pa.array(texts, pa.large_string()), names).to_pylist() == expected


@given(texts=st.lists(ids.filter(str.strip), min_size=2, max_size=8, unique=True))
def test_what_is_told_of_ids_is_what_plain_python_counts(texts):
    frame = pd.DataFrame({"customer_id": texts, "timestamp": "2017-01-01", "value": 1.0})
    remarks = IdRemarks()
    remarks.add(Transactions.from_frame("x", frame))
    for name, by_hand in BY_HAND.items():
        fewer = len(texts) - len({by_hand(text) for text in texts})
        told = remarks.variants[name].n_ids if name in remarks.variants else 0
        assert told == fewer


@pytest.mark.parametrize(
    ("option", "example"), [({"ids": None}, "case"), ({"not_customers": [0]}, "Total")]
)
def test_what_is_no_text_is_refused_with_an_example_that_is_one(file, into, option, example):
    with pytest.raises(IngestError, match=rf"write texts, such as \['{example}'\]"):
        ingest(file("a.csv", orders(SHOP)), into, **option)
