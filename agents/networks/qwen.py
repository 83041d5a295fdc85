"""One fast forward over `transformers`' own parameters, for Qwen2 and Qwen2.5-VL.

The parameters belong to the `transformers` module: training them, saving them and loading them stay its business. What
this file saves is the price of small operations: projections in one product, images encoded once whoever shows them.
A test holds it to the module's own forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from .base import PixelInput, Rows
from .lora import bias_of, weight_of
from .mrope import mrope_positions
from .operations import attended, float_product, gated, rms_norm
from .rotary import pairing, rotate
from .vision import encode_grid

FUSED_MODEL_TYPES = ("qwen2", "qwen2_5_vl")


@dataclass(frozen=True)
class LayerWeights:
    """One decoder layer; `qkv` is (heads*dim + 2*kv_heads*dim, hidden), queries first, in the order of `pairing`."""

    norm_attention: Tensor
    norm_mlp: Tensor
    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor


@dataclass(frozen=True)
class Weights:
    """The decoder's weights, joined where one product can do the work of three; differentiable."""

    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Tensor


class QwenNetwork:
    """The fused network; see `Network` for the contract."""

    def __init__(self, model: PreTrainedModel, checkpointing: bool = False, packing: bool = False) -> None:
        self.model, self.checkpointing, self.packing = model, checkpointing, packing
        config = model.config
        self.vision_config = config.vision_config if config.model_type == "qwen2_5_vl" else None
        text = config.text_config if self.vision_config is not None else config
        self.decoder = model.model.language_model if self.vision_config is not None else model.model
        self.image_token = config.image_token_id if self.vision_config is not None else -1
        self.merge = self.vision_config.spatial_merge_size if self.vision_config is not None else 1
        self.hidden_size, self.vocabulary_size = text.hidden_size, text.vocab_size
        self.heads, self.kv_heads = text.num_attention_heads, text.num_key_value_heads
        self.head_dim = text.hidden_size // text.num_attention_heads
        self.grouped = self.heads != self.kv_heads
        self.pairing = pairing(self.heads + self.kv_heads, self.kv_heads, self.head_dim).to(model.device)
        self.eps = text.rms_norm_eps
        rope = text.rope_parameters
        frequency = 1.0 / (rope["rope_theta"] ** (torch.arange(0, self.head_dim, 2).float() / self.head_dim))
        self.frequency = frequency.to(model.device)
        sections = rope["mrope_section"] if self.vision_config is not None else [self.head_dim // 2]
        self.axis = torch.repeat_interleave(torch.arange(len(sections)), torch.tensor(sections)).to(model.device)

    @property
    def row_multiple(self) -> int:
        """Products should have a multiple of so many rows: of bfloat16 a CPU compiles one for each new shape."""
        return 128 if self.model.dtype == torch.bfloat16 and self.model.device.type == "cpu" else 1

    def weights(self) -> Weights:
        """Collect the weights as they are now."""
        layers = tuple(self.layer_weights(layer) for layer in self.decoder.layers)
        return Weights(self.decoder.embed_tokens.weight, layers, self.decoder.norm.weight, self.model.lm_head.weight)

    def layer_weights(self, layer: Any) -> LayerWeights:
        """Collect those of one decoder layer of `transformers`."""
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        return LayerWeights(
            layer.input_layernorm.weight,
            layer.post_attention_layernorm.weight,
            torch.cat([weight_of(projection) for projection in projections]).index_select(0, self.pairing),
            torch.cat([bias_of(projection) for projection in projections]).index_select(0, self.pairing),
            weight_of(attention.o_proj),
            weight_of(mlp.gate_proj),
            weight_of(mlp.up_proj),
            weight_of(mlp.down_proj),
        )

    def encode_images(self, images: Sequence[PixelInput]) -> list[Tensor]:
        """Each image's features, (num_tokens, hidden); images of one size go through the tower together."""
        features: list[Tensor | None] = [None] * len(images)
        by_grid: dict[tuple[int, int, int], list[int]] = {}
        for index, image in enumerate(images):
            by_grid.setdefault(image.grid, []).append(index)
        for grid, indices in by_grid.items():
            assert self.vision_config is not None, "a language model was given images"
            patches = torch.stack([images[index].patches() for index in indices]).to(self.model.device)
            encoded = encode_grid(self.model.model.visual, self.vision_config, patches, grid)
            for index, feature in zip(indices, encoded, strict=True):
                features[index] = feature
        return [feature for feature in features if feature is not None]

    def encode_missing(self, images: Iterable[PixelInput], known: dict[bytes, Tensor]) -> None:
        """Add to `known` (by digest) the features of the images that it lacks, each different one encoded once."""
        missing = {image.digest: image for image in images if image.digest not in known}
        if missing:
            known.update(zip(missing, self.encode_images(list(missing.values())), strict=True))

    def positions(self, ids: np.ndarray, images: Sequence[PixelInput]) -> tuple[np.ndarray, int]:
        """int64 (3, length) positions of one sequence and the next position."""
        return mrope_positions(ids, [image.grid for image in images], self.image_token, self.merge)

    def rotary(self, positions: Tensor) -> Tensor:
        """What `rotate` turns by: complex64 (..., head_dim / 2), of int64 positions (3, ...)."""
        angles = positions[self.axis].movedim(0, -1).float() * self.frequency
        return torch.complex(angles.cos(), angles.sin())

    def text_rotary(self, count: int) -> Tensor:
        """The same for positions 0 to `count` - 1 of text, where all axes are equal: (count, head_dim / 2)."""
        return self.rotary(torch.arange(count, device=self.frequency.device).expand(3, -1))

    def embed(self, weights: Weights | None, ids: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Embeddings of `ids` with each image token replaced by the next row of `features`."""
        embedded = F.embedding(ids, self.decoder.embed_tokens.weight if weights is None else weights.embedding)
        if not features:
            return embedded
        places = (ids == self.image_token)[..., None]
        return embedded.masked_scatter(places, torch.cat(list(features)).to(embedded.dtype))

    def row_features(self, rows: Rows, features: dict[bytes, Tensor] | None) -> list[Tensor]:
        """Features for every image of every row in order, each different image encoded once."""
        known = dict(features or {})
        self.encode_missing((image for row in rows.images for image in row), known)
        return [known[image.digest] for row in rows.images for image in row]

    def row_positions(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """int64 (3, rows, length) positions (0 in the padding) and (rows,) the position after each row."""
        block = np.zeros((3, *rows.ids.shape), np.int64)
        following = np.zeros(len(rows.ids), np.int64)
        ids = rows.ids.numpy()
        for index, length in enumerate(rows.lengths.tolist()):
            block[:, index, :length], following[index] = self.positions(ids[index, :length], rows.images[index])
        return torch.from_numpy(block).to(self.model.device), torch.from_numpy(following).to(self.model.device)

    def hidden(self, rows: Rows, features: dict[bytes, Tensor] | None = None) -> Tensor:
        """Last hidden states (rows, length, hidden); those in the padding mean nothing."""
        positions = self.row_positions(rows)[0]
        real = torch.arange(rows.ids.shape[1])[None] < rows.lengths[:, None]
        packed = self.packing and not bool(real.all())
        ids = rows.ids[real][None] if packed else self.without_stray_images(rows)
        places = real.flatten().nonzero()[:, 0].to(self.model.device) if packed else None
        turn = self.rotary(positions if places is None else positions.flatten(1)[:, None, places])[:, None]
        hidden = self.embed(None, ids.to(self.model.device), self.row_features(rows, features))
        shape = (rows.ids.shape[0], rows.ids.shape[1], places)
        for layer in self.decoder.layers:
            if self.checkpointing and torch.is_grad_enabled():
                inputs = (layer, hidden, turn, shape)
                hidden = checkpoint(self.run_layer, *inputs, use_reentrant=False, preserve_rng_state=False)
            else:
                hidden = self.run_layer(layer, hidden, turn, shape)
        hidden = self.norm(hidden, self.decoder.norm.weight)
        return hidden if places is None else _spread(hidden[0], places, rows.ids.shape)

    def run_layer(self, layer: Any, hidden: Tensor, turn: Tensor, shape: tuple[int, int, Tensor | None]) -> Tensor:
        """One decoder layer.

        Args:
            layer: of the decoder.
            hidden: (rows, length, hidden), or (1, tokens, hidden) where the padding is left out.
            turn: (rows, 1, length, dim / 2) or (1, 1, tokens, dim / 2), see `rotary`.
            shape: rows, length, and None or the int64 (tokens,) places of the tokens among rows times length.
        """
        weights, (*block, places) = self.layer_weights(layer), shape
        query, key, value = self.attention_inputs(weights, hidden, turn)
        if places is not None:  # only attention knows of rows
            query, key, value = (
                _spread(heads[0].transpose(0, 1), places, block).transpose(1, 2) for heads in (query, key, value)
            )
        # Rows are padded on the right, so the causal mask alone keeps every real token from the padding.
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=self.grouped)
        if places is not None:
            mixed = mixed.transpose(1, 2).flatten(0, 1)[places].transpose(0, 1)[None]
        return self.after_attention(weights, hidden, mixed.transpose(1, 2).flatten(2))

    def without_stray_images(self, rows: Rows) -> Tensor:
        """The ids, with image tokens in the padding (where a pad id may be anything) made harmless."""
        real = torch.arange(rows.ids.shape[1])[None] < rows.lengths[:, None]
        return torch.where(real | (rows.ids != self.image_token), rows.ids, torch.zeros((), dtype=torch.long))

    def norm(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """Root-mean-square normalisation."""
        return rms_norm(hidden, weight, self.eps)

    def project(self, layer: LayerWeights, hidden: Tensor) -> Tensor:
        """Queries, keys and values side by side, not rotated: (..., (heads + 2 * kv_heads) * dim)."""
        return F.linear(self.norm(hidden, layer.norm_attention), layer.qkv, layer.qkv_bias)

    def attention_inputs(self, layer: LayerWeights, hidden: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values: (rows, heads, length, dim) each, in the format of `attended`."""
        rows, length, _ = hidden.shape
        heads = attended(self.project(layer, hidden)).view(rows, length, -1, self.head_dim).transpose(1, 2)
        turned, value = heads.split([self.heads + self.kv_heads, self.kv_heads], 1)
        query, key = rotate(turned, turn).split([self.heads, self.kv_heads], 1)
        return query, key, value

    def after_attention(self, layer: LayerWeights, hidden: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a layer: output projection, gated MLP, both residuals.

        Args:
            layer: its weights.
            hidden: (..., hidden), what went into it.
            mixed: (..., heads * dim), what attention made of it.
        """
        hidden = hidden + F.linear(mixed.to(hidden.dtype), layer.out)
        inner = self.norm(hidden, layer.norm_mlp)
        return hidden + F.linear(gated(F.linear(inner, layer.gate), F.linear(inner, layer.up)), layer.down)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits in float32, (..., vocabulary); the product is taken in float32 too, whatever the weights are."""
        return float_product(hidden, self.model.lm_head.weight)


def _spread(tokens: Tensor, places: Tensor, shape: Sequence[int]) -> Tensor:
    """(tokens, ...) to (rows, length, ...), 0 in the padding."""
    spread = tokens.new_zeros(shape[0] * shape[1], *tokens.shape[1:])
    return spread.index_copy(0, places, tokens).unflatten(0, tuple(shape))
