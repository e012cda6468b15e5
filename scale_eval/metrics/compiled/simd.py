"""Eight numbers that compiled loops process at a time (SIMD), with the same result on any machine.

A compiler may not reorder a sum of floats, and so adds one by one, each waiting for the one before.
Here a sum is eight sums, of every eighth number, which are added in a fixed order at the end:
whatever registers a machine has, the result is the same to the last bit.

Arrays are padded to multiples of `LANES`; the padding must not change a sum.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 8


class Lanes(types.Type):
    """The type of eight float64 in compiled code."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


class Words(types.Type):
    """The type of eight int64, such as the bits of eight float64."""

    def __init__(self) -> None:
        super().__init__(name="Words")


class Flags(types.Type):
    """The type of eight comparisons of numbers."""

    def __init__(self) -> None:
        super().__init__(name="Flags")


_lanes, _words, _flags = Lanes(), Words(), Flags()
_vector = ir.VectorType(ir.DoubleType(), LANES)
_integers = ir.VectorType(ir.IntType(64), LANES)
_bits = ir.VectorType(ir.IntType(1), LANES)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _vector)


@register_model(Words)
class _WordsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _integers)


@register_model(Flags)
class _FlagsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _bits)


@intrinsic
def bits_of(typing_context: Any, number: Any) -> Any:
    """Return the 64 bits of a float64 as an int64, or those of eight as eight.

    For numbers >= 0 they rise with the number.
    """
    result, bits = (_words, _integers) if number == _lanes else (types.int64, ir.IntType(64))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], bits)

    return result(_lanes if number == _lanes else types.float64), generate


@intrinsic
def float_of(typing_context: Any, bits: Any) -> Any:
    """Return the float64 of 64 bits, or eight of eight: the inverse of `bits_of`."""
    result, floats = (_lanes, _vector) if bits == _words else (types.float64, ir.DoubleType())

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], floats)

    return result(_words if bits == _words else types.int64), generate


@intrinsic
def lanes_of(typing_context: Any, number: Any) -> Any:
    """Return a number eight times."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _every_lane(builder, arguments[0])

    return _lanes(types.float64), generate


def _every_lane(builder: Any, number: Any) -> Any:
    lane, every = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)
    vector = ir.VectorType(number.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, lane(0))
    return builder.shuffle_vector(one, one, ir.Constant(every, [0] * LANES))


def _place(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    """Return a pointer to the eight numbers from array[i] on."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), _vector.as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, i: Any) -> Any:
    """Return array[i : i + 8] of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments)
        return builder.load(place, align=8)

    return _lanes(array, types.int64), generate


@intrinsic
def store(typing_context: Any, array: Any, i: Any, lanes: Any) -> Any:
    """Set array[i : i + 8] = lanes in a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, _lanes), generate


@intrinsic
def fetch(typing_context: Any, array: Any, i: Any) -> Any:
    """Have the row array[i] of a contiguous array brought into the cache, to be written soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table = context.make_array(signature.args[0])(context, builder, arguments[0])
        row = builder.extract_value(table.strides, 0)
        byte = builder.bitcast(table.data, ir.IntType(8).as_pointer())
        place = builder.gep(byte, [builder.mul(row, arguments[1])])
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [place, whole(1), whole(3), whole(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def where(typing_context: Any, flags: Any, one: Any, other: Any) -> Any:
    """Return `one` where the flag is true, else `other`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return _lanes(_flags, _lanes, _lanes), generate


@intrinsic
def total(typing_context: Any, lanes: Any) -> Any:
    """Return the sum of the eight: the halves are added, then the halves of the result."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lane = ir.IntType(32)
        numbers = [builder.extract_element(arguments[0], lane(i)) for i in range(LANES)]
        while len(numbers) > 1:
            half = len(numbers) // 2
            pairs = zip(numbers[:half], numbers[half:], strict=True)
            numbers = [builder.fadd(one, other) for one, other in pairs]
        return numbers[0]

    return types.float64(_lanes), generate


def _define(operation: Any, of: Any, build: Callable[[Any, Any, Any], Any], result: Any) -> None:
    """Define an operation between eight numbers and eight, or one."""
    one = types.float64 if of == _lanes else types.int64
    takes = [(of, of), (of, one), (one, of)]

    @infer_global(operation)
    class Typed(ConcreteTemplate):
        key = operation
        cases = [signature(result, *kinds) for kinds in takes]  # noqa: RUF012

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        both = [
            number if kind == of else _every_lane(builder, number)
            for kind, number in zip(signature.args, arguments, strict=True)
        ]
        return build(builder, *both)

    for kinds in takes:
        lower_builtin(operation, *kinds)(generate)


def _above(builder: Any, a: Any, b: Any) -> Any:
    return builder.fcmp_ordered(">", a, b)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(_above(builder, a, b), a, b)


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(_above(builder, b, a), a, b)


for _operation, _build in {
    operator.add: ir.IRBuilder.fadd,
    operator.iadd: ir.IRBuilder.fadd,
    operator.sub: ir.IRBuilder.fsub,
    operator.isub: ir.IRBuilder.fsub,
    operator.mul: ir.IRBuilder.fmul,
    operator.truediv: ir.IRBuilder.fdiv,
    max: _larger,
    min: _smaller,
}.items():
    _define(_operation, _lanes, _build, _lanes)
_define(operator.gt, _lanes, _above, _flags)
for _operation, _build in {
    operator.add: ir.IRBuilder.add,
    operator.sub: ir.IRBuilder.sub,
    operator.lshift: ir.IRBuilder.shl,
    operator.rshift: ir.IRBuilder.ashr,
}.items():
    _define(_operation, _words, _build, _words)
