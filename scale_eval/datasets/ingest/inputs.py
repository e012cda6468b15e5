"""What ingest reads: files, and tables in memory under one protocol."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from scale_eval.datasets.ingest.company_from import (
    EXAMPLES,
    CompanyFrom,
    check_companies_are_told,
    company_keys,
    is_part_of_table,
    partitions_of,
    table_of,
)
from scale_eval.datasets.ingest.formats import format_of, text_bytes, without_suffixes
from scale_eval.datasets.ingest.frames import InputFrame, is_frame
from scale_eval.datasets.ingest.records import IngestError, RecordBatch
from scale_eval.datasets.ingest.sources import files_at
from scale_eval.datasets.ingest.text_options import AS_FOUND, TextOptions


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
    is_part : bool
        Whether other inputs may be of its company.
    may_be_empty : bool
        Whether it may have no rows, as single parts of a table may.
    """

    @property
    def label(self) -> str: ...  # noqa: D102 - described above
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def company_id(self) -> str: ...  # noqa: D102

    row: str
    in_python: bool
    is_part: bool
    may_be_empty: bool

    def content_hash(self, columns: Mapping[str, str]) -> str:
        """Return a SHA-256 of the content from which `columns`, names by role, are read."""

    def batches(self, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
        """Read the records in batches; raise `IngestError` where that is impossible as a whole."""

    def text_bytes(self) -> int:
        """Estimate the bytes that the content would take as plain text."""


class InputFile:
    """A file; its first bytes say its format.

    Parameters
    ----------
    path : path
    text : TextOptions
        How it is written, if it is text.
    company_id : str, optional
        The company of its rows; the file's stem without it.
    name : str, optional
        How the dataset calls it; the file's name without it.
    is_part : bool
        Whether other files may be of its company.
    in_folder : bool
        Whether it was found in a folder that was given.

    Raises
    ------
    IngestError
        The path is of something other than a regular file, or its name is not UTF-8.
    """

    row = "line"
    in_python = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        text: TextOptions = AS_FOUND,
        *,
        company_id: str | None = None,
        name: str | None = None,
        is_part: bool = False,
        in_folder: bool = False,
    ) -> None:
        self.path = path = Path(path)
        self._in_folder = in_folder
        self.is_part = is_part
        self.may_be_empty = is_part and is_part_of_table(path)
        self.name = path.name if name is None else name
        self.company_id = without_suffixes(path.name) if company_id is None else company_id
        self._text = text
        if path.is_dir():
            raise IngestError(f"{path} is a directory; name the files in it, such as {path}/*.csv")
        if path.exists() and not path.is_file():
            raise IngestError(f"{path} is not a regular file; write it to one first")
        for each in (path.name, self.name, self.company_id):
            if each.encode(errors="ignore").decode() != each:
                raise IngestError(f"{path!r}: the name is not UTF-8; rename the file")

    @property
    def label(self) -> str:
        """Return the path."""
        return str(self.path)

    @property
    def is_text(self) -> bool:
        """Return whether it is text, or cannot be read."""
        try:
            return format_of(self.path).is_text
        except OSError:
            return True

    def content_hash(self, columns: Mapping[str, str]) -> str:
        """Return the SHA-256 of the file's bytes, and of what says how its text is written."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        if self._text.given:
            digest.update(repr(self._text.given).encode())
        return digest.hexdigest()

    def batches(self, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
        """Read the records as the file's format does."""
        if self.may_be_empty and not self.path.stat().st_size:
            return
        try:
            yield from format_of(self.path).read(self.path, columns, self._text)
        except IngestError as error:
            if not self._in_folder:
                raise
            raise IngestError(
                f"{error}. (The file was found in a folder; to leave it out, give a pattern such "
                f"as {str(self.path.parent / '*.csv')!r}, in quotes)"
            ) from None

    def text_bytes(self) -> int:
        """Estimate the bytes that the file would take as plain text."""
        return text_bytes(self.path)


def inputs_of(
    given: Any,
    company_column: str | None = None,
    company_from: str | None = None,
    text: TextOptions = AS_FOUND,
) -> list[Input]:
    """Return the inputs that the first argument of `ingest` names or holds.

    Raises `IngestError` where it is empty, something else, or leaves open which company a file or
    table is.
    """
    if company_from is not None and company_column is not None:
        raise IngestError(
            "company_from and company_column exclude each other: the path names the company, or a "
            "column does"
        )
    frames = _given_frames(given, company_column)
    if frames is not None:
        options = {**text.given, **({"company_from": company_from} if company_from else {})}
        if options:
            raise IngestError(f"{min(options)} is for files, and tables are given; leave it out")
        return frames
    several = [given] if isinstance(given, str | os.PathLike) else list(given)
    files = [pair for each in several for pair in files_at(each)]
    if not files:
        raise IngestError(f"{several[0]} holds no rows; name a file that does")
    inputs = _input_files(files, company_column, company_from, text)
    if text.given and not any(each.is_text for each in inputs):
        raise IngestError(
            f"{min(text.given)} is for delimited text, and {inputs[0].label} is none; leave it out"
        )
    return [*inputs]


def _given_frames(given: Any, company_column: str | None) -> list[Input] | None:
    """Return the tables that are given, or None where paths are."""
    if isinstance(given, Mapping):
        return _named_frames(given, company_column)
    if isinstance(given, str | os.PathLike):
        return None
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
    return None


def _input_files(
    files: Sequence[tuple[Path, bool]],
    company_column: str | None,
    company_from: str | None,
    text: TextOptions,
) -> list[InputFile]:
    """Return the files, each with its company."""
    if company_column is not None:
        for path, _ in files:
            if company_column in partitions_of(path):
                raise IngestError(
                    f"{path}: the folder {company_column}=... names the company; write "
                    f"--company-from '{company_column}={{company}}/' in place of --company-column"
                )
        return [InputFile(path, text, is_part=True, in_folder=each) for path, each in files]
    if company_from is not None:
        pattern = CompanyFrom(company_from)
        found = [(path, each, *pattern.read(path)) for path, each in files]
        return [
            InputFile(path, text, company_id=company, name=name, is_part=True, in_folder=each)
            for path, each, company, name in found
        ]
    inputs = [_by_its_name(path, in_folder, text) for path, in_folder in files]
    check_companies_are_told({each.company_id: each.label for each in inputs})
    return inputs


def _by_its_name(path: Path, in_folder: bool, text: TextOptions) -> InputFile:
    """Return a file that is named by its stem or, if it is a part of a table, by its folder."""
    keys = company_keys(path)
    if keys:
        raise IngestError(
            f"{path}: which company is it? If the folder {keys[0]}=... names it, write "
            f"--company-from '{keys[0]}={{company}}/'; if a column does, --company-column NAME; if "
            "the name of the file does, --company-from '{company}'"
        )
    if not is_part_of_table(path) and not partitions_of(path):
        return InputFile(path, text, in_folder=in_folder)
    table = table_of(path.absolute() if in_folder else path)
    if not in_folder:
        raise IngestError(
            f"{path} is named as a part of a table, and not as a company. Name the folder that "
            f"holds the parts of one company ({table}), or say where the company stands in the "
            f"path (--company-from, {EXAMPLES}) or in the rows (--company-column NAME)"
        )
    company = without_suffixes(table.name)
    name = path.absolute().relative_to(table.parent).as_posix()
    return InputFile(path, text, company_id=company, name=name, is_part=True, in_folder=True)


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
