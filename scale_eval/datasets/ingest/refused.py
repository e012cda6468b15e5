"""Keep refused rows in the dataset, with their file, line and reason: `refused.parquet`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.merge import CompanyUpdate
from scale_eval.datasets.ingest.parse import ParsedInput
from scale_eval.datasets.ingest.records import Refusal
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
        ("text", pa.string()),  # the record as written, cut at TEXT_LENGTH
    ]
)

_OVERLAP = "overlap"


def read_refused(store: Store) -> pa.Table:
    """Read the refused rows of a dataset, by REFUSED_SCHEMA; a new one has none."""
    if not store.exists(REFUSED):
        return REFUSED_SCHEMA.empty_table()
    return read_table(store, REFUSED, schema=REFUSED_SCHEMA)


def late_lines(parsed: Sequence[ParsedInput], before: pa.Table) -> dict[int, list[int]]:
    """Return, by position of the file, lines that an earlier ingest of it refused as overlapping.

    They are refused again, so that ingesting the same file twice changes nothing.
    """
    lines = defaultdict(list)
    for row in before.filter(pc.equal(before["reason"], _OVERLAP)).to_pylist():
        lines[row["source"]].append(row["line"])
    return {i: lines[file.source] for i, file in enumerate(parsed) if file.source in lines}


def late_rows(rows: pa.Table, company_ids: Sequence[str]) -> pa.Table:
    """Return the columns of late rows (BUFFERED_SCHEMA) that are kept, with company ids."""
    ids = [company_ids[code] for code in rows["company"].to_pylist()]
    kept = rows.select(["file", "line", "text"])
    return kept.append_column("company_id", pa.array(ids, pa.string()))


def all_refused(parsed: Sequence[ParsedInput], late: pa.Table) -> pd.DataFrame:
    """Return the refused rows of this ingest, by file (its `position`) and line."""
    records = [(i, *refusal) for i, file in enumerate(parsed) for refusal in file.refused]
    for row in late.to_pylist():
        refusal = Refusal(row["line"], _OVERLAP, row["text"], row["company_id"])
        records.append((row["file"], *refusal))
    frame = pd.DataFrame(records, columns=["position", *Refusal._fields])
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
