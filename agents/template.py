"""Messages to token ids: the first prompt of a conversation, and only the ids that each later turn adds.

A reply is never written back through the tokenizer: the ids that were sampled stay, and the template is asked only for
what stands between them. That is what makes a conversation token-exact: every prompt starts with all the ids before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, Part, message_images, text_part

from .context import Context
from .episode import Turn
from .models import LoadedModel
from .networks.base import PixelInput

IMAGE_MARK = "<|image_pad|>"
_REPLY_MARK = "reply goes here"
# Stands where an image was that the context shows no longer.
HIDDEN_IMAGE = "[image]"
_MOST_TEXTS = 50_000

# Messages without their images: role and parts, None for an image.
_Shape = tuple[tuple[str, tuple[str | None, ...]], ...]


class Template:
    """The chat template of one model, as ids."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.tokenizer = loaded.tokenizer
        end_text = self.tokenizer.decode([loaded.end_ids[0]])
        assert isinstance(end_text, str)
        self.end_text = end_text
        self._texts: dict[tuple[str, _Shape], np.ndarray] = {}

    @functools.cached_property
    def pieces(self) -> list[str]:
        """What each id of the network's vocabulary stands for, as the tokenizer spells it; "" where for nothing."""
        known = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        assert isinstance(known, list)
        return known + [""] * (self.loaded.network.vocabulary_size - len(known))

    def first(self, messages: Sequence[Message]) -> tuple[np.ndarray, list[PixelInput]]:
        """The prompt that opens a conversation.

        Returns:
            int32 (length,) ids with image tokens expanded, and the images in order.
        """
        return self._encode("", messages, lambda: self._render(messages, generation_prompt=True))

    def following(self, messages: Sequence[Message], reply_ended: bool) -> tuple[np.ndarray, list[PixelInput]]:
        """What a later turn adds after the ids of the reply before it.

        Args:
            messages: the new messages.
            reply_ended: whether the reply's ids close with an end token; where they do not (it ran out of tokens), one
                is added.
        """

        def render() -> str:
            before = [self._text_message("user", "?"), self._text_message("assistant", _REPLY_MARK)]
            rendered = self._render([*before, *messages], generation_prompt=True)
            added = rendered.split(_REPLY_MARK, 1)[1]
            return added.removeprefix(self.end_text) if reply_ended else added

        return self._encode("ended" if reply_ended else "cut", messages, render)

    def window(
        self, context: Context, turns: Sequence[Turn], messages: Sequence[Message]
    ) -> tuple[np.ndarray, list[PixelInput]]:
        """The prompt of a turn that shows only some of what came before.

        The system messages, then the turns that `context` shows, their replies as the ids that were sampled, then the
        new messages.

        Args:
            context: which turns, and which of them with their images.
            turns: all turns so far.
            messages: the new messages.

        Returns:
            int32 (length,) ids with image tokens expanded, and the images in order.
        """
        said = [*(turn.messages for turn in turns), messages]
        system = [message for part in said for message in part if message["role"] == "system"]
        shown, pictured = context.shown(len(turns)), context.pictured(len(turns))
        parts: list[np.ndarray] = []
        images: list[PixelInput] = []
        for index in shown:
            new = [message for message in said[index] if message["role"] != "system"]
            if index not in pictured:
                new = [_without_images(message) for message in new]
            if index == shown.start:
                ids, pixels = self.first([*system, *new])
            else:
                reply = turns[index - 1].reply_ids
                parts.append(reply)
                ids, pixels = self.following(new, int(reply[-1]) in self.loaded.end_ids)
            parts.append(ids)
            images += pixels
        return np.concatenate(parts), images

    def decode(self, ids: np.ndarray) -> str:
        """The text of sampled ids, without the end token."""
        kept = [token for token in ids.tolist() if token not in self.loaded.end_ids]
        if isinstance(self.tokenizer, TokenizersBackend):
            # The same without its conversions, which take longer than the decoding.
            return self.tokenizer.backend_tokenizer.decode(kept, skip_special_tokens=False)
        text = self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def _render(self, messages: Sequence[Message], generation_prompt: bool) -> str:
        shown: list[dict[str, Any]] = []
        for message in messages:
            images = message_images(message)
            if images and self.loaded.images is None:
                raise UserError(
                    f"model '{self.loaded.source}' reads text only, but the environment shows images; "
                    "use a vision-language model or a text environment"
                )
            parts = [
                {"type": "image"} if part["type"] == "image" else {"type": "text", "text": self._defused(part["text"])}
                for part in message["content"]
            ]
            plain = "".join(part["text"] for part in parts if "text" in part)
            shown.append({"role": message["role"], "content": parts if self.loaded.images is not None else plain})
        text = self.tokenizer.apply_chat_template(shown, tokenize=False, add_generation_prompt=generation_prompt)
        assert isinstance(text, str)
        return text

    def _text_message(self, role: Any, text: str) -> Message:
        return {"role": role, "content": [{"type": "text", "text": text}]}

    def _defused(self, text: str) -> str:
        """Text of a world or a user with every control token broken up: only the template may write those."""
        for token in self.tokenizer.all_special_tokens:
            if token in text:
                text = text.replace(token, token[0] + "\u200b" + token[1:])
        return text

    def _encode(
        self, place: str, messages: Sequence[Message], render: Callable[[], str]
    ) -> tuple[np.ndarray, list[PixelInput]]:
        """Tokenize rendered text and expand each image mark to as many tokens as the image's features.

        Worlds say the same again and again, and rendering costs more than decoding a small model: what the same
        messages gave in the same `place` of a conversation is remembered.
        """
        key = place, _shape(messages)
        if key not in self._texts:
            if len(self._texts) > _MOST_TEXTS:
                self._texts.clear()
            ids = np.array(self.tokenizer.encode(render(), add_special_tokens=False), np.int32)
            ids.setflags(write=False)
            self._texts[key] = ids
        ids = self._texts[key]
        encoder = self.loaded.images
        if encoder is None:
            return ids, []
        pixels = [encoder(image) for message in messages for image in message_images(message)]
        marks = np.flatnonzero(ids == self.loaded.model.config.image_token_id)
        if len(marks) != len(pixels):
            raise UserError(
                f"the chat template of '{self.loaded.source}' wrote {len(marks)} image marks for {len(pixels)} images"
            )
        if not pixels:
            return ids, []
        counts = np.ones(len(ids), np.int64)
        counts[marks] = [image.num_tokens for image in pixels]
        return ids.repeat(counts), pixels


def _shape(messages: Sequence[Message]) -> _Shape:
    return tuple(
        (message["role"], tuple(part["text"] if part["type"] == "text" else None for part in message["content"]))
        for message in messages
    )


def _without_images(message: Message) -> Message:
    parts: list[Part] = [text_part(HIDDEN_IMAGE) if part["type"] == "image" else part for part in message["content"]]
    return {"role": message["role"], "content": parts}
