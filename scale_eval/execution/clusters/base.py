"""What every kind of cluster has in common."""

from __future__ import annotations

import multiprocessing


class ClusterLost(RuntimeError):  # noqa: N818 - read as a sentence
    """The cluster went away, or could not be used, before the run was finished."""


def require_main_guard() -> None:
    """Raise `RuntimeError` in a worker process that is importing the script that started it.

    Such a script calls for a cluster at its top level, where every worker would do so again.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "evaluate() was called while a worker process was importing your script. Put the call "
            "under\n\n    if __name__ == '__main__':\n\nso that only the script itself runs it."
        )
