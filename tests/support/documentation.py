"""Read the documentation: its pages, and the commands that it gives."""

from __future__ import annotations

import re

from tests.support.paths import PROJECT

DOCS = PROJECT / "docs"


def page(name: str) -> str:
    """Return the text of a page, such as ``how-to/slurm``."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def commands(name: str, marker: str) -> list[str]:
    """Return the commands under ``<!-- command: marker -->`` on a page, one a line."""
    block = re.search(rf"<!-- command: {marker} -->\n```bash\n(.*?)```", page(name), re.DOTALL)
    assert block, f"docs/{name}.md has no command {marker}"
    return block[1].strip().splitlines()
