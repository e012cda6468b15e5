"""Check the output of a model: one probability for each customer, in their order."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.evaluation.company_windows import CompanyWindow
from scale_eval.evaluation.no_prediction import WrongOutput

ROUNDING = 1e-5
"""How far a probability may lie outside [0, 1] to be called a rounding error: float32 and sums of
some thousand terms go astray by less."""


def checked_probabilities(output: Any, window: CompanyWindow) -> np.ndarray:
    """Return a model's output as float64 of shape (n_customers,).

    Raises
    ------
    WrongOutput
        It has another shape or length, holds something other than numbers in [0, 1], has masked
        values, or is a Series that is not indexed by the customers in their order.
    """
    n = window.n_customers
    if isinstance(output, pd.Series):
        _check_index(output.index, window.customer_ids)
    _check_shape(output, n)
    probabilities = _as_numbers(output)
    is_masked = isinstance(output, np.ma.MaskedArray)
    missing = np.isnan(probabilities)
    if is_masked:
        missing |= np.ma.getmaskarray(output)
    if missing.any():
        kind = "masked or NaN" if is_masked else "NaN"
        first = _shown(window.customer_ids[int(np.flatnonzero(missing)[0])])
        raise WrongOutput(
            "not_a_number",
            f"{int(missing.sum())} of {n} probabilities are {kind}, first of customer {first}",
        )
    outside = (probabilities < 0) | (probabilities > 1)
    if outside.any():
        raise WrongOutput("outside_0_1", _outside_in_words(probabilities, outside))
    return probabilities


def _check_shape(output: Any, n: int) -> None:
    """Raise `WrongOutput` where the output is not one value for each of n customers."""
    kind = type(output).__name__
    if output is None:
        raise WrongOutput("wrong_shape", "None: does predict_proba end with a return?")
    if hasattr(output, "toarray"):  # a sparse matrix
        shape = "x".join(map(str, output.shape))
        raise WrongOutput("wrong_shape", f"a sparse {kind}, {shape}: return .toarray().ravel()")
    if isinstance(output, dict | set | frozenset):
        hint = "pd.Series(output)[history.customers]" if isinstance(output, dict) else "a list"
        raise WrongOutput("wrong_shape", f"a {kind}, which has no order: return {hint}")
    if hasattr(output, "__next__"):
        raise WrongOutput("wrong_shape", f"a {kind}: return list(output), or an array")
    try:
        shape = np.shape(output)
    except ValueError:
        raise WrongOutput("wrong_shape", f"a {kind} of lists of different lengths") from None
    if shape == ():
        hint = f"return one for each customer, such as np.full({n}, p)"
        raise WrongOutput("wrong_shape", f"a single {kind} where {n} values are wanted; {hint}")
    if len(shape) != 1:
        hint = _shape_hint(shape, n, is_frame=isinstance(output, pd.DataFrame))
        raise WrongOutput("wrong_shape", f"shape {shape} where ({n},) is wanted{hint}")
    if shape != (n,):
        raise WrongOutput("wrong_length", f"{shape[0]} probabilities for {n} customers")


def _shape_hint(shape: tuple[int, ...], n: int, *, is_frame: bool) -> str:
    if shape in ((n, 1), (n, 2)):
        column = f"[:, {shape[1] - 1}]"
        return f"; take its column {'.iloc' if is_frame else ''}{column}"
    return "; take its row [0]" if shape == (1, n) else ""


def _as_numbers(output: Any) -> np.ndarray:
    """Return the output as float64, NaN where a value is missing.

    Raises `WrongOutput` where its values are not real numbers.
    """
    kind = getattr(output, "dtype", type(output).__name__)
    values = np.asarray(output)
    if values.dtype.kind in "cmM":  # NumPy would drop what is imaginary, and count days
        hint = "; take its .real part" if values.dtype.kind == "c" else ""
        raise WrongOutput("not_numeric", f"values of type {kind}{hint}")
    if values.dtype.kind == "O":
        values = np.where(pd.isna(values), np.nan, values)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, np.exceptions.ComplexWarning):
        example = next(filter(_is_no_number, values.flat), values.flat[0])
        text = f"values of type {kind}, such as {_shown(example)}"
        raise WrongOutput("not_numeric", text) from None


def _is_no_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return True
    return isinstance(value, complex | np.complexfloating)


def _outside_in_words(probabilities: np.ndarray, outside: np.ndarray) -> str:
    """Say how far the probabilities lie outside [0, 1], and what they may be."""
    n, n_outside = len(probabilities), int(outside.sum())
    least, most = float(probabilities.min()), float(probabilities.max())
    beyond = max(-least, most - 1)
    if beyond <= ROUNDING:
        sides = [f"above 1, such as {most!r}"] if most > 1 else []
        sides += [f"below 0, such as {least!r}"] if least < 0 else []
        return (
            f"{n_outside} of {n} are {' or '.join(sides)}: by {beyond:.2g}, a rounding error; "
            "return np.clip(output, 0, 1)"
        )
    text = f"{n_outside} of {n}; they reach from {least:.6g} to {most:.6g}"
    if least < 0:
        return f"{text}, as scores or log-odds do"
    return f"{text}: divide percentages by 100" if 2 < most <= 100 else text


def _check_index(index: pd.Index, customers: np.ndarray) -> None:
    """Compare the index of a Series with the customers; a wrong length is reported later."""
    if len(index) != len(customers):
        return
    if isinstance(index, pd.MultiIndex):
        raise WrongOutput(
            "wrong_customers",
            f"the index of the Series has {index.nlevels} levels, such as {_shown(index[0])}: keep "
            "that of the customers alone, as in output.droplevel(0)",
        )
    ids = index.astype(str).to_numpy(dtype=object)
    if np.array_equal(ids, customers):
        return
    first = int(np.flatnonzero(ids != customers)[0])
    has, wants = _shown(index[first]), _shown(customers[first])
    if set(ids) == set(customers):
        raise WrongOutput(
            "wrong_order",
            f"the Series is not in the order of history.customers: {has} stands where {wants} "
            f"is; return output{'' if isinstance(index[0], str) else '.rename(str)'}"
            "[history.customers]",
        )
    raise WrongOutput(
        "wrong_customers",
        f"the Series is not indexed by customer id: {has} stands where {wants} is; where its "
        "values are in the order of history.customers, return output.to_numpy()",
    )


def _shown(value: object) -> str:
    """Return a value as Python writes it, cut to 40 characters."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 40 else f"{text[:37]}..."
