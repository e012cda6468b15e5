"""Provide the command line, with one module per family of commands."""

import gc

from scale_eval.cli import interruptions, streams
from scale_eval.cli.quick_exit import quick_exit

__all__ = ["main"]


def main() -> None:
    """Run a command: the entry point of ``scale-eval``."""
    # What a command imports and plans lasts as long as the command. To look for garbage in it after
    # every 700 objects, as Python does, takes a tenth of a short command, and half of a long plan.
    gc.set_threshold(50_000, 20, 20)
    with quick_exit():
        streams.open_closed()
        interruptions.end_at_once()  # importing the commands takes a moment, too
        from scale_eval.cli.commands import run_command

        interruptions.raise_once()
        try:
            run_command()
        finally:
            interruptions.end_if_interrupted()
