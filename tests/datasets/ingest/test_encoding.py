"""Text in other encodings is read as asked, or is an error: customers with accents never vanish."""

from __future__ import annotations

import gzip
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.text_options import TextOptions
from tests.support.transaction_files import EXPECTED, HEADER, TWO_ROWS, refused, rows

TABLE = HEADER + TWO_ROWS
NAMES = {
    "cp1252": "Lefèvre",
    "cp1250": "Dvořák",
    "cp1251": "Иванов",
    "big5": "王小明",
    "cp932": "佐藤",
    "gb18030": "张伟",
    "cp949": "김민수",
    "mac_roman": "Müller",
    "cp850": "Müller",
    "koi8-r": "Иван",
    "cp1253": "Γιώργος",
    "cp1254": "Şahin",
    "cp1255": "שלום",
    "iso8859-2": "Šíp",
    "euc_jp": "佐藤",
}


def named(name: str) -> str:
    return TABLE.replace("b,", f"{name},")


def customers(file) -> list[str]:
    return file.rows["customer_id"].to_pylist()


@pytest.mark.parametrize("encoding", NAMES)
def test_text_that_is_not_utf_8_is_an_error_that_reads_it_in_the_right_encoding(parse, encoding):
    name = NAMES[encoding]
    content = named(name).encode(encoding)
    with pytest.raises(IngestError, match=r"acme.csv: line 3 is not UTF-8 \(byte 0x") as error:
        parse(content)
    assert f"reads '{name},2017" in str(error.value)
    assert customers(parse(content, encoding=encoding)) == ["a", name]


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8", "utf-8-sig"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_unicode_is_recognized_with_a_byte_order_mark_and_mostly_without(parse, encoding, packed):
    for mark in ("", "\ufeff") if encoding.endswith("e") else ("",):
        content = (mark + named("Müller")).encode(encoding)
        content = gzip.compress(content) if packed else content
        assert customers(parse(content)) == ["a", "Müller"]
        assert customers(parse(content, encoding=encoding.removesuffix("-sig"))) == ["a", "Müller"]


def test_a_byte_order_mark_that_contradicts_the_option_is_an_error(parse):
    with pytest.raises(IngestError, match="byte-order mark of UTF-8, and so is not in cp1252; lea"):
        parse(TABLE.encode("utf-8-sig"), encoding="cp1252")


@pytest.mark.parametrize("where", ["row", "header"])
def test_utf_8_that_is_asked_for_as_another_encoding_is_an_error_that_shows_both(parse, where):
    text = named("Müller") if where == "row" else HEADER.strip() + ",Größe\n" + TWO_ROWS
    with pytest.raises(
        IngestError, match=r"is UTF-8, not cp1252: line \d reads '.*ü|ö.*' as UTF-8"
    ):
        parse(text, encoding="windows-1252")


def test_half_a_character_of_utf_16_is_an_error(parse):
    content = (TABLE + "x" * 100).encode("utf-16")
    with pytest.raises(IngestError, match="is not whole utf-16"):
        parse(content[:-1])


def test_a_file_that_mixes_encodings_is_an_error_that_says_so(parse):
    text = named("Müller").encode() + "Lefèvre,2017-01-03,3\n".encode("cp1252")
    with pytest.raises(IngestError, match=r"line 4 is not UTF-8.*'Müller.*mixes encodings"):
        parse(text)
    far = named("Müller").encode() + b"x,2017-01-03,3\n" * 300_000
    with pytest.raises(IngestError, match=r"line 300004 is not UTF-8.*mixes encodings"):
        parse(far + "Lefèvre,2017-01-03,3\n".encode("cp1252"))


