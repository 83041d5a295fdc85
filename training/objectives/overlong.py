"""Replies and episodes that were cut off rather than ended: which they are, and what it may cost them."""

from __future__ import annotations

import torch
from torch import Tensor

from lmmr1.agents.episode import Episode
from lmmr1.envs.messages import StopReason


def is_cut_off(episode: Episode) -> bool:
    """Whether the harness, and not the policy or the task, ended the episode or one of its replies.

    So it is at the limit of turns or of context, and where a reply ran out of tokens: one that came to its end with its
    last token did not. An environment's own step limit is part of its task.
    """
    stopped = episode.stop_reason in (StopReason.TURN_LIMIT, StopReason.CONTEXT_LIMIT)
    return stopped or any(turn.cut_off for turn in episode.turns)


def length_penalty(lengths: Tensor, limit: int, buffer: int) -> Tensor:
    """What a reply pays for its length, float32 (n,): soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13).

    0 up to `limit` less `buffer` tokens, from there falling linearly to -1 at `limit`.

    Args:
        lengths: int64 (n,), in tokens.
    """
    return -((lengths - (limit - buffer)) / buffer).clamp(0.0, 1.0).to(torch.float32)
