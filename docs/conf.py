"""Configure Sphinx: Markdown pages, and a reference that is made from the code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate

import scale_eval

project = "scale_eval"
author = "the authors of scale_eval"
release = scale_eval.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "_generated"]

html_theme = "furo"
html_title = f"scale_eval {release}"
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}  # pages are read, not edited, here

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the Parameters sections state types
autodoc_member_order = "bysource"
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
default_role = "code"  # docstrings write `name` for code

generate.write(Path(__file__).parent / "_generated")
