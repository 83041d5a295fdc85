"""Requests for an engine, and how far its log-probabilities are from the learner's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lmmr1.agents.engines.base import Completion, Request
from lmmr1.agents.engines.sampler import Sampler
from lmmr1.agents.models import LoadedModel
from lmmr1.agents.networks.base import PixelInput, Rows

# Sizes of pictures: one as the vision tower sees it, two in one prompt, and some that must be resized, up or down.
PICTURES = ([(84, 84)], [(56, 84), (28, 28)], [(100, 90)], [(300, 333)])


def text_requests(loaded: LoadedModel, count: int) -> list[Request]:
    """Prompts without pictures; the last is longer than the blocks that vLLM keeps prefixes in."""
    texts = [f"Triangle with sides {index + 2}, 4, 5. Perimeter?" for index in range(count)]
    texts[-1] *= 20
    return [Request(np.array(loaded.tokenizer.encode(t), np.int32), (), (7, i, 0)) for i, t in enumerate(texts)]


def picture_requests(loaded: LoadedModel) -> list[Request]:
    """One for each of `PICTURES`."""
    rng = np.random.default_rng(0)
    requests = []
    for index, sizes in enumerate(PICTURES):
        ids, images = shown(loaded, [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes])
        ids += loaded.tokenizer.encode("Read. Perimeter?")
        requests.append(Request(np.array(ids, np.int32), tuple(images), (7, 100 + index, 0)))
    return requests


def shown(loaded: LoadedModel, pictures: Sequence[np.ndarray]) -> tuple[list[int], list[PixelInput]]:
    """The ids of pictures in a prompt, and the pictures."""
    assert loaded.images is not None
    config = loaded.model.config
    images = [loaded.images(picture) for picture in pictures]
    ids: list[int] = []
    for image in images:
        ids += [config.vision_start_token_id, *[config.image_token_id] * image.num_tokens, config.vision_end_token_id]
    return ids, images


def following(loaded: LoadedModel, request: Request, completion: Completion, picture: np.ndarray) -> Request:
    """The next turn of a conversation, which shows another picture."""
    ids, images = shown(loaded, [picture])
    ids += loaded.tokenizer.encode("box move?")
    prompt = np.concatenate([request.prompt_ids, completion.ids, np.array(ids, np.int32)])
    return Request(prompt, (*request.images, *images), (*request.key[:-1], request.key[-1] + 1))


@torch.no_grad()
def largest_gap(
    loaded: LoadedModel, requests: Sequence[Request], completions: Sequence[Completion], temperature: float = 1.0
) -> float:
    """Between the log-probabilities of the engine and those of the learner, in nats."""
    sampler = Sampler(loaded.network.vocabulary_size, loaded.banned_ids, "cpu")
    gaps = []
    for request, completion in zip(requests, completions, strict=True):
        whole = np.concatenate([request.prompt_ids, completion.ids])
        hidden = loaded.network.hidden(Rows.pack([whole], [request.images], loaded.pad_id))
        distributions = sampler.log_probabilities(loaded.network.logits(hidden), temperature)[0]
        first = len(request.prompt_ids) - 1
        ids = torch.from_numpy(completion.ids.astype(np.int64))
        logprobs = distributions[first : first + len(ids)].gather(1, ids[:, None])[:, 0]
        gaps.append(float((logprobs - torch.from_numpy(completion.logprobs)).abs().max()))
    return max(gaps)


def perturb(loaded: LoadedModel, seed: int, size: float = 0.1) -> None:
    """Change every weight, as a step of learning would, only more."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.requires_grad:
                spread = float(parameter.float().std()) + 0.02
                parameter += size * spread * torch.randn(parameter.shape, generator=generator).to(parameter)


def same(one: Completion, other: Completion) -> bool:
    """Whether two completions hold the same ids."""
    return np.array_equal(one.ids, other.ids)
