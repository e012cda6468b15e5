"""Set up the command line: the group of commands, consoles, exit codes, errors as sentences.

Exit codes: 0 finished, whatever the rows say; 1 with --strict, if a row is error, timeout or
killed; 2 usage or input; 3 not finished.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from scale_eval.cli import interruptions

OK, FAILED_ROWS, USAGE, UNFINISHED = 0, 1, 2, interruptions.UNFINISHED

LISTED_COMPANIES = 20
"""Largest number of companies that a command lists by default."""

_show_as_python_does = warnings.showwarning

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
@click.version_option(package_name="scale_eval", prog_name="scale-eval")
def cli() -> None:
    """Find out which model predicts best who will buy, for whom, and what to expect of it.

    Start with 'scale-eval demo'. With data of your own: ingest, run, show.
    """


def run_command() -> None:
    """Run the command that the arguments of this process name."""
    warnings.showwarning = _show_warning
    with _errors_as_sentences():
        cli.main(prog_name="scale-eval", standalone_mode=False)


def find_own_modules(*names: str) -> None:
    """Look for modules in the current folder too, after all others, if some `names` are there.

    These are names of models and metrics; ``module:Name`` is one of the user. Otherwise nothing is
    imported from the current folder, since it may hold anything.
    """
    with suppress(FileNotFoundError):  # the current directory is gone
        if any(":" in name for name in names) and str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))


def _show_warning(
    message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> None:
    """Print a warning of this package as a sentence, and others as Python does."""
    if category.__module__.startswith("scale_eval."):
        err.print(Text(f"Note: {message}"), soft_wrap=True)
    else:
        _show_as_python_does(message, category, *place, **more)


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
        interruptions.say()
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
    except (ValueError, KeyError) as error:
        err.print(Text(f"Error: {error}"), soft_wrap=True)
        sys.exit(USAGE)
    except Exception as error:
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Print an error of a kind whose definition is slow to import; return the exit code."""
    from scale_eval.execution import ClusterLost
    from scale_eval.storage import StoreLocked

    if isinstance(error, ClusterLost):
        err.print(Text(f"Not finished: {error}"), soft_wrap=True)
        return UNFINISHED
    if isinstance(error, StoreLocked):
        err.print(Text(f"Error: {error}"), soft_wrap=True)
        return USAGE
    err.print_exception()
    err.print("This is a defect of scale_eval; what is done is on disk.")
    return UNFINISHED
