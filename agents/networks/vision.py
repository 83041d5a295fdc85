"""Qwen2.5-VL's vision tower for many images of one size at once."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig

from .lora import bias_of, weight_of
from .operations import attended, gated, rms_norm

if TYPE_CHECKING:
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen


def encode_grid(
    tower: qwen.Qwen2_5_VisionTransformerPretrainedModel,
    config: PretrainedConfig,
    patches: Tensor,
    grid: tuple[int, int, int],
) -> Tensor:
    """Features of `patches` (images, t*h*w, values), all of one `grid`: (images, tokens, hidden).

    Where an image is larger than the tower's attention window, the tower's own forward does the work.
    """
    time, height, width = grid
    side = config.window_size // config.patch_size
    if time != 1 or height > side or width > side:
        grids = torch.tensor([grid] * len(patches), device=patches.device)
        output = tower(patches.flatten(0, 1), grid_thw=grids)
        return output.pooler_output.view(len(patches), -1, config.out_hidden_size)
    heads, dim = config.num_heads, config.hidden_size // config.num_heads
    cosine, sine = (part.to(patches.device) for part in _rotary(height, width, config.spatial_merge_size, dim))
    hidden = _embed_patches(tower, config, patches)
    for block in cast("Iterable[qwen.Qwen2_5_VLVisionBlock]", tower.blocks):
        inner = _norm(hidden, block.norm1)
        joined = _linear(inner, block.attn.qkv)
        query, key, value = attended(joined).view(*joined.shape[:2], 3, heads, dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(_rotate(query, cosine, sine), _rotate(key, cosine, sine), value)
        mixed = mixed.transpose(1, 2).reshape(hidden.shape).to(hidden.dtype)
        hidden = hidden + _linear(mixed, block.attn.proj)
        inner, mlp = _norm(hidden, block.norm2), block.mlp
        units = gated(_linear(inner, mlp.gate_proj), _linear(inner, mlp.up_proj))
        hidden = hidden + _linear(units, mlp.down_proj)
    merger = tower.merger
    merged = _norm(hidden, merger.ln_q).view(len(patches), -1, merger.hidden_size)
    return merger.mlp(merged)


def _embed_patches(
    tower: qwen.Qwen2_5_VisionTransformerPretrainedModel, config: PretrainedConfig, patches: Tensor
) -> Tensor:
    """The patch embedding; a still image repeats one frame, so the kernel's frames are added up before the product."""
    frames, area = config.temporal_patch_size, config.patch_size**2
    kernel = tower.patch_embed.proj.weight.view(config.hidden_size, config.in_channels, frames, area).sum(2)
    still = patches.view(*patches.shape[:2], config.in_channels, frames, area)[:, :, :, 0]
    return F.linear(still.reshape(*patches.shape[:2], -1).to(kernel.dtype), kernel.reshape(config.hidden_size, -1))


def _rotate(heads: Tensor, cosine: Tensor, signed_sine: Tensor) -> Tensor:
    """Turn the two halves of each head (images, heads, patches, dim) by the angles of `_rotary`."""
    swapped = heads.roll(heads.shape[-1] // 2, -1)
    # Angles are float32; what is turned stays in the format that it came in.
    return torch.addcmul(heads * cosine, swapped, signed_sine).to(heads.dtype)


def _linear(inner: Tensor, linear: nn.Module) -> Tensor:
    return F.linear(inner, weight_of(linear), bias_of(linear))


def _norm(hidden: Tensor, norm: qwen.Qwen2_5_VLRMSNorm) -> Tensor:
    return rms_norm(hidden, norm.weight, norm.variance_epsilon)


@functools.lru_cache(maxsize=256)
def _rotary(height: int, width: int, merge: int, dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (patches, dim) of the 2-D rotary embedding, patches in the order of merged squares."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    squares = (height // merge, merge, width // merge, merge)
    rows, columns = (axis.reshape(squares).transpose(1, 2).flatten() for axis in (rows, columns))
    frequency = 1.0 / (10_000.0 ** (torch.arange(0, dim // 2, 2).float() / (dim // 2)))
    angles = torch.cat([rows[:, None] * frequency, columns[:, None] * frequency], -1)
    return torch.cat([angles.cos()] * 2, -1), torch.cat([-angles.sin(), angles.sin()], -1)
