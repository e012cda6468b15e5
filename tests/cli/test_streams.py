"""What is printed, and where to: closed and broken streams, ids that are no words, gone folders."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
from pathlib import Path

import click
import pytest
from rich.text import Text

from scale_eval.cli import app as cli
from scale_eval.cli import interruptions
from scale_eval.cli.options import FiniteRange
from scale_eval.cli.safe_console import SafeConsole, SafeFile
from scale_eval.place_errors import REMEDIES, place_error_behind, remedy_for
from tests.support.commands import COMMAND, assert_refused, environment

HOSTILE = "Shop\x1b[31m\x1b]0;owned\x07\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe\x9b2J"


def in_a_shell(words, place):
    """Run words of a shell in which `$se` is the command."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words}"],
        cwd=place,
        env={**environment(), "se": str(COMMAND)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TestStreams:
    def test_a_command_that_only_prints_is_refused_where_nothing_can_be_shown(self, tmp_path):
        done = in_a_shell("$se metrics >&-", tmp_path)
        assert done.returncode == cli.USAGE
        assert "standard output is closed" in done.stderr

    @pytest.mark.slow
    def test_a_closed_error_stream_takes_nothing_away_and_is_no_file_of_the_dataset(self, tmp_path):
        words = "$se synth --companies 1 --median-customers 5 --into made 2>&- <&-"
        done = in_a_shell(words, tmp_path)
        assert done.returncode == cli.OK
        assert "1 company" in done.stdout
        listed = in_a_shell("$se models 2>&-", tmp_path)
        assert listed.returncode == cli.OK
        assert "bgnbd" in listed.stdout

    @pytest.mark.slow
    @pytest.mark.parametrize("command", ["models", "metrics", "--help", "show --help"])
    def test_a_reader_that_goes_ends_a_command_without_the_code_of_failed_rows(
        self, tmp_path, command
    ):
        done = in_a_shell(f"$se {command} | true", tmp_path)
        assert done.returncode in (cli.OK, cli.UNFINISHED)  # it may have been quicker
        assert done.stderr == ""

    @pytest.mark.slow
    def test_a_full_disk_behind_the_output_is_said(self, tmp_path):
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full here")
        done = in_a_shell("$se models >/dev/full", tmp_path)
        assert done.returncode == cli.UNFINISHED
        assert "No space left on device" in done.stderr
        assert "then run the same command again" in done.stderr

    def test_a_current_folder_that_is_gone_is_said(self, tmp_path):
        done = in_a_shell("mkdir a && cd a && rmdir ../a && $se models", tmp_path)
        assert done.returncode == cli.USAGE
        assert "the current folder no longer exists" in done.stderr
        assert done.stderr.count("\n") <= 2


class TestHostileText:
    @pytest.mark.parametrize(
        "words",
        [
            [HOSTILE],
            ["show", HOSTILE],
            ["show", "x", HOSTILE],
            ["run", "x", "--out", HOSTILE],
            ["run", HOSTILE, "--out", "x"],
            ["ingest", HOSTILE, "--into", "x"],
            ["show", "x", f"--{HOSTILE}"],
            ["run", "x", "--out", "y", "--last", HOSTILE],
            ["check-model", HOSTILE, HOSTILE],
        ],
        ids=lambda words: words[0][:5],
    )
    def test_arguments_are_shown_as_text(self, scale_eval, words):
        result = scale_eval(*words)
        assert_refused(result)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", result.err + result.out)

    def test_a_console_prints_its_own_colours_and_no_others(self):
        file = io.StringIO()
        console = SafeConsole(file=file, force_terminal=True, color_system="standard", width=60)
        console.print(Text(HOSTILE, style="red"))
        shown = file.getvalue()
        assert shown.startswith("\x1b[31mShop\\x1b[31m")
        assert shown.count("\x1b") == 2
        assert "\u202e" not in shown

    def test_a_name_in_brackets_is_no_markup(self, capsys):
        cli.out.print("scale-eval show 'runs/[old]/[/new]'")
        assert capsys.readouterr().out == "scale-eval show 'runs/[old]/[/new]'\n"

    def test_a_file_that_is_no_terminal_gets_ids_as_they_are(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        for file, expected in ((io.StringIO(), HOSTILE), (Terminal(), None)):
            SafeFile(file).write(HOSTILE)
            if expected is None:
                assert not re.search("[\x1b\x07\u202e\x9b]", file.getvalue())
            else:
                assert file.getvalue() == expected


class TestErrorsOfThePlace:
    @pytest.mark.parametrize("number", sorted(REMEDIES))
    @pytest.mark.parametrize("is_begun", [True, False])
    def test_a_run_that_was_begun_goes_on_once_the_place_is_mended(
        self, tmp_path, monkeypatch, capsys, number, is_begun
    ):
        monkeypatch.setattr(interruptions, "_run", str(tmp_path))
        if is_begun:
            (tmp_path / "run.json").write_text("{}")
        with pytest.raises(SystemExit) as ended, cli._errors_as_sentences():
            raise OSError(number, os.strerror(number), "/data/run/scores/a.parquet")
        said = capsys.readouterr().err
        assert "/data/run/scores/a.parquet" in said
        assert REMEDIES[number] in said
        may_be_mistaken = number in (errno.EACCES, errno.EPERM, errno.EROFS)
        assert ended.value.code == (
            cli.USAGE if may_be_mistaken and not is_begun else cli.UNFINISHED
        )
        assert ("What is done is on disk" in said) == is_begun

    @pytest.mark.parametrize(
        "number", [errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG]
    )
    def test_a_name_that_is_wrong_is_a_mistake(self, capsys, number):
        with pytest.raises(SystemExit) as ended, cli._errors_as_sentences():
            raise OSError(number, os.strerror(number), "/data/run")
        assert ended.value.code == cli.USAGE
        assert "/data/run" in capsys.readouterr().err

    def test_an_error_of_a_connection_is_none_of_a_place(self):
        assert not remedy_for(ConnectionError(errno.ETIMEDOUT, "timed out"))
        assert not remedy_for(TimeoutError("no answer"))

    @pytest.mark.slow
    def test_a_full_standard_output_is_named(self, tmp_path):
        for words in ("models", "fingerprint --help", "--help"):
            ended = in_a_shell(f"$se {words} >/dev/full", tmp_path)
            assert ended.returncode == cli.UNFINISHED
            assert "No space left on device: 'standard output'. Make room there" in ended.stderr

    def test_the_error_behind_another_is_found(self):
        try:
            try:
                raise OSError(errno.EMFILE, "Too many open files")
            except OSError as first:
                raise RuntimeError("Nanny failed to start") from first
        except RuntimeError as error:
            assert place_error_behind(error).errno == errno.EMFILE
        assert place_error_behind(RuntimeError("Nanny failed to start")) is None

    def test_a_process_that_was_killed_is_not_finished(self, capsys):
        with pytest.raises(SystemExit) as ended, cli._errors_as_sentences():
            raise ChildProcessError("the process that was to reduce run ended by SIGKILL")
        assert ended.value.code == cli.UNFINISHED
        assert "Run the same command again" in capsys.readouterr().err


class TestNumbers:
    @pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e400", "-1", "x", ""])
    def test_no_option_takes_a_number_that_is_none(self, text):
        with pytest.raises(click.BadParameter):
            FiniteRange(min=0).convert(text, None, None)

    @pytest.mark.parametrize(
        "words",
        [
            ["run", "--margin", "log_loss=inf"],
            ["run", "--margin", "log_loss=nan"],
            ["run", "--margin", "log_loss=-1"],
            ["run", "--sample", 3, "--until-half-width", "inf"],
            ["run", "--sample", 3, "--until-half-width", "nan"],
            ["run", "--timeout", "inf"],
            ["run", "--time-limit", "nan"],
            ["run", "--workers", 10**20],
            ["plan", "--price", "inf"],
            ["plan", "--price", "nan"],
        ],
        ids=lambda words: " ".join(map(str, words[-2:])),
    )
    def test_an_option_that_is_no_finite_number_is_refused(self, scale_eval, data, words):
        command, *options = words
        out = ["--out", "none"] if command == "run" else []
        assert_refused(scale_eval(command, data, *out, *options))
        assert not Path("none").exists()

    @pytest.mark.parametrize("option", ["--median-customers", "--sigma"])
    @pytest.mark.parametrize("value", ["inf", "nan", "-1", "1e300"])
    def test_synth_takes_no_sizes_that_no_shop_has(self, scale_eval, option, value):
        assert_refused(scale_eval("synth", "--companies", 1, "--into", "s", option, value))

    @pytest.mark.parametrize(
        "text",
        [
            "horizon = " + "[" * 5_000 + "]" * 5_000,
            "margins = " + "{a=" * 5_000 + "1" + "}" * 5_000,
            "last = 1" + "0" * 5_000,
            "margins = {log_loss = inf}",
            "until_half_width = nan\nsample = 3",
        ],
        ids=["lists", "tables", "digits", "inf", "nan"],
    )
    def test_a_configuration_that_cannot_be_meant_is_refused_by_name(
        self, scale_eval, data, tmp_path, text
    ):
        (tmp_path / "deep.toml").write_text(text)
        result = scale_eval("run", data, "--out", "none", "--config", "deep.toml")
        assert_refused(result)
        assert "deep.toml" in result.err or "log_loss" in result.err
        assert result.err.count("\n") < 5

    def test_a_scheduler_file_of_nested_lists_is_no_scheduler_file(
        self, scale_eval, data, tmp_path
    ):
        (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
        result = scale_eval("run", data, "--out", "none", "--cluster", "deep.json")
        assert_refused(result, "deep.json is no scheduler file")
