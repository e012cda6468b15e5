"""Open a file of delimited text, unpacked and decoded; say what other kinds of file are."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO, cast

from scale_eval.datasets.ingest.encoding import encoding_of
from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.text_options import TextOptions

_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")  # first bytes of such files
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)

_CONTROLS = [bytes([i]) for i in range(32) if i not in b"\t\n\r"]  # rare in text

_UNPACK = "unpack it and give the files"
_SHEET = "open it in a spreadsheet and save the sheet as CSV in UTF-8"
_READ_IT = "read it into a DataFrame and ingest that from Python"
_BINARY = (
    (b"BZh", "is packed with bzip2", _UNPACK),
    (b"\xfd7zXZ", "is packed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "is packed with Zstandard", _UNPACK),
    (b"\x04\x22\x4d\x18", "is packed with LZ4", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", _UNPACK),
    (b"Rar!", "is a RAR archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook (.xls)", _SHEET),
    (b"%PDF", "is a PDF", "export the rows as CSV"),
    (b"SQLite format 3", "is an SQLite database", "export the table as CSV"),
    (b"PARE", "is an encrypted Parquet file", "write it without encryption"),
    (b"ARROW1", "is an Arrow (Feather) file", "write it as Parquet, or ingest it from Python: "
     "se.ingest({'shop': pyarrow.feather.read_table('FILE')}, into=...)"),
    (b"ORC", "is an ORC file", "write it as Parquet"),
    (b"Obj\x01", "is an Avro file", "write it as Parquet"),
    (b"\x89HDF", "is an HDF5 file", _READ_IT),
    (b"PAR1", "is a packed Parquet file", "unpack it"),
    (_GZIP, "is packed twice", "unpack it once"),
    (b"PK\x03\x04", "is packed twice", "unpack it once"),
)  # fmt: skip
"""First bytes, what the file is, and what to do."""

_MARKUP = (
    (r"<\?xml(?s:.{,300})Workbook", "is an XML spreadsheet of Excel", _SHEET),
    (r"<(?:!doctype\s+html|html|head|meta|body|style|table|div)\b",
     "is an HTML page, whatever its name says", _SHEET),
    (r"<\?xml|<!--|<[^\W\d]\w*[\s>]", "is XML", _READ_IT),
    (r"\[\s*[\[{]", "is JSON", "read it: se.ingest({'shop': pandas.read_json('FILE', dtype=False)},"
     " into=...)"),
    (r'\{\s*"(?s:.)*\}\s*\n\s*\{', "is JSON lines", "read it: se.ingest({'shop': "
     "pandas.read_json('FILE', lines=True, dtype=False)}, into=...)"),
    (r'\{\s*"', "is JSON", "make a table of it and ingest that from Python: se.ingest({'shop': "
     "pandas.read_json('FILE', dtype=False)}, into=..., or lines=True where a line is a row)"),
    (r"\{\\rtf", "is a Rich Text document", "save it as plain text"),
)  # fmt: skip


def is_packed(start: bytes) -> bool:
    """Return whether a file that begins with these four bytes is a gzip or a zip."""
    return start.startswith(_GZIP) or start in _ZIP


@contextmanager
def open_text(path: Path, options: TextOptions) -> Iterator[tuple[TextIO, str]]:
    """Open `path` as text, unpacked; yield it with its codec.

    Line ends become ``\\n``; bytes that the encoding does not have are surrogates. Raises
    `IngestError` where it is no text or is damaged.
    """
    with ExitStack() as stack:
        try:
            content: io.BufferedIOBase = stack.enter_context(path.open("rb"))
            start = content.read(4)
            content.seek(0)
            if start.startswith(_GZIP):
                content = stack.enter_context(gzip.GzipFile(fileobj=content))
            elif start in _ZIP:
                content = stack.enter_context(_member(path, zipfile.ZipFile(content)))
            data = stack.enter_context(io.BufferedReader(content, 1 << 16))
            codec = _codec(path, data.peek(), options.codec)
            yield (
                stack.enter_context(
                    io.TextIOWrapper(data, encoding=codec, errors="surrogateescape")
                ),
                codec,
            )
        except _DAMAGED as error:
            raise IngestError(
                f"{path} is a damaged archive ({error}); fetch it again, or unpack it"
            ) from error
        except UnicodeDecodeError as error:
            raise IngestError(
                f"{path} is not whole {error.encoding} ({error.reason}); write or fetch it again, "
                "or give the encoding that it has (--encoding)"
            ) from error


def _member(path: Path, archive: zipfile.ZipFile) -> io.BufferedIOBase:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    names = {member.filename for member in members}
    if "[Content_Types].xml" in names:
        raise IngestError(f"{path} is an Excel workbook; save its sheet as CSV in UTF-8")
    if {"mimetype", "content.xml"} <= names:
        raise IngestError(f"{path} is an OpenDocument sheet (.ods); save its sheet as CSV in UTF-8")
    if len(members) != 1:
        listed = ", ".join(member.filename for member in members[:10]) or "none"
        raise IngestError(
            f"{path}: a zip must hold one file, this one holds {len(members)} ({listed}); "
            "unpack it and give the files"
        )
    try:
        return cast(io.BufferedIOBase, archive.open(members[0]))
    except (RuntimeError, NotImplementedError) as error:  # a password, a rare compression
        raise IngestError(f"{path}: {error}; unpack it and give the file") from error


def _codec(path: Path, start: bytes, asked: str | None) -> str:
    """Return the codec of a text that begins with `start`; raise `IngestError` if it is none."""
    may_be_text = b"\0" not in start  # a header may begin with ORC
    for magic, what, remedy in _BINARY:
        if start.startswith(magic) and not (magic.isalnum() and may_be_text):
            raise IngestError(f"{path} {what}; {remedy}")
    if start[257:262] == b"ustar":
        raise IngestError(f"{path} is a tar archive; {_UNPACK}")
    codec = encoding_of(path, start, asked)
    controls = sum(start.count(byte) for byte in _CONTROLS)
    if (
        b"\0" in start
        and controls > len(start) // 20
        and not codec.startswith(("utf-16", "utf-32"))
    ):
        raise IngestError(
            f"{path} is not text (byte {start.index(0) + 1} is NUL); give CSV in UTF-8, plain, "
            "gzip or zip, or Parquet"
        )
    text = start.decode(codec, "ignore").lstrip("\ufeff \t\r\n")
    for pattern, what, remedy in _MARKUP:
        if re.match(pattern, text, re.IGNORECASE):
            raise IngestError(f"{path} {what}; {remedy.replace('FILE', str(path))}")
    return codec
