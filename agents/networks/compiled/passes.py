"""Passes over hidden states: normalisation and the gate of the MLP, forward and backward."""

from __future__ import annotations

import numpy as np

from lmmr1.envs.compiling.kernel import float_kernel, float_part

from .exponential import ONE, ZERO, exponentials

# Numbers that are worked on at a time, and rows whose gradients are added up before they join the others.
CHUNK, BLOCK = 256, 64


@float_part
def normalise(hidden, weight, eps, out, scales):
    """`out` = `hidden` over its root mean square times `weight`; `scales` is one over the root.

    Args:
        hidden, out: float32 (rows, size).
        weight: float32 (size,).
        eps: added under the root.
        scales: float32 (rows,).
    """
    rows, size = hidden.shape
    for row in range(rows):
        total = ZERO
        for i in range(size):
            total += hidden[row, i] * hidden[row, i]
        scale = ONE / np.sqrt(total / np.float32(size) + eps)
        scales[row] = scale
        for i in range(size):
            out[row, i] = hidden[row, i] * scale * weight[i]


@float_part
def normalise_backward(grad, hidden, scales, weight, out, weight_grad):
    """Gradients of `normalise`: y = x s w, dx = s (g w - x s^2 mean(g w x)), dw = sum(g x s).

    Args:
        grad, hidden, out: float32 (rows, size).
        scales: of the forward pass.
        weight: float32 (size,).
        weight_grad: float32 (size,), written.
    """
    rows, size = hidden.shape
    part = np.empty(size, np.float32)
    for i in range(size):
        weight_grad[i] = ZERO
    for first in range(0, rows, BLOCK):
        for i in range(size):
            part[i] = ZERO
        for row in range(first, min(first + BLOCK, rows)):
            scale, total = scales[row], ZERO
            for i in range(size):
                total += grad[row, i] * hidden[row, i] * weight[i]
            total *= scale * scale / np.float32(size)
            for i in range(size):
                out[row, i] = scale * (grad[row, i] * weight[i] - hidden[row, i] * total)
                part[i] += grad[row, i] * hidden[row, i] * scale
        for i in range(size):
            weight_grad[i] += part[i]


@float_kernel
def gate_units(gate, up, out):
    """`out` = silu(`gate`) `up`, all float32 (n,); `out` may be one of the others."""
    bits, shrunk = np.empty(CHUNK, np.int32), np.empty(CHUNK, np.float32)
    powers = bits.view(np.float32)
    for first in range(0, len(gate), CHUNK):
        # Slices, since an index that is a sum may be negative for all that a compiler knows, and is looked at singly.
        gates, ups, outs = gate[first : first + CHUNK], up[first : first + CHUNK], out[first : first + CHUNK]
        for i in range(len(gates)):
            shrunk[i] = -gates[i]
        exponentials(shrunk, len(gates), bits, powers)
        for i in range(len(gates)):
            outs[i] = gates[i] * ups[i] / (ONE + shrunk[i])


@float_kernel
def gate_units_backward(grad, gate, up, gate_grad, up_grad):
    """Gradients of `gate_units`, all float32 (n,): with s = sigmoid(g), du = d g s, dg = d u s (1 + g (1 - s))."""
    bits, shrunk = np.empty(CHUNK, np.int32), np.empty(CHUNK, np.float32)
    powers = bits.view(np.float32)
    for first in range(0, len(gate), CHUNK):
        stop = first + CHUNK
        grads, gates, ups = grad[first:stop], gate[first:stop], up[first:stop]
        gate_grads, up_grads = gate_grad[first:stop], up_grad[first:stop]
        for i in range(len(gates)):
            shrunk[i] = -gates[i]
        exponentials(shrunk, len(gates), bits, powers)
        for i in range(len(gates)):
            sigmoid = ONE / (ONE + shrunk[i])
            up_grads[i] = grads[i] * gates[i] * sigmoid
            gate_grads[i] = grads[i] * ups[i] * sigmoid * (ONE + gates[i] * (ONE - sigmoid))
