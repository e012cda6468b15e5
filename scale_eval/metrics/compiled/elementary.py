"""exp and log without branches or calls, of one number or of eight at a time (`Lanes`).

Over whole arrays they take a third of the time of the C library's functions, which are called for
each number and once were most of the cost of an evaluation's metrics. Their errors are below 1.5
units in the last place (tested), and no step depends on the width of the machine's registers. Odd
and even powers are summed apart, since two short chains finish sooner than one long one.
"""

from __future__ import annotations

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.simd import bits_of, float_of

SHIFT = 6755399441055744.0
"""1.5 x 2^52: adding a small number to it rounds that number to an integer, in the last bits."""

SHIFT_BITS = 0x4338_0000_0000_0000
ONE_BITS = 1023 << 52
SQRT_HALF_BITS = 0x3FE6_A09E_667F_3BCD
LOG2_E = 1.4426950408889634
LN_2_HIGH = 0.693147180369123816490  # its last 32 bits are 0, so that small multiples are exact
LN_2_LOW = 1.90821492927058770002e-10
MOST_NEGATIVE = -708.0


@compiled
def exp_of(x: float) -> float:
    """Return exp(x) for -708 <= x <= 708, and exp(-708), about 3e-308, below; or of eight `Lanes`.

    2^k exp(r) with |r| <= log(2) / 2, by Taylor's series to the 13th power (1e-17 of the value).
    """
    x = max(x, MOST_NEGATIVE)
    shifted = x * LOG2_E + SHIFT
    k = shifted - SHIFT
    r = (x - k * LN_2_HIGH) - k * LN_2_LOW
    w = r * r
    odd = 1 / 6227020800
    odd = odd * w + 1 / 39916800
    odd = odd * w + 1 / 362880
    odd = odd * w + 1 / 5040
    odd = odd * w + 1 / 120
    odd = odd * w + 1 / 6
    even = 1 / 479001600
    even = even * w + 1 / 3628800
    even = even * w + 1 / 40320
    even = even * w + 1 / 720
    even = even * w + 1 / 24
    even = even * w + 0.5
    s = r + w * (even + r * odd)
    power_of_2 = float_of((bits_of(shifted) << 52) + ONE_BITS)
    return power_of_2 + power_of_2 * s


@compiled
def log_of(x: float) -> float:
    """Return log(x) of a positive normal number, or of eight `Lanes`.

    k log(2) + log(m) with m in [sqrt(1/2), sqrt(2)], which is 2 atanh(z) of z = (m - 1) / (m + 1),
    by its series to the 21st power (2e-18).
    """
    bits = bits_of(x)
    k_bits = (bits - SQRT_HALF_BITS) >> 52
    m = float_of(bits - (k_bits << 52))
    k = float_of(k_bits + SHIFT_BITS) - SHIFT
    f = m - 1
    z = f / (m + 1)
    w = z * z
    w2 = w * w
    odd = 1 / 21
    odd = odd * w2 + 1 / 17
    odd = odd * w2 + 1 / 13
    odd = odd * w2 + 1 / 9
    odd = odd * w2 + 1 / 5
    even = 1 / 19
    even = even * w2 + 1 / 15
    even = even * w2 + 1 / 11
    even = even * w2 + 1 / 7
    even = even * w2 + 1 / 3
    s = even + w * odd
    # log(m) = f - z (f - 2 w s), for 2 z = f - z f
    return k * LN_2_HIGH + (f - (z * (f - 2 * w * s) - k * LN_2_LOW))
