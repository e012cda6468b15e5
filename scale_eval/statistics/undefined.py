"""Numbers that do not exist, and why."""

from __future__ import annotations


class Undefined(Exception):  # noqa: N818 - not an error: a number that does not exist
    """Raised where a number does not exist for these data; it becomes null, with `reason`.

    Parameters
    ----------
    reason : str
        A short code such as ``no_positives``, which is counted in the tables.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
