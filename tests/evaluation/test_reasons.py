"""Every reason that the code can give is in one list, and each in the list can be given."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scale_eval
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.reasons import CONDITIONS, EVALUATIONS, FIGURES, ROWS, sentence_of
from scale_eval.metrics.compiled.values import REASONS
from scale_eval.planning.calendar import REFUSALS

PACKAGE = Path(scale_eval.__file__).parent
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|infinite|separable|overlap")
GIVERS = {"Undefined": FIGURES, "Estimate": FIGURES, "Interval": FIGURES} | dict.fromkeys(
    ("Skipped", "WrongOutput", "NotFitted"), EVALUATIONS
)


def codes_in(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and CODE.fullmatch(str(each.value)):
            yield each.value


def branches_of(value: ast.expr) -> Iterator[str]:
    """Yield the codes of an expression, without those that its condition compares with."""
    for branch in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
        yield from codes_in(branch)


def given(tree: ast.AST) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the codes that a module can give, each with the list in which it must be."""
    everything = EVALUATIONS | FIGURES | ROWS
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            for argument in node.args[:2] if name in GIVERS else []:
                yield from ((code, GIVERS[name]) for code in codes_in(argument))
            for keyword in node.keywords:
                if keyword.arg in ("reason", "refusal"):
                    yield from ((code, everything) for code in codes_in(keyword.value))
        elif isinstance(node, ast.FunctionDef) and re.search("why|refusal", node.name):
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and isinstance(
                    each.value, ast.Constant | ast.IfExp
                ):
                    yield from ((code, everything) for code in branches_of(each.value))
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                named = isinstance(key, ast.Constant) and str(key.value).endswith("reason")
                if named and isinstance(value, ast.Constant):
                    yield from ((code, everything) for code in codes_in(value))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.IfExp):
            target = node.targets[-1]
            name = getattr(target, "id", "")
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                name = str(target.slice.value)
            if name.endswith(("reason", "refusal")):
                yield from ((code, everything) for code in branches_of(node.value))


def all_given() -> list[tuple[str, str, dict[str, str]]]:
    return [
        (path.name, code, reasons)
        for path in sorted(PACKAGE.rglob("*.py"))
        for code, reasons in given(ast.parse(path.read_text()))
    ]


def test_every_reason_that_the_code_gives_has_its_sentence():
    found = all_given()
    assert len({code for _, code, _ in found}) > 40
    assert [(name, code) for name, code, reasons in found if code not in reasons] == []
    assert set(REFUSALS) - {""} <= set(EVALUATIONS)
    assert set(REASONS) - {""} <= set(FIGURES)


def test_every_reason_in_the_list_stands_in_the_code_that_gives_it():
    text = "\n".join(
        path.read_text() for path in sorted(PACKAGE.rglob("*.py")) if path.name != "reasons.py"
    )
    for code in CONDITIONS | EVALUATIONS | FIGURES | ROWS:
        assert re.search(rf"[\"'`]{code}[\"'`]", text), code


@pytest.mark.parametrize("reasons", [CONDITIONS, EVALUATIONS, FIGURES, ROWS])
def test_a_sentence_can_follow_a_colon(reasons):
    for code, sentence in reasons.items():
        assert CODE.fullmatch(code)
        assert sentence[0].islower()
        assert not sentence.endswith(".")
        assert "_" not in sentence


def test_a_model_that_declines_without_a_reason_is_said_to_have_none():
    assert [Skipped(reason).row_texts()[1] for reason in ("", " ", "closed")] == [
        "no_reason",
        "no_reason",
        "closed",
    ]


def test_codes_that_are_open_have_sentences_too():
    assert sentence_of("exception:KeyError", EVALUATIONS) == "an exception was raised: KeyError"
    assert sentence_of("no_positives+no_spend", FIGURES).count(";") == 1
    assert sentence_of("too_odd_for_me", FIGURES) == "too odd for me"
