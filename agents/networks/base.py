"""What rollout and training ask of a model: encode images, run token rows, read logits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel


@dataclass(frozen=True)
class PixelInput:
    """One image as a vision tower takes it.

    Attributes:
        image: uint8 (H, W, 3), the picture itself.
        grid: (t, h, w) in patches.
        digest: of the picture's bytes; equal pictures are encoded once.
        num_tokens: how many image tokens the vision tower makes of it.
        preprocess: turns the picture into patches.
    """

    image: np.ndarray
    grid: tuple[int, int, int]
    digest: bytes
    num_tokens: int
    preprocess: Callable[[np.ndarray], Tensor]

    def patches(self) -> Tensor:
        """float32 (t*h*w, channels * temporal_patch * patch * patch), in the order of Qwen2-VL's image processor.

        Made when asked for, since patches take eight times the picture's memory and are not needed where features are
        kept.
        """
        return self.preprocess(self.image)


def image_digest(image: np.ndarray) -> bytes:
    """A key that two pictures share only if shape and every byte are the same."""
    # Processors have instructions for SHA-256: a third of BLAKE2's time, and every picture of a rollout passes here.
    digest = hashlib.sha256(np.ascontiguousarray(image).data)
    digest.update(str(image.shape).encode())
    return digest.digest()


@dataclass(frozen=True)
class Rows:
    """Token rows padded on the right.

    Attributes:
        ids: int64 (rows, length); what stands in the padding does not matter.
        lengths: int64 (rows,).
        images: the images of each row, in the order in which their tokens appear.
    """

    ids: Tensor
    lengths: Tensor
    images: tuple[tuple[PixelInput, ...], ...]

    @classmethod
    def pack(cls, sequences: Sequence[np.ndarray], images: Sequence[Sequence[PixelInput]], pad_id: int) -> Rows:
        """Pad `sequences` (int arrays of any lengths) to one block."""
        lengths = [len(sequence) for sequence in sequences]
        ids = np.full((len(sequences), max(lengths)), pad_id, np.int64)
        for row, sequence in zip(ids, sequences, strict=True):
            row[: len(sequence)] = sequence
        return cls(torch.from_numpy(ids), torch.tensor(lengths), tuple(tuple(row) for row in images))


class Network(Protocol):
    """A model seen as a function of token rows; the same one samples and learns."""

    model: PreTrainedModel
    hidden_size: int
    vocabulary_size: int
    checkpointing: bool

    def encode_images(self, images: Sequence[PixelInput]) -> list[Tensor]:
        """Each image's features, (num_tokens, hidden)."""
        ...

    def hidden(self, rows: Rows, features: dict[bytes, Tensor] | None = None) -> Tensor:
        """Last hidden states, (rows, length, hidden); `features` (by digest) spare the vision tower where given."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits in float32, (..., vocabulary)."""
        ...
