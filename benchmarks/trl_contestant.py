"""TRL's GRPOTrainer as a contestant of the harness benchmark; the one file here that imports TRL and datasets."""

from __future__ import annotations

import contextlib
import io
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
from datasets import Dataset  # pyright: ignore[reportMissingImports]
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, Qwen2VLVideoProcessor, TrainerCallback
from transformers.utils import logging as transformers_logging
from trl.trainer.grpo_config import GRPOConfig  # pyright: ignore[reportMissingImports]
from trl.trainer.grpo_trainer import GRPOTrainer  # pyright: ignore[reportMissingImports]

from lmmr1.agents.models import LoadedModel

Prompt = tuple[str, np.ndarray | None]


def run_trl(
    folder: Path,
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    reward: Callable[[str], float],
    ends: Sequence[int],
    *,
    group_size: int,
    groups: int,
    new_tokens: int,
    updates: int,
    kl: float,
    learning_rate: float,
    bf16: bool,
    between: Callable[[int], None],
) -> list[dict[str, float]]:
    """Train on `prompts`, `groups` of them an iteration, and let `between` run after each iteration.

    What TRL does by default and what would slow it down here is switched off: bfloat16 (its attention's backward pass
    is slower on a CPU), gradient checkpointing, logging, progress bars. Pictures lie in memory as PNG, as `datasets`
    keeps them.

    Args:
        folder: the model's folder, read for the policy and once more for the reference.
        loaded: the same model; its tokenizer, its image processor and its banned ids.
        prompts: text and picture of every prompt; their number over `groups` is the number of iterations.
        reward: of a reply's text.
        ends: ids that end a reply.
        group_size, groups, new_tokens, updates, kl, learning_rate: of the iteration, as on our side.
        bf16: run under autocast to bfloat16.
        between: called after each iteration with its number, outside of what is measured.

    Returns:
        For each iteration the CPU-seconds of "rollout", "reference", "old" (a pass that recomputes the sampled ids'
        log-probabilities, which the trainer needs with two updates), "update" and "all", and the sampled "tokens".
    """
    transformers_logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    assert loaded.images is not None
    iterations = len(prompts) // groups
    columns: dict[str, list[Any]] = {"prompt": [[{"role": "user", "content": text}] for text, _ in prompts]}
    if prompts[0][1] is not None:
        columns["image"] = [Image.fromarray(picture) for _, picture in prompts if picture is not None]
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype="float32")
    model.generation_config.eos_token_id = list(ends)
    processor = Qwen2_5_VLProcessor(
        image_processor=loaded.images.processor,
        tokenizer=loaded.tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=loaded.tokenizer.chat_template,
    )
    config = GRPOConfig(
        output_dir=mkdtemp(),
        per_device_train_batch_size=group_size * groups // 2,
        gradient_accumulation_steps=2 // updates,
        steps_per_generation=2,
        max_steps=iterations * updates,
        num_generations=group_size,
        max_completion_length=new_tokens,
        generation_kwargs={"eos_token_id": list(ends), "suppress_tokens": list(loaded.banned_ids)},
        shuffle_dataset=False,
        beta=kl,
        learning_rate=learning_rate,
        lr_scheduler_type="constant",
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        bf16=bf16,
        use_cpu=True,
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        report_to=[],
        seed=0,
    )

    def rewards(completions: list[list[dict[str, str]]], **_: Any) -> list[float | None]:
        return [reward(completion[0]["content"]) for completion in completions]

    clock = _Clock(updates, between)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[rewards],
        args=config,
        train_dataset=Dataset.from_dict(columns),
        processing_class=processor,
        callbacks=[clock],
    )
    # The trainer adds the tokenizer's own end token; here only `ends` end a reply.
    trainer.eos_token_ids = list(ends)
    clock.watch(trainer)
    with contextlib.redirect_stdout(io.StringIO()):  # its figures
        trainer.train()
    return clock.iterations


class _Clock(TrainerCallback):
    """Measures each iteration and its parts from outside of the trainer."""

    def __init__(self, updates: int, between: Callable[[int], None]) -> None:
        self.updates, self.between = updates, between
        self.iterations: list[dict[str, float]] = []
        self.parts: dict[str, float] = {}
        self.began = 0.0

    def watch(self, trainer: Any) -> None:
        """Time the trainer's parts."""
        generate, score = trainer._generate, trainer._get_per_token_logps_and_entropies

        def timed_generate(*arguments: Any) -> Any:
            began = time.process_time()
            result = generate(*arguments)
            self._add("rollout", time.process_time() - began)
            self._add("tokens", float(sum(map(len, result[1]))))
            return result

        def timed_score(model: Any, *arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            result = score(model, *arguments, **options)
            if not result[0].requires_grad:
                self._add("reference" if model is trainer.ref_model else "old", time.process_time() - began)
            return result

        trainer._generate, trainer._get_per_token_logps_and_entropies = timed_generate, timed_score

    def _add(self, part: str, amount: float) -> None:
        self.parts[part] = self.parts.get(part, 0.0) + amount

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self.began = time.process_time()

    def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """Close an iteration with its last optimizer step."""
        if state.global_step % self.updates:
            return
        whole = time.process_time() - self.began
        row = {"rollout": 0.0, "reference": 0.0, "old": 0.0, **self.parts, "all": whole}
        row["update"] = whole - row["rollout"] - row["reference"] - row["old"]
        self.iterations.append(row)
        self.between(len(self.iterations) - 1)
        self.parts = {}
        self.began = time.process_time()
