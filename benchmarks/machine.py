"""What a benchmark ran on: to be printed and kept beside its figures."""

from __future__ import annotations

import json
import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def facts() -> dict[str, Any]:
    packages = ("scale_eval", "numpy", "pandas", "pyarrow", "scipy")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def peak_gb() -> float:
    """Peak resident memory of this process, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def keep(name: str, figures: Any) -> Path:
    """Write figures beside the machine's facts to ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": facts(), "figures": figures}, indent=2) + "\n")
    return path
