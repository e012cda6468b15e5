"""Make the options of commands, and read configuration files, from the options in Python."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scale_eval.models.built_in import BUILT_IN, DEFAULT_MODELS
from scale_eval.planning.options import (
    COUNT,
    LIST,
    POSITIVE_NUMBER,
    PROCESSES,
    TABLE,
    WHOLE_NUMBER,
    YES_OR_NO,
    Kind,
    Option,
    options_of,
)
from scale_eval.planning.run_options import GROUPS
from scale_eval.spelling import did_you_mean_one_of

Command = Callable[..., Any]

MODELS = Option(
    "models",
    None,
    LIST,
    f"One of {', '.join(BUILT_IN)}; package.module:Class; predictions:FILE.parquet. "
    f"Default: {' '.join(DEFAULT_MODELS)}. base_rate and recency are always run.",
    metavar="NAME",
)
"""The models of a run, which are an argument in Python and an option on the command line."""

IN_FILES = {
    option.name: option
    for option in (MODELS, *(o for group in GROUPS.values() for o in options_of(group).values()))
    if not option.in_python_only
}
"""Options that a configuration file may have, by name."""


def group_options(group: type, *names: str) -> Callable[[Command], Command]:
    """Give a command the options of a group, such as `Settings`, or only those with `names`."""

    def decorate(command: Command) -> Command:
        for option in reversed(options_of(group).values()):
            if option.name in (names or IN_FILES):
                command = click_option(option)(command)
        return command

    return decorate


def click_option(option: Option) -> Callable[[Command], Command]:
    """Return the click option; its default is None, so that a file can set the value."""
    kind = option.kind
    arguments = {"type": click.Choice(kind.choices)} if kind.choices else BY_KIND.get(kind, {})
    return click.option(
        option.flag,
        option.name,
        metavar=option.metavar,
        envvar=option.environment,
        help=_help(option),
        **arguments,
    )


def _help(option: Option) -> str:
    words = ["Repeated."] if option.kind.repeated else []
    words.append(option.help)
    if isinstance(option.default, str | int) and option.kind != YES_OR_NO:
        words.append(f"Default: {option.default}.")
    if option.environment:
        words[-1] = f"{words[-1][:-1]}, or the environment variable {option.environment}."
    return " ".join(words)


def _numbers(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, float]:
    """Parse ``("log_loss=0.005",)`` as a dict; refuse a name that is there twice."""
    numbers: dict[str, float] = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if name.strip() in numbers:
            raise click.BadParameter(f"{name.strip()} is given twice; give it once")
        try:
            numbers[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(
                f"{pair!r}: write a metric and a number, log_loss=0.005"
            ) from None
    return numbers


class FiniteRange(click.FloatRange):
    """Numbers in a range; click itself takes infinity and NaN for some."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fail where it is infinite, NaN or out of range."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


BY_KIND: dict[Kind, dict[str, Any]] = {
    YES_OR_NO: {"is_flag": True, "default": None},
    WHOLE_NUMBER: {"type": int},
    COUNT: {"type": click.IntRange(min=1)},
    PROCESSES: {"type": click.IntRange(PROCESSES.minimum, PROCESSES.maximum)},
    POSITIVE_NUMBER: {"type": FiniteRange(min=0, min_open=True)},
    LIST: {"multiple": True},
    TABLE: {"multiple": True, "callback": _numbers},
}
"""Arguments of `click.option` by the kind of an option's values; others are texts."""

models_option = click_option(MODELS)
config_option = click.option(
    "--config",
    metavar="FILE.toml",
    type=click.Path(dir_okay=False, exists=True),
    help="Read these options from a file; those on the command line win.",
)


def with_config(config: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a configuration file, overridden by those of the command line."""
    typed = {name: value for name, value in options.items() if value not in (None, (), {})}
    return typed if config is None else {**read_config(config), **typed}


def read_config(config: str) -> dict[str, Any]:
    """Read the options in a TOML file; raise `ValueError` for an unknown key or a wrong value."""
    try:
        read = tomllib.loads(Path(config).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(
            f"{config} is not read: its lists or tables are nested too deeply"
        ) from None
    except ValueError as error:  # that of TOML, of UTF-8, and of a number of 5,000 digits
        raise ValueError(f"{config} is not TOML: {error}") from error
    for key, value in read.items():
        if key not in IN_FILES:
            raise ValueError(f"{config}: unknown key {key!r}{did_you_mean_one_of(key, IN_FILES)}")
        IN_FILES[key].check(value, f"{config}: ")
    return read
