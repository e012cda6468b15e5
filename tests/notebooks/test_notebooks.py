"""The notebooks: they run from the first cell to the last, and are committed as they ran."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.support.paths import PROJECT as TOP

NOTEBOOKS = sorted((TOP / "notebooks").glob("*.ipynb"))
PATHS = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|opt|work|var|mnt|private|Users)/|[A-Z]:\\\\")
"""Of a machine: what an absolute path begins with."""

FEWER = {
    "N_COMPANIES = 2_000": "N_COMPANIES = 400",
    "sizes, told = [200, 800]": "sizes, told = [80, 200]",
}
"""What a notebook says, and what a test puts in its place: the same cells in less time."""


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cells) -> list[str]:
    """All text that the outputs of cells hold, pictures left out."""
    found = []
    for cell in cells:
        for output in cell.outputs:
            data = output.get("data", {})
            found += [text for kind, text in data.items() if not kind.startswith("image/")]
            found += [output.get("text", "")]
    return found


@pytest.fixture
def copy(tmp_path) -> Path:
    """The notebooks and what they read of the project, in another place."""
    shutil.copytree(TOP / "notebooks", tmp_path / "notebooks")
    shutil.copytree(TOP / "benchmarks" / "results", tmp_path / "benchmarks" / "results")
    return tmp_path / "notebooks"


@pytest.fixture
def here(monkeypatch, tmp_path):
    """The kernel `python3` is this interpreter, whatever kernels the machine has."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    kernels = Path(sysconfig.get_path("data")) / "share" / "jupyter"
    if not (kernels / "kernels" / "python3").is_dir():
        pytest.skip(f"{kernels} has no kernel python3: install ipykernel there")
    monkeypatch.setenv("JUPYTER_PATH", str(kernels))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


def test_there_are_two_notebooks():
    assert [path.name for path in NOTEBOOKS] == [
        "evaluate_models.ipynb",
        "hundred_thousand_companies.ipynb",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:(zmq|jupyter_client|nbclient)")
def test_a_notebook_runs_from_the_first_cell_to_the_last(name, copy, here):
    notebook = read(copy / name)
    for cell in notebook.cells:
        for as_committed, as_tested in FEWER.items():
            cell.source = cell.source.replace(as_committed, as_tested)
    committed = [cell.source for cell in notebook.cells]
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(copy)}}
    )
    client.execute()  # raises at the first cell that fails
    cells = code_cells(notebook)
    assert [cell.source for cell in notebook.cells] == committed
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    told = [o for cell in cells for o in cell.outputs if o.output_type in ("error", "stream")]
    assert not [o for o in told if o.output_type == "error" or o.name == "stderr"], told
    left = {path.name for path in copy.rglob("*") if path.is_file()}
    assert left == {path.name for path in (TOP / "notebooks").rglob("*") if path.is_file()}


def test_what_a_test_makes_smaller_stands_in_a_notebook():
    cells = "".join(cell.source for path in NOTEBOOKS for cell in read(path).cells)
    assert all(cells.count(words) == 1 for words in FEWER)


@pytest.mark.slow
def test_a_cell_that_fails_would_be_noticed(here, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        NotebookClient(
            notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_as_it_ran(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    assert not [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"]
    pictures = [o for cell in cells for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_committed_notebook_says_nothing_of_the_machine_that_ran_it(path):
    notebook = read(path)
    cells = code_cells(notebook)
    assert not [text for text in shown(cells) if PATHS.search(text)]
    assert not [cell.source for cell in notebook.cells if PATHS.search(cell.source)]
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(not cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_committed_notebook_is_small(path):
    assert path.stat().st_size < 2_000_000
    assert json.loads(path.read_text(encoding="utf-8"))["nbformat"] == 4


@pytest.mark.slow
def test_a_bar_is_one_line_that_is_written_over_and_a_plot_is_shown_without_pyplot(here, tmp_path):
    code = [
        "from scale_eval.progress_bar import Screen\n"
        "screen = Screen()\n"
        "screen.stage('looking for sheep').close()\n"
        "with screen.bar(total=3, label='counting', unit='sheep') as counted:\n"
        "    for _ in range(3):\n"
        "        counted.update()\n",
        "import sys, scale_eval as se\nse.preview(se.demo_dataset()).plot_windows()",
        "'matplotlib.pyplot' in sys.modules",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in code])
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    counting, plot, imported = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in counting] == ["display_data"]
    assert counting[0].data["text/plain"].startswith("counting: 100%|█")
    assert "3/3" in counting[0].data["text/plain"]
    assert "image/png" in plot[0].data
    assert imported[0].data["text/plain"] == "False"
