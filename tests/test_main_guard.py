"""A script that starts processes at its top level is told so before it does."""

from __future__ import annotations

import sys
import types

import pytest

from scale_eval.main_guard import ScriptLine, require_main_guard, unguarded_line

GUARDED = [
    'if __name__ == "__main__":\n    begin()\n',
    'if "__main__" == __name__:\n    for i in [1]:\n        begin()\n',
    'def main():\n    begin()\n\nif __name__ == "__main__":\n    main()\n',
    'if __name__ == "__main__" and begin:\n    if True:\n        begin()\n',
]
SURELY_NOT = {
    "begin()\n": 1,
    "\n\nwith open(__file__):\n    begin()\n": 4,
    "def main():\n    begin()\n\nmain()\n": 4,
    'begin()\nif __name__ == "__main__":\n    pass\n': 1,
    "import scale_eval\nresult = begin(\n)\n": 2,
}
PERHAPS_NOT = {
    "if begin:\n    begin()\n": 2,
    'if __name__ != "__main__":\n    raise SystemExit\nbegin()\n': 3,
}


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """Runs a text as ``python FILE`` does, with `begin` as the call that starts processes."""

    def run_script(text, *, spec=None, name="plain.py"):
        path = tmp_path / name
        path.write_text(text)
        main = types.ModuleType("__main__")
        main.__file__, main.__spec__ = str(path), spec
        found = []
        main.begin = lambda: found.append(unguarded_line())
        monkeypatch.setitem(sys.modules, "__main__", main)
        exec(compile(text, str(path), "exec"), main.__dict__)
        return found, path

    return run_script


@pytest.mark.parametrize("text", GUARDED)
def test_a_script_with_a_guard_may_start_processes(run_script, text):
    assert run_script(text)[0] == [None]


@pytest.mark.parametrize(("text", "line"), SURELY_NOT.items())
def test_a_script_without_one_is_named_with_the_line(run_script, text, line):
    found, path = run_script(text)
    assert found == [ScriptLine(str(path), line, is_conditional=False)]
    assert f"plain.py, line {line}, starts" in found[0].sentence


@pytest.mark.parametrize(("text", "line"), PERHAPS_NOT.items())
def test_a_script_with_another_condition_has_the_benefit_of_the_doubt(run_script, text, line):
    found, path = run_script(text)
    assert found == [ScriptLine(str(path), line, is_conditional=True)]


def test_what_no_process_would_run_again_needs_no_guard(run_script):
    package = types.SimpleNamespace(name="shop.__main__")
    assert run_script("begin()\n", spec=package)[0] == [None]
    assert run_script("begin()\n", name="ipython")[0] == [None]
    require_main_guard()  # nor does a test
    assert unguarded_line() is None


def test_a_console_and_a_notebook_need_no_guard(monkeypatch):
    console = types.ModuleType("__main__")
    console.found, console.look = [], unguarded_line
    monkeypatch.setitem(sys.modules, "__main__", console)
    exec("found.append(look())", console.__dict__)
    assert console.found == [None]
