"""The exception for numbers that do not exist, with the reason why."""

from __future__ import annotations


class Undefined(Exception):  # noqa: N818 - not an error: a number that does not exist
    """The number does not exist for these data; it becomes null, with `reason`.

    Parameters
    ----------
    reason : str
        A short code such as ``no_positives``, which the tables count.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
