"""Read and write tables on any store, as Parquet files with checksums."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scale_eval.storage.base import Store
from scale_eval.storage.fixed_size_lists import bytes_to_lists, lists_to_bytes

ROWS_PER_ROW_GROUP = 131_072

_REPEATING = (pa.types.is_string, pa.types.is_dictionary, pa.types.is_timestamp)
"""The types of columns that are written as a dictionary: few of their values differ."""


def read_table(
    store: Store,
    name: str,
    *,
    columns: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
    dictionaries: Sequence[str] = (),
) -> pa.Table:
    """Read the whole Parquet file `name` on the calling thread.

    Columns in `dictionaries` are read as dictionary codes. The file is opened once: if it is
    replaced meanwhile, the old one is read.
    """
    with _opened(store, name, dictionaries) as file:
        read = file.read(columns=list(columns) if columns else None, use_threads=False)
        if len(read) != file.metadata.num_rows:
            raise pa.ArrowInvalid(f"it has {len(read)} of {file.metadata.num_rows} rows")
    table = bytes_to_lists(read)
    return table if schema is None else table.select(schema.names).cast(schema)


def scan_rows(
    store: Store,
    name: str,
    where: Mapping[tuple[str, ...], str],
    *,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield the rows of `name` that have certain texts, row group by row group.

    Row groups whose statistics say that they have no such row are not read. Texts come as
    dictionary codes.

    Parameters
    ----------
    where : dict
        By columns of texts, the text that one of them must have: ``{("model",): "bgnbd"}``.
    columns : sequence of str, optional
        The columns to read; all by default.
    """
    with _opened(store, name) as file:
        metadata, schema = file.metadata, file.schema_arrow
    texts = [f.name for f in schema if pa.types.is_string(f.type)]
    read = list(schema.names if columns is None else columns)
    with _opened(store, name, texts, metadata) as file:
        for i in range(metadata.num_row_groups):
            bounds = _bounds(metadata.row_group(i), set(chain.from_iterable(where)))
            if all(_may_have(bounds, each, text) for each, text in where.items()):
                looked_at = {
                    each: text
                    for each, text in where.items()
                    if all(bounds.get(column) != (text, text) for column in each)
                }
                needed = dict.fromkeys([*read, *chain.from_iterable(looked_at)])
                rows = file.read_row_group(i, columns=list(needed), use_threads=False)
                for each, text in looked_at.items():
                    rows = rows.filter(_has(rows, each, text))
                yield bytes_to_lists(rows.select(read))


def rows_that_have(table: pa.Table, where: Mapping[tuple[str, ...], str]) -> pa.BooleanArray:
    """Return for each row of a table with dictionary codes whether `scan_rows` would yield it."""
    return functools.reduce(pc.and_, (_has(table, each, text) for each, text in where.items()))


_Bounds = dict[str, tuple[str, str]]


def _bounds(row_group: pq.RowGroupMetaData, names: Collection[str]) -> _Bounds:
    """Return the least and the greatest text of columns in a row group, where these are known."""
    columns = (row_group.column(i) for i in range(row_group.num_columns))
    found = ((c.path_in_schema, c.statistics) for c in columns if c.path_in_schema in names)
    return {
        name: (said.min, said.max)
        for name, said in found
        if said is not None and said.has_min_max and said.null_count == 0
    }


def _may_have(bounds: _Bounds, columns: Sequence[str], text: str) -> bool:
    """Return whether one of the columns of a row group can have a text."""
    return any(c not in bounds or bounds[c][0] <= text <= bounds[c][1] for c in columns)


def _has(rows: pa.Table, columns: Sequence[str], text: str) -> pa.BooleanArray:
    """Return for each row whether one of the columns has a text."""
    masks = []
    for column in columns:
        codes = rows[column].combine_chunks()
        is_text = pc.equal(codes.dictionary, text)
        masks.append(pc.fill_null(is_text.take(codes.indices), False))
    return functools.reduce(pc.or_, masks)


def read_row_groups(
    store: Store,
    name: str,
    row_groups: Sequence[int],
    *,
    columns: Sequence[str],
    dictionaries: Sequence[str] = (),
) -> pa.Table:
    """Read some row groups of `name`; columns in `dictionaries` as dictionary codes.

    Raises `OSError` or `pyarrow.ArrowInvalid` with the path where the file is missing or damaged
    (pages carry checksums, so a flipped bit is noticed).
    """
    with _opened(store, name, dictionaries) as file:
        if max(row_groups, default=-1) >= file.num_row_groups:
            raise pa.ArrowInvalid(f"it has {file.num_row_groups} row groups only")
        return file.read_row_groups(list(row_groups), columns=list(columns), use_threads=False)


