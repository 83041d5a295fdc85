"""Low-rank adapters (LoRA, arXiv 2106.09685): W + alpha / rank * B A beside frozen weights; peft is imported here.

There is no dropout in them: the forward that learns must be the one that sampled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from lmmr1.envs.errors import UserError

from .base import Network, PixelInput, Rows

ADAPTER = "default"
ADAPTER_STREAM = 11
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# What peft writes in front of a parameter's name.
PREFIX = "base_model.model."


@dataclass(frozen=True)
class Adapter:
    """The shape of an adapter.

    Attributes:
        rank: of B A.
        alpha: the adapter's part is scaled by alpha / rank.
        targets: names of linear layers ("q_proj": in the decoder), or shell patterns over whole names, which hold a dot
            ("model.visual.*.qkv").
    """

    rank: int
    alpha: float
    targets: Sequence[str]


def add_adapter(model: PreTrainedModel, adapter: Adapter, seed: int) -> None:
    """Put an adapter into a model, in place; at first it changes nothing, since B is 0.

    A is drawn from `seed`; both are float32, whatever the model is. The model's own parameters no longer learn.

    Raises:
        UserError: a target names no linear layer.
        ModuleNotFoundError: peft is not installed.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # pyright: ignore[reportArgumentType]  # any number will do
        target_modules=find_targets(model, adapter.targets),
        lora_dropout=0.0,
        bias="none",
    )
    entropy = np.random.SeedSequence((seed, ADAPTER_STREAM)).generate_state(1, np.uint64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(entropy[0]))
        inject_adapter_in_model(config, model, ADAPTER)
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            parameter.data = parameter.data.float()


def find_targets(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """Whole names of the linear layers that `targets` mean; the head is none of them."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name != "lm_head"]
    found: list[str] = []
    for target in targets:
        if "." in target:
            meant = [name for name in linear if fnmatch(name, target)]
        else:
            meant = [name for name in linear if name.rpartition(".")[2] == target and ".visual." not in f".{name}"]
        if not meant:
            words = sorted({name.rpartition(".")[2] for name in linear})
            raise UserError(f"model.lora.targets: {target!r} names no linear layer; there are {', '.join(words)}")
        found += meant
    return sorted(set(found))


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter."""
    return ".lora_A." in name or ".lora_B." in name


def weight_of(linear: nn.Module) -> Tensor:
    """The weight that a linear layer multiplies by, its adapter's part included; differentiable."""
    parts = dict(linear.named_children())
    if "base_layer" not in parts:
        return linear.weight  # pyright: ignore[reportReturnType]
    weight: Tensor = parts["base_layer"].weight  # pyright: ignore[reportAssignmentType]
    scale = _scaling(linear)[ADAPTER]
    if scale == 0:
        return weight
    down, up = (parts[part].get_parameter(f"{ADAPTER}.weight") for part in ("lora_A", "lora_B"))
    return weight + (scale * (up @ down)).to(weight.dtype)


def bias_of(linear: nn.Module) -> Tensor:
    """The bias of a linear layer."""
    return dict(linear.named_children()).get("base_layer", linear).bias  # pyright: ignore[reportReturnType]


def _scaling(linear: nn.Module) -> dict[str, float]:
    return linear.scaling  # pyright: ignore[reportReturnType]  # peft's own, known to no class of torch


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """Without its adapter the model is what it was before."""
    layers = [model.get_submodule(name) for name in find_adapted(model)]
    before = [_scaling(layer)[ADAPTER] for layer in layers]
    for layer in layers:
        _scaling(layer)[ADAPTER] = 0.0
    try:
        yield
    finally:
        for layer, scale in zip(layers, before, strict=True):
            _scaling(layer)[ADAPTER] = scale


class BaseNetwork:
    """A network as it is without its adapter: a reference that takes no memory; see `Network` for the contract."""

    def __init__(self, network: Network) -> None:
        self.network, self.model = network, network.model
        self.hidden_size, self.vocabulary_size = network.hidden_size, network.vocabulary_size
        self.checkpointing = network.checkpointing

    def encode_images(self, images: Sequence[PixelInput]) -> list[Tensor]:
        """Each image's features."""
        with switched_off(self.model):
            return self.network.encode_images(images)

    def hidden(self, rows: Rows, features: dict[bytes, Tensor] | None = None) -> Tensor:
        """Last hidden states."""
        with switched_off(self.model):
            return self.network.hidden(rows, features)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits in float32."""
        return self.network.logits(hidden)


def merged_state(model: PreTrainedModel) -> dict[str, Tensor]:
    """The model's tensors by the names that they have without an adapter, the adapter's part added to the weights."""
    merged = {f"{name}.weight": weight_of(model.get_submodule(name)).detach() for name in find_adapted(model)}
    state = {name: value for name, value in model.state_dict().items() if not is_adapter(name)}
    return {**{name.replace(".base_layer.", "."): value for name, value in state.items()}, **merged}


def save_adapter(model: PreTrainedModel, adapter: Adapter, source: str, folder: Path) -> None:
    """Write the adapter alone, as peft reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = adapter_tensors(model)
    save_file({PREFIX + name.replace(f".{ADAPTER}.", "."): value for name, value in tensors.items()}, folder / WEIGHTS)
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": source,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "target_modules": find_adapted(model),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def find_adapted(model: nn.Module) -> list[str]:
    """Whole names of the layers that have an adapter."""
    return [name for name, module in model.named_modules() if "lora_A" in dict(module.named_children())]


def adapter_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The adapter's parameters by name."""
    return {name: value.detach() for name, value in model.named_parameters() if is_adapter(name)}


def read_adapter(folder: Path) -> dict[str, Tensor]:
    """The tensors that `save_adapter` wrote, named as in `adapter_tensors`.

    Raises:
        UserError: there are none.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"{folder} holds no adapter ({WEIGHTS} is missing)")
    written = load_file(path)
    suffix = f".{ADAPTER}.weight"
    return {name.removeprefix(PREFIX).removesuffix(".weight") + suffix: value for name, value in written.items()}
