"""Run the command line as ``python -m scale_eval.cli``."""

from scale_eval.cli import main

main()
