"""Passes over the vocabulary: how likely tokens are, and which is drawn."""

from __future__ import annotations

import numpy as np

from lmmr1.envs.compiling.kernel import float_kernel

from .exponential import LANES, ONE, ZERO, exponentials, highest_of


@float_kernel
def figure_tokens(logits, tokens, logprobs, entropies):
    """Replace logits by probabilities; tell the log-probabilities of tokens and the entropies of the distributions.

    Args:
        logits: float32 (n, vocabulary).
        tokens: int64 (n,).
        logprobs, entropies: float32 (n,), written.
    """
    rows, size = logits.shape
    bits, lanes, distances = np.empty(size, np.int32), np.empty(LANES, np.float32), np.empty(size, np.float32)
    powers = bits.view(np.float32)
    for row in range(rows):
        values = logits[row]
        highest = highest_of(values, size, lanes)
        for i in range(size):
            values[i] -= highest
            distances[i] = values[i]
        exponentials(values, size, bits, powers)
        total, weighted = ZERO, ZERO
        for i in range(size):
            total += values[i]
            weighted += values[i] * distances[i]
        share, whole = ONE / total, np.float32(np.log(total))
        for i in range(size):
            values[i] *= share
        # -sum p log p, with log p = distance - whole.
        logprobs[row] = distances[tokens[row]] - whole
        entropies[row] = whole - weighted * share


@float_kernel
def draw_tokens(logits, bias, sharpness, noise, tokens, logprobs):
    """Draw a token of every row by inverting its distribution function, in the order of the ids.

    Args:
        logits: float32 (rows, vocabulary).
        bias: float32 (vocabulary,), added to the logits times `sharpness`.
        sharpness: one over the temperature.
        noise: float32 (rows,) in [0, 1).
        tokens: int64 (rows,), written.
        logprobs: float32 (rows,), written.
    """
    rows, size = logits.shape
    blocks = (size + LANES - 1) // LANES
    # What is beyond the vocabulary is never drawn: its weight is 0.
    bits, lanes, weights = np.empty(size, np.int32), np.empty(LANES, np.float32), np.zeros(blocks * LANES, np.float32)
    powers, distances, sums = bits.view(np.float32), np.empty(size, np.float32), np.empty(blocks, np.float32)
    for row in range(rows):
        for i in range(size):
            weights[i] = logits[row, i] * sharpness + bias[i]
        highest = highest_of(weights, size, lanes)
        for i in range(size):
            weights[i] -= highest
            distances[i] = weights[i]
        exponentials(weights, size, bits, powers)
        total = 0.0
        for block in range(blocks):
            part, here = ZERO, weights[block * LANES : (block + 1) * LANES]
            for i in range(LANES):
                part += here[i]
            sums[block] = part
            total += part
        left = noise[row] * total
        block = 0
        while block < blocks - 1 and left >= sums[block]:
            left -= sums[block]
            block += 1
        # Rounding may leave a little more than the rest of the block has: then it is the last that can be drawn.
        token = last = block * LANES
        while token < size:
            if weights[token] > ZERO:
                last = token
                if left < weights[token]:
                    break
                left -= weights[token]
            token += 1
        tokens[row] = last
        logprobs[row] = distances[last] - np.float32(np.log(total))
