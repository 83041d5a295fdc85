"""Requests and completions on their way to an engine in another process, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..images import ImageEncoder
from .base import Completion, Engine, Request, Sampling
from .prefix import Prefix


@dataclass(frozen=True)
class PlainRequest:
    """A request as it can be sent: pictures instead of what an encoder makes of them, and no cache.

    Attributes:
        prompt_ids: int32 (length,), image tokens expanded.
        images: uint8 (H, W, 3) each, in the order of their tokens.
        key: see `Request`.
        keep: see `Request`.
    """

    prompt_ids: np.ndarray
    images: tuple[np.ndarray, ...]
    key: tuple[int, ...]
    keep: bool

    @classmethod
    def of(cls, request: Request) -> PlainRequest:
        """The same without what belongs to this process."""
        return cls(request.prompt_ids, tuple(image.image for image in request.images), request.key, request.keep)


class ServedEngine:
    """An engine that answers plain requests, and keeps what its completions keep until the conversation goes on.

    Args:
        engine: what samples.
        images: how its model reads pictures; None for one that reads text only.
    """

    def __init__(self, engine: Engine, images: ImageEncoder | None) -> None:
        self.engine, self.images = engine, images
        self._prefixes: dict[tuple[int, ...], Prefix] = {}

    def generate(self, requests: Sequence[PlainRequest], sampling: Sampling) -> list[Completion]:
        """Continue every request; the completions bring no prefixes."""
        asked = [self._request(request) for request in requests]
        completions = self.engine.generate(asked, sampling)
        for request, completion in zip(requests, completions, strict=True):
            if completion.prefix is not None:
                self._prefixes[request.key[:-1]] = completion.prefix
        return [Completion(one.ids, one.logprobs, one.ended, None, one.version) for one in completions]

    def _request(self, request: PlainRequest) -> Request:
        shown = () if self.images is None else tuple(self.images(image) for image in request.images)
        # The last number of a key is that of the turn.
        prefix = self._prefixes.pop(request.key[:-1], None)
        return Request(request.prompt_ids, shown, request.key, prefix, request.keep)

    def update_weights(self, version: int) -> None:
        """See `Engine`; what was kept under the old weights fits no more."""
        self._prefixes.clear()
        self.engine.update_weights(version)