def read_metadata(store: Store, name: str) -> pq.FileMetaData:
    """Read the footer of the Parquet file `name`: its schema and row groups, and no row."""
    with _opened(store, name) as file:
        return file.metadata


def write_table(store: Store, name: str, table: pa.Table) -> int:
    """Write `table` as the Parquet file `name`; return its bytes."""
    return write_tables(store, name, [table])


def write_tables(
    store: Store, name: str, tables: Iterable[pa.Table], *, plain_texts: bool = False
) -> int:
    """Write one Parquet file from at least one table of one schema; return its bytes.

    The tables are taken one by one. Texts may come as dictionary codes, which takes less time; they
    are read as such, or with `plain_texts` as texts. Compressed by LZ4: a tenth larger than by
    zstd, and written and read in two thirds of the time. Raises `FileExistsError` where the name is
    taken by a file that is no such table.
    """
    with store.open_output(name) as output:
        parts = map(lists_to_bytes, tables)
        first = next(parts)
        _require_own(store, name, first.schema)
        repeating = [f.name for f in first.schema if any(is_type(f.type) for is_type in _REPEATING)]
        ordered = [f.name for f in first.schema if not pa.types.is_fixed_size_binary(f.type)]
        with pq.ParquetWriter(
            output.file,
            first.schema,
            compression="lz4",
            write_page_checksum=True,
            use_dictionary=repeating,
            write_statistics=ordered,
            store_schema=not plain_texts,
        ) as writer:
            waiting = [first]
            for part in parts:
                waiting.append(part)
                if sum(map(len, waiting)) >= ROWS_PER_ROW_GROUP:
                    writer.write_table(pa.concat_tables(waiting), ROWS_PER_ROW_GROUP)
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting), ROWS_PER_ROW_GROUP)
    return output.size


def write_row_groups(
    store: Store,
    directory: str,
    schema: pa.Schema,
    row_groups: Iterable[pa.Table],
    *,
    name: Callable[[], str],
    repeating: Sequence[str] = (),
    ascending: Sequence[str] = (),
) -> str | None:
    """Write one Parquet file in which each table is a row group.

    The tables are taken one by one; without any, nothing is written. Compressed by zstd.

    Parameters
    ----------
    store : Store
    directory : str
        Where the file goes.
    schema : pyarrow.Schema
    row_groups : iterable of pyarrow.Table
        By `schema`; of `ROWS_PER_ROW_GROUP` rows at most.
    name : callable
        Returns the file's name; called after the last table, since the name may depend on all.
    repeating, ascending : sequences of str
        Columns that are written as a dictionary, and those of integers or times that are written
        as differences. Both affect only the size of the file and how fast it is read.

    Returns
    -------
    str or None
        ``directory/name``; None where there was no table.
    """
    parts = iter(row_groups)
    first = next(parts, None)
    if first is None:
        return None
    with store.open_output(f"{directory}/row-groups") as output:
        with pq.ParquetWriter(
            output.file,
            schema,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=list(repeating),
            column_encoding=dict.fromkeys(ascending, "DELTA_BINARY_PACKED"),
        ) as writer:
            for part in chain([first], parts):
                writer.write_table(part, ROWS_PER_ROW_GROUP)
        output.name = f"{directory}/{name()}"
    return output.name


def _require_own(store: Store, name: str, schema: pa.Schema) -> None:
    """Raise `FileExistsError` where `name` has other columns, or is no Parquet file.

    Earlier versions wrote fewer columns. A file that begins as Parquet and cannot be read is taken
    for a damaged one that is made again.
    """
    if not store.size(name):
        return
    is_own = store.read(name, 0, 4) == b"PAR1"
    with contextlib.suppress(OSError, ValueError):
        columns = read_metadata(store, name).schema.to_arrow_schema().names
        is_own = is_own and len({*columns} & {*schema.names}) > len(columns) / 2
    if not is_own:
        raise FileExistsError(
            f"{store.root}/{name} is in the way, and was not written by scale_eval; move it away"
        )


@contextlib.contextmanager
def _opened(
    store: Store,
    name: str,
    dictionaries: Sequence[str] = (),
    metadata: pq.FileMetaData | None = None,
) -> Iterator[pq.ParquetFile]:
    try:
        with (
            store.open_input(name) as source,
            pq.ParquetFile(
                source,
                metadata=metadata,
                read_dictionary=list(dictionaries),
                page_checksum_verification=True,
                coerce_int96_timestamp_unit="us",  # nanoseconds would let the year 9999 wrap
            ) as file,
        ):
            yield file
    # A damaged footer, in which a column has lost its name, raises the last two.
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
        if getattr(error, "errno", None) is not None:  # the place is at fault, not the content
            raise
        raise pa.ArrowInvalid(f"{store.root}/{name}: {error}") from error
