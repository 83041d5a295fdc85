"""The passes over hidden states for bfloat16: widened piece by piece, worked on in float32, and rounded once.

Numba knows no bfloat16: numbers of it come as int16 with the same bits, which are the upper half of a float32's.
"""

from __future__ import annotations

import numpy as np

from lmmr1.envs.compiling.kernel import float_kernel, kernel

from .exponential import ZERO
from .passes import normalise, normalise_backward

# Rows that are wide at a time: they stay in the processor's nearest cache.
ROWS = 8
HALF_BITS, ODD, BELOW_HALF = np.int32(16), np.int32(1), np.int32(0x7FFF)
MAGNITUDE, INFINITY, NAN = np.int32(0x7FFFFFFF), np.int32(0x7F800000), np.int16(0x7FC0)


@kernel
def widen(halves, bits):
    """Each int16 of `halves` (n,) as float32, whose bits go to int32 `bits` (n or more,)."""
    for i in range(len(halves)):
        bits[i] = np.int32(halves[i]) << HALF_BITS


@kernel
def narrow(bits, halves):
    """The way back, rounded to nearest, ties to even; nan stays nan."""
    for i in range(len(halves)):
        number = bits[i]
        rounded = (number + BELOW_HALF + ((number >> HALF_BITS) & ODD)) >> HALF_BITS
        halves[i] = NAN if (number & MAGNITUDE) > INFINITY else np.int16(rounded)


@kernel
def wide_rows(size):
    """What to widen `ROWS` rows into: int32 (ROWS * size,), and the same bits as float32 (ROWS, size)."""
    bits = np.empty(ROWS * size, np.int32)
    return bits, bits.view(np.float32).reshape(ROWS, size)


@float_kernel
def normalise_halves(hidden, weight, eps, out, scales):
    """See `normalise`; `hidden` and `out` are int16 (rows, size), the others as there."""
    rows, size = hidden.shape
    (bits, wide), (out_bits, wide_out) = wide_rows(size), wide_rows(size)
    for first in range(0, rows, ROWS):
        stop = min(first + ROWS, rows)
        widen(hidden[first:stop].reshape(-1), bits)
        normalise(wide[: stop - first], weight, eps, wide_out[: stop - first], scales[first:stop])
        narrow(out_bits, out[first:stop].reshape(-1))


@float_kernel
def normalise_halves_backward(grad, hidden, scales, weight, out, weight_grad):
    """See `normalise_backward`; `grad`, `hidden` and `out` are int16 (rows, size), the others as there."""
    rows, size = hidden.shape
    (grad_bits, wide_grad), (bits, wide), (out_bits, wide_out) = wide_rows(size), wide_rows(size), wide_rows(size)
    part = np.empty(size, np.float32)
    for i in range(size):
        weight_grad[i] = ZERO
    for first in range(0, rows, ROWS):
        stop = min(first + ROWS, rows)
        count = stop - first
        widen(grad[first:stop].reshape(-1), grad_bits)
        widen(hidden[first:stop].reshape(-1), bits)
        normalise_backward(wide_grad[:count], wide[:count], scales[first:stop], weight, wide_out[:count], part)
        narrow(out_bits, out[first:stop].reshape(-1))
        for i in range(size):
            weight_grad[i] += part[i]
