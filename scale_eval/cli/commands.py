"""All commands; each family of them is a module that adds its own to the group."""

from __future__ import annotations

from scale_eval.cli import data, models, results, runs  # noqa: F401 - each adds its commands
from scale_eval.cli.app import run_command

__all__ = ["run_command"]
