"""Load and save models: the embedded one, any Qwen2-VL, Qwen2.5-VL or Qwen3-VL, any causal language model; a folder or a hub id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from lmmr1.envs.errors import UserError

from .images import ImageEncoder
from .networks.base import Network
from .networks.generic import GenericNetwork
from .networks.qwen import FUSED_MODEL_TYPES, QwenNetwork
from .tiny import TINY_FOLDER, build_image_processor, build_tiny, build_tokenizer

# A run has one progress display, its own.
disable_progress_bar()

VISION_MODEL_TYPES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that is needed to speak with it.

    Attributes:
        network: the forward that samples and learns; `network.model` is the `transformers` module.
        tokenizer: its tokenizer, chat template included.
        images: its image preprocessing; None for a language model.
        end_ids: token ids that end a reply; the first is the one that the chat template writes.
        banned_ids: ids that a policy must never sample: image and vision tokens, starts of messages, padding.
        pad_id: the id that fills rows.
        source: where it was loaded from.
    """

    network: Network
    tokenizer: PreTrainedTokenizerBase
    images: ImageEncoder | None
    end_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    pad_id: int
    source: str

    @property
    def model(self) -> PreTrainedModel:
        """The `transformers` module."""
        return self.network.model

    def save(self, folder: Path) -> None:
        """Write a folder that `transformers` alone loads: weights (safetensors), config, tokenizer, image processor."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.images is not None:
            self.images.processor.save_pretrained(folder)


def load_model(
    source: str, dtype: str = "float32", device: str = "cpu", fused: bool = True, seed: int = 0
) -> LoadedModel:
    """Load a model.

    Args:
        source: "tiny" (the embedded one), "tiny-random" (its architecture with random weights), a folder, or a hub id such as
            "Qwen/Qwen2.5-VL-3B-Instruct".
        dtype: "float32" or "bfloat16".
        device: where it runs, as torch names it.
        fused: use the fast forward where the architecture has one.
        seed: of the weights of "tiny-random".

    Raises:
        UserError: no such model, or a part of it is missing or unreadable; says which.
    """
    if source == "tiny-random":
        tokenizer = build_tokenizer()
        return assemble(build_tiny(seed, tokenizer).to(device), tokenizer, build_image_processor(), source, fused)
    place = str(TINY_FOLDER) if source == "tiny" else source
    if place.startswith((".", "/", "~")) and not Path(place).expanduser().is_dir():
        raise UserError(f"model '{source}': there is no folder {Path(place).expanduser()}")
    config = _part(source, "config.json", AutoConfig.from_pretrained, place)
    vision = config.model_type in VISION_MODEL_TYPES
    factory = AutoModelForImageTextToText if vision else AutoModelForCausalLM
    tokenizer = _part(source, "its tokenizer (tokenizer.json)", AutoTokenizer.from_pretrained, place)
    if not tokenizer.chat_template:
        raise UserError(f"model '{source}' has no chat template: its tokenizer cannot write conversations")
    processor = None
    if vision:
        files = "its image processor (preprocessor_config.json or processor_config.json)"
        processor = _part(source, files, AutoImageProcessor.from_pretrained, place)
    model = _part(source, "its weights (*.safetensors)", factory.from_pretrained, place, dtype=DTYPES[dtype])
    return assemble(model.to(device).eval(), tokenizer, processor, source, fused)


def assemble(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, processor: Any, source: str, fused: bool = True
) -> LoadedModel:
    """Put loaded parts together; `processor` is an image processor or None."""
    network = QwenNetwork(model) if fused and model.config.model_type in FUSED_MODEL_TYPES else GenericNetwork(model)
    end_ids = _end_ids(model, tokenizer)
    banned = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    speakable = {i for i, token in tokenizer.added_tokens_decoder.items() if not token.special}
    banned -= speakable | set(end_ids)
    config = model.config
    if processor is not None:
        vision_ids = (config.image_token_id, config.video_token_id, config.vision_start_token_id)
        banned |= {*vision_ids, config.vision_end_token_id}
    # Rows of the embedding beyond the tokenizer's last id (padding to a round size) stand for no text at all.
    banned |= set(range(len(tokenizer), network.vocabulary_size))
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end_ids[0]
    images = ImageEncoder(processor) if processor is not None else None
    return LoadedModel(network, tokenizer, images, end_ids, tuple(sorted(banned)), pad_id, source)


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    ids = [tokenizer.eos_token_id, *listed]
    return tuple(dict.fromkeys(i for i in ids if i is not None))


def _part(source: str, what: str, load: Any, *arguments: Any, **options: Any) -> Any:
    """Run a loader; whatever it raises about missing or broken files becomes one line that names the part."""
    try:
        return load(*arguments, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"model '{source}': cannot read {what}: {reason}") from error
    except Exception as error:  # safetensors raises an exception class of its own, outside the standard families
        raise UserError(f"model '{source}': cannot read {what}: {error}") from error
