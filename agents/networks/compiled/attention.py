"""Attention of one new token of every row over its cache: while decoding."""

from __future__ import annotations

import numpy as np

from lmmr1.envs.compiling.kernel import float_kernel

from .exponential import LANES, ONE, ZERO, exponentials, highest_of


@float_kernel
def attend_newest(joined, turn, keys, values, starts, ends, leaders, column, bits, powers, out):
    """Turn queries and keys, write keys and values to `column`, and mix the values that a row sees.

    Rows of one prompt have the same in the columns of it, and all look at the first of them: what one has read lies
    in the processor's cache for the next.

    Args:
        joined: float32 (rows, (heads + 2 * kv_heads) * dim): queries, keys and values side by side, not turned; the
            root of dim is in the queries already.
        turn: float32 (rows, dim): cosine and sine of the angles, in turn.
        keys, values: float32 (rows, kv_heads, columns, dim).
        starts, ends: int64 (rows,): first column of the row's prompt, and the one after its last.
        leaders: int64 (rows,): the row that is looked at for the prompt.
        column: to write, and the last to look at.
        bits, powers: `scratch` for as many columns.
        out: float32 (rows, heads * dim).
    """
    rows, kv_heads, columns, dim = keys.shape
    group = out.shape[1] // dim // kv_heads
    scores, lanes = np.empty(columns, np.float32), np.empty(LANES, np.float32)
    query, mixed = np.empty(dim, np.float32), np.empty(dim, np.float32)
    for row in range(rows):
        start, end, leader = starts[row], ends[row], leaders[row]
        shared, own, seen = end - start, column + 1 - end, column + 1 - start
        for head in range(kv_heads):
            _turn(joined, row, (kv_heads * group + head) * dim, turn, query)
            first = (kv_heads * (group + 1) + head) * dim
            for i in range(dim):
                keys[row, head, column, i] = query[i]
                values[row, head, column, i] = joined[row, first + i]
            for member in range(group):
                first = (head * group + member) * dim
                _turn(joined, row, first, turn, query)
                for i in range(dim):
                    mixed[i] = ZERO
                _score(query, keys, leader, head, start, shared, scores, 0)
                _score(query, keys, row, head, end, own, scores, shared)
                share = ONE / _soften(scores, seen, lanes, bits, powers)
                _mix(scores, 0, values, leader, head, start, shared, mixed)
                _mix(scores, shared, values, row, head, end, own, mixed)
                for i in range(dim):
                    out[row, first + i] = mixed[i] * share


@float_kernel
def _turn(joined, row, first, turn, out):
    head = joined[row, first : first + len(out)]
    for i in range(0, len(out), 2):
        cosine, sine = turn[row, i], turn[row, i + 1]
        out[i] = head[i] * cosine - head[i + 1] * sine
        out[i + 1] = head[i] * sine + head[i + 1] * cosine


@float_kernel
def _score(query, keys, row, head, column, count, scores, place):
    """Products of the query with `count` keys from `column` on, into `scores` from `place` on."""
    for at in range(count):
        total = ZERO
        for i in range(len(query)):
            total += query[i] * keys[row, head, column + at, i]
        scores[place + at] = total


@float_kernel
def _soften(scores, count, lanes, bits, powers):
    """Replace the first `count` scores by the exponentials of their distances from the highest; returns their sum."""
    highest = highest_of(scores, count, lanes)
    for at in range(count):
        scores[at] -= highest
    exponentials(scores, count, bits, powers)
    total = ZERO
    for at in range(count):
        total += scores[at]
    return total


@float_kernel
def _mix(weights, place, values, row, head, column, count, mixed):
    """Add to `mixed` `count` values from `column` on, each times its weight from `place` on; four at a time."""
    fours = count - count % 4
    for at in range(0, fours, 4):
        a, b, c, d = weights[place + at], weights[place + at + 1], weights[place + at + 2], weights[place + at + 3]
        here = column + at
        for i in range(len(mixed)):
            mixed[i] += (a * values[row, head, here, i] + b * values[row, head, here + 1, i]) + (
                c * values[row, head, here + 2, i] + d * values[row, head, here + 3, i]
            )
    for at in range(fours, count):
        for i in range(len(mixed)):
            mixed[i] += weights[place + at] * values[row, head, column + at, i]
