"""Set up the command line: the group of commands, consoles, exit codes, errors as sentences.

Exit codes: 0 finished, whatever the rows say; 1 with --strict, if a row is error, timeout or
killed; 2 usage or input; 3 not finished.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from scale_eval.cli import interruptions, streams
from scale_eval.cli.safe_console import SafeConsole
from scale_eval.place_errors import (
    NOT_TO_BE_WRITTEN,
    naming_place,
    place_error_behind,
    remedy_for,
)
from scale_eval.printable import message_shown

OK, FAILED_ROWS, USAGE, UNFINISHED = 0, 1, 2, interruptions.UNFINISHED

LISTED_COMPANIES = 20
"""Largest number of companies that a command lists by default."""

_show_as_python_does = warnings.showwarning

PRINTING = ("show", "fingerprint", "plan", "models", "metrics", "check-model")
"""The commands that only print."""

out = SafeConsole(highlight=False, markup=False)
err = SafeConsole(stderr=True, highlight=False, markup=False)


class Command(click.Command):
    """A command whose options are given once each, and whose help ends with examples."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; raise `UsageError` where all but the last value would be ignored."""
        with naming_place(streams.STANDARD_OUTPUT):  # on which it prints help
            rest = super().parse_args(ctx, list(args))
        if ctx.resilient_parsing:  # what is completed may be corrected
            return rest
        *_, given = self.make_parser(ctx).parse_args(args)
        for option, count in Counter(given).items():
            if isinstance(option, click.Option) and count > 1 and _takes_one_value(option):
                written, _ = option.get_help_record(ctx) or (option.opts[0], "")
                raise click.UsageError(
                    f"{option.opts[0]} is given {count} times, and only the last would count; "
                    f"give it once: {written}"
                )
        return rest

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")


def _takes_one_value(option: click.Option) -> bool:
    return not (option.multiple or option.is_flag or option.count)


class OutputGone(Exception):  # noqa: N818 - an event
    """The reader of a command's output has gone."""


class Commands(click.Group):
    """The group of commands; it raises `OutputGone` where click would end with exit code 1."""

    command_class = Command

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the arguments, and print help."""
        with _raising_output_gone(), naming_place(streams.STANDARD_OUTPUT):
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and write out what it prints."""
        with _raising_output_gone():
            result = super().invoke(ctx)
            streams.flush()
            return result


@contextmanager
def _raising_output_gone() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise OutputGone from error


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="scale_eval", prog_name="scale-eval")
def cli() -> None:
    """Find out which model predicts best who will buy, for whom, and what to expect of it.

    Start with 'scale-eval demo'. With data of your own: ingest, run, show.
    """


def run_command() -> None:
    """Run the command that the arguments of this process name."""
    warnings.showwarning = _show_warning
    with _errors_as_sentences():
        if 1 in streams.closed:
            _say_that_nothing_is_shown()
        _require_current_folder()
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
        say(f"Note: {message}")
    else:
        _show_as_python_does(message, category, *place, **more)


def _say_that_nothing_is_shown() -> None:
    """Say that standard output is closed; raise `UsageError` for a command that only prints."""
    said = "standard output is closed: what the command prints is lost"
    if _only_prints():
        raise click.UsageError(f"{said}, and it does nothing else. Leave out '>&-'")
    err.print(f"{said[:1].upper()}{said[1:]}.")


def _only_prints() -> bool:
    return len(sys.argv) < 2 or sys.argv[1] in PRINTING or sys.argv[1].startswith("-")


def _require_current_folder() -> None:
    """Raise `UsageError` where the current folder was removed: neither Python nor Dask can run."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise click.UsageError(
            "the current folder no longer exists: it was removed or replaced. Change to another "
            "one, or enter it again (cd), then run the command there"
        ) from None


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """Turn an error into a sentence and an exit code instead of a traceback."""
    try:
        yield
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        say(shown.getvalue().rstrip("\n"))
        sys.exit(USAGE)
    except (KeyboardInterrupt, click.Abort):
        interruptions.say()
        sys.exit(UNFINISHED)
    except (OutputGone, BrokenPipeError):
        streams.drop()
        if not _only_prints():
            kept = "What is done is on disk; the" if interruptions.is_begun() else "The"
            say(f"Not finished: the reader of the output has gone. {kept} same command goes on.")
        sys.exit(UNFINISHED)
    except OSError as error:
        sys.exit(_explain_place(error))
    except (ValueError, KeyError) as error:
        say(f"Error: {error}")
        sys.exit(USAGE)
    except Exception as error:
        sys.exit(_explain(error))


def say(message: str) -> None:
    """Print a message of unknown content to the standard error."""
    with suppress(OSError):
        err.print(Text(message_shown(message)), soft_wrap=True)
    streams.drop()


def _explain_place(error: OSError) -> int:
    """Print an error of the system, and what to do about it; return the exit code.

    It is `UNFINISHED` where the same command goes on once the place is mended. A place that may
    not be written, and where nothing was begun, is taken for a mistake.
    """
    if isinstance(error, ChildProcessError):
        say(f"Not finished: {error}. Run the same command again to go on")
        return UNFINISHED
    remedy = remedy_for(error)
    if not remedy:
        say(f"Error: {error}")
        return USAGE
    if error.errno in NOT_TO_BE_WRITTEN and not interruptions.is_begun():
        say(f"Error: {error}. {remedy}, or name another place")
        return USAGE
    streams.drop()
    kept = "What is done is on disk. " if interruptions.is_begun() else ""
    say(f"Not finished: {error}. {kept}{remedy}, then run the same command again.")
    return UNFINISHED


def _explain(error: Exception) -> int:
    """Print an error of a kind whose definition is slow to import; return the exit code."""
    from scale_eval.execution import ClusterLost
    from scale_eval.storage import StoreLocked

    if isinstance(error, ClusterLost):
        if (behind := place_error_behind(error)) is not None:
            return _explain_place(behind)
        say(f"Not finished: {error}")
        return UNFINISHED
    if isinstance(error, StoreLocked):
        say(f"Error: {error}")
        return USAGE
    err.print_exception()
    err.print("This is a defect of scale_eval; what is done is on disk.")
    return UNFINISHED
