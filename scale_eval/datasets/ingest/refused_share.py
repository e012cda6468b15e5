"""Hold the refused rows of each file against the share that is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scale_eval.datasets.ingest.plausible import OUTSIDE
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.ingest.refused_traits import in_common
from scale_eval.datasets.instants import from_microseconds

if TYPE_CHECKING:
    import pandas as pd

    from scale_eval.datasets.ingest.inputs import Input
    from scale_eval.datasets.ingest.parse import ParsedInput
    from scale_eval.datasets.ingest.records import Refusal

MAX_REFUSED = 0.01
"""The share of a file's rows that may be refused, unless the caller says otherwise."""

_OPTIONS = {
    "timestamp_unparsable": ("timestamp_format", "timestamp_unit"),
    "timestamp_ambiguous": ("timezone",),
    "value_unparsable": ("decimal", "thousands"),
    "not_utf8": ("encoding",),
}
"""Options that say how the fields of a file are written, by the reason that asks for them."""

_N_FILES, _N_EXAMPLES = 3, 2  # in a message


def remedy(each: Input, refused: Sequence[Refusal], explanation: str) -> str:
    """Return what can be done about refused rows, as a sentence without its full stop.

    `explanation` is what is known of their timestamps; it may be empty.
    """
    reasons = [reason for reason, _ in Counter(each.reason for each in refused).most_common()]
    if reasons[0] == "customer_id_empty":
        nobody = option("not_customers", [""], in_python=each.in_python)
        return f"Orders without a customer tell nothing of one; to leave them out: {nobody}"
    if reasons[0] == "wrong_number_of_fields":
        return (
            "Give such a line as many fields as the header has, with the separators of the last "
            "ones where these are empty"
        )
    names = [name for reason in reasons for name in _OPTIONS.get(reason, ())]
    if explanation and reasons[0] in ("timestamp_unparsable", "timestamp_out_of_range"):
        return explanation[0].upper() + explanation[1:]
    spelled = ", ".join(f"{name}=..." if each.in_python else option(name) for name in names)
    return f"Correct it, or say how it is written ({spelled})" if spelled else "Correct it"


def check_refused_share(parsed: Sequence[ParsedInput], max_refused: float) -> None:
    """Raise `IngestError` where a larger share of a file than `max_refused` is refused.

    Its message says what the refused rows have in common, with examples.
    """
    beyond = [file for file in parsed if file.refused_share > max_refused]
    if not beyond:
        return
    messages = [_described(file) for file in beyond[:_N_FILES]]
    more = len(beyond) - _N_FILES
    if more > 0:
        messages.append(f"So it is with {more} more {'file' if more == 1 else 'files'}.")
    share = max(file.refused_share for file in beyond)
    in_python = beyond[0].input.in_python
    accepted = option(
        "max_refused",
        round(share + 0.0005, 3) if in_python else f"{100 * share + 0.05:.1f}%",
        in_python=in_python,
    )
    raise IngestError(
        " ".join(messages) + f" More than {100 * max_refused:g} % of a file is too much to go on "
        f"without; what remains is another population, if these rows differ. To ingest the rest "
        f"nevertheless: {accepted}. The dataset is as it was before"
    )


def check_implausible_share(
    parsed: Sequence[ParsedInput],
    refused: pd.DataFrame,
    span: tuple[int, int],
    max_refused: float,
) -> None:
    """Raise `IngestError` where rows of impossible years make more of a file than `max_refused`.

    Parameters
    ----------
    refused : DataFrame
        As of `all_refused`.
    span : tuple of (int, int)
        The first and the last timestamp of the other rows, in microseconds since 1970 UTC.
    """
    outside = refused[refused["reason"] == OUTSIDE]
    for i, rows in outside.groupby("position"):
        file, first = parsed[int(i)], rows.iloc[0]
        n_rows = file.n_rows + len(file.refused)
        n_refused = len(file.refused) - file.n_left_out + len(rows)
        if n_refused <= max_refused * n_rows:
            continue
        in_python = file.input.in_python
        days = "..".join(f"{from_microseconds(int(instant)):%Y-%m-%d}" for instant in span)
        leave_out, keep = (option("plausible", each, in_python=in_python) for each in (days, ".."))
        raise IngestError(
            f"{file.input.label}: {len(rows):,} of {n_rows:,} rows "
            f"({100 * len(rows) / n_rows:.2g} %; {OUTSIDE} {len(rows):,}) are of years in which "
            f"their company has nothing else, such as {file.input.row} {first['line']}: "
            f"{first['text'][:120]!r}. A time that is missing is often written so. To leave such "
            f"rows out: {leave_out}; to keep them: {keep}. More than {100 * max_refused:g} % of a "
            "file is too much to go on without. The dataset is as it was before"
        )


def share_remark(file: ParsedInput) -> list[str]:
    """Return, as a sentence, what the refused rows of a file have in common, if anything."""
    common = in_common(file.traits)
    return [f"{file.input.label}: {_counted(file)} are refused. {common}"] if common else []


def _counted(file: ParsedInput) -> str:
    n_rows = file.n_rows + len(file.refused)
    n_refused = len(file.refused) - file.n_left_out
    counts = Counter(refusal.reason for refusal in file.refused).most_common()
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts)
    return f"{n_refused:,} of {n_rows:,} rows ({100 * file.refused_share:.2g} %; {reasons})"


def _described(file: ParsedInput) -> str:
    first = {refusal.reason: refusal for refusal in reversed(file.refused)}
    examples = sorted(first.values())[:_N_EXAMPLES]
    shown = ", ".join(f"{file.input.row} {each.line}: {each.text[:120]!r}" for each in examples)
    common = in_common(file.traits)
    return (
        f"{file.input.label}: {_counted(file)} are refused, such as {shown}. "
        f"{common}{common and ' '}{file.remedy}."
    )
