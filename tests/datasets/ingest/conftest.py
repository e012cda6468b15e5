"""Fixtures that write files of transactions and parse them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ParsedInput, ReadOptions, parse_input
from scale_eval.datasets.ingest.text_options import TextOptions
from tests.support.transaction_files import FEBRUARY, HEADER, JANUARY


@pytest.fixture
def into(tmp_path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture
def file(tmp_path):
    """Writes a file of these lines; its path."""

    def file(name: str, lines: list[str], header: str = HEADER) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(header + "".join(f"{line}\n" for line in lines))
        return path

    return file


@pytest.fixture
def two_months(file) -> list[Path]:
    """Monthly exports of two shops; the second opens in February."""
    header = "Shop," + HEADER
    january = [f"01,{line}" for line in JANUARY]
    february = [f"{shop},{line}" for shop in ("01", "2") for line in FEBRUARY]
    return [file("m/2017-01.csv", january, header), file("m/2017-02.csv", february, header)]


@pytest.fixture
def parse(tmp_path):
    """Parses the bytes or the text of a file; options of text are given by their names."""

    def parse(content: str | bytes, *, name: str = "acme.csv", **options) -> ParsedInput:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        names = ("separator", "skip_lines", "encoding")
        text = TextOptions(*(options.pop(name, None) for name in names))
        return parse_input(InputFile(path, text), ReadOptions(**options))

    return parse


@pytest.fixture
def parse_table(tmp_path):
    """Parses a Parquet file of these columns."""

    def parse_table(customer_id, timestamp, value, **options) -> ParsedInput:
        path = tmp_path / "acme.parquet"
        names = ["CustomerID", "Timestamp", "PurchaseValue"]
        pq.write_table(pa.table([customer_id, timestamp, value], names=names), path)
        return parse_input(InputFile(path), ReadOptions(**options))

    return parse_table
