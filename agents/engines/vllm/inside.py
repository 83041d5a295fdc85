"""What runs inside of vLLM's workers. vLLM imports this file by its name, and nothing of ours does."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterable
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates


class OurSampling(LogitsProcessor):
    """Makes vLLM's distribution ours: banned ids never, and greedy log-probabilities at the temperature asked for.

    Settings come by `additional_config`: "banned_ids", and "owner", the process that the worker must not outlive. A
    request that decodes greedily brings its temperature in `extra_args`, because vLLM has none for it.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        ours = vllm_config.additional_config
        self.banned = torch.tensor(ours["banned_ids"], dtype=torch.long, device=device)
        self.temperatures: dict[int, float] = {}
        follow(ours["owner"])

    def is_argmax_invariant(self) -> bool:
        """A banned id may be the likeliest."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Keep the temperatures by the rows that their requests are in."""
        process_dict_updates(
            self.temperatures, batch_update, lambda params, *_: (params.extra_args or {}).get("greedy")
        )

    def apply(self, logits: Tensor) -> Tensor:
        """(rows, vocabulary), changed in place."""
        if self.temperatures:
            rows = torch.tensor(list(self.temperatures), device=logits.device)
            logits[rows] /= torch.tensor(list(self.temperatures.values()), device=logits.device)[:, None]
        return logits.index_fill_(-1, self.banned, float("-inf"))


class WeightUpdates:
    """Extends vLLM's worker, whose methods it calls."""

    reload_weights: Any
    get_model: Any

    def lmmr1_load(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Take these weights, named as `transformers` names them, into the place of the present ones."""
        self.reload_weights(weights_iterator=iter(tensors))
        self.lmmr1_refresh_head()

    def lmmr1_load_file(self, path: str) -> None:
        """The same from a safetensors file, a tensor at a time."""
        with safe_open(path, framework="pt") as file:
            self.lmmr1_load((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118  # not a mapping

    def lmmr1_refresh_head(self) -> None:
        """Pack the output head again where it shares the embedding's weights.

        On a CPU vLLM packs weights for its kernels once they are loaded. A reload packs again what it has loaded, and a
        tied head is never loaded: it would go on multiplying by the weights before, without any error.
        """
        for module in self.get_model().modules():
            if type(module).__name__ == "ParallelLMHead" and "cpu_linear" in vars(module):
                module.quant_method.process_weights_after_loading(module)


def follow(owner: int) -> None:
    """End this process, and the one of vLLM's that started it, as soon as `owner` has ended, however that ends.

    vLLM's processes ignore that the one they work for is gone, and spin for ever.
    """
    if owner == os.getpid():
        return
    ours = os.getpid(), os.getppid()
    try:
        descriptor = os.pidfd_open(owner)
    except ProcessLookupError:
        _end(ours, owner)
        return
    threading.Thread(target=_await_end, args=(descriptor, ours, owner), daemon=True).start()


def _await_end(descriptor: int, ours: tuple[int, int], owner: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()
    _end(ours, owner)


def _end(ours: tuple[int, int], owner: int) -> None:
    me, parent = ours
    if parent not in (1, owner):
        try:
            os.kill(parent, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os.kill(me, signal.SIGKILL)
