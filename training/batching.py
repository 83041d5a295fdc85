"""Episodes to token sequences and flat tensors over the reply tokens: what the losses are taken over.

A policy that has learned something often says the same again: samples of one prompt are then the same tokens, and the
network runs them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lmmr1.agents.context import Context
from lmmr1.agents.episode import Episode, Turn
from lmmr1.agents.networks.base import PixelInput, Rows
from lmmr1.agents.networks.branches import Layout
from lmmr1.agents.policy import PolicyAgent


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

    def identity(self) -> tuple[bytes, ...]:
        """Equal for two rows only if the network says the same of both."""
        return (self.ids.tobytes(), self.predictors.tobytes(), *(image.digest for image in self.images))

    @property
    def split(self) -> int:
        """How many tokens the first prompt has: the beginning that other replies to it share."""
        return int(self.predictors[0]) + 1

    def beginning(self) -> tuple[bytes, ...]:
        """Equal for two rows that begin with the same prompt; their images, if not the same, keep them apart."""
        return (self.ids[: self.split].tobytes(), *(image.digest for image in self.images))


@dataclass
class TokenBatch:
    """All reply tokens of some episodes; flat tensors of length N, ordered by episode, turn and position.

    Attributes:
        sequences: the different rows that hold the tokens.
        copies: for each of them int64 (copies,), where in the flat tensors its tokens begin each time it occurs.
        slots: int64 (sequences + 1,), where its tokens stand when every row is counted once; the last is their number.
        tokens: int64, the sampled ids.
        old_logprobs: float32, as kept by the rollout.
        episodes: int64, index of each token's episode.
        turns: int64, index of each token's turn in its episode.
        turn_ends: bool, whether the token is the last of its turn.
        answer: bool, whether the token stands inside the reply's answer; None where nobody asked for it.
        rewards: float32, the reward of a turn on its last token (see `Episode.credited_rewards`), 0 elsewhere.
        groups: int64 (episodes,), the group of each episode.
    """

    sequences: list[TokenSequence]
    copies: list[np.ndarray]
    slots: np.ndarray
    tokens: Tensor
    old_logprobs: Tensor
    episodes: Tensor
    turns: Tensor
    turn_ends: Tensor
    answer: Tensor | None
    rewards: Tensor
    groups: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def places(self, rows: Sequence[int]) -> np.ndarray:
        """int64 (n,), where all copies of the tokens of some rows stand in the flat tensors."""
        offsets = [np.add.outer(self.copies[row], np.arange(len(self.sequences[row].predictors))) for row in rows]
        return np.concatenate([part.ravel() for part in offsets])


def make_batch(episodes: Sequence[Episode], policy: PolicyAgent, answers: bool = True) -> TokenBatch:
    """Lay out `episodes` (none failed, each with one reply token at least) for training.

    Args:
        episodes: what was played.
        policy: whose ids and images they are.
        answers: whether somebody needs to know which tokens write the answers.
    """
    sequences: list[TokenSequence] = []
    copies: list[list[int]] = []
    known: dict[tuple[bytes, ...], int] = {}
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("tokens", "old", "episode", "turn", "end", "answer")}
    rewards: list[np.ndarray] = []
    position = 0
    for number, episode in enumerate(episodes):
        credited = episode.credited_rewards
        for sequence, turns in episode_sequences(episode, policy):
            if not len(sequence.predictors):
                continue  # nothing was said, so there is nothing to learn
            row = known.setdefault(sequence.identity(), len(sequences))
            if row == len(sequences):
                sequences.append(sequence)
                copies.append([])
            copies[row].append(position)
            position += len(sequence.predictors)
            for index, turn in turns:
                length = len(turn.reply_ids)
                end = np.arange(length) == length - 1
                columns["tokens"].append(turn.reply_ids)
                columns["old"].append(turn.logprobs)
                columns["episode"].append(np.full(length, number))
                columns["turn"].append(np.full(length, index))
                columns["end"].append(end)
                if answers:
                    columns["answer"].append(answer_tokens(turn, policy))
                rewards.append(np.where(end, credited[index], 0.0))
    flat = {name: np.concatenate(parts) for name, parts in columns.items() if parts}
    return TokenBatch(
        sequences,
        [np.array(starts) for starts in copies],
        np.cumsum([0, *(len(sequence.predictors) for sequence in sequences)]),
        torch.from_numpy(flat["tokens"].astype(np.int64)),
        torch.from_numpy(flat["old"]),
        torch.from_numpy(flat["episode"]),
        torch.from_numpy(flat["turn"]),
        torch.from_numpy(flat["end"]),
        torch.from_numpy(flat["answer"]) if answers else None,
        torch.from_numpy(np.concatenate(rewards).astype(np.float32)),
        torch.tensor([episode.group for episode in episodes]),
    )


def episode_sequences(episode: Episode, policy: PolicyAgent) -> list[tuple[TokenSequence, list[tuple[int, Turn]]]]:
    """The rows of an episode and the turns in each: one row for all turns, or one a turn where history is dropped."""
    numbered = list(enumerate(episode.turns))
    context = Context.parse(episode.context)
    rows = [numbered] if context.keeps_history else [[pair] for pair in numbered]
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
        pictured = context.pictured(turns[-1][0])
        images = tuple(pixel for index in pictured for pixel in turn_images(episode.turns[index], policy))
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
    pieces = [policy.template.pieces[token] for token in turn.reply_ids.tolist()]
    joined = "".join(pieces)
    opened = joined.rfind("<answer>")
    closed = joined.find("</answer>", opened)
    ends = np.cumsum([len(piece) for piece in pieces])
    if opened < 0 or closed < 0:
        return np.zeros(len(pieces), bool)
    starts = ends - np.array([len(piece) for piece in pieces])
    return (starts >= opened + len("<answer>")) & (ends <= closed)


def cut_minibatches(batch: TokenBatch, count: int, rng: np.random.Generator, whole_groups: bool) -> list[list[int]]:
    """The rows in random order, cut into at most `count` parts of about as many copies each.

    Args:
        batch: whose rows they are.
        count: how many parts there shall be.
        rng: of the order.
        whole_groups: whether rows of a group stay together; a row that occurs in several groups goes with the first.
    """
    units: dict[int, list[int]] = {}
    firsts = torch.tensor([int(starts[0]) for starts in batch.copies])
    groups = batch.groups[batch.episodes[firsts]].tolist() if whole_groups else range(len(firsts))
    for row, unit in enumerate(groups):
        units.setdefault(unit, []).append(row)
    rows = list(units.values())
    order = rng.permutation(len(rows))
    counts = np.array([sum(len(batch.copies[row]) for row in rows[unit]) for unit in order])
    middles = np.cumsum(counts) - counts / 2
    parts = (middles * count / counts.sum()).astype(int)
    return [[row for unit in order[parts == part] for row in rows[unit]] for part in np.unique(parts)]


def microbatches(batch: TokenBatch, rows: Sequence[int], limit: int) -> list[list[int]]:
    """Split `rows` into lists of at most `limit` tokens each, a beginning that is shared once.

    Rows that begin alike stay together where the budget allows it, since they can share that beginning; beside them
    stand rows of like length.
    """
    groups: dict[tuple[bytes, ...], list[int]] = {}
    for row in rows:
        groups.setdefault(batch.sequences[row].beginning(), []).append(row)
    lengths = {row: len(batch.sequences[row].ids) for row in rows}
    ordered = sorted(groups.values(), key=lambda group: (max(lengths[row] for row in group), group))
    chunks: list[list[int]] = []
    room = 0
    for group in ordered:
        split = batch.sequences[group[0]].split
        known = False  # whether the last chunk holds the group's beginning
        if room < sum(lengths[row] - split for row in group) + split <= limit:
            room = 0
        for row in sorted(group):
            tokens = lengths[row] - split * known
            if chunks and tokens <= room:
                chunks[-1].append(row)
            else:
                tokens, room = lengths[row], limit
                chunks.append([row])
            room, known = room - tokens, True
    return chunks


@dataclass(frozen=True)
class PackedRows:
    """Some of a batch's rows as the network takes them, and where to read.

    Attributes:
        rows: padded.
        splits: how many tokens of each row are its first prompt.
        row_index, predictors: int64 (m,), row and position of each reply token's predictor.
        tokens: int64 (m,), the reply tokens.
        slots: int64 (m,), where they stand when every row is counted once.
        places: int64 (n,), where all their copies stand in the flat tensors.
        source: int64 (n,), which of the m tokens each copy is.
        own: how many of the m tokens count; those after them are run for the other ranks' sake alone.
        layouts: by device, how the rows are laid out as a tree (None: not worth it), which the first network that runs
            them works out for all: the reference runs the same rows as the policy.
    """

    rows: Rows
    splits: Sequence[int]
    row_index: Tensor
    predictors: Tensor
    tokens: Tensor
    slots: Tensor
    places: Tensor
    source: Tensor
    own: int
    layouts: dict[str, Layout | None] = field(default_factory=dict, compare=False, repr=False)


def pack_rows(batch: TokenBatch, rows: Sequence[int], pad_id: int, fillers: Sequence[int] = ()) -> PackedRows:
    """The network's input for `rows` (indices of `batch.sequences`); `fillers` are run too, and count for nothing."""
    counted, rows = len(rows), [*rows, *fillers]
    sequences = [batch.sequences[row] for row in rows]
    lengths = [len(sequence.predictors) for sequence in sequences]
    firsts = np.cumsum([0, *lengths[:-1]])
    spreads = [
        (np.add.outer(batch.copies[row], np.arange(length)), first + np.arange(length))
        for row, length, first in zip(rows[:counted], lengths[:counted], firsts[:counted], strict=True)
    ]
    nothing = np.zeros(0, np.int64)
    arrays = (
        np.repeat(np.arange(len(rows)), lengths),
        np.concatenate([sequence.predictors for sequence in sequences]),
        np.concatenate([sequence.ids[sequence.predictors + 1] for sequence in sequences]).astype(np.int64),
        np.concatenate([batch.slots[row] + np.arange(length) for row, length in zip(rows, lengths, strict=True)]),
        np.concatenate([nothing, *(places.ravel() for places, _ in spreads)]),
        np.concatenate([nothing, *(np.tile(source, len(places)) for places, source in spreads)]),
    )
    packed = Rows.pack([sequence.ids for sequence in sequences], [sequence.images for sequence in sequences], pad_id)
    tensors = map(torch.from_numpy, arrays)
    return PackedRows(packed, [sequence.split for sequence in sequences], *tensors, own=sum(lengths[:counted]))
