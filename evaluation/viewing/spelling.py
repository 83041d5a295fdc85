"""What each token of a reply writes, read from a model's tokenizer.json alone: no model and no library is loaded."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError

FILE = "tokenizer.json"
# GPT-2's way to write bytes as characters: what can be printed stands for itself, the others follow from 256 on.
_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + index): byte for index, byte in enumerate(_OTHERS)}
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Spelling:
    """The bytes that each token writes.

    Args:
        path: of a tokenizer.json.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            model, added = document["model"], document.get("added_tokens") or []
            vocabulary = model["vocab"]
            pieces = (
                {int(index): str(piece) for piece, index in vocabulary.items()}
                if isinstance(vocabulary, dict)
                else {index: str(entry[0]) for index, entry in enumerate(vocabulary)}
            )
            byte_level = '"ByteLevel"' in json.dumps(document.get("decoder"))
            self._pieces = {index: _bytes_of(piece, byte_level) for index, piece in pieces.items()}
            self._pieces |= {int(token["id"]): str(token["content"]).encode() for token in added}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not readable as a tokenizer") from error

    def spell(self, ids: Sequence[int]) -> list[str]:
        """What each id writes; one that ends within a character writes nothing, and the last of them the character."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        texts = [decoder.decode(self._pieces.get(token, f"[{token}]".encode())) for token in ids]
        if texts:
            texts[-1] += decoder.decode(b"", final=True)
        return texts


def _bytes_of(piece: str, byte_level: bool) -> bytes:
    if byte_level:
        return bytes(_BYTES[c] for c in piece) if all(c in _BYTES for c in piece) else piece.encode()
    single = _BYTE_PIECE.fullmatch(piece)
    # SentencePiece's way to write a space.
    return bytes([int(single[1], 16)]) if single else piece.replace("\u2581", " ").encode()


class Speller:
    """The spelling of a run's model, found once it is there and kept.

    Args:
        folder: of the run; its models are looked through first.
        base: the folder of the model that the run began with, where that is known.
    """

    def __init__(self, folder: Path, base: Path | None = None) -> None:
        self.folder, self.base = folder, base
        self._spelling: Spelling | None = None

    def spell(self, ids: Sequence[int]) -> list[str] | None:
        """What each id writes; None where no tokenizer can be read."""
        if self._spelling is None:
            self._spelling = self._find()
        return None if self._spelling is None else self._spelling.spell(ids)

    def _find(self) -> Spelling | None:
        paths: list[Any] = sorted(self.folder.glob(f"models/*/{FILE}"))
        paths += [self.base / FILE] if self.base is not None else []
        for path in paths:
            try:
                return Spelling(path)
            except UserError:
                continue
        return None
