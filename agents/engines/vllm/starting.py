"""Starting and ending vLLM without a trace in the process that it runs in."""

# pyright: reportMissingImports=false
from __future__ import annotations

import contextlib
import copy
import gc
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from ...models import LoadedModel
from ..config import EngineConfig
from .requirements import check_room, size_in_bytes
from .transfer import weights_of

if TYPE_CHECKING:
    from vllm import LLM

_INSIDE = "lmmr1.agents.engines.vllm.inside"
# A socket's path has at most 107 characters, and vLLM adds 37 to the folder for temporary files.
_LONGEST_PLACE = 70
# What a launcher told this process of its own place among the learners; vLLM's processes would take it for theirs.
_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def start(
    loaded: LoadedModel, config: EngineConfig, max_model_len: int, slots: int, in_process: bool, backend: str | None
) -> list[LLM]:
    """One vLLM for each copy of the model.

    It reads the weights from a folder that is gone when it has: whatever happens to this process later, none is left.

    Args:
        loaded: the model.
        config: the settings.
        max_model_len: longest prompt with its reply, in tokens.
        slots: how many sequences one copy decodes side by side.
        in_process: run it in this process.
        backend: the weight transfer of vLLM's own that is to be used.

    Raises:
        UserError: no room for the folder.
    """
    place = Path(tempfile.gettempdir())
    purpose, remedy = "a copy of the model", "set TMPDIR to a folder with more room"
    check_room(place, int(1.05 * size_in_bytes(loaded.model)), purpose, remedy)
    with tempfile.TemporaryDirectory(prefix="lmmr1-vllm-", dir=place) as folder:
        _write(loaded, Path(folder))
        options = _options(loaded, config, folder, max_model_len, slots, backend)
        llms: list[LLM] = []
        try:
            for number in range(config.data_parallel):
                with environment(config, in_process, number), undisturbed(), _legible_modules():
                    from vllm import LLM

                    llms.append(LLM(**options))
        except BaseException:
            end(llms, in_process)
            raise
        return llms


def _write(loaded: LoadedModel, folder: Path) -> None:
    """A model folder; `transformers` would write none in any process but the first of several that learn together."""
    config = copy.deepcopy(loaded.model.config)
    config.architectures = [type(loaded.model).__name__]
    config.dtype = loaded.model.dtype
    config.save_pretrained(folder)
    with torch.no_grad():
        weights = {name: value.cpu().contiguous() for name, value in weights_of(loaded)}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    loaded.tokenizer.save_pretrained(folder)
    if loaded.images is not None:
        loaded.images.processor.save_pretrained(folder)


def end(llms: list[LLM], in_process: bool) -> None:
    """End the processes of each, or let go of what it holds in this one."""
    for llm in llms:
        llm.llm_engine.engine_core.shutdown()
    llms.clear()
    if in_process:
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        with undisturbed():
            cleanup_dist_env_and_memory()
    gc.collect()


@contextlib.contextmanager
def environment(config: EngineConfig, in_process: bool, number: int = 0) -> Iterator[None]:
    """The environment in which vLLM is imported and copy `number` starts.

    Without the launcher's variables; of what vLLM adds, its own (VLLM_...) stay, which it reads later too.
    """
    before = dict(os.environ)
    for name in _LAUNCHED:
        os.environ.pop(name, None)
    os.environ.update(_variables(config, in_process, number))
    try:
        yield
    finally:
        added = {name: value for name, value in os.environ.items() if name.startswith("VLLM_") and name not in before}
        os.environ.clear()
        os.environ.update(before | added)


@contextlib.contextmanager
def _legible_modules() -> Iterator[None]:
    """Let vLLM look through the attributes of every module, as it does when it starts.

    The handle of llvmlite, which compiles Sokoban's boards, would take `__dict__` for a function of LLVM.
    """
    module = sys.modules.get("llvmlite.binding.ffi")
    if module is None:
        yield
        return
    handle = type(module.lib)
    answer = handle.__getattr__

    def look_up(self: Any, name: str) -> Any:
        if name == "__dict__":
            raise AttributeError(name)
        return answer(self, name)

    handle.__getattr__ = look_up
    try:
        yield
    finally:
        handle.__getattr__ = answer


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what vLLM changes for the whole process: random state, threads, and the demand for determinism.

    Some of its kernels have no deterministic form. On a CPU nothing is compiled: it takes longer than it saves.
    """
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    stance = contextlib.nullcontext() if torch.cuda.is_available() else torch.compiler.set_stance("force_eager")
    torch.use_deterministic_algorithms(False)
    try:
        with stance:
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.set_num_threads = set_threads  # its CPU worker puts a function there that does nothing
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_state)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def _options(
    loaded: LoadedModel, config: EngineConfig, folder: str, max_model_len: int, slots: int, backend: str | None
) -> dict[str, Any]:
    """What vLLM is told."""
    cpu = not torch.cuda.is_available()
    memory = config.kv_cache_gib if config.kv_cache_gib is not None or not cpu else 1.0
    executor = "uni" if config.tensor_parallel == 1 else "mp"
    options: dict[str, Any] = {
        "model": folder,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "max_model_len": max_model_len,
        "max_num_seqs": slots,
        "tensor_parallel_size": config.tensor_parallel,
        "distributed_executor_backend": executor,
        "gpu_memory_utilization": config.gpu_memory_utilization,
        "enforce_eager": config.enforce_eager or cpu,
        "enable_prefix_caching": config.prefix_caching,
        "enable_sleep_mode": config.sleep and not cpu,
        "logprobs_mode": "processed_logprobs",
        "logits_processors": [f"{_INSIDE}:OurSampling"],
        "worker_extension_cls": f"{_INSIDE}.WeightUpdates",
        "additional_config": {"banned_ids": list(loaded.banned_ids), "owner": os.getpid()},
        "generation_config": "vllm",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if memory is not None:
        options["kv_cache_memory_bytes"] = int(memory * 2**30)
    if loaded.images is not None:
        options["limit_mm_per_prompt"] = {"image": config.images_per_prompt, "video": 0}
    if backend is not None:
        options["weight_transfer_config"] = {"backend": backend}
    return options


def _variables(config: EngineConfig, in_process: bool, number: int) -> dict[str, str]:
    """What vLLM and its processes read from the environment while they start."""
    variables = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0" if in_process else "1",
        "VLLM_USE_V2_MODEL_RUNNER": "0",  # the other one has logits processors of another kind
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
    }
    place = tempfile.gettempdir()
    if len(place) > _LONGEST_PLACE:
        variables["VLLM_RPC_BASE_PATH"] = "/tmp"
    if not torch.cuda.is_available():
        variables["TORCHDYNAMO_DISABLE"] = "1"
        # Left to itself it wants a memory node for each process, and binds this one's threads too.
        variables["VLLM_CPU_OMP_THREADS_BIND"] = os.environ.get("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        variables["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    elif config.data_parallel > 1:
        listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        devices = listed.split(",") if listed else [str(index) for index in range(torch.cuda.device_count())]
        count = config.tensor_parallel
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(devices[number * count : (number + 1) * count])
    if config.transfer == "ipc":  # handles of CUDA memory travel as pickles, between processes of this run alone
        variables["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "1"
    return variables
