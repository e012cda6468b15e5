"""Say why an evaluation has no prediction: the exceptions, and the texts of its row."""

from __future__ import annotations

import re
import traceback
from pathlib import PurePath


class NoPrediction(Exception):  # noqa: N818 - it becomes a row's reason
    """An evaluation ends without predictions, for a given reason.

    Attributes
    ----------
    status : str
        The status of the evaluation's row.
    reason : str
        A short code that the tables count, see `scale_eval.evaluation.reasons`.
    note : str
        A sentence for a person.
    """

    status = "error"

    def __init__(self, reason: str, note: str = "") -> None:
        super().__init__(reason, note)
        self.reason = reason if str(reason).strip() else "no_reason"
        self.note = note

    def row_texts(self) -> tuple[str, str, str]:
        """Return the status, the reason and the note of the evaluation's row."""
        return self.status, row_text(self.reason), row_text(self.note)


class Skipped(NoPrediction):
    """A model raises `Skipped` where a history does not allow a prediction; that is the status too.

    Parameters
    ----------
    reason : str
        A short code such as ``history_too_short``, which the tables count.
    note : str
        A sentence for a person.
    """

    status = "skipped"


class WrongOutput(NoPrediction):
    """A model's output is not one probability for each customer, in their order."""


class NotFitted(NoPrediction):
    """A model of all companies could not be fitted for a cutoff."""

    def __init__(self, status: str, reason: str, note: str) -> None:
        super().__init__(reason, note)
        self.status = status

    def row_texts(self) -> tuple[str, str, str]:
        """Return the status, the reason and the note as the fit recorded them."""
        return self.status, self.reason, self.note


def failure(error: BaseException) -> tuple[str, str, str]:
    """Return the status, reason and note of a row that ended in `error`.

    The note is the message and the line that raised it, without what differs from machine to
    machine or run to run (directories, addresses in memory).
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"
    message = re.sub(r"0x[0-9a-fA-F]+", "0x", message_of(error))
    return "error", f"exception:{type(error).__name__}", f"{message} ({place})"


def message_of(error: BaseException) -> str:
    """Return the message of an exception as `row_text` does, also where its `__str__` fails."""
    try:
        return row_text(error)
    except Exception:
        return "no message"


def row_text(thing: object) -> str:
    """Return `thing` as a string of at most 500 characters that any file can hold."""
    return str(thing).strip()[:500].encode("utf-8", "replace").decode()
