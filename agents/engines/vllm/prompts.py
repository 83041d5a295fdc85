"""Prompts as vLLM takes them: one mark an image, where ours hold one token for each of an image's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from lmmr1.envs.errors import UserError

from ...images import ImageEncoder
from ...networks.base import PixelInput
from ..base import Request


def unexpanded(prompt_ids: np.ndarray, images: Sequence[PixelInput], image_id: int) -> list[int]:
    """A prompt with one mark for each image.

    The i-th run of image tokens belongs to the i-th image and is `images[i].num_tokens` long; two images may stand
    side by side. `expanded` is its inverse.

    Args:
        prompt_ids: int (n,), image tokens expanded.
        images: in the order of their tokens.
        image_id: the image token.

    Raises:
        UserError: there are more or fewer image tokens than the images have.
    """
    ids = prompt_ids.tolist()
    if not images:
        if image_id in ids:
            raise UserError(f"a prompt holds image tokens (id {image_id}) and no images")
        return ids
    shown: list[int] = []
    at = 0
    for image in images:
        try:
            mark = ids.index(image_id, at)
        except ValueError:
            mark = len(ids)
        shown += [*ids[at:mark], image_id]
        at = mark + image.num_tokens
        if ids[mark:at] != [image_id] * image.num_tokens:
            raise UserError(f"a prompt holds fewer image tokens (id {image_id}) than its {len(images)} images have")
    rest = ids[at:]
    if image_id in rest:
        raise UserError(f"a prompt holds more image tokens (id {image_id}) than its {len(images)} images have")
    return shown + rest


def expanded(ids: Sequence[int], images: Sequence[PixelInput], image_id: int) -> np.ndarray:
    """int32 (n,): the ids with each image's mark repeated as often as the image has features."""
    counts = iter(images)
    spread = [[token] * (next(counts).num_tokens if token == image_id else 1) for token in ids]
    return np.array([token for part in spread for token in part], np.int32)


def to_prompt(request: Request, encoder: ImageEncoder | None, image_id: int | None) -> dict[str, Any]:
    """What vLLM is asked to continue; equal pictures carry equal names, so that it encodes them once.

    Args:
        request: one of ours.
        encoder: of the model; None for one that reads text only.
        image_id: its image token, or None likewise.
    """
    if encoder is None or image_id is None:
        return {"prompt_token_ids": request.prompt_ids.tolist()}
    prompt: dict[str, Any] = {"prompt_token_ids": unexpanded(request.prompt_ids, request.images, image_id)}
    if request.images:
        prompt["multi_modal_data"] = {"image": [Image.fromarray(encoder.shown(image)) for image in request.images]}
        prompt["multi_modal_uuids"] = {"image": [image.digest.hex() for image in request.images]}
    return prompt


def check_expansion(request: Request, reported: Sequence[int]) -> None:
    """See to it that vLLM ran the ids that will be learned from.

    Raises:
        UserError: it expanded an image to another number of tokens, or ran other ids.
    """
    if np.array_equal(request.prompt_ids, np.asarray(reported)):
        return
    raise UserError(
        f"vLLM ran a prompt of {len(reported)} tokens where ours has {len(request.prompt_ids)} (with "
        f"{len(request.images)} images): its image processing differs, and such samples cannot be learned from"
    )
