"""The player behind an API: any model with an OpenAI-compatible chat endpoint, here or elsewhere."""

from __future__ import annotations

import base64
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message

from ..base import AgentReply, Conversation
from ..context import Context

KEY_VARIABLE = "LMMR1_API_KEY"
# Worth another try: the server is busy, or something on the way broke.
PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked, and how.

    Attributes:
        url: the part before "/chat/completions", such as "http://127.0.0.1:8000/v1".
        model: its name there.
        max_new_tokens: longest reply, in tokens.
        temperature: of sampling; greedy play asks for 0.
        api_key: sent as a bearer token; by default what the variable LMMR1_API_KEY holds.
        concurrency: requests at a time.
        retries: how often a request is repeated that the server could not take, after ever longer pauses.
        timeout: seconds that one answer may take.

    Raises:
        UserError: the url is none of http or https.
    """

    url: str
    model: str
    max_new_tokens: int = 1024
    temperature: float = 1.0
    api_key: str | None = None
    concurrency: int = 16
    retries: int = 5
    timeout: float = 600.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UserError(f"the endpoint {self.url!r} is no URL: write it like http://127.0.0.1:8000/v1")
        if not self.model:
            raise UserError("the endpoint needs the name of a model: write endpoint:URL#MODEL")

    @classmethod
    def parse(cls, word: str, **options: Any) -> Endpoint:
        """An endpoint from "URL#MODEL"."""
        url, _, model = word.partition("#")
        return cls(url.rstrip("/"), model, **options)

    def ask(self, messages: Sequence[Message], *, greedy: bool, seed: int | None = None) -> tuple[str, bool]:
        """One reply.

        Args:
            messages: the conversation.
            greedy: ask for temperature 0.
            seed: of the server's sampling, for servers that heed it.

        Returns:
            The text, and whether it was cut off at the most tokens.

        Raises:
            UserError: the server cannot be reached, refuses, or answers something else.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_as_json(message) for message in messages],
            "max_tokens": self.max_new_tokens,
            "temperature": 0.0 if greedy else self.temperature,
        }
        if seed is not None:
            body["seed"] = seed
        answer = self._post("/chat/completions", json.dumps(body).encode())
        try:
            choice = json.loads(answer)["choices"][0]
            text = choice["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"the endpoint {self.url} answered no chat completion: {answer[:200]!r}") from error
        return text or "", choice.get("finish_reason") == "length"

    def _post(self, path: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        key = self.api_key or os.environ.get(KEY_VARIABLE)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        for attempt in range(self.retries + 1):
            request = urllib.request.Request(self.url + path, body, headers)
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    return response.read()
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}: {_told(error.read())}"
                passing, wished = error.code in PASSING, error.headers.get("Retry-After", "")
            except (OSError, ValueError) as error:  # refused, reset, timed out
                reason, passing, wished = str(getattr(error, "reason", error)), True, ""
            if not passing or attempt == self.retries:
                raise UserError(f"the endpoint {self.url} with the model {self.model!r}: {reason}")
            time.sleep(min(LONGEST_PAUSE, float(wished) if wished.isdecimal() else 0.5 * 2**attempt))
        raise AssertionError("every way out is above")


class EndpointPlayer:
    """Plays by asking an endpoint, many conversations at a time.

    A reply that never came ends the evaluation and is never scored as a wrong one.

    Args:
        endpoint: whom to ask.
        context: what the model is shown at each turn, the word for a `Context`.
    """

    def __init__(self, endpoint: Endpoint, context: str = "conversation") -> None:
        Context.parse(context)
        self.endpoint, self.context, self.name = endpoint, context, endpoint.model

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        """One reply for each conversation."""

        def reply(conversation: Conversation) -> AgentReply:
            turn = len(conversation.turns)
            seed = int(np.random.SeedSequence((*conversation.key, turn)).generate_state(1)[0]) & 0x7FFFFFFF
            messages = self._shown(conversation)
            text, cut_off = self.endpoint.ask(messages, greedy=greedy, seed=seed)
            return AgentReply(text, cut_off=cut_off)

        with ThreadPoolExecutor(self.endpoint.concurrency) as threads:
            return list(threads.map(reply, conversations))

    def _shown(self, conversation: Conversation) -> list[Message]:
        """What the context shows of a conversation: system messages, and its last turns."""
        context = Context.parse(self.context)
        if context.keeps_history:
            return conversation.messages
        system = [message for message in conversation.messages if message["role"] == "system"]
        shown, pictured = context.shown(len(conversation.turns)), context.pictured(len(conversation.turns))
        said = [*(turn.messages for turn in conversation.turns), conversation.new_messages]
        messages = list(system)
        for index in shown:
            if index != shown.start:
                text = conversation.turns[index - 1].text
                messages.append({"role": "assistant", "content": [{"type": "text", "text": text}]})
            new = [message for message in said[index] if message["role"] != "system"]
            messages += new if index in pictured else [_without_pictures(message) for message in new]
        return messages


def picture_url(image: np.ndarray) -> str:
    """A picture, shape (height, width, 3), dtype uint8, as a data URL that holds a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _as_json(message: Message) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": part["text"]}
        if part["type"] == "text"
        else {"type": "image_url", "image_url": {"url": picture_url(part["image"])}}
        for part in message["content"]
    ]
    if all(part["type"] == "text" for part in parts):
        return {"role": message["role"], "content": "".join(part["text"] for part in parts)}
    return {"role": message["role"], "content": parts}


def _without_pictures(message: Message) -> Message:
    parts = [part if part["type"] == "text" else {"type": "text", "text": "[image]"} for part in message["content"]]
    return {"role": message["role"], "content": parts}  # type: ignore[typeddict-item]


def _told(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])[:300]
    except (ValueError, LookupError, TypeError):
        return body[:200].decode("utf-8", "replace")
