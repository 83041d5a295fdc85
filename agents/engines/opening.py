"""Opening the engine that a run asks for."""

from __future__ import annotations

from ..models import LoadedModel
from .base import Engine
from .config import EngineConfig


def check_engine(config: EngineConfig) -> None:
    """See to it that what the engine needs is installed.

    Raises:
        UserError: it is not; says what to install.
    """
    if config.kind == "vllm":
        from .vllm.requirements import check_installed

        check_installed()


def open_engine(loaded: LoadedModel, config: EngineConfig, max_context_tokens: int, slots: int) -> Engine | None:
    """The engine that all agents over a model share; None where each makes its own in this process.

    Args:
        loaded: the model.
        config: which engine, and how.
        max_context_tokens: the longest prompt with its reply that any of them will ask for.
        slots: how many sequences they decode side by side.

    Raises:
        UserError: it is not installed, or cannot run this model here.
    """
    if config.kind == "hf":
        return None
    check_engine(config)
    from .vllm.engine import VLLMEngine

    return VLLMEngine(loaded, config, config.max_model_len or max_context_tokens, slots)
