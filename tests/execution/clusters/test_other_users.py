"""What other users of a machine can do to a local cluster: neither join it, nor plant modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import dask
import psutil
import pytest
from distributed import Client, Security

from scale_eval.execution.clusters import local
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.execution.worker import _safe_path
from scale_eval.scratch import scratch_folder

# The folder of the tests need not be on the path of workers.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

INTRUDER = """
import os, sys
from distributed import Client, Security
credentials = Security.temporary() if sys.argv[2:] else None
os.setuid(12345)
try:
    with Client(sys.argv[1], timeout=5, security=credentials) as client:
        print(client.run_on_scheduler(os.getuid))
except Exception as error:
    print("refused:", type(error).__name__)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_reach_a_cluster_with_temporary_credentials():
    pytest.importorskip("cryptography")
    with dask_client("local", workers=1) as client:
        address = client.scheduler_info()["address"]
        assert address.startswith("tls://127.0.0.1:")
        tcp = address.replace("tls", "tcp")
        for words in ([tcp], [address], [address, "with credentials of their own"]):
            tried = subprocess.run(
                [sys.executable, "-c", INTRUDER, *words],
                capture_output=True,
                text=True,
                check=True,
            )
            assert tried.stdout.startswith("refused:"), tried
        assert client.submit(os.getuid).result() == 0


def test_without_the_package_that_makes_credentials_the_cluster_has_none(monkeypatch):
    monkeypatch.setattr(Security, "temporary", lambda: _missing())
    assert local._temporary_credentials() is None


def test_the_files_of_workers_are_in_the_scratch_folder_and_not_on_the_path(client: Client):
    assert not [place for place in sys.path if "dask-scratch-space" in place]
    (folder,) = {Path(place).parent for place in client.run(_local_directory).values()}
    chosen = dask.config.get("temporary-directory", None)
    assert folder.parent == (scratch_folder() if chosen is None else Path(chosen))


def test_every_port_of_a_cluster_is_of_this_machine_alone(client: Client):
    listening = [each for ports in client.run(_listening).values() for each in ports] + _listening()
    assert listening
    assert set(listening) == {"127.0.0.1"}
    assert "127.0.0.1" in client.dashboard_link


def test_installed_modules_come_before_those_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own, open_to_all = (tmp_path / "dask-scratch-space" / name for name in ("own", "open"))
    for folder in (own, open_to_all):
        folder.mkdir(parents=True)
    open_to_all.chmod(0o777)
    path = [str(open_to_all), str(own), "", str(tmp_path), "/installed"]
    assert _safe_path(path, searches_here=True) == ["/installed", str(own), ""]
    assert _safe_path(path, searches_here=False) == ["/installed", str(own)]


def _local_directory(dask_worker) -> str:
    return dask_worker.local_directory


def _listening() -> list[str]:
    """The addresses at which this process listens."""
    ports = psutil.Process().net_connections("tcp")
    return [port.laddr.ip for port in ports if port.status == psutil.CONN_LISTEN]


def _missing() -> Security:
    raise ImportError("Using `Security.temporary` requires `cryptography`")
