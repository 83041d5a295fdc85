"""Positions of tokens in Qwen's multimodal rotary embedding (M-RoPE).

Source: Qwen2-VL (arXiv 2409.12191), section 2.1: text advances all three axes together; an image's tokens keep the
temporal position at which the image starts and count rows and columns from there; the text after it goes on from the
largest position used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mrope_positions(
    ids: np.ndarray, grids: Sequence[tuple[int, int, int]], image_token: int, merge: int
) -> tuple[np.ndarray, int]:
    """Positions of one sequence.

    Args:
        ids: int (length,), image tokens expanded.
        grids: (t, h, w) in patches of each image, in order.
        image_token: the id that stands for an image feature.
        merge: how many patches a side become one token.

    Returns:
        int64 (3, length) temporal, height and width positions, and the position of the token that follows.

    Raises:
        ValueError: the runs of image tokens are not those that `grids` produce.
    """
    is_image = ids == image_token
    if not len(grids) and not is_image.any():
        return np.broadcast_to(np.arange(len(ids)), (3, len(ids))), len(ids)
    positions = np.empty((3, len(ids)), np.int64)
    cursor = position = 0
    for time, height, width in grids:
        ahead = np.flatnonzero(is_image[cursor:])
        tokens = time * (height // merge) * (width // merge)
        start = cursor + int(ahead[0]) if len(ahead) else len(ids)
        if start + tokens > len(ids) or not is_image[start : start + tokens].all():
            raise ValueError(f"an image of grid {time}x{height}x{width} needs {tokens} image tokens in a row")
        positions[:, cursor:start] = position + np.arange(start - cursor)
        position += start - cursor
        inside = np.indices((time, height // merge, width // merge)).reshape(3, -1)
        positions[:, start : start + tokens] = position + inside
        position += int(inside.max()) + 1
        cursor = start + tokens
    if is_image[cursor:].any():
        raise ValueError(f"there are image tokens beyond those of the {len(grids)} images given")
    positions[:, cursor:] = position + np.arange(len(ids) - cursor)
    return positions, position + len(ids) - cursor
