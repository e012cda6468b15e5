"""The rooms of the house stand in one order, and imports go one way through it."""

from __future__ import annotations

import ast

from tests.support.paths import PROJECT

ROOMS = """
__main__
cli
__init__
check_model evaluate_run preview_run
run
report
execution
planning
models results
evaluation
metrics datasets
statistics storage progress_bar places children spelling html_repr main_guard
compiling
scratch lazy place_errors printable
"""
"""From the door to the ground: a room imports only from the lines below its own."""

PACKAGE = PROJECT / "scale_eval"
LINE = {room: n for n, line in enumerate(ROOMS.split("\n")) for room in line.split()}


def imports_of(file):
    """The modules that a file names in its import statements, wherever they stand in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} imports relative to itself: write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports():
    for file in sorted(PACKAGE.rglob("*.py")):
        room = file.relative_to(PACKAGE).with_suffix("").parts[0]
        yield from ((file, room, name) for name in imports_of(file))


def test_a_room_imports_only_from_rooms_below_it():
    for file, room, name in imports():
        package, _, other = name.partition(".")
        other = other.split(".")[0]
        if package == "scale_eval" and other not in ("", room):
            assert LINE[room] < LINE.get(other, LINE["__init__"]), f"{file} imports {name}"


def test_only_execution_imports_dask():
    knowing = {room for _, room, name in imports() if name.split(".")[0] in ("dask", "distributed")}
    assert knowing == {"execution"}
