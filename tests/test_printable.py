"""Text of unknown origin on a screen: nothing in it is obeyed, and nothing is too long."""

from __future__ import annotations

import shlex
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.printable import (
    LONGEST_MESSAGE,
    LONGEST_NAME,
    LONGEST_SENTENCE,
    as_typed,
    message_shown,
    name_shown,
    printable,
    printable_lines,
    sentence_shown,
)

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
OBEYED_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY_TEXT)
def test_nothing_that_is_shown_is_a_control_a_mark_of_direction_or_half_a_character(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in shown} & OBEYED_BIDI
    assert not set(shown) & set("\u200b\u200e\u200f\u061c\ufeff")
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_what_a_person_reads_is_shown_as_it_is(text):
    assert printable(text) == text


def test_emoji_and_words_that_are_written_with_joiners_stay():
    for text in ("👩‍👩‍👧 Shop", "می‌خواهم", "Über Straße", "東京", "שלום"):
        assert printable(text) == text


def test_the_ends_of_lines_stay_in_a_message_and_are_shown_in_a_name():
    assert printable_lines("a\nb\tc\rd") == "a\nb\tc\\rd".replace("\\r", "\\x0d")
    assert printable("a\nb\tc") == r"a\nb\tc"


@pytest.mark.parametrize("text", ["x" * 10_000, "x y " * 2_500, "\x1b" * 10_000])
def test_long_texts_are_shortened_and_say_how_long_they_are(text):
    assert len(name_shown(text)) <= LONGEST_NAME
    assert "characters" in name_shown(text)
    assert len(sentence_shown(f"It is worse at {text}.")) <= LONGEST_SENTENCE
    message = message_shown(f"there is no company {text!r}: name another")
    assert len(message) <= LONGEST_MESSAGE
    assert message.startswith("there is no company")
    assert message.endswith("name another")


def test_a_path_as_long_as_paths_are_is_shown_whole():
    path = "/".join(["folder"] * 100)
    assert path in message_shown(f"no run: {path}")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_shell_reads_what_is_to_be_typed_as_the_same_text(text):
    typed = as_typed(text)
    assert printable(typed) == typed
    if not typed.startswith("$'"):
        assert shlex.split(typed) == [text]


@pytest.mark.parametrize(
    "text", ["a\x1b[31mb", "it's\\n\n", "\u202e'$x`\\", "\x9b\ufeff\U000e0041"]
)
def test_bash_reads_escapes_as_the_same_text(text):
    words = ["bash", "-c", f"printf %s {as_typed(text)}"]
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, capture_output=True, check=True, env=environment)
    assert done.stdout.decode() == text
