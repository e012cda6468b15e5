"""The machine of a benchmark, printed and kept beside its figures, and its use of threads."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "POLARS_MAX_THREADS",
        "ARROW_IO_THREADS",
    ),
    "1",
)
"""Variables that limit libraries to one thread each; most read them once, when loaded."""

_PACKAGES = (
    "scale_eval",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "numba",
    "dask",
    "distributed",
    "joblib",
    "polars",
    "utilsforecast",
    "sktime",
)


def facts() -> dict[str, Any]:
    return {
        "cores": cores(),
        "machine": platform.machine(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES if importlib.util.find_spec(_module(name))},
    }


def machine_line() -> str:
    """Describe the machine in a line, for the head of a table."""
    it = facts()
    return (
        f"{it['cores']} cores ({it['processor']}), {it['memory_gb']} GB, load {it['load_average']}"
    )


def cores() -> int:
    return len(os.sched_getaffinity(0))


def peak_gb(process: str = "self") -> float:
    """Return the peak resident memory of this process, or of another (its id), in 10^9 bytes.

    It is read where the system counts the program alone: `ru_maxrss` starts with the memory of the
    process that started this one.
    """
    status = Path(f"/proc/{process}/status")
    if process != "self" or status.exists():  # another may be gone: an OSError
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def keep(name: str, figures: Any) -> Path:
    """Write figures beside the machine's facts to ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": facts(), "figures": figures}, indent=2) + "\n")
    return path


def confine_to_one_thread(module: str) -> None:
    """Restart the command ``python -m module`` where its libraries may take several threads.

    Processes that it starts inherit the limit.
    """
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **ONE_THREAD})


def _module(package: str) -> str:
    return {"scikit-learn": "sklearn"}.get(package, package)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
