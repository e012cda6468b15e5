"""The command itself: help, errors, exit codes, what it prints."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete

import scale_eval as se
from scale_eval.cli import app as cli
from tests.support.commands import (
    COMMAND,
    assert_fits,
    assert_refused,
)


class TestTheCommandItself:
    @pytest.mark.parametrize("command", ["", *sorted(cli.cli.commands)])
    def test_its_help_fits_80_columns(self, scale_eval, command):
        result = scale_eval(*command.split(), "--help")
        assert result.code == cli.OK
        assert result.out.startswith("Usage: scale-eval")
        assert_fits(result.out)

    def test_its_help_lists_every_command_in_a_whole_sentence(self, scale_eval):
        result = scale_eval("--help")
        _, listed = result.out.split("Commands:")
        for command in cli.cli.commands:
            assert re.search(rf"^  {command}\s", listed, re.MULTILINE)
        assert "..." not in listed

    def test_its_version_is_that_of_the_package(self, scale_eval):
        assert se.__version__ in scale_eval("--version").out

    def test_alone_it_says_how_to_begin(self, scale_eval):
        result = scale_eval()
        assert result.code in (cli.OK, cli.USAGE)
        assert "scale-eval demo" in result.out + result.err

    def test_an_unknown_command_is_refused_with_the_nearest(self, scale_eval):
        assert_refused(scale_eval("shwo"), "'shwo'", "show")

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ("ingest a.csv --into d --plausible 2022.. --plausible ..2023", "--plausible FROM..TO"),
            ("ingest a.csv --into d --ids case --ids zeros", "--ids LIST"),
            ("plan d --observed 2020.. --last 1 --observed ..2023", "--observed FROM..TO"),
            ("run d --out a --out=b", "--out RUN"),
            ("run d --out a --margin brier=1 --margin brier=2", "brier is given twice"),
            ("show r --format csv --format json", "--format [csv|json|markdown]"),
        ],
    )
    def test_an_option_that_would_count_once_only_is_given_once(self, scale_eval, words, says):
        assert_refused(scale_eval(*words.split()), says)

    def test_an_option_that_is_given_twice_does_not_stop_completion(self):
        shell = BashComplete(cli.cli, {}, "scale-eval", "_SCALE_EVAL_COMPLETE")
        found = shell.get_completions(["run", "data", "--out", "a", "--out", "b"], "--wor")
        assert [each.value for each in found] == ["--workers"]

    def test_a_flag_may_be_given_twice_and_what_is_listed_too(self, scale_eval):
        words = "ingest a.csv --into d --append --append"
        assert_refused(scale_eval(*words.split()), "a.csv")
        words = "plan d --cutoff 2020-01-01 --cutoff 2021-01-01"
        assert_refused(scale_eval(*words.split()), "d is not a dataset")

    def test_it_runs_as_a_module(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "scale_eval.cli", "--version"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert se.__version__ in done.stdout

    @pytest.mark.parametrize(
        "words", ["--help", "--version", "run --help", "show --help", "shwo", "run --modle"]
    )
    def test_help_and_mistakes_are_answered_without_importing_what_is_slow(self, tmp_path, words):
        """All of these together take two seconds to import, and the answer a tenth of one."""
        slow = "dask distributed jinja2 matplotlib numba pandas pyarrow scipy sklearn"
        code = (
            "import contextlib, sys; from scale_eval.cli.commands import run_command\n"
            "with contextlib.suppress(SystemExit): run_command()\n"
            f"print('imported', *{{*{slow.split()}}} & {{*sys.modules}})"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *words.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "scale-eval" in done.stdout + done.stderr or "'" in done.stderr
        assert done.stdout.splitlines()[-1] == "imported"

    @pytest.mark.slow
    def test_it_and_every_worker_start_without_what_few_of_them_need(self, tmp_path):
        lists = (
            "import sys, scale_eval.cli, scale_eval.execution.worker;"
            "print(*{'sklearn', 'scipy.stats', 'matplotlib', 'pyarrow.dataset'} & {*sys.modules})"
        )
        done = subprocess.run(
            [sys.executable, "-c", lists],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.split() == []

    def test_a_directory_that_is_gone_is_no_traceback(self, tmp_path):
        gone = tmp_path / "gone"
        gone.mkdir()
        words = f"rmdir '{gone}' && exec '{COMMAND}' --version"
        done = subprocess.run(
            ["sh", "-c", words], cwd=gone, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr
