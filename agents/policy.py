"""PolicyAgent: a vision-language model and an engine behind `act`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .base import AgentReply, Conversation
from .engines.base import Engine, Request, Sampling
from .engines.embedded import EmbeddedEngine
from .engines.generic import GenericEngine
from .engines.sampler import Sampler
from .models import LoadedModel, load_model
from .networks.base import PixelInput
from .networks.generic import GenericNetwork
from .networks.qwen import QwenNetwork
from .template import Template


class PolicyAgent:
    """A policy: messages become ids, the engine samples, the ids become text.

    Args:
        loaded: the model.
        sampling: how to sample; `greedy` is chosen in each call.
        context: "conversation" (each turn continues all ids before it) or "turn" (only system message and present
            observation).
        max_context_tokens: a prompt that leaves no room for a full reply under this ends the episode as truncated.
        slots: how many sequences decode side by side.
        name: for tables and films.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        sampling: Sampling,
        context: str = "conversation",
        max_context_tokens: int = 4096,
        slots: int = 256,
        name: str = "policy",
    ) -> None:
        self.loaded, self.sampling, self.context, self.name = loaded, sampling, context, name
        self.max_context_tokens, self.slots = max_context_tokens, slots
        self.template = Template(loaded)
        self.engine: Engine = make_engine(loaded, slots)
        self.sampler = Sampler(loaded.network.vocabulary_size, loaded.banned_ids, loaded.model.device)

    @classmethod
    def from_pretrained(cls, source: str, max_new_tokens: int = 512, **options: str | int) -> PolicyAgent:
        """An agent from "tiny", a model folder or a hub id; `options` are those of the constructor."""
        return cls(load_model(source), Sampling(max_new_tokens), **options)  # type: ignore[arg-type]

    def variant(self, context: str, max_new_tokens: int, name: str | None = None) -> PolicyAgent:
        """The same weights, spoken with in another way."""
        sampling = replace(self.sampling, max_new_tokens=max_new_tokens)
        return PolicyAgent(self.loaded, sampling, context, self.max_context_tokens, self.slots, name or self.name)

    def save_pretrained(self, folder: Path) -> None:
        """Write a model folder that `from_pretrained` and `transformers` read."""
        self.loaded.save(folder)

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """Sample one reply for each conversation."""
        prompts = [self.prompt(conversation) for conversation in conversations]
        limit = self.max_context_tokens - self.sampling.max_new_tokens
        fitting = [index for index, (ids, _, _) in enumerate(prompts) if len(ids) <= limit]
        requests = [
            Request(prompts[i][0], tuple(prompts[i][2]), (*conversations[i].key, len(conversations[i].turns)))
            for i in fitting
        ]
        completions = self.engine.generate(requests, replace(self.sampling, greedy=greedy))
        replies = [AgentReply("", overflow=True)] * len(conversations)
        for index, completion in zip(fitting, completions, strict=True):
            text = self.template.decode(completion.ids)
            replies[index] = AgentReply(text, prompts[index][1], completion.ids, completion.logprobs)
        return replies

    def prompt(self, conversation: Conversation) -> tuple[np.ndarray, np.ndarray, list[PixelInput]]:
        """All ids before the reply, the ids that this turn adds, and all images of the former."""
        if self.context == "turn":
            system = [message for message in conversation.messages if message["role"] == "system"]
            latest = [message for message in conversation.new_messages if message["role"] != "system"]
            ids, images = self.template.first([*system, *latest])
            return ids, ids, images
        if not conversation.turns:
            ids, images = self.template.first(conversation.new_messages)
            return ids, ids, images
        ended = int(conversation.turns[-1].reply_ids[-1]) in self.loaded.end_ids
        added, images = self.template.following(conversation.new_messages, ended)
        past = [part for turn in conversation.turns for part in (turn.prompt_ids, turn.reply_ids)]
        return np.concatenate([*past, added]), added, [*self._past_images(conversation), *images]

    def _past_images(self, conversation: Conversation) -> list[PixelInput]:
        encoder = self.loaded.images
        if encoder is None:
            return []
        shown = [part for turn in conversation.turns for message in turn.messages for part in message["content"]]
        return [encoder(part["image"]) for part in shown if part["type"] == "image"]


def use_threads(count: int) -> None:
    """Let one torch operation use `count` CPU threads from now on; results change in the last bit with it."""
    torch.set_num_threads(count)


def make_engine(loaded: LoadedModel, slots: int) -> Engine:
    """The engine for a loaded model: the embedded one where its network is fused."""
    if isinstance(loaded.network, QwenNetwork):
        return EmbeddedEngine(loaded.network, loaded.banned_ids, loaded.end_ids, loaded.pad_id, slots)
    assert isinstance(loaded.network, GenericNetwork)
    return GenericEngine(loaded.network, loaded.banned_ids, loaded.end_ids, loaded.pad_id, slots)
