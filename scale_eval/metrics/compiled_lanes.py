"""Eight numbers side by side, on which compiled loops work at once.

A compiler may not reorder a sum of floats, and so adds one by one, each waiting for the one before.
Here a sum is eight sums, of every eighth number, which are added up in a fixed order at the end:
whatever registers a machine has, the result is the same to the last bit.

Arrays are padded to multiples of `LANES`; numbers that stand there must not count.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 8


class Lanes(types.Type):
    """The type of eight float64 in compiled code."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


class Flags(types.Type):
    """The type of eight comparisons of these."""

    def __init__(self) -> None:
        super().__init__(name="Flags")


_lanes, _flags = Lanes(), Flags()
_vector, _bits = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(ir.IntType(1), LANES)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _vector)


@register_model(Flags)
class _FlagsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _bits)


@intrinsic
def lanes_of(typing_context: Any, number: Any) -> Any:
    """A number, eight times."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _every_lane(builder, arguments[0])

    return _lanes(types.float64), generate


def _every_lane(builder: Any, number: Any) -> Any:
    lane, every = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)
    one = builder.insert_element(ir.Constant(_vector, ir.Undefined), number, lane(0))
    return builder.shuffle_vector(one, one, ir.Constant(every, [0] * LANES))


def _place(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    """Where the eight numbers from array[i] on lie."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), _vector.as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, i: Any) -> Any:
    """array[i : i + 8] of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments)
        return builder.load(place, align=8)

    return _lanes(array, types.int64), generate


@intrinsic
def store(typing_context: Any, array: Any, i: Any, lanes: Any) -> Any:
    """array[i : i + 8] = lanes, of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, _lanes), generate


@intrinsic
def where(typing_context: Any, flags: Any, one: Any, other: Any) -> Any:
    """`one` where the flag is true, else `other`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return _lanes(_flags, _lanes, _lanes), generate


@intrinsic
def total(typing_context: Any, lanes: Any) -> Any:
    """The sum of the eight: halves are added, then their halves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lane = ir.IntType(32)
        numbers = [builder.extract_element(arguments[0], lane(i)) for i in range(LANES)]
        while len(numbers) > 1:
            half = len(numbers) // 2
            pairs = zip(numbers[:half], numbers[half:], strict=True)
            numbers = [builder.fadd(one, other) for one, other in pairs]
        return numbers[0]

    return types.float64(_lanes), generate


def _define(operation: Any, build: str, result: Any = _lanes, *comparison: str) -> None:
    """What an operation means between eight numbers and eight, or one."""
    takes = [(_lanes, _lanes), (_lanes, types.float64), (types.float64, _lanes)]

    @infer_global(operation)
    class Typed(ConcreteTemplate):
        key = operation
        cases = [signature(result, *kinds) for kinds in takes]  # noqa: RUF012

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        both = [
            number if kind == _lanes else _every_lane(builder, number)
            for kind, number in zip(signature.args, arguments, strict=True)
        ]
        return getattr(builder, build)(*comparison, *both)

    for kinds in takes:
        lower_builtin(operation, *kinds)(generate)


_define(operator.add, "fadd")
_define(operator.iadd, "fadd")
_define(operator.sub, "fsub")
_define(operator.isub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")
_define(operator.gt, "fcmp_ordered", _flags, ">")
