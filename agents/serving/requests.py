"""What a client asks for: the body of a chat completion, read and checked. Nothing of it is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmmr1.envs.datasets import images
from lmmr1.envs.datasets.refusals import RowError
from lmmr1.envs.messages import Message, Part, image_part, text_part

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class Limits:
    """What one request may be.

    Attributes:
        body_bytes: of the body.
        messages, images, characters: how many it may hold, all messages together.
        image_pixels: of a picture; a larger one is refused before it is decoded.
        shown_pixels: a picture with more is scaled down to as many.
        new_tokens: the longest reply, and what a request gets that asks for none.
        replies: the most of them that one request may ask for.
        waiting: requests that wait at a time; more are sent away for a while.
        batch: requests that the agent answers together.
        reading_seconds: how long a client may take to send its body.
    """

    body_bytes: int = 32 << 20
    messages: int = 1000
    images: int = 64
    characters: int = 2_000_000
    image_pixels: int = 16_000_000
    shown_pixels: int = 1_048_576
    new_tokens: int = 2048
    replies: int = 16
    waiting: int = 256
    batch: int = 64
    reading_seconds: float = 60.0


class RefusalError(Exception):
    """A request that is not answered: the HTTP status, what to tell, and which key of the body is wrong."""

    def __init__(self, status: int, message: str, key: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.key, self.code = status, key, code

    def body(self) -> dict[str, Any]:
        """The error as OpenAI's clients read it."""
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        return {"error": {"message": str(self), "type": kind, "param": self.key, "code": self.code}}


@dataclass(frozen=True)
class Wish:
    """How a reply is to be sampled. Requests with the same wish are answered in one batch."""

    new_tokens: int
    temperature: float
    stop: tuple[str, ...]

    @property
    def greedy(self) -> bool:
        """Whether the likeliest tokens are wanted."""
        return self.temperature == 0


@dataclass(frozen=True)
class ChatRequest:
    """A chat completion that is asked for.

    Attributes:
        model: its name.
        messages: the conversation, the user's message last.
        wish: how to sample.
        replies: how many.
        seed: of the sampling; None for any.
        logprobs: whether the log-probabilities of its tokens are wanted.
        stream: whether it is to come in pieces.
        stream_usage: whether a stream ends with the counts of tokens.
    """

    model: str
    messages: list[Message]
    wish: Wish
    replies: int = 1
    seed: int | None = None
    logprobs: bool = False
    stream: bool = False
    stream_usage: bool = False


