"""Run the command line as ``python -m scale_eval``."""

from scale_eval.cli.__main__ import main

main()
