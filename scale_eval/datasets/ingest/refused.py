"""Keep refused rows in the dataset, with their file, line and reason: `refused.parquet`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.merge import OVERLAP, CompanyUpdate
from scale_eval.datasets.ingest.parse import ParsedInput
from scale_eval.datasets.ingest.plausible import OUTSIDE
from scale_eval.datasets.ingest.records import TEXT_LENGTH, Refusal
from scale_eval.datasets.manifest import REFUSED
from scale_eval.datasets.uncommitted import note
from scale_eval.storage import Store, read_table, write_table

REFUSED_SCHEMA = pa.schema(
    [
        ("file", pa.string()),  # its name, or that of a frame
        ("source", pa.string()),  # as in the manifest's `sources`
        ("line", pa.int64()),
        ("company_id", pa.string()),
        ("reason", pa.string()),
        ("text", pa.string()),  # as written, cut at TEXT_LENGTH; or its values, as they were read
    ]
)


def read_refused(store: Store) -> pa.Table:
    """Read the refused rows of a dataset, by REFUSED_SCHEMA; a new one has none."""
    if not store.exists(REFUSED):
        return REFUSED_SCHEMA.empty_table()
    return read_table(store, REFUSED, schema=REFUSED_SCHEMA)


def refused_lines(
    parsed: Sequence[ParsedInput], before: pa.Table
) -> dict[str, dict[int, list[int]]]:
    """Return the lines of these files that an earlier merge refused, by reason and file.

    Files are given by position. The lines are refused again, so that ingesting the same file twice
    changes nothing.
    """
    position = {file.source: i for i, file in enumerate(parsed)}
    lines: dict[str, dict[int, list[int]]] = {}
    for row in before.filter(pc.is_in(before["reason"], pa.array([OVERLAP, OUTSIDE]))).to_pylist():
        if row["source"] in position:
            by_file = lines.setdefault(row["reason"], defaultdict(list))
            by_file[position[row["source"]]].append(row["line"])
    return lines


def rows_to_keep(refused: pa.Table, company_ids: Sequence[str]) -> pa.Table:
    """Return what is kept of rows that a merge refused (REFUSED_ROWS_SCHEMA), with company ids.

    A row whose text was not kept is written as its values.
    """
    ids = pa.array(company_ids if len(refused) else [], pa.string())
    text = refused["text"]
    if text.null_count:
        text = pc.coalesce(text, _values_as_text(refused))
    kept = refused.select(["file", "line", "reason"])
    kept = kept.append_column("text", text)
    return kept.append_column("company_id", ids.take(refused["company"]))


def _values_as_text(rows: pa.Table) -> pa.Array:
    columns = (rows[name].to_pylist() for name in ("customer_id", "timestamp", "value"))
    texts = [
        f"{customer},{time.isoformat(sep=' ')},{value}"[:TEXT_LENGTH]
        for customer, time, value in zip(*columns, strict=True)
    ]
    return pa.array(texts, pa.large_string())


def all_refused(parsed: Sequence[ParsedInput], by_merge: pa.Table) -> pd.DataFrame:
    """Return the refused rows of this ingest, by file (its `position`) and line.

    `by_merge` has those that `rows_to_keep` returned.
    """
    columns = ["position", *Refusal._fields]
    by_file = [(i, *refusal) for i, file in enumerate(parsed) for refusal in file.refused]
    frame = pd.DataFrame(by_file, columns=columns)
    if len(by_merge):
        merged = by_merge.rename_columns({"file": "position"}).select(columns).to_pandas()
        frame = pd.concat([frame, merged]) if len(frame) else merged
    frame["file"] = [parsed[i].input.name for i in frame["position"]]
    frame["source"] = [parsed[i].source for i in frame["position"]]
    return frame.sort_values(["position", "line"], ignore_index=True)


def write_refused(
    store: Store,
    before: pa.Table,
    refused: pd.DataFrame,
    updates: Sequence[CompanyUpdate],
    manifest: Mapping[str, dict[str, Any]],
) -> None:
    """Write the refused rows of every file of which `manifest` has other rows, each once."""
    feeding = {source for row in manifest.values() for source in row["sources"]}
    replaced = [update.company_id for update in updates if update.status == "replaced"]
    old = before.to_pandas()
    old = old[~old["company_id"].isin(replaced)]
    frame = pd.concat([old, refused[REFUSED_SCHEMA.names]])
    frame = frame[frame["source"].isin(feeding)].drop_duplicates(["source", "line"])
    table = pa.Table.from_pandas(
        frame.sort_values(["file", "source", "line"]), schema=REFUSED_SCHEMA, preserve_index=False
    ).replace_schema_metadata()
    if not store.exists(REFUSED):
        note(store, [REFUSED])
        write_table(store, REFUSED, table)
    elif not table.equals(before):
        write_table(store, REFUSED, table)
