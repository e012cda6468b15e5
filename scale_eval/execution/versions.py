"""Record the versions of packages, and check that all parts of a cluster have the same."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from distributed import Client

from scale_eval.execution.clusters.base import ClusterLost

PACKAGES = (
    "scale_eval",
    "cloudpickle",
    "dask",
    "distributed",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
)
"""Packages that the results depend on, or that are needed to send a task."""

RECORDED_PACKAGES = (
    "scale_eval",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "distributed",
)
"""Packages whose versions `run.json` records."""


class VersionsDiffer(ValueError):  # noqa: N818 - reads as a sentence
    """The parts of a cluster have different packages; the message says which, and where."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        return "\n".join(
            [
                "the parts of the cluster do not have the same packages:",
                *(f"  {difference}" for difference in self.differences),
                "Install the same versions everywhere (one of the locked requirements), restart "
                "the scheduler and the workers, and run the same command again",
            ]
        )


def own_versions() -> dict[str, str]:
    """Return the versions of `PACKAGES` in this process, and Python's without its patch level."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def recorded_versions() -> dict[str, str]:
    """Return the versions in `run.json`: packages, Python, and the machine's instruction set."""
    return {
        **{package: version(package) for package in RECORDED_PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "instructions": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
    }


def require_same_versions(client: Client) -> None:
    """Raise `VersionsDiffer` if the scheduler or a present worker has other packages.

    Results depend on them to the last bit, and a task may not even load. (Workers that join later
    check for themselves.) Raises `ClusterLost` if the scheduler goes away meanwhile.
    """
    try:
        answers: Any = client.get_versions(packages=PACKAGES)
    except OSError as error:
        raise ClusterLost(f"the cluster does not answer ({error}); run the same command") from error
    parts = {"the scheduler": answers["scheduler"]}
    parts |= {f"worker {address}": own for address, own in sorted(answers["workers"].items())}
    places: dict[str, list[str]] = {}
    for part, answer in parts.items():
        for difference in version_differences(own_versions(), answer["packages"]):
            places.setdefault(difference, []).append(part)
    if places:
        raise VersionsDiffer(
            [f"{difference} on {_listed(where)}" for difference, where in places.items()]
        )


def version_differences(ours: Mapping[str, str], theirs: Mapping[str, Any]) -> list[str]:
    """Describe each package that another process lacks, or has in another version."""
    theirs = {**theirs, "python": ".".join(str(theirs.get("python")).split(".")[:2])}
    return [
        f"{package} is {mine} here, and {theirs.get(package) or 'missing'}"
        for package, mine in ours.items()
        if theirs.get(package) != mine
    ]


def _listed(parts: list[str]) -> str:
    more = f" and {len(parts) - 2} more" if len(parts) > 2 else ""
    return ", ".join(parts[:2]) + more
