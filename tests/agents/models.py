"""Small random models of every family, made from their real `transformers` classes and saved as ordinary folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen3Config,
    Qwen3VLConfig,
)

from lmmr1.agents.models import LoadedModel, assemble
from lmmr1.agents.tiny import build_image_processor, build_tiny, build_tokenizer

FAMILIES = ("qwen2_5_vl", "qwen2_vl", "qwen3_vl", "qwen2", "qwen3")


def random_tiny(seed: int = 1, spread: float = 0.05, fused: bool = True, heads: int = 4) -> LoadedModel:
    """The embedded architecture with weights random enough that its replies vary; with three heads vLLM runs it too."""
    tokenizer = build_tokenizer()
    model = build_tiny(seed, tokenizer, heads)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=generator)
    return assemble(model, tokenizer, build_image_processor(), "random tiny", fused)


def save_family(family: str, folder: Path, heads: int = 4) -> None:
    """Write a model folder of `family` with random weights; with two heads, of 32, vLLM runs it on a CPU."""
    tokenizer = build_tokenizer()
    vocabulary = tokenizer.get_vocab()
    ids: dict[str, Any] = {
        "image_token_id": vocabulary["<|image_pad|>"],
        "video_token_id": vocabulary["<|video_pad|>"],
        "vision_start_token_id": vocabulary["<|vision_start|>"],
        "vision_end_token_id": vocabulary["<|vision_end|>"],
    }
    text = {
        "vocab_size": 400,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.12,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [16 // heads, 8 // heads, 8 // heads]}
    torch.manual_seed(7)
    if family == "qwen2_5_vl":
        vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 64}
        window = {"window_size": 56, "fullatt_block_indexes": [1], "initializer_range": 0.2}
        config = Qwen2_5_VLConfig(
            text_config={**text, "rope_parameters": rope}, vision_config={**vision, **window}, **ids
        )
    elif family == "qwen2_vl":
        vision = {
            "depth": 2,
            "embed_dim": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "hidden_size": 64,
            "initializer_range": 0.2,
        }
        config = Qwen2VLConfig(text_config={**text, "rope_parameters": rope}, vision_config=vision, **ids)
    elif family == "qwen3_vl":
        vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 64}
        vision |= {
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
            "patch_size": 14,
            "initializer_range": 0.2,
        }
        rope = {**rope, "mrope_interleaved": True}
        config = Qwen3VLConfig(
            text_config={**text, "head_dim": 64 // heads, "rope_parameters": rope}, vision_config=vision, **ids
        )
    elif family == "qwen2":
        config = Qwen2Config(**text)
    else:
        config = Qwen3Config(**text, head_dim=64 // heads)
    factory = AutoModelForImageTextToText if family.endswith("vl") else AutoModelForCausalLM
    model = factory.from_config(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if family.endswith("vl"):
        build_image_processor().save_pretrained(folder)