def test_no_option_is_advised_that_would_be_refused_next(parse):
    """A file of mixed encodings has none, and what is ASCII to UTF-8 may be in another."""
    mixed = (HEADER + "Müller,2020-01-01,1.5\n").encode() + b"Zo\xeb,2020-01-05,1.5\n"
    for asked in (None, "cp1252"):
        with pytest.raises(IngestError, match=r"Müller.*mixes|mixes.*Müller") as error:
            parse(mixed, encoding=asked)
        assert "Zoë" in str(error.value)
        assert re.findall("--encoding [^ ]+", str(error.value)) == ["--encoding utf-8"]
    assert refused(parse(mixed, encoding="utf-8")) == [(3, "not_utf8")]
    few = mixed + b"Zo\xeb,2020-01-06,1.5\n" * 2
    assert rows(parse(few, encoding="cp1252"))[0][0] == "MÃ¼ller"  # as it is asked for
    for encoding in ("iso2022_jp", "hz", "utf-7"):
        text = (HEADER + "王,2020-01-01,1.5\n").encode(encoding)
        assert rows(parse(text, encoding=encoding))[0][0] == "王"


def test_only_where_utf_8_is_asked_for_single_rows_are_refused(parse):
    file = parse(named("Lefèvre").encode("cp1252"), encoding="utf8")
    assert rows(file) == EXPECTED[:1]
    assert refused(file) == [(3, "not_utf8")]
    assert file.refused[0].text == r"Lef\xe8vre,2017-01-02 11:00:00,2.5"
    file = parse(TABLE.encode() + b"\x81,2017-01-01,1\n", encoding="cp1252")
    assert refused(file) == [(4, "not_in_encoding")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_encoding_of_columns_that_nobody_uses_does_not_matter(parse, quote):
    text = "Note," + HEADER
    text += f"{quote}é{quote},a,2017-01-01 10:00:00,1\n,b,2017-01-02 11:00:00,2.5\n"
    assert rows(parse(text.encode("latin-1"))) == EXPECTED


def test_a_column_whose_name_has_an_accent_is_an_error_of_the_encoding(parse):
    text = TABLE.replace("CustomerID", "Käufer").encode("cp1252")
    names = {"customer_id": "Käufer"}
    with pytest.raises(IngestError, match=r"line 1 is not UTF-8.*--encoding cp1252 reads 'Käufer"):
        parse(text, columns=names)
    assert rows(parse(text, columns=names, encoding="cp1252")) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "idna", "punycode", "", 5])
def test_an_encoding_that_there_is_not_is_an_error(encoding):
    with pytest.raises(IngestError, match="there is no encoding"):
        TextOptions(encoding=encoding)


def test_the_nearest_encoding_is_suggested():
    with pytest.raises(IngestError, match=r"no encoding 'ANSI'; did you mean 'cp1252'\?"):
        TextOptions(encoding="ANSI")
    with pytest.raises(IngestError, match=r"no encoding 'shift-jiss'; did you mean 'shift_jis'\?"):
        TextOptions(encoding="shift-jiss")


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='",#'), min_size=1),
        min_size=1,
        max_size=5,
    ),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "cp1252", "big5", "cp932", "koi8-r"]),
)
def test_in_any_encoding_the_rows_are_all_there_or_the_file_is_an_error(
    names, encoding, tmp_path_factory
):
    text = HEADER + "".join(f"{name},2017-01-01,1\n" for name in names)
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    path = tmp_path_factory.mktemp("property") / "acme.csv"
    path.write_bytes(content)
    try:
        assert customers(parse_input(InputFile(path), ReadOptions())) == names
    except IngestError as error:
        recognized = encoding in ("utf-8", "utf-16")
        assert not recognized and re.search("is not UTF-8|is not text", str(error))
    except AssertionError:  # some bytes of other encodings are UTF-8 by accident
        assert not encoding.startswith("utf") and content.decode()
    try:
        parsed = parse_input(InputFile(path, TextOptions(encoding=encoding)), ReadOptions())
    except IngestError as error:
        assert "is UTF-8, not" in str(error) and content.decode()
    else:
        assert customers(parsed) == names
