"""Pictures to what a vision tower reads: Qwen2-VL's preprocessing, by the model's own processor or its fast equal."""

from __future__ import annotations

import functools
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from .networks.base import PixelInput, image_digest

CACHED_IMAGES = 8_000
# Patches are wanted several times an iteration, and take eight times their picture's memory.
CACHED_PATCH_BYTES = 64 << 20


class ImageEncoder:
    """Preprocesses (H, W, 3) uint8 pictures and remembers the last `CACHED_IMAGES` different ones."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.patch, self.merge = processor.patch_size, processor.merge_size
        self.frames = processor.temporal_patch_size
        # A byte has 256 values: the processor's arithmetic (scaling in float64, the rest in float32), once for each.
        scaled = (np.arange(256, dtype=np.float64) * processor.rescale_factor).astype(np.float32)
        channels = zip(processor.image_mean, processor.image_std, strict=True)
        self._values = [(scaled - np.float32(mean)) / np.float32(deviation) for mean, deviation in channels]
        self._cache: OrderedDict[bytes, PixelInput] = OrderedDict()
        # By the identity of an array whose pixels cannot change: looking at them all takes longer than all the rest.
        self._arrays: dict[int, tuple[weakref.ref[np.ndarray], PixelInput]] = {}
        self._patches: OrderedDict[bytes, Tensor] = OrderedDict()
        self._patch_bytes = 0

    def __call__(self, image: np.ndarray) -> PixelInput:
        """Preprocess one picture; of one that cannot be written to, the pixels are taken not to change.

        Raises:
            ValueError: it is not a (H, W, 3) uint8 array, or its sides differ by more than 200 times.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an image must be a (H, W, 3) uint8 array; got {image.dtype} {image.shape}")
        again = self._arrays.get(id(image))
        if again is not None and again[0]() is image:
            return again[1]
        digest = image_digest(image)
        known = self._cache.get(digest)
        if known is None:
            known = self._describe(image, digest)
            self._cache[digest] = known
            if len(self._cache) > CACHED_IMAGES:
                self._cache.popitem(last=False)
        if not image.flags.writeable and image.flags.owndata:
            place, arrays = id(image), self._arrays
            arrays[place] = weakref.ref(image, lambda _: arrays.pop(place, None)), known
        return known

    def _describe(self, image: np.ndarray, digest: bytes) -> PixelInput:
        height, width = self.resized(*image.shape[:2])
        grid = (1, height // self.patch, width // self.patch)
        remembered = functools.partial(self._remembered, digest)
        return PixelInput(image, grid, digest, grid[1] * grid[2] // self.merge**2, remembered)

    def _remembered(self, digest: bytes, image: np.ndarray) -> Tensor:
        """The patches of a picture; those of the last ones are kept."""
        if digest in self._patches:
            self._patches.move_to_end(digest)
            return self._patches[digest]
        patches = self._patches[digest] = self.patches(image)
        self._patch_bytes += patches.nbytes
        while self._patch_bytes > CACHED_PATCH_BYTES:
            self._patch_bytes -= self._patches.popitem(last=False)[1].nbytes
        return patches

    def patches(self, image: np.ndarray) -> Tensor:
        """float32 (patches, values) of one picture, as the model's processor makes them."""
        if self.resized(*image.shape[:2]) == image.shape[:2]:
            return self._patchify(image)
        return self.processor(images=[Image.fromarray(image)], return_tensors="pt")["pixel_values"]

    def shown(self, image: PixelInput) -> np.ndarray:
        """uint8 (H, W, 3): the picture at the size that the vision tower sees, as the model's processor resizes it.

        Another program may resize with another filter; of this picture it makes the same patches.
        """
        height, width = (self.patch * count for count in image.grid[1:])
        if image.image.shape[:2] == (height, width):
            return image.image
        merge, patch = self.merge, self.patch
        split = image.patches().view(
            height // patch // merge, width // patch // merge, merge, merge, 3, self.frames, patch, patch
        )
        values = split[:, :, :, :, :, 0].permute(0, 2, 5, 1, 3, 6, 4).reshape(height, width, 3).numpy()
        mean, deviation = (np.array(part) for part in (self.processor.image_mean, self.processor.image_std))
        return np.rint((values * deviation + mean) / self.processor.rescale_factor).clip(0, 255).astype(np.uint8)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size in px that the processor brings a picture to."""
        size = self.processor.size
        return smart_resize(
            height, width, self.patch * self.merge, min_pixels=size["shortest_edge"], max_pixels=size["longest_edge"]
        )

    def _patchify(self, image: np.ndarray) -> Tensor:
        """What the processor makes of a picture that needs no resizing, bit for bit (tested), without its overhead."""
        rows, columns = image.shape[0] // self.patch, image.shape[1] // self.patch
        pixels = torch.from_numpy(np.stack([values[image[..., c]] for c, values in enumerate(self._values)]))
        merge, patch = self.merge, self.patch
        split = pixels.view(3, rows // merge, merge, patch, columns // merge, merge, patch)
        ordered = split.permute(1, 4, 2, 5, 0, 3, 6).reshape(rows * columns, 3, 1, patch * patch)
        repeated = ordered.expand(-1, -1, self.frames, -1)
        return repeated.reshape(rows * columns, -1)
