"""How the learner's weights reach vLLM.

`Direct` hands tensors over within one process (on a GPU nothing passes the host); `ByFile` goes through a safetensors
file in shared memory; `ByProtocol` speaks vLLM's own weight-transfer protocol with its backends "nccl" and "ipc". The
first two run on CPUs and are tested there, in one process and in several. Of the third the sequence of calls is tested,
with a backend of the tests' own on a CPU; neither NCCL nor IPC has been run on a GPU yet.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...models import LoadedModel
from ...networks.lora import is_adapter, weight_of
from .requirements import SHARED_MEMORY

if TYPE_CHECKING:
    from vllm import LLM

_FILES = "lmmr1-weights-"


class Transfer(Protocol):
    """One way."""

    def send(self, loaded: LoadedModel) -> None:
        """Put the model's present weights into every copy."""
        ...


def weights_of(loaded: LoadedModel) -> Iterator[tuple[str, Tensor]]:
    """The weights by the names that `transformers` gives them, an adapter's part added in; a tied head once."""
    for name, parameter in loaded.model.named_parameters():
        if is_adapter(name):
            continue
        layer, base, last = name.rpartition(".base_layer.")
        if base and last == "weight":
            yield f"{layer}.weight", weight_of(loaded.model.get_submodule(layer)).detach()
        else:
            yield name.replace(".base_layer.", "."), parameter.detach()


class Direct:
    """Tensors as they are, within one process."""

    def __init__(self, llms: Sequence[LLM]) -> None:
        self.llms = llms

    def send(self, loaded: LoadedModel) -> None:
        """Put the model's present weights into every copy."""
        with torch.no_grad():
            for llm in self.llms:
                llm.collective_rpc("lmmr1_load", args=(weights_of(loaded),))


class ByFile:
    """A file in shared memory that is there only while it is read."""

    def __init__(self, llms: Sequence[LLM]) -> None:
        self.llms = llms

    def send(self, loaded: LoadedModel) -> None:
        """Put the model's present weights into every copy."""
        _sweep()
        path = SHARED_MEMORY / f"{_FILES}{os.getpid()}"
        try:
            with torch.no_grad():
                save_file({name: value.cpu().contiguous() for name, value in weights_of(loaded)}, path)
            _everywhere(self.llms, lambda llm, _: llm.collective_rpc("lmmr1_load_file", args=(str(path),)))
        finally:
            path.unlink(missing_ok=True)


class ByProtocol:
    """vLLM's own weight transfer.

    Args:
        llms: the copies, each started with a backend.
        loaded: the model that sends.
        devices: of one copy.
        describe: the number of processes in the transfer to the sender's description of it, as the backend has it.
    """

    def __init__(self, llms: Sequence[LLM], loaded: LoadedModel, devices: int, describe: Callable[[int], Any]) -> None:
        from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory

        self.sender = WeightTransferTrainerFactory.trainer_init(
            describe(1 + devices * len(llms)), client=_Client(llms, devices), source=_source(loaded)
        )

    def send(self, loaded: LoadedModel) -> None:
        """Put the model's present weights into every copy; it is always the model of the constructor."""
        with torch.no_grad():
            self.sender.send_weights()


def describe_nccl(processes: int) -> Any:
    """This process sends to those of vLLM, each on a GPU of its own."""
    from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return NCCLTrainerInitInfo(rank=0, master_address="127.0.0.1", master_port=port, world_size=processes, packed=True)


def describe_ipc(processes: int) -> Any:
    """This process lends its GPU memory to those of vLLM on the same GPU."""
    from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo

    return IPCTrainerInitInfo(rank=0, packed=True)


class _Client:
    """What vLLM's senders call, passed on to every copy at once: they wait for each other."""

    def __init__(self, llms: Sequence[LLM], devices: int) -> None:
        self.llms, self.devices = llms, devices

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """Each copy's processes stand behind those of the copies before it."""

        def call(llm: LLM, copy: int) -> None:
            info = dict(init_info)
            if "rank_offset" in info:
                info["rank_offset"] += copy * self.devices
            llm.collective_rpc("init_weight_transfer_engine", args=(info,))

        _everywhere(self.llms, call)

    def start_weight_update(self) -> None:
        """Make ready."""
        _everywhere(self.llms, lambda llm, _: llm.collective_rpc("start_weight_update"))

    def update_weights(self, update_info: Any) -> None:
        """Take what is sent."""
        _everywhere(self.llms, lambda llm, _: llm.collective_rpc("update_weights", args=(update_info,)))

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """Take it into use."""

        def call(llm: LLM, _: int) -> None:
            llm.collective_rpc("finish_weight_update")
            llm.collective_rpc("lmmr1_refresh_head")

        _everywhere(self.llms, call)


def _source(loaded: LoadedModel) -> Any:
    """The model as vLLM's senders read it, from the beginning at each update."""
    from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource

    class Source(WeightSource):
        def metadata(self) -> list[ParamMeta]:
            return [ParamMeta(name, value.dtype, tuple(value.shape)) for name, value in weights_of(loaded)]

        def __iter__(self) -> Iterator[tuple[str, Tensor]]:
            return weights_of(loaded)

    return Source()


def _everywhere(llms: Sequence[LLM], call: Callable[[LLM, int], Any]) -> None:
    if len(llms) == 1:
        call(llms[0], 0)
        return
    with ThreadPoolExecutor(len(llms)) as pool:
        list(pool.map(call, llms, range(len(llms))))


def _sweep() -> None:
    """Remove files of processes that were killed while they sent."""
    for path in SHARED_MEMORY.glob(f"{_FILES}*"):
        owner = path.name.removeprefix(_FILES)
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            path.unlink(missing_ok=True)
