"""Episodes to token sequences and flat tensors over the reply tokens: what the losses are taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.episode import Episode, Turn
from lmmr1.agents.networks.base import PixelInput, Rows
from lmmr1.agents.policy import PolicyAgent

# Padded tokens that one forward and backward pass holds. On a CPU more is slower: the activations leave the cache.
MICROBATCH_TOKENS = 1536


@dataclass(frozen=True)
class TokenSequence:
    """One row for the network.

    Attributes:
        ids: int32 (length,), prompt and reply ids of one turn or of a whole conversation.
        images: in the order of their tokens.
        predictors: int64 (n,), for each reply token the position whose logits predict it.
    """

    ids: np.ndarray
    images: tuple[PixelInput, ...]
    predictors: np.ndarray


@dataclass
class TokenBatch:
    """All reply tokens of some episodes; flat tensors of length N, ordered by episode, turn and position.

    Attributes:
        sequences: the rows that hold the tokens; `spans[i]` is where row i's tokens stand in the flat tensors.
        tokens: int64, the sampled ids.
        old_logprobs: float32, as kept by the rollout.
        episodes: int64, index of each token's episode.
        turns: int64, index of each token's turn in its episode.
        turn_ends: bool, whether the token is the last of its turn.
        answer: bool, whether the token stands inside the reply's answer.
        rewards: float32, the reward of a turn on its last token, 0 elsewhere.
        groups: int64 (episodes,), the group of each episode.
    """

    sequences: list[TokenSequence]
    spans: list[slice]
    tokens: Tensor
    old_logprobs: Tensor
    episodes: Tensor
    turns: Tensor
    turn_ends: Tensor
    answer: Tensor
    rewards: Tensor
    groups: Tensor

    def __len__(self) -> int:
        return len(self.tokens)


def make_batch(episodes: Sequence[Episode], policy: PolicyAgent) -> TokenBatch:
    """Lay out `episodes` (none failed, each with one turn at least) for training."""
    sequences: list[TokenSequence] = []
    spans: list[slice] = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("tokens", "old", "episode", "turn", "end", "answer")}
    rewards: list[np.ndarray] = []
    position = 0
    for number, episode in enumerate(episodes):
        for sequence, turns in episode_sequences(episode, policy):
            sequences.append(sequence)
            count = sum(len(turn.reply_ids) for _, turn in turns)
            spans.append(slice(position, position + count))
            position += count
            for index, turn in turns:
                length = len(turn.reply_ids)
                end = np.arange(length) == length - 1
                columns["tokens"].append(turn.reply_ids)
                columns["old"].append(turn.logprobs)
                columns["episode"].append(np.full(length, number))
                columns["turn"].append(np.full(length, index))
                columns["end"].append(end)
                columns["answer"].append(answer_tokens(turn, policy))
                rewards.append(np.where(end, turn.reward, 0.0))
    flat = {name: np.concatenate(parts) for name, parts in columns.items()}
    return TokenBatch(
        sequences,
        spans,
        torch.from_numpy(flat["tokens"].astype(np.int64)),
        torch.from_numpy(flat["old"]),
        torch.from_numpy(flat["episode"]),
        torch.from_numpy(flat["turn"]),
        torch.from_numpy(flat["end"]),
        torch.from_numpy(flat["answer"]),
        torch.from_numpy(np.concatenate(rewards).astype(np.float32)),
        torch.tensor([episode.group for episode in episodes]),
    )


def episode_sequences(episode: Episode, policy: PolicyAgent) -> list[tuple[TokenSequence, list[tuple[int, Turn]]]]:
    """The rows of an episode and the turns in each: one row for all turns, or one a turn in a "turn" context."""
    numbered = list(enumerate(episode.turns))
    rows = [[pair] for pair in numbered] if episode.context == "turn" else [numbered]
    result = []
    for turns in rows:
        parts: list[np.ndarray] = []
        predictors: list[np.ndarray] = []
        length = 0
        for _, turn in turns:
            parts += [turn.prompt_ids, turn.reply_ids]
            start = length + len(turn.prompt_ids)
            predictors.append(np.arange(start, start + len(turn.reply_ids)) - 1)
            length = start + len(turn.reply_ids)
        images = tuple(pixel for _, turn in turns for pixel in turn_images(turn, policy))
        result.append((TokenSequence(np.concatenate(parts), images, np.concatenate(predictors)), turns))
    return result


def turn_images(turn: Turn, policy: PolicyAgent) -> list[PixelInput]:
    """The images that a turn showed."""
    encoder = policy.loaded.images
    if encoder is None:
        return []
    parts = [part for message in turn.messages for part in message["content"]]
    return [encoder(part["image"]) for part in parts if part["type"] == "image"]


def answer_tokens(turn: Turn, policy: PolicyAgent) -> np.ndarray:
    """Bool (n,): which reply tokens write the answer (between the last answer tags; none where there are no tags)."""
    # Byte-level tokenizers write every ASCII character as itself, so the tags can be found in the joined pieces.
    pieces = policy.loaded.tokenizer.convert_ids_to_tokens(turn.reply_ids.tolist())
    joined = "".join(pieces)
    opened = joined.rfind("<answer>")
    closed = joined.find("</answer>", opened)
    ends = np.cumsum([len(piece) for piece in pieces])
    if opened < 0 or closed < 0:
        return np.zeros(len(pieces), bool)
    starts = ends - np.array([len(piece) for piece in pieces])
    return (starts >= opened + len("<answer>")) & (ends <= closed)


def microbatches(batch: TokenBatch, rows: Sequence[int], limit: int = MICROBATCH_TOKENS) -> list[list[int]]:
    """Split `rows` into lists of at most `limit` padded tokens each, rows of like length together."""
    ordered = sorted(rows, key=lambda row: (len(batch.sequences[row].ids), row))
    chunks: list[list[int]] = []
    for row in ordered:
        length = len(batch.sequences[row].ids)
        if chunks and length * (len(chunks[-1]) + 1) <= limit:
            chunks[-1].append(row)
        else:
            chunks.append([row])
    return chunks


def pack_rows(batch: TokenBatch, rows: Sequence[int], pad_id: int) -> tuple[Rows, Tensor, Tensor, Tensor]:
    """The network's input for `rows`, and where to read.

    Returns:
        Padded rows; int64 (n,) row and position of each reply token's predictor; int64 (n,) its place in the flat
        tensors.
    """
    sequences = [batch.sequences[row] for row in rows]
    packed = Rows.pack([sequence.ids for sequence in sequences], [sequence.images for sequence in sequences], pad_id)
    row_index = np.concatenate([np.full(len(s.predictors), i) for i, s in enumerate(sequences)])
    predictors = np.concatenate([sequence.predictors for sequence in sequences])
    places = np.concatenate([np.arange(batch.spans[row].start, batch.spans[row].stop) for row in rows])
    return packed, torch.from_numpy(row_index), torch.from_numpy(predictors), torch.from_numpy(places)