def read_request(body: bytes, limits: Limits, default_temperature: float = 1.0) -> ChatRequest:
    """Read a body.

    Raises:
        RefusalError: it is no JSON, a key is missing or wrong, or it asks for what is not offered; says which.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusalError(400, f"the body is not readable as JSON: {error}") from error
    if not isinstance(document, dict):
        raise RefusalError(400, "the body must be a JSON object")
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise RefusalError(400, "model is missing: name one of those that /v1/models lists", "model")
    _refuse_foreign(document)
    temperature = _number(document, "temperature", default_temperature, 0.0, 2.0)
    wish = Wish(_new_tokens(document, limits), temperature, _stop(document))
    replies = _whole(document, "n", 1, 1, limits.replies)
    seed = document.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise RefusalError(400, "seed must be a whole number", "seed")
    options = document.get("stream_options") or {}
    if not isinstance(options, dict):
        raise RefusalError(400, "stream_options must be an object", "stream_options")
    return ChatRequest(
        model,
        _messages(document.get("messages"), limits),
        wish,
        replies,
        None if seed is None else seed % 2**63,
        _flag(document, "logprobs"),
        _flag(document, "stream"),
        options.get("include_usage") is True,
    )


def _refuse_foreign(document: Mapping[str, Any]) -> None:
    """What would change a reply and is not offered must not be passed over."""
    neutral: dict[str, tuple[Any, ...]] = {
        "top_p": (None, 1, 1.0),
        "top_logprobs": (None, 0),
        "presence_penalty": (None, 0, 0.0),
        "frequency_penalty": (None, 0, 0.0),
        "logit_bias": (None, {}),
        "tools": (None, []),
        "functions": (None, []),
        "response_format": (None, {"type": "text"}),
    }
    for key, allowed in neutral.items():
        if document.get(key) not in allowed:
            raise RefusalError(400, f"{key} is not offered here: leave it out", key, "unsupported_parameter")


def _new_tokens(document: Mapping[str, Any], limits: Limits) -> int:
    key = "max_completion_tokens" if document.get("max_completion_tokens") is not None else "max_tokens"
    value = document.get(key)
    if value is None:
        return limits.new_tokens
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RefusalError(400, f"{key} must be a whole number of at least 1, not {value!r:.40}", key)
    return min(value, limits.new_tokens)  # who asks for more gets as much as there is, and is told "length"


def _whole(document: Mapping[str, Any], key: str, default: int, least: int, most: int) -> int:
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RefusalError(400, f"{key} must be a whole number from {least} to {most}, not {value!r:.40}", key)
    return value


def _number(document: Mapping[str, Any], key: str, default: float, least: float, most: float) -> float:
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise RefusalError(400, f"{key} must be a number from {least} to {most}, not {value!r:.40}", key)
    return float(value)


def _flag(document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key)
    if value not in (None, True, False):
        raise RefusalError(400, f"{key} must be true or false", key)
    return value is True


def _stop(document: Mapping[str, Any]) -> tuple[str, ...]:
    value = document.get("stop")
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or len(texts) > 16 or not all(isinstance(text, str) and text for text in texts):
        raise RefusalError(400, "stop must be a text or a list of up to 16 texts", "stop")
    return tuple(texts)


def _messages(value: Any, limits: Limits) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise RefusalError(400, "messages must be a list with at least one message", "messages")
    if len(value) > limits.messages:
        raise RefusalError(400, f"there are {len(value)} messages; {limits.messages} are the most", "messages")
    messages = [_message(message, f"messages[{index}]", limits) for index, message in enumerate(value)]
    parts = [part for message in messages for part in message["content"]]
    pictures = sum(part["type"] == "image" for part in parts)
    if pictures > limits.images:
        raise RefusalError(400, f"there are {pictures} images; {limits.images} are the most", "messages")
    characters = sum(len(part["text"]) for part in parts if part["type"] == "text")
    if characters > limits.characters:
        raise RefusalError(400, f"there are {characters} characters; {limits.characters} are the most", "messages")
    if messages[-1]["role"] == "assistant":
        raise RefusalError(400, "the last message is the assistant's: there is nothing to reply to", "messages")
    return messages


def _message(value: Any, where: str, limits: Limits) -> Message:
    if not isinstance(value, dict) or value.get("role") not in ROLES:
        raise RefusalError(400, f"{where} needs a role: {', '.join(ROLES)}", where)
    content = value.get("content")
    if isinstance(content, str):
        return {"role": ROLES[value["role"]], "content": [_text(content, where)]}  # type: ignore[typeddict-item]
    if not isinstance(content, list) or not content:
        raise RefusalError(400, f"{where}.content must be a text or a list of parts", where)
    parts = [_part(part, f"{where}.content[{index}]", limits) for index, part in enumerate(content)]
    if value["role"] != "user" and any(part["type"] == "image" for part in parts):
        raise RefusalError(400, f"{where}: only the user's messages may hold images", where)
    return {"role": ROLES[value["role"]], "content": parts}  # type: ignore[typeddict-item]


def _part(value: Any, where: str, limits: Limits) -> Part:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text" and isinstance(value.get("text"), str):
        return _text(value["text"], where)
    if kind == "image_url":
        link = value.get("image_url")
        url = link.get("url") if isinstance(link, dict) else link
        return _picture(url, where, limits)
    raise RefusalError(400, f"{where} must be of type text or image_url", where)


def _text(text: str, where: str) -> Part:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise RefusalError(400, f"{where} holds half of a surrogate pair, which is no character", where)
    return text_part(text)


def _picture(url: Any, where: str, limits: Limits) -> Part:
    if not isinstance(url, str) or not url.startswith("data:"):
        shown = url[:60] if isinstance(url, str) else type(url).__name__
        raise RefusalError(
            400, f"{where}: an image must be a data URL (data:image/png;base64,...), not {shown!r}", where, "bad_image"
        )
    try:
        width, height = images.measure(url, None)
        if width * height > limits.image_pixels:
            most = f"{limits.image_pixels:,} are the most"
            raise RefusalError(400, f"{where}: the image has {width} x {height} pixels; {most}", where, "bad_image")
        return image_part(images.load(url, None, limits.shown_pixels))
    except RowError as error:
        raise RefusalError(400, f"{where}: {error}", where, "bad_image") from error
