"""Tell the coordinator why a worker ends."""

from __future__ import annotations

from typing import Any, NamedTuple


class WorkerReport(NamedTuple):
    """The last word on a task before its worker ends; it is sent as an event of Dask.

    Attributes
    ----------
    key : tuple of str
        The task that the worker is doing.
    timed_out : tuple, optional
        The evaluation that takes too long (company, cutoff, model); None where the worker must
        leave.
    in_coordinator : bool
        Whether the worker lives in the coordinator's process, and cannot end.
    """

    key: tuple[str, ...]
    timed_out: tuple[str, int, str] | None = None
    in_coordinator: bool = False

    def event(self) -> dict[str, Any]:
        """Return the report as plain texts and numbers."""
        timed_out = None if self.timed_out is None else list(self.timed_out)
        return {
            "key": list(self.key),
            "timed_out": timed_out,
            "in_coordinator": self.in_coordinator,
        }

    def send(self, worker: Any, topic: str) -> None:
        """Send the report as an event of Dask under `topic`."""
        worker.log_event(topic, self.event())

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> WorkerReport:
        """Return the report that was sent as `event`."""
        timed_out = event["timed_out"] and tuple(event["timed_out"])
        return cls(tuple(event["key"]), timed_out, event["in_coordinator"])
