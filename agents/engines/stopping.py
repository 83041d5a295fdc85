"""Stop strings on token ids: a table that says, token by token, whether a reply's text contains one of them.

The table is the automaton of Aho and Corasick (1975) over the bytes of the strings, run over the bytes of every token
of the vocabulary beforehand. An engine then follows it by one look-up a token, without decoding any text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

import numpy as np
import torch
from tokenizers.decoders import ByteLevel
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from lmmr1.envs.errors import UserError

# GPT-2's way to write bytes as characters: what can be printed stands for itself, the others follow from 256 on.
_PRINTABLE = {*range(33, 127), *range(161, 173), *range(174, 256)}
_OTHERS = sorted(set(range(256)) - _PRINTABLE)
_BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + index): byte for index, byte in enumerate(_OTHERS)}


class StopStrings:
    """Makes the tables for one tokenizer; each set of strings once.

    Args:
        tokenizer: a byte-level one.
        vocabulary_size: of the model; ids beyond the tokenizer's write nothing.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary_size: int) -> None:
        self.tokenizer, self.vocabulary_size = tokenizer, vocabulary_size
        self._tables: dict[tuple[str, ...], Tensor] = {}

    def table(self, stop: tuple[str, ...]) -> Tensor:
        """The transitions: int64 (states, vocabulary). A reply starts in state 0; the last state means that it ends.

        Raises:
            UserError: a string is empty, or the tokenizer is not byte-level.
        """
        if stop not in self._tables:
            if not stop or not all(stop):
                raise UserError("a stop string must not be empty")
            pieces = token_bytes(self.tokenizer, self.vocabulary_size)
            self._tables[stop] = torch.from_numpy(_over_tokens(_over_bytes(stop), pieces))
        return self._tables[stop]


def is_finished(ids: np.ndarray, limit: int, end_ids: Collection[int], table: Tensor | None) -> bool:
    """Whether a reply came to its end, if only with the last token that it might have: else it was cut off.

    Args:
        ids: int (n,), n at least 1.
        limit: the most tokens it might have.
        end_ids: any of them ends a reply.
        table: of the stop strings, see `StopStrings.table`; None without any.
    """
    if len(ids) < limit or int(ids[-1]) in end_ids:
        return True
    if table is None:
        return False
    state = 0
    for token in ids.tolist():
        state = int(table[state, token])
    return state == len(table) - 1


def token_bytes(tokenizer: PreTrainedTokenizerBase, vocabulary_size: int) -> list[bytes]:
    """The bytes that each id writes, nothing for ids beyond the tokenizer's.

    Raises:
        UserError: the tokenizer is not byte-level.
    """
    decoder = tokenizer.backend_tokenizer.decoder if isinstance(tokenizer, PreTrainedTokenizerFast) else None
    if not isinstance(decoder, ByteLevel):
        raise UserError(
            f"stop strings need a byte-level tokenizer, and that of '{tokenizer.name_or_path}' is none; "
            "leave stop empty"
        )
    added = tokenizer.added_tokens_decoder
    pieces = [b""] * vocabulary_size
    for index, piece in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
        text = added[index].content if index in added else None
        pieces[index] = text.encode() if text is not None else bytes(_BYTES[character] for character in piece)
    return pieces


def _over_bytes(stop: Sequence[str]) -> np.ndarray:
    """The automaton over bytes: int64 (states, 256); the last state is where a string was found, and stays."""
    children: list[dict[int, int]] = [{}]
    found = {0: False}
    for text in stop:
        state = 0
        for byte in text.encode():
            if byte not in children[state]:
                children[state][byte] = len(children)
                found[len(children)] = False
                children.append({})
            state = children[state][byte]
        found[state] = True
    table = np.zeros((len(children), 256), np.int64)
    # Where a state goes with a byte that it has no child for: as its longest proper suffix that is a state goes.
    suffix = [0] * len(children)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        table[state] = table[suffix[state]] if state else 0
        found[state] |= found[suffix[state]]
        for byte, child in children[state].items():
            suffix[child] = int(table[state, byte]) if state else 0
            table[state, byte] = child
            waiting.append(child)
    end = len(children)
    ends = np.array([found[state] for state in range(end)])
    table = np.concatenate([table, np.full((1, 256), end)])
    return np.where(np.append(ends, True)[table], end, table)


def _over_tokens(table: np.ndarray, pieces: Sequence[bytes]) -> np.ndarray:
    """The same over whole tokens: int64 (states, vocabulary)."""
    states = np.repeat(np.arange(len(table))[:, None], len(pieces), 1)
    lengths = np.array([len(piece) for piece in pieces])
    for position in range(int(lengths.max(initial=0))):
        longer = np.flatnonzero(lengths > position)
        byte = np.array([pieces[index][position] for index in longer.tolist()])
        states[:, longer] = table[states[:, longer], byte]
    return states
