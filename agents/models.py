"""Load and save models: the embedded one, or a folder or hub id of a Qwen2-VL, Qwen2.5-VL, Qwen3-VL or causal model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

from lmmr1.envs.errors import UserError

from .hub import locate_model
from .images import ImageEncoder
from .networks.base import Network
from .networks.generic import GenericNetwork
from .networks.lora import Adapter, add_adapter, merged_state, save_adapter
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
        adapter: the shape of the adapter that the model was given, or None.
    """

    network: Network
    tokenizer: PreTrainedTokenizerBase
    images: ImageEncoder | None
    end_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    pad_id: int
    source: str
    adapter: Adapter | None = None

    @property
    def model(self) -> PreTrainedModel:
        """The `transformers` module."""
        return self.network.model

    def save(self, folder: Path) -> None:
        """Write a folder that `transformers` alone loads: weights (safetensors), config, tokenizer, image processor.

        An adapter is part of the weights, and stands by itself in the folder's `adapter` as peft reads it.
        """
        self.model.save_pretrained(folder, state_dict=None if self.adapter is None else merged_state(self.model))
        if self.adapter is not None:
            save_adapter(self.model, self.adapter, self.source, folder / "adapter")
        for weights in folder.rglob("*.safetensors"):
            # These are written for their owner alone; who may read the folder may read all of it.
            shutil.copymode(folder / "config.json", weights)
        self.tokenizer.save_pretrained(folder)
        if self.images is not None:
            self.images.processor.save_pretrained(folder)


def with_adapter(loaded: LoadedModel, adapter: Adapter, seed: int) -> LoadedModel:
    """The model with an adapter in it, which alone can learn from now on; the module itself is changed.

    Raises:
        UserError: a target of the adapter names no layer.
    """
    add_adapter(loaded.model, adapter, seed)
    return replace(loaded, adapter=adapter)


def load_model(
    source: str, dtype: str = "float32", device: str = "cpu", fused: bool = True, seed: int = 0
) -> LoadedModel:
    """Load a model.

    Args:
        source: "tiny" (the embedded one), "tiny-random" (its architecture with random weights), a folder, or a hub id
            such as "Qwen/Qwen2.5-VL-3B-Instruct".
        dtype: "float32" or "bfloat16".
        device: where it runs, as torch names it.
        fused: use the fast forward where the architecture has one.
        seed: of the weights of "tiny-random".

    Raises:
        UserError: no such model, or a part of it is missing or unreadable; says which.
    """
    if source == "tiny-random":
        tokenizer = build_tokenizer()
        model = build_tiny(seed, tokenizer)
        model.to(device)  # pyright: ignore[reportArgumentType]  # its wrapper hides which parameter is `self`
        return assemble(model, tokenizer, build_image_processor(), source, fused)
    place, options = locate_model(str(TINY_FOLDER) if source == "tiny" else source)
    config = _part(source, "config.json", AutoConfig.from_pretrained, place, **options)
    vision = config.model_type in VISION_MODEL_TYPES
    factory = AutoModelForImageTextToText if vision else AutoModelForCausalLM
    if not vision and config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        known = ", ".join(VISION_MODEL_TYPES)
        raise UserError(f"model '{source}' is a {config.model_type}: it must be a {known} or a causal language model")
    tokenizer = _part(source, "its tokenizer (tokenizer.json)", AutoTokenizer.from_pretrained, place, **options)
    if not tokenizer.encode("a", add_special_tokens=False):  # what transformers makes of a folder without the file
        raise UserError(f"model '{source}': cannot read its tokenizer (tokenizer.json): it knows no tokens")
    if not tokenizer.chat_template:
        raise UserError(f"model '{source}' has no chat template: its tokenizer cannot write conversations")
    processor = None
    if vision:
        files = "its image processor (preprocessor_config.json or processor_config.json)"
        processor = _part(source, files, AutoImageProcessor.from_pretrained, place, **options)
    files = "its weights (*.safetensors)"
    options |= {"dtype": DTYPES[dtype], "output_loading_info": True, "ignore_mismatched_sizes": True}
    model, found = _part(source, files, factory.from_pretrained, place, **options)
    _check_weights(source, found)
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
    assert isinstance(pad_id, int)
    images = ImageEncoder(processor) if processor is not None else None
    return LoadedModel(network, tokenizer, images, end_ids, tuple(sorted(banned)), pad_id, source)


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    ids = [tokenizer.eos_token_id, *listed]
    return tuple(dict.fromkeys(i for i in ids if i is not None))


def _check_weights(source: str, found: Mapping[str, Any]) -> None:
    """Refuse weights that `transformers` would fill up with random ones."""
    problems = {"missing_keys": "is missing", "mismatched_keys": "has another shape than config.json says"}
    for kind, problem in problems.items():
        names = sorted(str(key if isinstance(key, str) else key[0]) for key in found[kind])
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise UserError(f"model '{source}': cannot read its weights (*.safetensors): {names[0]} {problem}{more}")


def _part(source: str, what: str, load: Any, *arguments: Any, **options: Any) -> Any:
    """Run a loader; whatever it raises about missing or broken files becomes one line that names the part."""
    verbosity = get_verbosity()
    set_verbosity_error()  # it would tell the same in many lines
    try:
        return load(*arguments, **options)
    except Exception as error:  # safetensors raises an exception class of its own, outside the standard families
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"model '{source}': cannot read {what}: {reason.split('. ')[0]}") from error
    finally:
        set_verbosity(verbosity)
