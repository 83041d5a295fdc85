"""PolicyAgent: a vision-language model and an engine behind `act`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lmmr1.envs.messages import message_images

from .base import AgentReply, Conversation
from .context import Context
from .engines.base import Completion, Engine, Request, Sampling
from .engines.batch import PREFIX_BYTES
from .engines.embedded import EmbeddedEngine
from .engines.generic import GenericEngine
from .engines.sampler import Sampler
from .engines.stopping import StopStrings
from .models import LoadedModel, load_model
from .networks.base import PixelInput
from .networks.compiled.switch import allow_kernels
from .networks.generic import GenericNetwork
from .networks.qwen import QwenNetwork
from .template import Template


@dataclass(frozen=True)
class Asked:
    """What a policy asks an engine.

    Attributes:
        conversations: all of them.
        fitting: the places of those that fit the context, in the order of their requests.
        added: for each conversation the ids that this turn adds.
        requests, sampling: for the engine.
    """

    conversations: Sequence[Conversation]
    fitting: list[int]
    added: list[np.ndarray]
    requests: list[Request]
    sampling: Sampling


class PolicyAgent:
    """A policy: messages become ids, the engine samples, the ids become text.

    Args:
        loaded: the model.
        sampling: how to sample; `greedy` is chosen in each call.
        context: what it sees at each turn, as the word for a `Context`: "conversation" (each turn continues all ids
            before it), "turn" (only system message and present observation) or "window:TURNS:IMAGES".
        max_context_tokens: a prompt that leaves no room for a full reply under this ends the episode as truncated.
        slots: how many sequences decode side by side.
        name: for tables and films.
        prefix_bytes: the memory for what the engine keeps of conversations between their turns.
        engine: one that is shared by several agents over the same model, and closed by whoever made it; without it the
            agent makes its own, in this process.

    Raises:
        UserError: an unknown context.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        sampling: Sampling,
        context: str = "conversation",
        max_context_tokens: int = 4096,
        slots: int = 256,
        name: str = "policy",
        prefix_bytes: int = PREFIX_BYTES,
        engine: Engine | None = None,
    ) -> None:
        Context.parse(context)
        self.loaded, self.sampling, self.context, self.name = loaded, sampling, context, name
        self.max_context_tokens, self.slots, self.prefix_bytes = max_context_tokens, slots, prefix_bytes
        self.template = Template(loaded)
        self.shared_engine = engine
        self.engine: Engine = make_engine(loaded, slots, prefix_bytes) if engine is None else engine
        self.sampler = Sampler(loaded.network.vocabulary_size, loaded.banned_ids, loaded.model.device)

    @classmethod
    def from_pretrained(cls, source: str, max_new_tokens: int = 512, **options: str | int) -> PolicyAgent:
        """An agent from "tiny", a model folder or a hub id; `options` are those of the constructor."""
        return cls(load_model(source), Sampling(max_new_tokens), **options)  # type: ignore[arg-type]

    def variant(self, context: str, max_new_tokens: int, name: str | None = None) -> PolicyAgent:
        """The same weights, spoken with in another way."""
        sampling = replace(self.sampling, max_new_tokens=max_new_tokens)
        limits = (self.max_context_tokens, self.slots)
        return PolicyAgent(
            self.loaded, sampling, context, *limits, name or self.name, self.prefix_bytes, self.shared_engine
        )

    def over(self, loaded: LoadedModel, engine: Engine) -> PolicyAgent:
        """The same way of speaking, over another model of the same family and its engine."""
        limits = (self.max_context_tokens, self.slots)
        return PolicyAgent(loaded, self.sampling, self.context, *limits, self.name, self.prefix_bytes, engine)

    def save_pretrained(self, folder: Path) -> None:
        """Write a model folder that `from_pretrained` and `transformers` read."""
        self.loaded.save(folder)

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """Sample one reply for each conversation."""
        asked = self.ask(conversations, greedy)
        return self.read(asked, self.engine.generate(asked.requests, asked.sampling))

    def ask(self, conversations: Sequence[Conversation], greedy: bool) -> Asked:
        """What any engine over the same model must be asked to reply to each conversation."""
        prompts = [self.prompt(conversation) for conversation in conversations]
        limit = self.max_context_tokens - self.sampling.max_new_tokens
        fitting = [index for index, (ids, _, _) in enumerate(prompts) if len(ids) <= limit]
        requests = [self._request(conversations[i], prompts[i][0], prompts[i][2]) for i in fitting]
        added = [ids for _, ids, _ in prompts]
        return Asked(conversations, fitting, added, requests, replace(self.sampling, greedy=greedy))

    def read(self, asked: Asked, completions: Sequence[Completion]) -> list[AgentReply]:
        """The replies that the completions of `asked.requests` are, one for each of its conversations."""
        replies = [AgentReply("", overflow=True)] * len(asked.conversations)
        for index, completion in zip(asked.fitting, completions, strict=True):
            asked.conversations[index].prefix = completion.prefix
            text = self.template.decode(completion.ids)
            replies[index] = AgentReply(
                text,
                asked.added[index],
                completion.ids,
                completion.logprobs,
                cut_off=not completion.ended,
                version=completion.version,
            )
        return replies

    def prompt(self, conversation: Conversation) -> tuple[np.ndarray, np.ndarray, list[PixelInput]]:
        """All ids before the reply, the ids that this turn adds (see `Turn`), and all images of the former."""
        context = Context.parse(self.context)
        if not context.keeps_history:
            ids, images = self.template.window(context, conversation.turns, conversation.new_messages)
            return ids, ids, images
        if not conversation.turns:
            ids, images = self.template.first(conversation.new_messages)
            return ids, ids, images
        ended = conversation.turns[-1].ends_with(self.loaded.end_ids)
        added, images = self.template.following(conversation.new_messages, ended)
        past = [part for turn in conversation.turns for part in (turn.prompt_ids, turn.reply_ids)]
        return np.concatenate([*past, added]), added, [*self._past_images(conversation), *images]

    def recite(self, conversation: Conversation, text: str) -> AgentReply:
        """A reply that somebody else has thought of, in this policy's tokens; its log-probabilities are 0."""
        _, added, _ = self.prompt(conversation)
        ids = [*self.loaded.tokenizer.encode(text, add_special_tokens=False), self.loaded.end_ids[0]]
        return AgentReply(text, added, np.array(ids, np.int32), np.zeros(len(ids), np.float32))

    def _request(self, conversation: Conversation, ids: np.ndarray, images: list[PixelInput]) -> Request:
        turn = len(conversation.turns)
        keep = Context.parse(self.context).grows(turn)
        return Request(ids, tuple(images), (*conversation.key, turn), conversation.prefix, keep)

    def _past_images(self, conversation: Conversation) -> list[PixelInput]:
        encoder = self.loaded.images
        if encoder is None:
            return []
        # Finding out which image it is takes as long as reading all of it: done once for each turn.
        for turn in conversation.turns[len(conversation.pixels) :]:
            shown = [image for message in turn.messages for image in message_images(message)]
            conversation.pixels.append([encoder(image) for image in shown])
        return [image for images in conversation.pixels for image in images]


def use_threads(count: int, kernels: bool = True) -> None:
    """Let one torch operation use `count` CPU threads, and compiled kernels run or not; the last bits hang on both."""
    torch.set_num_threads(count)
    allow_kernels(kernels)


def make_engine(loaded: LoadedModel, slots: int, prefix_bytes: int = PREFIX_BYTES) -> Engine:
    """The engine for a loaded model: the embedded one where its network is fused."""
    ids = (loaded.banned_ids, loaded.end_ids, loaded.pad_id)
    stop_strings = StopStrings(loaded.tokenizer, loaded.network.vocabulary_size)
    if isinstance(loaded.network, QwenNetwork):
        return EmbeddedEngine(loaded.network, *ids, slots, stop_strings, prefix_bytes)
    assert isinstance(loaded.network, GenericNetwork)
    return GenericEngine(loaded.network, *ids, slots, stop_strings, prefix_bytes)
