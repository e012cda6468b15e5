"""What ingest reads: files, and tables in memory under one protocol."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from scale_eval.datasets.ingest.formats import SUFFIXES, format_of, text_bytes
from scale_eval.datasets.ingest.frames import InputFrame, is_frame
from scale_eval.datasets.ingest.records import IngestError, RecordBatch
from scale_eval.places import is_dataset


class Input(Protocol):
    """An input gives records to parse, and says how it is called.

    Attributes
    ----------
    label : str
        How messages and the report call it: a path, or ``frame 'shop'``.
    name : str
        How the dataset calls it, in `refused.parquet` and in the manifest's `sources`.
    company_id : str
        The company of its rows, unless a column names companies.
    row : str
        What a record's number counts: ``line`` or ``row``.
    in_python : bool
        Whether only Python can have given it, so that messages name options as Python does.
    """

    @property
    def label(self) -> str: ...  # noqa: D102 - described above
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def company_id(self) -> str: ...  # noqa: D102

    row: str
    in_python: bool

    def content_hash(self, columns: Mapping[str, str]) -> str:
        """Return a SHA-256 of the content from which `columns`, names by role, are read."""

    def batches(self, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
        """Read the records in batches; raise `IngestError` where that is impossible as a whole."""

    def text_bytes(self) -> int:
        """Estimate the bytes that the content would take as plain text."""


class InputFile:
    """A file; its first bytes say its format, and its stem names the company.

    Raises
    ------
    IngestError
        The path is of something other than a regular file, or its name is not UTF-8.
    """

    row = "line"
    in_python = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path = Path(path)
        if is_dataset(path):
            raise IngestError(f"{path} is a dataset already; evaluate it: scale-eval run {path}")
        if path.is_dir():
            raise IngestError(f"{path} is a directory; name the files in it, such as {path}/*.csv")
        if path.exists() and not path.is_file():
            raise IngestError(f"{path} is not a regular file; write it to one first")
        if path.name.encode(errors="ignore").decode() != path.name:
            raise IngestError(f"{path!r}: the name is not UTF-8; rename the file")

    @property
    def label(self) -> str:
        """Return the path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """Return the file's name, without its directory."""
        return self.path.name

    @property
    def company_id(self) -> str:
        """Return the file's name without its suffixes."""
        path = self.path
        while path.suffix.lower() in SUFFIXES:
            path = path.with_suffix("")
        return path.name

    def content_hash(self, columns: Mapping[str, str]) -> str:
        """Return the SHA-256 of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def batches(self, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
        """Read the records as the file's format does."""
        return format_of(self.path).read(self.path, columns)

    def text_bytes(self) -> int:
        """Estimate the bytes that the file would take as plain text."""
        return text_bytes(self.path)


def inputs_of(given: Any, company_column: str | None) -> list[Input]:
    """Return the inputs that the first argument of `ingest` names or holds.

    Raises `IngestError` where it is empty, something else, or leaves open which company a table is.
    """
    if isinstance(given, Mapping):
        return _named_frames(given, company_column)
    if isinstance(given, str | os.PathLike):
        return [InputFile(given)]
    if is_frame(given):
        return _frames([given], company_column)
    if isinstance(given, pd.Series | pd.Index):
        raise _unusable(given)
    try:
        several = list(given)
    except TypeError:
        raise _unusable(given) from None
    if not several:
        raise IngestError("no files are given; name at least one")
    if all(map(is_frame, several)):
        return _frames(several, company_column)
    for each in several:
        if is_frame(each):
            raise IngestError("paths and tables are given together; ingest one after the other")
        if not isinstance(each, str | os.PathLike):
            raise _unusable(each)
    return [InputFile(path) for path in several]


def _named_frames(frames: Mapping[Any, Any], company_column: str | None) -> list[Input]:
    if not frames:
        raise IngestError("no frames are given; give at least one")
    if company_column is not None:
        raise IngestError(
            "the keys of a mapping name the companies, and so does company_column; leave it out, "
            "or give the frames as a list"
        )
    for name, frame in frames.items():
        if not isinstance(name, str):
            raise IngestError(f"{name!r} is the key of a frame, and no text; write {str(name)!r}")
        if isinstance(frame, str | os.PathLike):
            raise IngestError(
                f"{name!r} is the name of a path; give paths as a list, since a file is named by "
                "its stem, or read it into a DataFrame"
            )
        if not is_frame(frame):
            raise _unusable(frame, f"{name!r}: ")
    return [InputFrame(frame, f"frame {name!r}", name) for name, frame in frames.items()]


def _frames(frames: Sequence[Any], company_column: str | None) -> list[Input]:
    if company_column is None:
        raise IngestError(
            "a frame has no name; say which company it is, as in ingest({'shop': frame}, ...), or "
            "which column has the company of each row (company_column=...)"
        )
    labels = ["frame"] if len(frames) == 1 else [f"frame {i + 1}" for i in range(len(frames))]
    return [InputFrame(frame, label) for frame, label in zip(frames, labels, strict=True)]


def _unusable(given: Any, where: str = "") -> IngestError:
    return IngestError(
        f"{where}{type(given).__name__} is neither a path nor a table; give paths, or a DataFrame "
        "or Arrow table by company"
    )
