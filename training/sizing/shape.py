"""The shape of a model, and how many parameters each part has: Qwen2 and Qwen2.5-VL, by their configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError


@dataclass(frozen=True)
class VisionShape:
    """A vision tower of Qwen2.5-VL: `depth` blocks over patches, of which `merge` squared become one token."""

    depth: int = 32
    hidden: int = 1280
    intermediate: int = 3420
    patch: int = 14
    temporal: int = 2
    merge: int = 2
    channels: int = 3
    window: int = 112  # pixels; attention stays within it but for the blocks of `whole`
    whole: int = 4  # blocks whose attention sees the whole image

    @property
    def block_products(self) -> int:
        """Parameters of one block that take part in a matrix product: attention and a gated MLP."""
        return 4 * self.hidden**2 + 3 * self.hidden * self.intermediate

    @property
    def block(self) -> int:
        """All parameters of one block: the products, their biases, two norms."""
        return self.block_products + (3 + 1 + 1 + 2) * self.hidden + 2 * self.intermediate

    def merger(self, out: int) -> int:
        """Parameters of what turns patches into tokens of the decoder, `out` wide."""
        wide = self.hidden * self.merge**2
        return self.hidden + (wide * wide + wide) + (wide * out + out)

    def count(self, out: int) -> int:
        """All parameters of the tower."""
        embedding = self.channels * self.temporal * self.patch**2 * self.hidden
        return embedding + self.depth * self.block + self.merger(out)


@dataclass(frozen=True)
class ModelShape:
    """A decoder of the Qwen2 family, with or without a vision tower."""

    name: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool
    vision: VisionShape | None = None
    lora_rank: int = 0

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden // self.heads

    @property
    def layer_products(self) -> int:
        """Parameters of a decoder layer that take part in a matrix product."""
        heads = self.head_dim * (self.heads + 2 * self.kv_heads)
        return self.hidden * heads + self.heads * self.head_dim * self.hidden + 3 * self.hidden * self.intermediate

    @property
    def layer(self) -> int:
        """All parameters of a decoder layer: the products, biases of queries, keys and values, two norms."""
        return self.layer_products + self.head_dim * (self.heads + 2 * self.kv_heads) + 2 * self.hidden

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, which the head shares where they are tied."""
        return self.vocabulary * self.hidden

    @property
    def decoder(self) -> int:
        """Parameters without the vision tower."""
        return self.embedding * (1 if self.tied else 2) + self.layers * self.layer + self.hidden

    @property
    def tower(self) -> int:
        """Parameters of the vision tower."""
        return self.vision.count(self.hidden) if self.vision is not None else 0

    @property
    def total(self) -> int:
        """All parameters."""
        return self.decoder + self.tower

    @property
    def adapters(self) -> int:
        """Parameters of adapters of `lora_rank` on every linear layer of the decoder."""
        h, kv, i = self.hidden, self.kv_heads * self.head_dim, self.intermediate
        q = self.heads * self.head_dim
        return self.lora_rank * self.layers * ((h + q) + 2 * (h + kv) + (q + h) + 2 * (h + i) + (i + h))

    @property
    def kv_numbers(self) -> int:
        """Numbers that a token keeps in the cache: keys and values of every layer."""
        return 2 * self.layers * self.kv_heads * self.head_dim

    def image_tokens(self, width: int, height: int) -> int:
        """Tokens of an image: its patches, after rounding its sides to whole tokens, over `merge` squared."""
        assert self.vision is not None
        side = self.vision.patch * self.vision.merge
        return max(1, round(width / side)) * max(1, round(height / side))


# The published configurations (config.json of the models of these names).
QWEN2_5_VL_3B = ModelShape("Qwen2.5-VL-3B", 2048, 11_008, 36, 16, 2, 151_936, True, VisionShape())
QWEN2_5_VL_7B = ModelShape("Qwen2.5-VL-7B", 3584, 18_944, 28, 28, 4, 152_064, False, VisionShape())
KNOWN = {"3b": QWEN2_5_VL_3B, "7b": QWEN2_5_VL_7B}


def find_shape(model: str) -> ModelShape:
    """The shape of `3b`, `7b`, a folder with a config.json, or a hub's name that ends in -3B-... or -7B-...

    Raises:
        UserError: it is none of these, or a family whose parameters are not counted here.
    """
    if model.lower() in KNOWN:
        return KNOWN[model.lower()]
    path = Path(model) / "config.json"
    if path.is_file():
        return read_shape(json.loads(path.read_text(encoding="utf-8")), model)
    named = [shape for size, shape in KNOWN.items() if f"qwen2.5-vl-{size}" in model.lower()]
    if named:
        return named[0]
    raise UserError(
        f"the shape of '{model}' is not known: it is no folder with a config.json, so name one with --model, or "
        f"{' or '.join(KNOWN)} (Qwen2.5-VL)"
    )


def read_shape(config: Mapping[str, Any], name: str) -> ModelShape:
    """The shape in a config.json of `transformers`.

    Raises:
        UserError: the family is not one of those that are counted here.
    """
    family = config.get("model_type")
    if family not in ("qwen2", "qwen2_5_vl"):
        raise UserError(f"{name}: model_type is '{family}'; sizes are known for qwen2 and qwen2_5_vl")
    text = config.get("text_config", config)
    vision = config.get("vision_config") if family == "qwen2_5_vl" else None
    tower = None
    if vision is not None:
        tower = VisionShape(
            vision["depth"],
            vision["hidden_size"],
            vision["intermediate_size"],
            vision.get("patch_size", 14),
            vision.get("temporal_patch_size", 2),
            vision.get("spatial_merge_size", 2),
            vision.get("in_channels", vision.get("in_chans", 3)),
            vision.get("window_size", 112),
            len(vision.get("fullatt_block_indexes", [7, 15, 23, 31])),
        )
    return ModelShape(
        name,
        text["hidden_size"],
        text["intermediate_size"],
        text["num_hidden_layers"],
        text["num_attention_heads"],
        text.get("num_key_value_heads") or text["num_attention_heads"],
        text["vocab_size"],
        bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        tower,
    )
