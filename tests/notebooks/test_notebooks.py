"""The notebooks: they run from the first cell to the last, and are committed as they ran."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path
from unittest.mock import MagicMock

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


def printed(notebook) -> str:
    """What the last cells print: the fingerprint of the run, and the versions that it holds for."""
    return "".join(
        o.text for cell in code_cells(notebook)[-3:] for o in cell.outputs if "text" in o
    )


def fingerprint_of(notebook) -> tuple[str, dict[str, str]]:
    fingerprint = re.search(r"\b[0-9a-f]{64}\b", printed(notebook))
    versions = re.search(r"\{.*\}", printed(notebook))
    assert fingerprint, "the notebook prints no fingerprint"
    assert versions, "the notebook prints no versions"
    return fingerprint[0], ast.literal_eval(versions[0])


def execute(notebook, folder: Path) -> None:
    """Run a notebook in a folder; in an event loop of its own, as nbclient does not close its."""
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    asyncio.run(client.async_execute())


def require_same_fingerprint(fresh, committed) -> None:
    """Fail where a notebook was committed as other code ran it."""
    (now, here), (then, there) = fingerprint_of(fresh), fingerprint_of(committed)
    processor = ("machine", "instructions")
    if now != then and any(here[part] != there[part] for part in processor):
        pytest.skip(f"the notebook was committed from another processor: {there}")
    assert now == then, "the outputs are those of other code: execute the notebook again"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fewer"),
    [
        ("evaluate_models.ipynb", False),
        ("hundred_thousand_companies.ipynb", True),
        pytest.param("hundred_thousand_companies.ipynb", False, marks=pytest.mark.long),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:(zmq|jupyter_client|nbclient)")
def test_a_notebook_runs_from_the_first_cell_to_the_last(name, fewer, copy, here):
    notebook = read(copy / name)
    for cell in notebook.cells:
        for as_committed, as_tested in FEWER.items() if fewer else ():
            cell.source = cell.source.replace(as_committed, as_tested)
    committed = [cell.source for cell in notebook.cells]
    execute(notebook, copy)  # raises at the first cell that fails
    cells = code_cells(notebook)
    assert [cell.source for cell in notebook.cells] == committed
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    told = [o for cell in cells for o in cell.outputs if o.output_type in ("error", "stream")]
    assert not [o for o in told if o.output_type == "error" or o.name == "stderr"], told
    left = {path.name for path in copy.rglob("*") if path.is_file()}
    assert left == {path.name for path in (TOP / "notebooks").rglob("*") if path.is_file()}
    if not fewer:
        require_same_fingerprint(notebook, read(copy / name))


def test_a_notebook_of_other_code_would_be_noticed():
    def notebook(fingerprint, **versions):
        text = f"{fingerprint}\n{ {'machine': 'm', 'instructions': 'i', **versions} }\n"
        output = nbformat.v4.new_output("stream", text=text)
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])

    ours, theirs = notebook("a" * 64), notebook("b" * 64)
    require_same_fingerprint(ours, ours)
    with pytest.raises(AssertionError, match="execute the notebook again"):
        require_same_fingerprint(ours, theirs)
    with pytest.raises(AssertionError, match="execute the notebook again"):
        require_same_fingerprint(ours, notebook("b" * 64, numpy="2"))
    with pytest.raises(pytest.skip.Exception, match="another processor"):
        require_same_fingerprint(ours, notebook("b" * 64, instructions="j"))


def test_what_a_test_makes_smaller_stands_in_a_notebook():
    cells = "".join(cell.source for path in NOTEBOOKS for cell in read(path).cells)
    assert all(cells.count(words) == 1 for words in FEWER)


@pytest.mark.slow
def test_a_cell_that_fails_would_be_noticed(here, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(notebook, tmp_path)


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
    assert not [o for o in pictures if len(o.metadata.get("image/png", {}).get("alt", "")) < 40]
    fingerprint_of(notebook)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_draws_by_what_the_package_offers(path):
    code = "".join(cell.source for cell in code_cells(read(path)))
    assert not re.search(r"matplotlib|pyplot|\bplt\b|subplots|\.plot\(", code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_sentence_of_a_notebook_holds_a_time_that_was_measured_in_it(path):
    trees = [
        ast.parse(re.sub(r"^[%!].*", "", c.source, flags=re.M)) for c in code_cells(read(path))
    ]
    measured: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                text = ast.unparse(node.value)
                if "perf_counter" in text or ".estimate(" in text:
                    measured |= {name.id for name in node.targets if isinstance(name, ast.Name)}
    sentences = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Markdown"
    ]
    names = {n.id for each in sentences for n in ast.walk(each) if isinstance(n, ast.Name)}
    assert len(sentences) > 3
    assert not names & measured


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_ends_with_a_decision_in_the_words_of_the_verdict(path):
    cells = read(path).cells
    heading = next(i for i, cell in enumerate(cells) if "## The decision" in cell.source)
    after = code_cells(nbformat.v4.new_notebook(cells=cells[heading:]))
    assert after[0].source.startswith(("decision = run.verdict", "decision = asked.verdict"))
    assert all(use in "".join(shown(after[:1])) for use in ("probabilities", "customers"))
    assert "decision.headline" in after[1].source
    assert "decision.uses" in after[1].source
    told = "".join(shown(after[1:2]))
    assert "For which use:" in told
    assert "What speaks against it:" in told


def test_what_a_notebook_makes_of_the_users_own_files_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "Shop1.csv"
    own.write_text("CustomerID,Timestamp,PurchaseValue\na,2020-01-01,1\n")
    cells = code_cells(read(TOP / "notebooks" / "evaluate_models.ipynb"))
    first, last = [cell.source for cell in cells[:3]], cells[-1].source
    first[0] = re.sub(r"CSV_FILES = \[\]", f"CSV_FILES = [{str(own)!r}]", first[0])
    names: dict = {}
    for source in first:
        exec(source, names)
    assert names["dataset"].company_ids == ["Shop1"]
    made_up = names["made_up"]
    names |= {name: MagicMock() for name in ("run", "client", "cluster")}
    exec(last, names)
    assert not made_up.exists()
    assert (tmp_path / "my_evaluation" / "dataset" / "manifest.parquet").is_file()
    deleting = re.compile(r"rmtree|unlink|rmdir|os\.remove|cleanup\(\)")
    code = [cell.source for path in NOTEBOOKS for cell in code_cells(read(path))]
    assert [m for source in code for m in deleting.findall(source)] == ["cleanup()"] * 2


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
    execute(notebook, tmp_path)
    counting, plot, imported = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in counting] == ["display_data"]
    assert counting[0].data["text/plain"].startswith("counting: 100%|█")
    assert "3/3" in counting[0].data["text/plain"]
    assert "image/png" in plot[0].data
    assert imported[0].data["text/plain"] == "False"
