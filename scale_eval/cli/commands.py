"""All commands; each family of them is a module that adds its own to the group."""

from __future__ import annotations

from scale_eval.cli import data, models, results, runs  # noqa: F401 - each adds its commands
from scale_eval.cli.app import cli, run_command

__all__ = ["cli", "run_command"]
