"""Lines have a limit: whatever a file holds, memory stays bounded, and other rows are read."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest import lines as lines_module
from scale_eval.datasets.ingest.lines import LINE_LIMIT, is_cut, line_batches
from scale_eval.datasets.ingest.records import IngestError
from tests.support.paths import PROJECT
from tests.support.transaction_files import EXPECTED, HEADER, TWO_ROWS, refused, rows

TABLE = HEADER + TWO_ROWS


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(st.sampled_from("ab\n\x0b\x1c\u2028é"), max_size=60),
    block=st.integers(1, 9),
    n_lines=st.integers(1, 5),
)
def test_lines_are_those_of_a_file_whatever_is_read_at_once(text, block, n_lines):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_BLOCK", block)
        batches = list(line_batches(io.StringIO(text, newline="\n"), n_lines))
    assert [line for batch in batches for line in batch] == io.StringIO(text, "\n").readlines()
    assert all(0 < len(batch) <= n_lines for batch in batches)


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), max_size=8),
    block=st.integers(1, 30),
    ends=st.booleans(),
)
def test_a_line_is_cut_where_it_is_longer_than_the_limit_and_the_next_ones_are_whole(
    lengths, block, ends
):
    lines = ["x" * length + "\n" for length in lengths]
    if lines and not ends:
        lines[-1] = lines[-1][:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_BLOCK", block)
        patch.setattr(lines_module, "LINE_LIMIT", 20)
        found = [line for batch in line_batches(io.StringIO("".join(lines)), 3) for line in batch]
        assert [is_cut(line) for line in found] == [len(line) > 20 for line in lines if line]
    expected = [line if len(line) <= 20 else "x" * 20 + "\0\n" for line in lines if line]
    assert found == expected


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_line_that_is_too_long_is_refused_and_the_others_are_read(parse, quote):
    long = f"{quote}{'x' * 3 * LINE_LIMIT}{quote},2017-01-01,1\n"
    file = parse(HEADER + long + TWO_ROWS)
    assert rows(file) == EXPECTED
    assert refused(file) == [(2, "line_too_long")]
    assert len(file.refused[0].text) == 500


def test_a_file_that_is_one_long_line_is_an_error(parse):
    for content in ("x" * 3 * LINE_LIMIT, "x," * LINE_LIMIT):
        with pytest.raises(IngestError, match=r"acme.csv: the header has no column"):
            parse(content)


def test_a_quote_that_is_never_closed_costs_its_line_in_a_long_file_too(parse):
    n = 200_000
    file = parse(HEADER + '"x,2017-01-01,1\n' + "a,2017-01-01,1\n" * n)
    assert refused(file) == [(2, "unclosed_quote")]
    assert len(file.rows) == n


def test_a_record_that_goes_on_for_ever_is_given_up(parse, monkeypatch):
    monkeypatch.setattr(csv_format, "LINES_PER_BATCH", 10)
    monkeypatch.setattr(csv_format, "LINE_LIMIT", 1_000)
    waiting = []
    read = csv_format._read

    def watched(lines, *others, **options):
        waiting.append(len(lines))
        return read(lines, *others, **options)

    monkeypatch.setattr(csv_format, "_read", watched)
    fields = '"a\n",' * 3_000  # each field is short, and each ends on the next line
    file = parse("Note," + HEADER + "x," + TWO_ROWS.replace("\n", "\nx,", 1) + fields)
    assert rows(file) == EXPECTED
    assert 200 < max(waiting) < 300


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n"), [("line", 700), ("lines", 10_000), ("fields", 500)])
def test_a_small_archive_of_a_huge_line_takes_little_memory(tmp_path, kind, n):
    pieces = {"line": b"x" * (1 << 20), "lines": b"x\n" * 100, "fields": b'"a\n",' * (1 << 10)}
    path = tmp_path / "acme.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(TABLE.encode() + b'"' * (kind == "lines"))
        for _ in range(n):
            file.write(pieces[kind])
    code = (
        "import re; from pathlib import Path\n"
        "from scale_eval.datasets.ingest.inputs import InputFile\n"
        "from scale_eval.datasets.ingest.parse import ReadOptions, parse_input\n"
        f"parse_input(InputFile({str(path)!r}), ReadOptions(), hand_over=lambda rows: None)\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 500_000  # kilobytes
