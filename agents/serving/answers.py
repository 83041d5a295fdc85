"""What is sent back: replies as OpenAI's clients read them, whole or in pieces."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from ..base import Agent, AgentReply
from ..policy import PolicyAgent
from .requests import ChatRequest, RefusalError

_WORD = re.compile(r"\S*\s*")


def new_id() -> str:
    """The id of a completion."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def check_replies(replies: Sequence[AgentReply]) -> None:
    """Refuse what was not answered.

    Raises:
        RefusalError: the conversation does not fit the model.
    """
    if any(reply.overflow for reply in replies):
        message = "the conversation and the reply it asks for do not fit the model's context: shorten one of them"
        raise RefusalError(400, message, "messages", "context_length_exceeded")


def completion(identity: str, request: ChatRequest, replies: Sequence[AgentReply], agent: Agent) -> dict[str, Any]:
    """A whole chat completion."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": reply.text, "refusal": None},
            "finish_reason": _finish(reply),
            "logprobs": {"content": token_logprobs(reply, agent)} if request.logprobs else None,
        }
        for index, reply in enumerate(replies)
    ]
    return {**_frame(identity, request, "chat.completion"), "choices": choices, "usage": usage(replies)}


def chunks(identity: str, request: ChatRequest, replies: Sequence[AgentReply], agent: Agent) -> Iterator[bytes]:
    """A chat completion as the events of a stream, "[DONE]" last."""
    frame = _frame(identity, request, "chat.completion.chunk")

    def event(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return as_event({**frame, "choices": [choice]})

    for index, reply in enumerate(replies):
        yield event(index, {"role": "assistant", "content": ""})
        told = token_logprobs(reply, agent) if request.logprobs else []
        for piece in _WORD.findall(reply.text):
            if piece:
                yield event(index, {"content": piece})
        yield event(index, {}, _finish(reply), {"content": told} if request.logprobs else None)
    if request.stream_usage:
        yield as_event({**frame, "choices": [], "usage": usage(replies)})
    yield b"data: [DONE]\n\n"


def as_event(document: dict[str, Any]) -> bytes:
    """A document as a server-sent event."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def usage(replies: Sequence[AgentReply]) -> dict[str, int]:
    """The counts of tokens; 0 for agents that have none."""
    prompt = len(replies[0].prompt_ids) if replies else 0
    said = sum(len(reply.reply_ids) for reply in replies)
    return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def token_logprobs(reply: AgentReply, agent: Agent) -> list[dict[str, Any]]:
    """Each sampled token with its log-probability, its end token among them; none for agents without tokens."""
    if not isinstance(agent, PolicyAgent):
        return []
    pieces = [agent.loaded.tokenizer.decode([token]) for token in reply.reply_ids.tolist()]
    return [
        {"token": piece, "logprob": float(value), "bytes": list(str(piece).encode()), "top_logprobs": []}
        for piece, value in zip(pieces, reply.logprobs, strict=True)
    ]


def _finish(reply: AgentReply) -> str:
    return "length" if reply.cut_off else "stop"


def _frame(identity: str, request: ChatRequest, kind: str) -> dict[str, Any]:
    return {"id": identity, "object": kind, "created": int(time.time()), "model": request.model}
