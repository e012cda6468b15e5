"""Provide the command line, with one module per family of commands."""

from scale_eval.cli import data, results, runs  # noqa: F401 - each adds its commands
from scale_eval.cli.app import main

__all__ = ["main"]
