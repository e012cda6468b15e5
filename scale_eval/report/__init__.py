"""Present results to people: a verdict in words, plots, an HTML page, tables for a terminal."""

import os
from pathlib import Path

from scale_eval.scratch import scratch_folder

if "MPLCONFIGDIR" not in os.environ and (_scratch := scratch_folder()) is not None:
    # Where matplotlib would keep its list of fonts; without a folder it complains at length.
    _home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    _there = next(each for each in (Path(_home), *Path(_home).absolute().parents) if each.exists())
    if not os.access(_there, os.W_OK):
        os.environ["MPLCONFIGDIR"] = str(_scratch / "matplotlib")
