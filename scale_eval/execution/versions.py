"""Check that all parts of a cluster have the same packages."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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
"""Packages on which it depends what an evaluation comes to, or whether a task arrives at all."""


class VersionsDiffer(ValueError):  # noqa: N818 - read as a sentence
    """The parts of a cluster do not have the same packages; made from what differs, and where."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        return "\n".join(
            [
                "the parts of the cluster do not have the same packages:",
                *(f"  {difference}" for difference in self.differences),
                "Install the same versions everywhere (one of the locked requirements), start the "
                "scheduler and the workers anew, and run the same command again",
            ]
        )


def own_versions() -> dict[str, str]:
    """What this process has of `PACKAGES`, and Python but for its patch level."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def require_same_versions(client: Client) -> None:
    """Raise `VersionsDiffer` if the scheduler or a worker that is there has other packages.

    Results depend on them to the last bit, and a task may not even arrive. (Workers that join later
    look for themselves.) Raises `ClusterLost` where the scheduler goes away meanwhile.
    """
    try:
        told: Any = client.get_versions(packages=PACKAGES)
    except OSError as error:
        raise ClusterLost(f"the cluster does not answer ({error}); run the same command") from error
    parts = {"the scheduler": told["scheduler"]}
    parts |= {f"worker {address}": said for address, said in sorted(told["workers"].items())}
    where: dict[str, list[str]] = {}
    for part, said in parts.items():
        for difference in version_differences(own_versions(), said["packages"]):
            where.setdefault(difference, []).append(part)
    if where:
        raise VersionsDiffer([f"{what} on {_some(of)}" for what, of in where.items()])


def version_differences(ours: Mapping[str, str], theirs: Mapping[str, Any]) -> list[str]:
    """Packages of which others have another version than we, or none: a few words each."""
    theirs = {**theirs, "python": ".".join(str(theirs.get("python")).split(".")[:2])}
    return [
        f"{package} is {mine} here, and {theirs.get(package) or 'missing'}"
        for package, mine in ours.items()
        if theirs.get(package) != mine
    ]


def _some(parts: list[str]) -> str:
    more = f" and {len(parts) - 2} more" if len(parts) > 2 else ""
    return ", ".join(parts[:2]) + more
