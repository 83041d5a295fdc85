"""The model that is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .checks import one_of, require


@dataclass(frozen=True)
class ModelConfig:
    """The model that is trained."""

    path: str = "tiny"
    """'tiny' (shipped in the package), a folder, or the name of a model on a hub."""
    freeze: tuple[str, ...] = ()
    """Parts that never learn: shell patterns over parameter names, e.g. 'model.visual.*'."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the weights and of the forward pass."""

    def __post_init__(self) -> None:
        require(bool(self.path), "path must name a model, not be empty")
        one_of("dtype", self.dtype, ("float32", "bfloat16"))
