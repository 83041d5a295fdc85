"""What a run can be told of its inference engine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from lmmr1.envs.errors import UserError

Kind = Literal["hf", "vllm"]
Transfer = Literal["auto", "memory", "file", "nccl", "ipc"]


@dataclass(frozen=True)
class EngineConfig:
    """Who samples the replies: the engine in this process over the model itself ('hf'), or vLLM over a copy of it."""

    kind: Kind = "hf"
    """'hf': the embedded engine, or `transformers` where a model has none; 'vllm': vLLM. All others are vLLM's."""
    tensor_parallel: int = 1
    """Devices that share each copy of the model."""
    data_parallel: int = 1
    """Copies of the model; a conversation stays with one of them."""
    separate: bool = False
    """Run vLLM in processes of its own although one device would do; with several devices it always does."""
    gpu_memory_utilization: float = 0.5
    """Share of a GPU's memory that vLLM takes, weights and cache; the rest is the learner's where they share one."""
    kv_cache_gib: float | None = None
    """Memory for keys and values, for each copy; none: what gpu_memory_utilization leaves, and 1 GiB on a CPU."""
    max_model_len: int | None = None
    """Longest prompt with its reply, in tokens; none: the largest max_context_tokens of the recipe."""
    images_per_prompt: int = 32
    """Most images that one prompt may show."""
    prefix_caching: bool = True
    """Keep the keys and values of prompts: samples of one prompt, and later turns, then run only what is new."""
    enforce_eager: bool = False
    """No CUDA graphs: starts faster and samples slower; on a CPU it is always so."""
    sleep: bool = False
    """Hand vLLM's GPU memory to the learner between rollouts; for runs in which both share a GPU."""
    transfer: Transfer = "auto"
    """How weights reach vLLM: 'memory' (one process), 'file' (this machine's shared memory), 'nccl' (other GPUs), 'ipc'
    (the same GPUs, other processes); 'auto' takes 'memory' where it can and else 'file'."""

    @property
    def in_process(self) -> bool:
        """Whether the recipe lets vLLM run in the process of the learner."""
        return self.tensor_parallel == self.data_parallel == 1 and not self.separate

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, get_args(Kind))
        _one_of("transfer", self.transfer, get_args(Transfer))
        for key in ("tensor_parallel", "data_parallel", "images_per_prompt"):
            _require(vars(self)[key] >= 1, f"{key} must be at least 1, not {vars(self)[key]}")
        fraction = self.gpu_memory_utilization
        _require(0 < fraction <= 1, f"gpu_memory_utilization must be above 0 and at most 1, not {fraction}")
        for key in ("kv_cache_gib", "max_model_len"):
            value = vars(self)[key]
            _require(value is None or 0 < value < float("inf"), f"{key} must be above 0, not {value}")
        changed = [key for key, value in vars(self).items() if key != "kind" and value != vars(type(self))[key]]
        _require(
            self.kind == "vllm" or not changed,
            f"{', '.join(changed)} has no meaning for engine.kind hf: remove it, or set engine.kind to vllm",
        )
        _require(
            self.transfer != "memory" or self.in_process,
            "transfer 'memory' needs vLLM in the learner's process: tensor_parallel 1, data_parallel 1, separate false",
        )
        _require(
            self.transfer not in ("nccl", "ipc") or not self.in_process,
            f"transfer {self.transfer!r} goes from process to process: set separate, tensor_parallel or data_parallel",
        )
        _require(
            not (self.sleep and self.transfer == "nccl"),
            "sleep is for an engine that shares the learner's GPUs, and transfer 'nccl' for one that has its own",
        )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)


def _one_of(key: str, value: str, allowed: Collection[str]) -> None:
    _require(value in allowed, f"{key} must be one of {', '.join(allowed)}; not {value!r}")
