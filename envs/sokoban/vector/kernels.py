"""The compiled step of many boards. Imported only with Numba: plain Python would be slower than the NumPy engine.

Boards lie one after the other as bytes, two rows of padding at both ends. What a step does to the cell ahead and the
one behind it is looked up and written without branches. The state of a board is packed into 64 bits: the player's cell
(16), targets left (16), steps taken (31), and whether the episode is over (1). Indices are unsigned, because signed
ones are tested for wrapping around.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import uint64

from lmmr1.envs.compiling.kernel import kernel


@kernel
def mix(state: Any) -> Any:
    """The output function of SplitMix64."""
    state = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> uint64(27))) * uint64(0x94D049BB133111EB)
    return state ^ (state >> uint64(31))


@kernel
def blit(image: Any, at: Any, tiles: Any, code: Any, units: Any, lines: Any, stride: Any) -> None:
    """Copies the tile of a code: ``lines`` rows of ``units`` elements, ``stride`` elements apart in the image."""
    source = code * lines * units
    for _ in range(lines):
        for x in range(units):
            image[at + uint64(x)] = tiles[source + uint64(x)]
        at += stride
        source += units


@kernel
def spread_bits(rows: Any) -> None:
    """Spreads the bits in the last of six rows over all of them; a row at a time, which vectorises."""
    bits = rows[5]
    for row in range(5):
        out = rows[row]
        for i in range(len(bits)):
            out[i] = (bits[i] >> np.uint8(row)) & np.uint8(1)
    for i in range(len(bits)):
        bits[i] = bits[i] >> np.uint8(5)


@kernel
def step_boards(
    actions: Any, state: Any, flat: Any, plays: Any, lut: Any, pays: Any, pool: Any, starts: Any, streams: Any,
    rewards: Any, marks: Any, image: Any, tiles: Any, ended: Any, finals: Any, sizes: Any,
) -> int:  # fmt: skip
    """Plays one action on every board.

    Args:
        actions: int64, (N,).
        state: uint64, (N,), packed.
        flat: uint8, the boards with their padding.
        plays: uint64, (2, A): for each action the cells it goes on (modulo 2^64), and where its table begins.
        lut: uint32: cell ahead (3 bits), cell behind (3), kind of step (3), whether the player moves (1), by how much
            the targets left change, plus one (2).
        pays: float64, (7,), by kind of step.
        pool: uint8, (M * cells,), boards to start from; empty: whoever called sets the boards up.
        starts: uint64, (M,), their states.
        streams: uint64, (N,), what the next level is chosen by.
        rewards: float64, (N,), written.
        marks: bool, (6, N), written: terminated, truncated, success, moved, pushed, blocked.
        image: The pictures, of uint8 or uint64; empty for none.
        tiles: The tiles in the same elements, by code.
        ended: int64, (2, N), written in mode 1: boards whose episode ended, and their last kind of step.
        finals: uint8, written in mode 1: the last boards of those.
        sizes: uint64: padding, cells, step limit, mode (0 resets in the next step, 1 in the same, 2 never), columns,
            elements and lines of a tile, elements from one line of a picture to the next, elements of a picture.

    Returns:
        Boards written to ``ended``; -1 - i for an impossible action on board i; -1 - N - i for one that is over (mode
        2).
    """
    number = uint64(state.shape[0])
    bad = 0
    for i in range(number):
        bad += uint64(actions[uint64(i)]) >= uint64(plays.shape[1])
    if bad:
        for i in range(number):
            if uint64(actions[uint64(i)]) >= uint64(plays.shape[1]):
                return -1 - np.int64(i)
    if sizes[3] == uint64(2):
        for i in range(number):
            if state[uint64(i)] >> uint64(63):
                return -1 - np.int64(number) - np.int64(i)
    cells = sizes[1]
    limit = sizes[2]
    mode = sizes[3]
    columns = sizes[4]
    units = sizes[5]
    lines = sizes[6]
    stride = sizes[7]
    area = sizes[8]
    levels = uint64(starts.shape[0])
    low = uint64(0xFFFF)
    # A byte for each kind of step, a bit for each mark.
    flags = uint64(0x1D181818082000)
    steps = plays[0]
    tables = plays[1]
    rows = marks.view(np.uint8)
    bits = rows[5]
    base = sizes[0]
    count = 0
    for k in range(number):
        i = uint64(k)
        word = state[i]
        restart = False
        if word >> uint64(63):
            restart = True
            rewards[i] = 0.0
            bits[i] = 0
            state[i] = word & uint64(0x7FFFFFFFFFFFFFFF)
        else:
            play = uint64(actions[i])
            delta = steps[play]
            start = base + (word & low)
            ahead = start + delta
            behind = ahead + delta
            entry = uint64(lut[tables[play] + uint64(flat[ahead]) * uint64(8) + uint64(flat[behind])])
            moves = (entry >> uint64(9)) & uint64(1)
            kind = (entry >> uint64(6)) & uint64(7)
            before = uint64(flat[start])
            flat[behind] = np.uint8((entry >> uint64(3)) & uint64(7))
            flat[ahead] = np.uint8(entry & uint64(7))
            flat[start] = np.uint8(before - (moves << uint64(2)))
            if units and moves:
                corner = i * area
                cell = start - base
                for _ in range(2 + (kind > uint64(2))):
                    at = corner + cell // columns * stride * lines + cell % columns * units
                    blit(image, at, tiles, uint64(flat[base + cell]), units, lines, stride)
                    cell += delta
            left = ((word >> uint64(16)) & low) + (entry >> uint64(10)) - uint64(1)
            taken = (word >> uint64(32)) + uint64(1)
            kind += uint64(left == uint64(0))
            won = left == uint64(0)
            lost = taken >= limit and not won
            word = ((word + delta * moves) & low) | (left << uint64(16)) | (taken << uint64(32))
            rewards[i] = pays[kind]
            bits[i] = ((flags >> (kind * uint64(8))) & uint64(255)) | (uint64(lost) << uint64(1))
            if won or lost:
                if mode == uint64(1):
                    ended[0, count] = np.int64(i)
                    ended[1, count] = np.int64(kind)
                    target = uint64(count) * cells
                    for c in range(cells):
                        finals[target + uint64(c)] = flat[base + uint64(c)]
                    count += 1
                    bits[i] &= 3
                    restart = True
                else:
                    word |= uint64(1) << uint64(63)
            state[i] = word
        if restart and levels:
            stream = streams[i] + uint64(0x9E3779B97F4A7C15)
            streams[i] = stream
            chosen = ((mix(stream) >> uint64(32)) * levels) >> uint64(32)
            state[i] = starts[chosen]
            origin = chosen * cells
            if units:
                corner = i * area
                for c in range(cells):
                    code = pool[origin + uint64(c)]
                    if code != flat[base + uint64(c)]:
                        at = corner + uint64(c) // columns * stride * lines + uint64(c) % columns * units
                        blit(image, at, tiles, uint64(code), units, lines, stride)
            for c in range(cells):
                flat[base + uint64(c)] = pool[origin + uint64(c)]
        base += cells
    spread_bits(rows)
    return count
