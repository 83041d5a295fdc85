"""The two streams of random numbers that gym-sokoban draws from, as kernels: `random` and `numpy.random`, both seeded.

Both are the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), seeded in two ways. A stream is 625 integers: the
state and the position in it. Everything stays below 2^63, so that compiled and plain Python agree.
"""

from __future__ import annotations

from typing import Any

from lmmr1.envs.compiling.kernel import kernel

WORDS = 624


@kernel
def seed_numpy(stream: Any, seed: int) -> None:
    """Seeds like ``numpy.random.seed(seed)``, seed from 0 to 2^32 - 1 (``init_genrand`` of the authors)."""
    stream[0] = seed
    for i in range(1, 624):
        before = stream[i - 1]
        stream[i] = (1812433253 * (before ^ (before >> 30)) + i) & 0xFFFFFFFF
    stream[624] = 624


@kernel
def seed_python(stream: Any, seed: int) -> None:
    """Seeds like ``random.seed(seed)``, seed from 0 to 2^32 - 1 (``init_by_array``, a key of one word)."""
    seed_numpy(stream, 19650218)
    i = 1
    for _ in range(624):
        before = stream[i - 1]
        stream[i] = ((stream[i] ^ ((before ^ (before >> 30)) * 1664525)) + seed) & 0xFFFFFFFF
        i += 1
        if i == 624:
            stream[0] = stream[623]
            i = 1
    for _ in range(623):
        before = stream[i - 1]
        stream[i] = ((stream[i] ^ ((before ^ (before >> 30)) * 1566083941)) - i) & 0xFFFFFFFF
        i += 1
        if i == 624:
            stream[0] = stream[623]
            i = 1
    stream[0] = 0x80000000


@kernel
def next_word(stream: Any) -> int:
    """Draws 32 bits."""
    position = stream[624]
    if position == 624:
        for i in range(624):
            both = (stream[i] & 0x80000000) | (stream[(i + 1) % 624] & 0x7FFFFFFF)
            twisted = stream[(i + 397) % 624] ^ (both >> 1)
            if both & 1:
                twisted ^= 0x9908B0DF
            stream[i] = twisted
        position = 0
    word = stream[position]
    stream[624] = position + 1
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    return word ^ (word >> 18)


@kernel
def python_below(stream: Any, bound: int) -> int:
    """Draws below ``bound`` as `random` does in ``randint``, ``choice`` and ``sample``: too large ones are rejected."""
    shift = 32
    rest = bound
    while rest:
        shift -= 1
        rest >>= 1
    drawn = next_word(stream) >> shift
    while drawn >= bound:
        drawn = next_word(stream) >> shift
    return drawn


@kernel
def python_random(stream: Any) -> float:
    """Draws like ``random.random()``: 53 bits."""
    high = next_word(stream) >> 5
    low = next_word(stream) >> 6
    return (high * 67108864.0 + low) / 9007199254740992.0


@kernel
def numpy_below(stream: Any, bound: int) -> int:
    """Draws like ``numpy.random.randint(bound)``: masked, too large ones are rejected; nothing is drawn for 1."""
    if bound == 1:
        return 0
    mask = bound - 1
    for shift in (1, 2, 4, 8, 16):
        mask |= mask >> shift
    drawn = next_word(stream) & mask
    while drawn >= bound:
        drawn = next_word(stream) & mask
    return drawn
