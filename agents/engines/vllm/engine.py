"""The engine: requests to vLLM, and back what it sampled from the weights that the learner had.

Log-probabilities are those of the distribution that was sampled from (temperature, banned ids), and equal the learner's
`Sampler.log_probabilities` to rounding: 1e-5 in float32. What a request samples depends on its key and on nothing
else in the batch, except where a batch of another shape rounds a logit differently and two ids are that close. The
embedded engine draws other samples from the same key.

On CPUs everything here is tested, in one process and in several. On a GPU nothing of it has been run yet.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmmr1.envs.errors import UserError

from ...models import LoadedModel
from ...streaming.calls import EngineLostError
from ..base import Completion, Request, Sampling
from ..config import EngineConfig
from ..stopping import StopStrings, is_finished
from .prompts import check_expansion, to_prompt
from .requirements import SHARED_MEMORY, check_model, check_room, size_in_bytes
from .starting import end, environment, start, undisturbed
from .transfer import ByFile, ByProtocol, Direct, Transfer, describe_ipc, describe_nccl

if TYPE_CHECKING:
    from vllm import LLM


@dataclass
class _Reply:
    """What is known of one request."""

    request: Request
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    state: int = 0  # how far into a stop string its text is


class VLLMEngine:
    """See the module.

    Args:
        loaded: the model whose weights it samples from; it holds a copy of its own, of the state at the last update.
        config: the settings.
        max_model_len: longest prompt with its reply, in tokens.
        slots: how many sequences each copy decodes side by side.

    Raises:
        UserError: vLLM cannot run this model, or not here.
    """

    def __init__(self, loaded: LoadedModel, config: EngineConfig, max_model_len: int, slots: int) -> None:
        self.loaded, self.config, self.max_model_len = loaded, config, max_model_len
        self.version = 0
        self.asleep = False
        self.image_id: int | None = None if loaded.images is None else loaded.model.config.image_token_id
        self.stop_strings = StopStrings(loaded.tokenizer, loaded.network.vocabulary_size)
        self._calls = 0
        # vLLM makes a group of processes of its own, and torch has room for one in each process.
        taken = torch.distributed.is_available() and torch.distributed.is_initialized()
        if taken and config.transfer == "memory":
            raise UserError(
                "engine.transfer 'memory' needs vLLM in the learner's process, which is one of several here: "
                "take 'auto' or 'file'"
            )
        self.in_process = config.in_process and not taken
        with environment(config, self.in_process):
            check_model(loaded.model, config, loaded.source, max_model_len)
        way = config.transfer if config.transfer != "auto" else "memory" if self.in_process else "file"
        if way == "file":
            remedy = "mount it with more (docker run --shm-size), or set engine.transfer"
            check_room(SHARED_MEMORY, int(1.05 * size_in_bytes(loaded.model)), "the file of engine.transfer", remedy)
        backend = way if way in ("nccl", "ipc") else None
        self.llms = start(loaded, config, max_model_len, slots, self.in_process, backend)
        self.transfer = self._make_transfer(way)

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Continue every request; the results stand in the requests' order.

        Raises:
            UserError: a prompt leaves no room for a reply within `max_model_len`, or vLLM ran other ids than it shows.
            EngineLostError: a process of vLLM's ended.
        """
        for request in requests:
            if len(request.prompt_ids) + sampling.max_new_tokens > self.max_model_len:
                raise UserError(
                    f"a prompt of {len(request.prompt_ids)} tokens and a reply of {sampling.max_new_tokens} do not fit "
                    f"into engine.max_model_len {self.max_model_len}: raise it"
                )
        self.wake()
        table = self.stop_strings.table(sampling.stop) if sampling.stop else None
        replies = [_Reply(request) for request in requests]
        shares: list[list[_Reply]] = [[] for _ in self.llms]
        for reply in replies:
            shares[_place(reply.request.key, len(self.llms))].append(reply)
        with undisturbed(), _losses_told():
            if len(self.llms) == 1:
                self._run(self.llms[0], shares[0], sampling, table)
            else:
                with ThreadPoolExecutor(len(self.llms)) as pool:
                    list(pool.map(lambda llm, share: self._run(llm, share, sampling, table), self.llms, shares))
        return [self._completion(reply, sampling, table) for reply in replies]

    def update_weights(self, version: int) -> None:
        """Sample from the model's present weights from here on; what was kept of the ones before is dropped.

        Raises:
            EngineLostError: a process of vLLM's ended.
        """
        self.wake()
        with undisturbed(), _losses_told():
            self.transfer.send(self.loaded)
            for llm in self.llms:
                llm.llm_engine.set_weight_version(str(version))
                llm.reset_prefix_cache()
                llm.reset_mm_cache()
                # Without this the scheduler believes in features that the worker has dropped, and vLLM dies.
                llm.llm_engine.reset_encoder_cache()
        self.version = version

    def sleep(self) -> None:
        """Hand the GPU's memory over until `wake`, where the settings say so; on a CPU vLLM then does nothing."""
        if self.config.sleep and not self.asleep:
            self.asleep = True
            for llm in self.llms:
                llm.sleep(level=1)

    def wake(self) -> None:
        """Take it back; done by itself when it is needed."""
        if self.asleep:
            for llm in self.llms:
                llm.wake_up()
            self.asleep = False

    def close(self) -> None:
        """End vLLM's processes; a second time nothing happens."""
        if self.llms:
            end(self.llms, self.in_process)

    def _make_transfer(self, way: str) -> Transfer:
        if way == "memory":
            return Direct(self.llms)
        if way == "file":
            return ByFile(self.llms)
        describe = describe_nccl if way == "nccl" else describe_ipc
        return ByProtocol(self.llms, self.loaded, self.config.tensor_parallel, describe)

    def _run(self, llm: LLM, replies: Sequence[_Reply], sampling: Sampling, table: Tensor | None) -> None:
        """Add the requests and step until all have ended; those whose stop string is complete are taken out at once."""
        from vllm import RequestOutput

        engine = llm.llm_engine
        self._calls += 1
        running: dict[str, _Reply] = {}
        try:
            for index, reply in enumerate(replies):
                prompt = to_prompt(reply.request, self.loaded.images, self.image_id)
                params = self._parameters(reply.request, sampling)
                # vLLM adds to the name that it is given, so its own is kept; outputs carry ours.
                name = f"{self._calls}-{index}"
                engine.add_request(name, prompt, params)  # pyright: ignore[reportArgumentType]  # a dict is a prompt
                running[name] = reply
            while running and engine.has_unfinished_requests():
                for output in engine.step():
                    assert isinstance(output, RequestOutput)
                    reply = running.get(output.request_id)
                    if reply is None:
                        continue
                    if not reply.ids:
                        check_expansion(reply.request, output.prompt_token_ids or ())
                    stopped = _take(reply, output.outputs[0], table)
                    if stopped and not output.finished:
                        engine.abort_request([output.request_id])
                    if stopped or output.finished:
                        del running[output.request_id]
        finally:
            if running:
                engine.abort_request(list(running))

    def _parameters(self, request: Request, sampling: Sampling) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        seed = int(np.random.SeedSequence(request.key).generate_state(1, np.uint64)[0] >> np.uint64(1))
        return SamplingParams(
            temperature=0.0 if sampling.greedy else sampling.temperature,
            seed=seed,
            max_tokens=sampling.max_new_tokens,
            ignore_eos=True,
            stop_token_ids=list(self.loaded.end_ids),
            logprobs=0,
            flat_logprobs=True,
            detokenize=False,
            extra_args={"greedy": sampling.temperature} if sampling.greedy and sampling.temperature != 1 else None,
            output_kind=RequestOutputKind.DELTA if sampling.stop else RequestOutputKind.FINAL_ONLY,
        )

    def _completion(self, reply: _Reply, sampling: Sampling, table: Tensor | None) -> Completion:
        ids, logprobs = np.array(reply.ids, np.int32), np.array(reply.logprobs, np.float32)
        ended = is_finished(ids, sampling.max_new_tokens, self.loaded.end_ids, table)
        return Completion(ids, logprobs, ended, None, self.version)


@contextlib.contextmanager
def _losses_told() -> Iterator[None]:
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except EngineDeadError as error:
        raise EngineLostError("a process of vLLM's has ended (VLLM_LOGGING_LEVEL=INFO tells why)") from error


def _take(reply: _Reply, output: Any, table: Tensor | None) -> bool:
    """Add what was sampled to a reply, up to the token that completes a stop string; whether one did."""
    for token, logprob in zip(output.token_ids, output.logprobs.logprobs, strict=True):
        reply.ids.append(token)
        reply.logprobs.append(logprob)
        if table is not None:
            reply.state = int(table[reply.state, token])
            if reply.state == len(table) - 1:
                return True
    return False


def _place(key: tuple[int, ...], copies: int) -> int:
    """Which copy takes a request: always the same one for a conversation, whose prefix it keeps."""
    if copies == 1:
        return 0
    digest = hashlib.sha256(repr(key[:-1]).encode()).digest()
    return int.from_bytes(digest[:8], "big") % copies
