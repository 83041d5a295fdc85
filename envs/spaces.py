"""The two Gymnasium spaces of a world that one speaks to: ``Utterance`` (a text) and ``Chat`` (messages).

``gymnasium.spaces.Text`` cannot do the first job: it knows a fixed alphabet only, cannot be empty by
default, and in an ``AsyncVectorEnv`` with shared memory it keeps returning the texts of the start.
Both spaces here hold any Unicode text, and both work in ``SyncVectorEnv`` and in ``AsyncVectorEnv``.
"""

# What users hand in is checked, whatever its type says; NumPy's and Gymnasium's types are partly unknown.
# pyright: reportUnnecessaryIsInstance=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import base64
import io
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.spaces import Space, Tuple
from gymnasium.spaces.utils import is_space_dtype_shape_equiv
from gymnasium.vector.utils import (
    batch_differing_spaces,
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)
from PIL import Image

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, image_part, is_image, text_part

# What sample() draws from: enough beyond ASCII that code which forgets about Unicode fails at once.
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:<>/\n\u00e9\u03bb\u4e2d\U0001f642"
SAMPLE_LENGTH = 64
PNG_PREFIX = "data:image/png;base64,"
ROLES = ("system", "user", "assistant")


class Utterance(Space[str]):
    """Any text of at most ``max_length`` characters, the empty text included.

    Args:
        max_length: the most characters (Unicode code points) of a text, at least 1.
        seed: seed, or generator, of ``sample``.

    Raises:
        UserError: ``max_length`` is not a positive whole number.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        """See the class."""
        if isinstance(max_length, bool) or not isinstance(max_length, (int, np.integer)) or max_length < 1:
            raise UserError(f"Utterance: max_length must be a whole number of at least 1, not {max_length!r}")
        self.max_length = int(max_length)
        super().__init__(dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Always False: a text has no fixed length."""
        return False

    def sample(self, mask: None = None, probability: None = None) -> str:
        """Draw a text of 0 to 64 characters (or ``max_length``, if that is less)."""
        _refuse_masks(mask, probability)
        return _sample_text(self.np_random, min(self.max_length, SAMPLE_LENGTH))

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        """``Utterance(max_length)``."""
        return f"Utterance({self.max_length})"

    def __eq__(self, other: object) -> bool:
        """Two spaces are equal when they hold the same texts."""
        return isinstance(other, Utterance) and self.max_length == other.max_length

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # like every Gymnasium space: equal by value, mutable

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        """Return the texts themselves."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[str]) -> list[str]:
        """Return the texts themselves."""
        return list(sample_n)


class Chat(Space[list[Message]]):
    """A list of messages, each a role and a list of text and image parts (see ``messages``).

    Args:
        max_bytes: room for one observation in the shared memory of an ``AsyncVectorEnv``: four bytes a
            character at most, and height x width x 3 for a picture. It does not limit what the space
            contains; pass ``shared_memory=False`` where observations are larger than that.
        seed: seed, or generator, of ``sample``.

    Raises:
        UserError: ``max_bytes`` is not a whole number of at least 1024.
    """

    def __init__(self, max_bytes: int = 1 << 22, *, seed: int | np.random.Generator | None = None) -> None:
        """See the class."""
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, (int, np.integer)) or max_bytes < 1024:
            raise UserError(f"Chat: max_bytes must be a whole number of at least 1024, not {max_bytes!r}")
        self.max_bytes = int(max_bytes)
        super().__init__(dtype=object, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Always False: a chat has no fixed shape."""
        return False

    def sample(self, mask: None = None, probability: None = None) -> list[Message]:
        """Draw one to three messages with a text each and, half of the time, a small picture."""
        _refuse_masks(mask, probability)
        messages: list[Message] = []
        for _ in range(int(self.np_random.integers(1, 4))):
            role = ROLES[int(self.np_random.integers(len(ROLES)))]
            message: Message = {"role": role, "content": [text_part(_sample_text(self.np_random, SAMPLE_LENGTH))]}
            if self.np_random.random() < 0.5:
                height, width = self.np_random.integers(1, 9, size=2)
                pixels = self.np_random.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
                message["content"].append(image_part(pixels))
            messages.append(message)
        return messages

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a list of well-made messages (an empty list is one)."""
        return isinstance(x, list) and all(_is_message(message) for message in x)

    def __repr__(self) -> str:
        """``Chat(max_bytes)``."""
        return f"Chat({self.max_bytes})"

    def __eq__(self, other: object) -> bool:
        """Two chat spaces are equal when they reserve the same room."""
        return isinstance(other, Chat) and self.max_bytes == other.max_bytes

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def to_jsonable(self, sample_n: Iterable[list[Message]]) -> list[Any]:
        """Turn chats into plain data: a picture becomes a PNG data URL, which loses nothing."""
        return [_map_images(messages, lambda image: PNG_PREFIX + _to_png(image)) for messages in sample_n]

    def from_jsonable(self, sample_n: list[Any]) -> list[list[Message]]:
        """Invert ``to_jsonable``."""
        return [_map_images(messages, lambda url: _from_png(url.removeprefix(PNG_PREFIX))) for messages in sample_n]


def _refuse_masks(mask: Any, probability: Any) -> None:
    if mask is not None or probability is not None:
        raise UserError("sample: text spaces know no mask and no probability")


def _sample_text(generator: np.random.Generator, max_length: int) -> str:
    length = int(generator.integers(0, max_length + 1))
    return "".join(ALPHABET[index] for index in generator.integers(len(ALPHABET), size=length))


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or message.keys() != {"role", "content"} or message["role"] not in ROLES:
        return False
    return isinstance(message["content"], list) and all(_is_part(part) for part in message["content"])


def _is_part(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    if part.get("type") == "text":
        return part.keys() == {"type", "text"} and isinstance(part["text"], str)
    return part.get("type") == "image" and part.keys() == {"type", "image"} and is_image(part["image"])


def _map_images(messages: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
    return [
        {
            "role": message["role"],
            "content": [
                {"type": "image", "image": convert(part["image"])} if part["type"] == "image" else dict(part)
                for part in message["content"]
            ],
        }
        for message in messages
    ]


def _to_png(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _from_png(text: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


# --- Bytes: one text, or one chat, as it lies in shared memory. -----------------------------------


def _encode_text(text: str) -> bytes:
    # Lone surrogates are legal in a Python string (hostile input has them), hence surrogatepass.
    return text.encode("utf-8", "surrogatepass")


def _encode_chat(messages: list[Message]) -> bytes:
    pixels: list[bytes] = []

    def shape_of(image: np.ndarray) -> list[int]:
        pixels.append(np.ascontiguousarray(image).tobytes())
        return list(image.shape)

    header = json.dumps(_map_images(messages, shape_of)).encode("ascii")
    return b"".join([len(header).to_bytes(8, "little"), header, *pixels])


def _decode_chat(data: bytes) -> list[Message]:
    start = 8 + int.from_bytes(data[:8], "little")

    def take(shape: list[int]) -> np.ndarray:
        nonlocal start
        size = int(np.prod(shape))
        image = np.frombuffer(data, dtype=np.uint8, count=size, offset=start).reshape(shape).copy()
        start += size
        return image

    return _map_images(json.loads(data[8:start]), take)


# --- Gymnasium's vector functions. ``iterate`` is left alone on purpose: for a batch (a Tuple of these
# spaces) Gymnasium then walks over the batch, where a registered function would walk over characters.


@batch_space.register(Utterance)
@batch_space.register(Chat)
def _batch(space: Utterance | Chat, n: int = 1) -> Tuple[Any]:
    generator = deepcopy(space.np_random)
    batch = Tuple(tuple(deepcopy(space) for _ in range(n)))
    batch.seed([int(seed) for seed in generator.integers(0, 2**31 - 1, size=n)])
    return batch


@batch_differing_spaces.register(Utterance)
@batch_differing_spaces.register(Chat)
def _batch_differing(spaces: Sequence[Utterance | Chat]) -> Tuple[Any]:
    return Tuple(tuple(deepcopy(space) for space in spaces))


@is_space_dtype_shape_equiv.register(Utterance)
@is_space_dtype_shape_equiv.register(Chat)
def _is_equivalent(space_1: Utterance | Chat, space_2: Space[Any]) -> bool:
    return type(space_1) is type(space_2)


@create_empty_array.register(Utterance)
def _create_empty_texts(space: Utterance, n: int = 1, fn: Any = np.zeros) -> tuple[str, ...]:
    return ("",) * n


@create_empty_array.register(Chat)
def _create_empty_chats(space: Chat, n: int = 1, fn: Any = np.zeros) -> tuple[list[Message], ...]:
    return tuple([] for _ in range(n))


@concatenate.register(Utterance)
@concatenate.register(Chat)
def _concatenate(space: Utterance | Chat, items: Iterable[Any], out: Any) -> tuple[Any, ...]:
    return tuple(items)


class SharedObservations(Sequence[Any]):
    """The texts or chats of a vector environment, read from shared memory each time that one is asked for.

    ``AsyncVectorEnv`` calls ``read_from_shared_memory`` once and hands out (copies of) that object ever
    after, so the object has to be a view; a copy of it is a plain tuple.
    """

    def __init__(self, memory: Any, slot_bytes: int, n: int, decode: Callable[[bytes], Any]) -> None:
        """Look at ``n`` slots of ``slot_bytes`` each, the first 8 of which hold the length of the rest."""
        self._slots = np.frombuffer(memory.get_obj(), dtype=np.uint8).reshape(n, slot_bytes)
        self._decode = decode

    def __len__(self) -> int:
        """The number of environments."""
        return len(self._slots)

    def __getitem__(self, index: Any) -> Any:
        """Decode one observation, or a tuple of them for a slice."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        slot = self._slots[index]
        size = int.from_bytes(slot[:8].tobytes(), "little")
        return self._decode(slot[8 : 8 + size].tobytes())

    def __iter__(self) -> Iterator[Any]:
        """Decode the observations one after the other."""
        return (self[i] for i in range(len(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[Any, ...]:
        """Decode everything: what the memory holds now."""
        return tuple(self)


def _slot_bytes(space: Utterance | Chat) -> int:
    # 8 bytes of length, then the text (4 bytes a character at most) or the chat.
    return 8 + (4 * space.max_length if isinstance(space, Utterance) else space.max_bytes)


@create_shared_memory.register(Utterance)
@create_shared_memory.register(Chat)
def _create_memory(space: Utterance | Chat, n: int = 1, ctx: Any = multiprocessing) -> Any:
    memory = ctx.Array("B", n * _slot_bytes(space))
    for index in range(n):
        _write_memory(space, index, "" if isinstance(space, Utterance) else [], memory)
    return memory


@read_from_shared_memory.register(Utterance)
def _read_texts(space: Utterance, shared_memory: Any, n: int = 1) -> Any:
    return SharedObservations(shared_memory, _slot_bytes(space), n, _decode_text)


@read_from_shared_memory.register(Chat)
def _read_chats(space: Chat, shared_memory: Any, n: int = 1) -> Any:
    return SharedObservations(shared_memory, _slot_bytes(space), n, _decode_chat)


def _decode_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


@write_to_shared_memory.register(Utterance)
@write_to_shared_memory.register(Chat)
def _write_memory(space: Utterance | Chat, index: int, value: Any, shared_memory: Any) -> None:
    data = _encode_text(value) if isinstance(space, Utterance) else _encode_chat(value)
    room = _slot_bytes(space)
    if 8 + len(data) > room:
        raise UserError(
            f"an observation of {len(data)} bytes does not fit into the {room - 8} bytes that {space} reserves in "
            "shared memory: make the AsyncVectorEnv with shared_memory=False"
        )
    slots = np.frombuffer(shared_memory.get_obj(), dtype=np.uint8)
    slots[index * room : index * room + 8 + len(data)] = np.frombuffer(
        len(data).to_bytes(8, "little") + data, dtype=np.uint8
    )
