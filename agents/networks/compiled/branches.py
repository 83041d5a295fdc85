"""What lies around the products of attention over a tree of rows: laying out, softmax, and adding up what was shared.

Tokens stand one below the other; attention wants them by row and head. A place of a block whose token is no place of
its own is padding: `tokens[queries[place]] != first + place`.
"""

from __future__ import annotations

import numpy as np

from lmmr1.envs.compiling.kernel import float_kernel

from .exponential import LANES, ONE, ZERO, exponentials, highest_of


@float_kernel
def lay_out(joined, turn, queries, keys, scale, stacked, key_rows, value_rows):
    """Turn queries and keys, and put them by row and head.

    Args:
        joined: float32 (tokens, heads + 2 * kv_heads, dim / 2, 2): queries, keys and values, not turned.
        turn: float32 (tokens, dim / 2, 2): cosine and sine of the angles.
        queries: int64 (rows, length), the token at each place.
        keys: int64 (rows, columns), the tokens that a row may look at.
        scale: of the queries.
        stacked: float32 (rows, kv_heads, group, length, dim / 2, 2), written.
        key_rows, value_rows: float32 (rows, kv_heads, columns, dim / 2, 2), written.
    """
    rows, kv_heads, group, length, half, _ = stacked.shape
    for row in range(rows):
        for at in range(length):
            token = queries[row, at]
            for head in range(kv_heads):
                for member in range(group):
                    one = head * group + member
                    for i in range(half):
                        cosine, sine = turn[token, i, 0] * scale, turn[token, i, 1] * scale
                        real, imaginary = joined[token, one, i, 0], joined[token, one, i, 1]
                        stacked[row, head, member, at, i, 0] = real * cosine - imaginary * sine
                        stacked[row, head, member, at, i, 1] = real * sine + imaginary * cosine
        for at in range(keys.shape[1]):
            token = keys[row, at]
            for head in range(kv_heads):
                one = kv_heads * group + head
                for i in range(half):
                    cosine, sine = turn[token, i, 0], turn[token, i, 1]
                    real, imaginary = joined[token, one, i, 0], joined[token, one, i, 1]
                    key_rows[row, head, at, i, 0] = real * cosine - imaginary * sine
                    key_rows[row, head, at, i, 1] = real * sine + imaginary * cosine
                one += kv_heads
                for i in range(half):
                    value_rows[row, head, at, i, 0] = joined[token, one, i, 0]
                    value_rows[row, head, at, i, 1] = joined[token, one, i, 1]


@float_kernel
def soften_rows(scores, unseen):
    """Replace scores by their softmax.

    Args:
        scores: float32 (rows, several, length, columns).
        unseen: float32 (rows or 1, length, columns), added to the scores: 0, or -inf where one is not seen.
    """
    rows, several, length, columns = scores.shape
    bits, lanes = np.empty(length * columns, np.int32), np.empty(LANES, np.float32)
    powers = bits.view(np.float32)
    for row in range(rows):
        hidden = unseen[row if len(unseen) > 1 else 0]
        for one in range(several):
            block = scores[row, one]
            for at in range(length):
                values = block[at]
                for i in range(columns):
                    values[i] += hidden[at, i]
                highest = highest_of(values, columns, lanes)
                for i in range(columns):
                    values[i] -= highest
            # All at once: what is left over when a vector is full takes as long as several vectors.
            exponentials(block.reshape(length * columns), length * columns, bits, powers)
            for at in range(length):
                total = ZERO
                for i in range(columns):
                    total += block[at, i]
                share = ONE / total
                for i in range(columns):
                    block[at, i] *= share


@float_kernel
def gather(mixed, queries, tokens, first, out):
    """Put what attention made at the places of their tokens.

    Args:
        mixed: float32 (rows, heads, length, dim), heads that share a key side by side.
        queries: int64 (rows, length), the token at each place.
        tokens: int64 (tokens,), the place of each token.
        first: the place of the block's first token.
        out: float32 (tokens, heads, dim), written where the block has tokens.
    """
    rows, heads, length, dim = mixed.shape
    for row in range(rows):
        for at in range(length):
            token = queries[row, at]
            if tokens[token] == first + row * length + at:
                for head in range(heads):
                    for i in range(dim):
                        out[token, head, i] = mixed[row, head, at, i]


@float_kernel
def spread(grad, queries, tokens, first, out):
    """Undo `gather`: (tokens, heads, dim) to (rows, heads, length, dim), 0 in the padding."""
    rows, heads, length, dim = out.shape
    for row in range(rows):
        for at in range(length):
            token = queries[row, at]
            real = tokens[token] == first + row * length + at
            for head in range(heads):
                for i in range(dim):
                    out[row, head, at, i] = grad[token, head, i] if real else ZERO


@float_kernel
def soften_rows_backward(grad, weights):
    """Replace gradients of a softmax by those of the scores: w (g - sum(w g)).

    Args:
        grad: float32 (n, columns).
        weights: float32 (n, columns), what the softmax gave.
    """
    rows, columns = grad.shape
    for row in range(rows):
        total, values, shares = ZERO, grad[row], weights[row]
        for i in range(columns):
            total += values[i] * shares[i]
        for i in range(columns):
            values[i] = shares[i] * (values[i] - total)


@float_kernel
def add_back(stacked, key_rows, value_rows, turn, queries, keys, tokens, first, scale, out):
    """Gradients by row and head to those of the tokens, turned back; what rows share is added up, row by row.

    Args:
        stacked: float32 (rows, heads, length, dim / 2, 2), of the scaled queries.
        key_rows, value_rows: float32 (rows, kv_heads, columns, dim / 2, 2).
        turn, queries, keys, scale: see `lay_out`.
        tokens, first: see `gather`.
        out: float32 (tokens, heads + 2 * kv_heads, dim / 2, 2), added to.
    """
    rows, heads, length, half, _ = stacked.shape
    kv_heads = key_rows.shape[1]
    for row in range(rows):
        for at in range(length):
            token = queries[row, at]
            if tokens[token] == first + row * length + at:
                for head in range(heads):
                    for i in range(half):
                        cosine, sine = turn[token, i, 0] * scale, turn[token, i, 1] * scale
                        real, imaginary = stacked[row, head, at, i, 0], stacked[row, head, at, i, 1]
                        out[token, head, i, 0] += real * cosine + imaginary * sine
                        out[token, head, i, 1] += imaginary * cosine - real * sine
        for at in range(keys.shape[1]):
            token = keys[row, at]
            for head in range(kv_heads):
                one = heads + head
                for i in range(half):
                    cosine, sine = turn[token, i, 0], turn[token, i, 1]
                    real, imaginary = key_rows[row, head, at, i, 0], key_rows[row, head, at, i, 1]
                    out[token, one, i, 0] += real * cosine + imaginary * sine
                    out[token, one, i, 1] += imaginary * cosine - real * sine
                one += kv_heads
                for i in range(half):
                    out[token, one, i, 0] += value_rows[row, head, at, i, 0]
                    out[token, one, i, 1] += value_rows[row, head, at, i, 1]
