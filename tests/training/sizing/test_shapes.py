"""Counts of parameters, bytes and operations beside those of the real classes, which run here without memory."""

import json
from pathlib import Path

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Config, Qwen2ForCausalLM

from lmmr1.agents.networks.lora import Adapter, add_adapter
from lmmr1.agents.networks.qwen import QwenNetwork
from lmmr1.agents.tiny import TINY_FOLDER, build_tiny
from lmmr1.envs.errors import UserError
from lmmr1.training.sizing.compute import forward_operations, tower_operations
from lmmr1.training.sizing.memory import (
    STATE,
    Sharding,
    Update,
    engine_memory,
    layer_activations,
    most_sequences,
    rank_memory,
)
from lmmr1.training.sizing.shape import QWEN2_5_VL_3B, QWEN2_5_VL_7B, ModelShape, VisionShape, find_shape, read_shape

GIB = 2**30
BENCHMARK = Path(__file__).parents[3] / "benchmarks/results/memory.json"
# The figures that the models of these names publish in their config.json.
TEXT = {
    QWEN2_5_VL_3B: {"hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36, "vocab_size": 151_936},
    QWEN2_5_VL_7B: {"hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "vocab_size": 152_064},
}
HEADS = {QWEN2_5_VL_3B: (16, 2), QWEN2_5_VL_7B: (28, 4)}


def real(shape: ModelShape) -> Qwen2_5_VLForConditionalGeneration:
    heads, kv = HEADS[shape]
    text = {**TEXT[shape], "num_attention_heads": heads, "num_key_value_heads": kv}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": text["hidden_size"]}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=shape.tied)
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.tie_weights()
    return model


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("shape", [QWEN2_5_VL_3B, QWEN2_5_VL_7B], ids=lambda shape: shape.name)
def test_parameters_are_counted_exactly(shape: ModelShape):
    model = real(shape)
    assert shape.total == count(model)
    assert shape.tower == count(model.model.visual)
    assert shape.layer == count(model.model.language_model.layers[0])
    assert read_shape(model.config.to_dict(), shape.name) == shape


def test_other_shapes(tmp_path: Path):
    tiny = build_tiny(0)
    assert find_shape(str(TINY_FOLDER)).total == count(tiny)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    assert read_shape(config.to_dict(), "text").total == count(model)
    assert find_shape("Qwen/Qwen2.5-VL-7B-Instruct") is QWEN2_5_VL_7B
    with pytest.raises(UserError, match="the shape of 'somewhere' is not known.*3b or 7b"):
        find_shape("somewhere")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    with pytest.raises(UserError, match="model_type is 'llama'"):
        find_shape(str(tmp_path))


def test_adapters_are_counted_exactly():
    model = real(QWEN2_5_VL_3B)
    targets = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    before = count(model)
    add_adapter(model, Adapter(16, 32.0, targets), 0)
    shape = ModelShape(**{**vars(QWEN2_5_VL_3B), "lora_rank": 16})
    assert shape.adapters == count(model) - before


@pytest.mark.parametrize(("rows", "length"), [(2, 64), (3, 160)])
def test_a_layer_keeps_what_the_formula_says(rows: int, length: int):
    """Bytes that autograd holds between the two passes of one layer of the 3B model, counted by storage."""
    shape = QWEN2_5_VL_3B
    model = real(shape).to(torch.bfloat16)  # pyright: ignore[reportArgumentType]
    network = QwenNetwork(model)
    hidden = torch.empty(rows, length, shape.hidden, dtype=torch.bfloat16, device="meta", requires_grad=True)
    angles = torch.empty(rows, 1, length, shape.head_dim // 2, dtype=torch.complex64, device="meta")
    layer = network.decoder.layers[0]
    weights = network.layer_weights(layer)  # those of queries, keys and values are joined anew: no activations
    joined = {tensor.untyped_storage().nbytes() for tensor in (weights.qkv, weights.qkv_bias)}
    known = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), angles)}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in known and storage.nbytes() not in joined:
            kept[storage._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        network.run_layer(layer, hidden, angles, (rows, length, None)).sum()
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / (rows * length)
    update = Update(rows * length, 0, length, fused_attention=False)
    assert found == pytest.approx(layer_activations(shape, update), rel=0.02)


@pytest.mark.parametrize(
    ("name", "checkpointing", "rank"),
    [("full", True, 0), ("full_without_checkpointing", False, 0), ("lora", True, 16)],
)
def test_the_memory_of_an_update(name: str, checkpointing: bool, rank: int):
    """The closed formulas against the account of every tensor in benchmarks/memory.py, which is held to a process."""
    figures = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    assert 0.98 < figures["measured_over_computed_least"] <= figures["measured_over_computed_most"] < 1.02
    shape = ModelShape(**{**vars(QWEN2_5_VL_3B), "lora_rank": rank})
    update = Update(4 * 1024, 4 * 512, 1024, checkpointing, fused_attention=False)
    part = rank_memory(shape, Sharding(1, 0), update)
    assert part.total / GIB == pytest.approx(figures[f"peak_gib_{name}"], rel=0.01)
    assert (part.activations + part.logits) / GIB == pytest.approx(figures[f"activations_gib_{name}"], rel=0.05)


def test_how_zero_shards():
    shape, update = QWEN2_5_VL_3B, Update(4096, 2048, 1024)
    learned = shape.decoder
    for stage, (weights, gradients, states) in {0: (1, 1, 1), 1: (1, 1, 8), 2: (1, 8, 8), 3: (8, 8, 8)}.items():
        part = rank_memory(shape, Sharding(8, stage), update)
        gathered = 2 * (shape.embedding + 2 * shape.layer) if stage == 3 else 0
        assert part.weights == pytest.approx(2 * shape.total / weights + gathered)
        assert part.gradients == pytest.approx(4 * learned / gradients)
        assert part.optimizer == pytest.approx(STATE * learned / states)
    offloaded = rank_memory(shape, Sharding(8, 2, offload=True), update)
    assert offloaded.optimizer == 0 and offloaded.host == pytest.approx(STATE * learned / 8)
    with_critic = rank_memory(shape, Sharding(8, 2), Update(4096, 2048, 1024, critic=True))
    assert with_critic.critic == pytest.approx(2 * shape.total + (4 + STATE) * learned / 8)
    adapters = rank_memory(ModelShape(**{**vars(shape), "lora_rank": 16}), Sharding(1, 2), update)
    assert adapters.reference == 0 and adapters.optimizer == 2 * adapters.gradients


def test_the_cache_of_an_engine():
    # 36 layers, keys and values, 2 heads of 128 numbers of 2 bytes.
    assert engine_memory(QWEN2_5_VL_3B, 10, 100, 1, 0.0).cache == 10 * 100 * 36 * 2 * 2 * 128 * 2
    assert engine_memory(QWEN2_5_VL_3B, 10, 100, 4, 0.0).cache == 10 * 100 * 36 * 2 * 128 * 2, (
        "2 heads, cut in 2 at most"
    )
    count = most_sequences(QWEN2_5_VL_3B, 70 * GIB, 1000, 1, 4 * GIB)
    assert engine_memory(QWEN2_5_VL_3B, count, 1000, 1, 4 * GIB).total <= 70 * GIB
    assert engine_memory(QWEN2_5_VL_3B, count + 1, 1000, 1, 4 * GIB).total > 70 * GIB
    assert most_sequences(QWEN2_5_VL_3B, 5 * GIB, 1000, 1, 4 * GIB) == 0


def test_operations_of_the_decoder():
    """As PyTorch counts them in transformers' own forward pass, attention over all positions whatever the mask."""
    model, length = real(QWEN2_5_VL_3B), 256
    model.set_attn_implementation("eager")  # whose products are counted
    with FlopCounterMode(display=False) as counter:
        model.model.language_model(input_ids=torch.zeros(1, length, dtype=torch.long, device="meta"), use_cache=False)
    expected = length * forward_operations(QWEN2_5_VL_3B, length, logits=False)
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-3)


def test_operations_of_the_tower():
    model = build_tiny(0)
    model.set_attn_implementation("eager")
    shape = find_shape(str(TINY_FOLDER))
    assert shape.vision is not None
    side = 8 * shape.vision.patch
    grid = torch.tensor([[1, 8, 8]])
    pixels = torch.zeros(64, 3 * shape.vision.temporal * shape.vision.patch**2)
    with FlopCounterMode(display=False) as counter:
        model.model.visual(pixels, grid_thw=grid)
    assert shape.image_tokens(side, side) == 16
    assert counter.get_total_flops() == pytest.approx(tower_operations(shape, 16), rel=1e-3)
    assert tower_operations(shape, 0) == 0


def test_a_bigger_picture_costs_more():
    shape = QWEN2_5_VL_3B
    assert shape.image_tokens(392, 392) == 14 * 14
    assert tower_operations(shape, 784) > 4 * tower_operations(shape, 196), "attention grows with the square"
    assert VisionShape().count(2048) == shape.tower
