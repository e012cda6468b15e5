"""The data that the package carries: three synthetic companies."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from scale_eval.datasets.dataset import Dataset, open_dataset


def demo_dataset() -> Dataset:
    """Three synthetic companies, unlike each other; how they were made stands in data/README.md."""
    carried = Path(str(files("scale_eval") / "data"))  # of a wheel
    if not carried.is_dir():
        carried = Path(__file__).parents[2] / "data"  # of a checkout
    return open_dataset(carried / "demo")
