"""The demo dataset comes with the package: three synthetic companies."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from scale_eval.datasets.dataset import Dataset, open_dataset


def demo_dataset() -> Dataset:
    """Open the three synthetic companies; data/README.md says how they were made."""
    directory = Path(str(files("scale_eval") / "data"))  # in a wheel
    if not directory.is_dir():
        directory = Path(__file__).parents[2] / "data"  # in a checkout
    return open_dataset(directory / "demo")
