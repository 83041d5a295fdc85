"""Any `transformers` model through its own forward: slower than a fused one, and right for every family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from .base import PixelInput, Rows


@contextmanager
def checkpointed(model: nn.Module) -> Iterator[None]:
    """Layers that are run in here keep their inputs for the backward pass and make the rest again.

    Only in here: a layer that is set so would sample without its cache.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        run = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        layer._gradient_checkpointing_func = run  # pyright: ignore[reportArgumentType]  # a function, as it documents
        # The flag of the layer alone: what is inside it stays as in evaluation, without dropout.
        layer.gradient_checkpointing = layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.gradient_checkpointing = layer.training = False


class GenericNetwork:
    """See `Network` for the contract. Image features are not shared between rows: each row's images run with it."""

    def __init__(self, model: PreTrainedModel, checkpointing: bool = False) -> None:
        self.model, self.checkpointing = model, checkpointing
        text = model.config.get_text_config()
        self.hidden_size, self.vocabulary_size = text.hidden_size, text.vocab_size
        self.has_vision = "vision_config" in model.config.to_dict()

    def encode_images(self, images: Sequence[PixelInput]) -> list[Tensor]:
        """Not used: the model's own forward encodes the images of its rows."""
        raise NotImplementedError("the generic network encodes images inside its forward")

    def hidden(self, rows: Rows, features: dict[bytes, Tensor] | None = None) -> Tensor:
        """Last hidden states (rows, length, hidden); `features` are ignored."""
        inputs = self.inputs(rows)
        with checkpointed(self.model) if self.checkpointing and torch.is_grad_enabled() else nullcontext():
            return self.model.model(**inputs, use_cache=False).last_hidden_state

    def inputs(self, rows: Rows, left: bool = False) -> dict[str, Tensor]:
        """Keyword arguments for the model's forward; `left` moves the padding to the left, as decoding wants it."""
        length = rows.ids.shape[1]
        columns = torch.arange(length)[None]
        mask = columns < rows.lengths[:, None]
        ids = rows.ids
        if left:
            shift = (length - rows.lengths)[:, None]
            ids = ids.gather(1, (columns - shift) % length)
            mask = columns >= shift
        device = self.model.device
        inputs = {"input_ids": ids.to(device), "attention_mask": mask.long().to(device)}
        every = [pixel for row in rows.images for pixel in row]
        if not every:
            # Without images the positions are plain; the module would count the padding too.
            positions = (mask.long().cumsum(1) - 1).clamp(min=0).to(device)
            inputs["position_ids"] = positions[None].expand(3, -1, -1) if self.has_vision else positions
            return inputs
        image = (ids == self.model.config.image_token_id) & mask
        inputs["mm_token_type_ids"] = image.int().to(device)
        inputs["input_ids"] = torch.where(mask, ids, torch.zeros((), dtype=torch.long)).to(device)
        inputs["pixel_values"] = torch.cat([pixel.patches() for pixel in every]).to(device, self.model.dtype)
        inputs["image_grid_thw"] = torch.tensor([pixel.grid for pixel in every], device=device)
        return inputs

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits in float32, (..., vocabulary); the product is taken in float32 too, whatever the weights are."""
        head = self.model.lm_head
        if head.weight.dtype == torch.float32:
            return head(hidden)
        return F.linear(hidden.float(), head.weight.float(), None if head.bias is None else head.bias.float())
