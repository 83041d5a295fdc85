"""The exponential function as a compiler can make vector instructions of it."""

from __future__ import annotations

import numpy as np

from lmmr1.envs.compiling.kernel import float_kernel

# exp(x) = 2^n exp(r), x = n ln 2 + r, ln 2 in two parts; the polynomial is that of Cephes' expf. Since sums may be
# taken in any order, 3e-7 of a result may be wrong. Below -88 comes 0; what is above 88 is taken for 88.
LIMIT = np.float32(88)
LOG2E = np.float32(1.44269504088896341)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
P0, P1, P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
P3, P4, P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
HALF, ZERO, ONE = np.float32(0.5), np.float32(0), np.float32(1)
LANES = 16
BIAS, MANTISSA = np.int32(127), np.int32(23)


def scratch(size: int) -> tuple[np.ndarray, np.ndarray]:
    """What `exponentials` writes on: int32 (size,), and the same bits as float32."""
    bits = np.empty(size, np.int32)
    return bits, bits.view(np.float32)


@float_kernel
def exponentials(values, count, bits, powers):
    """Replace the first `count` of float32 `values` by their exponentials, nan by nan; the others are `scratch`."""
    for i in range(count):
        x = values[i]
        x = -LIMIT if x < -LIMIT else x
        x = LIMIT if x > LIMIT else x
        n = np.floor(x * LOG2E + HALF)
        bits[i] = (np.int32(n) + BIAS) << MANTISSA
        x = x - n * LN2_HIGH - n * LN2_LOW
        p = ((((P0 * x + P1) * x + P2) * x + P3) * x + P4) * x + P5
        values[i] = p * x * x + x + ONE
    for i in range(count):
        values[i] *= powers[i]


@float_kernel
def highest_of(values, count, lanes):
    """The highest of the first `count` (> 0) of float32 `values`; any number where one is nan.

    Args:
        values: to look at.
        count: how many.
        lanes: float32 (`LANES`,), to write on.
    """
    highest = values[0]
    whole = count - count % LANES
    if whole:
        # Lane by lane: a plain maximum minds the order, for the sake of nan, and takes one number at a time.
        for i in range(LANES):
            lanes[i] = values[i]
        for first in range(LANES, whole, LANES):
            here = values[first : first + LANES]
            for i in range(LANES):
                lanes[i] = here[i] if here[i] > lanes[i] else lanes[i]
        for i in range(LANES):
            highest = lanes[i] if lanes[i] > highest else highest
    for at in range(whole, count):
        highest = values[at] if values[at] > highest else highest
    return highest
