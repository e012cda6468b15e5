"""Present results to people: a verdict in words, plots, an HTML page, tables for a terminal."""

import os
from pathlib import Path

from scale_eval.scratch import scratch_folder


def _give_matplotlib_a_folder() -> None:
    """Have matplotlib keep its list of fonts in the scratch folder where there is no home.

    It reads the variable when it is first imported, which only modules of this package do.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    place = Path(home).absolute()
    nearest = next(each for each in (place, *place.parents) if each.exists())
    if "MPLCONFIGDIR" in os.environ or os.access(nearest, os.W_OK):
        return
    if (scratch := scratch_folder()) is not None:
        os.environ["MPLCONFIGDIR"] = str(scratch / "matplotlib")


_give_matplotlib_a_folder()
