"""The policy of a recipe: its model loaded, set up, and put behind an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from lmmr1.agents.models import LoadedModel, load_model, with_adapter
from lmmr1.agents.networks.lora import Adapter, adapter_tensors
from lmmr1.envs.errors import UserError

from .config import ModelConfig
from .model import with_settings


def load_policy(config: ModelConfig, seed: int, device: str | None = None, fused: bool = True) -> LoadedModel:
    """Load the model of a recipe.

    Args:
        config: which, and how it is computed.
        seed: of the run: of an adapter's first weights, and of a model that starts at random.
        device: where it goes; as `config` says by default.
        fused: use the fast forward where the architecture has one.

    Raises:
        UserError: no such model, or no such device.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "model.device is cuda, and this machine shows torch no GPU: set it to cpu, or see what `lmmr1 doctor` says "
            "about torch and the driver"
        )
    loaded = load_model(config.path, config.dtype, device or config.device, fused, seed)
    packing = config.packing and fused
    loaded = replace(
        loaded, network=with_settings(loaded.network, loaded.model, config.gradient_checkpointing, packing)
    )
    if config.lora is not None:
        loaded = with_adapter(loaded, Adapter(config.lora.rank, config.lora.alpha, config.lora.targets), seed)
    return loaded


def kept_parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What a checkpoint must hold of a model: all parameters, or its adapter's alone, since the others never change."""
    return adapter_tensors(model) or {name: parameter.detach() for name, parameter in model.named_parameters()}


def load_parameters(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], where: str) -> None:
    """Replace what `kept_parameters` gives.

    Raises:
        UserError: the tensors are of another model; `where` names their place in the message.
    """
    parameters = kept_parameters(model)
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted({*shapes, *found}):
        if shapes.get(name) != found.get(name):
            raise UserError(
                f"{where} holds another model than model.path names ({name} is {found.get(name, 'absent')} there and "
                f"{shapes.get(name, 'absent')} here): was its folder changed since? Start again in a new folder"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
