"""Set up the command line: the group of commands, consoles, exit codes, errors as sentences.

Exit codes: 0 finished, whatever the rows say; 1 with --strict, if a row is error, timeout or
killed; 2 usage or input; 3 not finished.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

import scale_eval as se
from scale_eval.execution import ClusterLost
from scale_eval.storage import StoreLocked

OK, FAILED_ROWS, USAGE, UNFINISHED = 0, 1, 2, 3

LISTED_COMPANIES = 20
"""Largest number of companies that a command lists by default."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class CommandWithExamples(click.Command):
    """A command whose help ends with examples, printed as they are."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(se.__version__, prog_name="scale-eval")
def cli() -> None:
    """Find out which model predicts best who will buy, for whom, and what to expect of it.

    Start with 'scale-eval demo'. With data of your own: ingest, run, show.
    """


def main() -> None:
    """Run a command: the entry point of ``scale-eval``."""
    with _errors_as_sentences():
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, _interrupt)
        sys.path.insert(0, str(Path.cwd()))  # for a user's own modules
        cli.main(prog_name="scale-eval", standalone_mode=False)


def _interrupt(signum: int, _: object) -> None:
    """Treat the first SIGTERM, which batch systems send, as Ctrl-C; ignore further ones."""
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """Turn an error into a sentence and an exit code instead of a traceback."""
    try:
        yield
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (KeyboardInterrupt, click.Abort):
        err.print("\nInterrupted. What is done is on disk; the same command goes on from there.")
        sys.exit(UNFINISHED)
    except ClusterLost as error:
        err.print(Text(f"Not finished: {error}"), soft_wrap=True)
        sys.exit(UNFINISHED)
    except BrokenPipeError:  # the reader of the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNFINISHED)
    except OSError as error:
        err.print(Text(f"Error: {error}"), soft_wrap=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            err.print("What is done is on disk; make room, then run the same command again.")
            sys.exit(UNFINISHED)
        sys.exit(USAGE)
    except (ValueError, StoreLocked, KeyError) as error:
        err.print(Text(f"Error: {error}"), soft_wrap=True)
        sys.exit(USAGE)
    except Exception:
        err.print_exception()
        err.print("This is a defect of scale_eval; what is done is on disk.")
        sys.exit(UNFINISHED)
