"""Provide the command line: one module a family of commands."""

from scale_eval.cli.runs import main

__all__ = ["main"]
