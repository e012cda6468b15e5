"""The documentation names what there is: exported names, links, columns, options, packages."""

from __future__ import annotations

import re
import tomllib

import pytest

import scale_eval as se
from scale_eval.cli.commands import cli
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.models import BUILT_IN
from tests.support.documentation import DOCS, commands, page
from tests.support.paths import PROJECT

PAGES = [*sorted(DOCS.rglob("*.md")), PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"]
PAGES = [path for path in PAGES if not {"_build", "_generated"} & set(path.parts)]
"""Every page that is written by hand."""


def test_the_exported_names_are_the_documented_ones():
    documented = re.findall(r"auto\w+:: scale_eval\.(\w+)$", page("reference/python-api"), re.M)
    assert sorted(documented) == sorted(se.__all__)


def test_every_metric_and_standard_error_is_documented():
    text = page("reference/metrics")
    assert [name for name in (*METRICS, *STANDARD_ERRORS) if f"`{name}`" not in text] == []


def test_every_reason_for_which_a_metric_is_undefined_is_documented():
    text = page("reference/metrics")
    reasons = {reason for metric in METRICS.values() for reason in metric.reasons}
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in text] == []


def test_every_built_in_model_is_documented():
    text = page("reference/models")
    assert [name for name in BUILT_IN if f"`{name}`" not in text] == []


@pytest.mark.parametrize("path", PAGES, ids=[str(p.relative_to(PROJECT)) for p in PAGES])
def test_links_between_pages_lead_to_files(path):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=[str(p.relative_to(PROJECT)) for p in PAGES])
def test_examples_use_options_that_there_are(path):
    examples = re.findall(r"scale-eval (\w+)((?: [^\n`|&]+|\\\n)*)", path.read_text("utf-8"))
    wrong = []
    for name, words in examples:
        command = cli.commands.get(name)
        if command is None:
            continue  # prose
        known = {option for parameter in command.params for option in parameter.opts}
        known |= {"--help"}
        wrong += [(name, o) for o in re.findall(r"(?<!\S)--[a-z-]+", words) if o not in known]
    assert wrong == []


def test_the_readme_is_short_and_its_picture_small():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 200
    picture = re.search(r"!\[.*?\]\((.*?)\)", readme)
    assert picture
    assert (PROJECT / picture[1]).stat().st_size < 200_000


def test_commands_that_others_read_are_where_they_look():
    assert len(commands("how-to/docker-compose", "compose")) == 2
    assert "requirements-notebook.txt" in commands("how-to/notebook", "notebook")[0]
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [name for name in ("demo", "tests") if f"<!-- command: {name} -->" not in readme] == []


def test_locked_requirements_agree_with_each_other():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = sorted(PROJECT.glob("requirements*.txt"))
    extras = {path.stem.removeprefix("requirements").removeprefix("-") for path in files} - {""}
    assert extras == set(project["optional-dependencies"]) - {"benchmarks"}
    versions: dict[tuple[str, str], str] = {}
    for path in files:
        text = path.read_text(encoding="utf-8")
        for name, version, condition in re.findall(
            r"^([\w.-]+)==(\S+)((?: ; [^\\\n]*)?)", text, re.MULTILINE
        ):
            assert versions.setdefault((name, condition), version) == version, (path.name, name)
        assert not re.search(r"https?://|file:|--index|--find-links", text)
