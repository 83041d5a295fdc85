"""What an inference engine is: token prompts in, sampled ids with their log-probabilities out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..networks.base import PixelInput
from .prefix import Prefix


@dataclass(frozen=True)
class Request:
    """One sequence to continue.

    Attributes:
        prompt_ids: int32 (length,), image tokens expanded.
        images: in the order of their tokens.
        key: entropy of this sequence's own random stream; what it samples depends on nothing else in the batch.
        prefix: what an earlier completion of the same conversation kept; used up by the call.
        keep: whether the completion should bring a prefix for the turn that follows.
    """

    prompt_ids: np.ndarray
    images: tuple[PixelInput, ...]
    key: tuple[int, ...]
    prefix: Prefix | None = None
    keep: bool = False

    def fitting_prefix(self, stamp: bytes) -> Prefix | None:
        """Its prefix, if that was kept under the weights that `stamp` tells; one that does not fit is let go."""
        if self.prefix is None or self.prefix.fits(self.prompt_ids, self.images, stamp):
            return self.prefix
        self.prefix.release()
        return None


@dataclass(frozen=True)
class Sampling:
    """How to sample: `temperature` over the whole vocabulary, or greedily; at most `max_new_tokens` ids.

    A reply also ends with the token that completes one of the strings in `stop`; that token stays.
    """

    max_new_tokens: int
    temperature: float = 1.0
    greedy: bool = False
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """What was sampled.

    Attributes:
        ids: int32 (n,), an end token last unless a stop string ended it or `max_new_tokens` ran out.
        logprobs: float32 (n,), of each id under the distribution that it was drawn from.
        ended: whether an end token or a stop string closed it; otherwise it was cut off.
        prefix: its cache, where the request asked for it and the engine has room.
        version: of the weights that sampled it.
    """

    ids: np.ndarray
    logprobs: np.ndarray
    ended: bool
    prefix: Prefix | None = None
    version: int = 0


class Engine(Protocol):
    """An engine holds weights (or a reference to them) and continues sequences.

    Attributes:
        version: of its weights; each completion says which sampled it.
    """

    version: int

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order."""
        ...

    def update_weights(self, version: int) -> None:
        """Sample from the model's present weights from here on, and call them by this number."""
        ...

    def sleep(self) -> None:
        """Hand memory over to the learner until the next call, where it holds any that the learner wants."""
        ...

    def close(self) -> None:
        """Let go of memory and processes; an engine that has none of its own does nothing."""
        ...


def uniforms(key: tuple[int, ...], count: int) -> np.ndarray:
    """float32 (count,) uniform numbers in [0, 1), the random stream of one sequence.

    The first 24 bits of the words that SHAKE-128 makes of the key: as random as a generator, and ready in a fifth of
    the time that one takes to be seeded.
    """
    words = np.frombuffer(hashlib.shake_128(",".join(str(int(part)) for part in key).encode()).digest(4 * count), "<u4")
    return (words >> 8).astype(np.float32) * np.float32(2**-24)
