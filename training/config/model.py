"""The model that is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import at_least, one_of, positive, require


@dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adapters (LoRA): they alone learn, and the reference is the model without them."""

    rank: int = 16
    """Rank of an adapter's matrix."""
    alpha: float = 32.0
    """The adapter's part of a weight is scaled by alpha / rank."""
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Linear layers: names within the decoder, or shell patterns over whole names ('model.visual.*.qkv')."""

    def __post_init__(self) -> None:
        at_least("rank", self.rank, 1)
        positive("alpha", self.alpha)
        require(bool(self.targets), "targets is empty: name linear layers, e.g. q_proj, or leave lora out")


@dataclass(frozen=True)
class ModelConfig:
    """The model that is trained."""

    path: str = "tiny"
    """'tiny' (shipped in the package), a folder, or the name of a model on a hub."""
    freeze: tuple[str, ...] = ()
    """Parts that never learn: shell patterns over parameter names, e.g. 'model.visual.*'."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the weights and of the forward pass; the optimizer and the head's logits stay in float32."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where it runs; ranks of a backend take one GPU each."""
    lora: LoRAConfig | None = None
    """Adapters that learn in the model's place; none: the model itself learns."""
    gradient_checkpointing: bool = False
    """Keep one state a layer for the backward pass and make the rest again: far less memory, a third more time."""
    packing: bool = False
    """Run no padding: pays where the lengths of rows differ much."""
    kernels: bool = True
    """Run small models through compiled kernels where Numba is installed; results change in the last bit with it."""

    def __post_init__(self) -> None:
        require(bool(self.path), "path must name a model, not be empty")
        one_of("dtype", self.dtype, ("float32", "bfloat16"))
        one_of("device", self.device, ("cpu", "cuda"))
