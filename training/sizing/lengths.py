"""Episodes for the simulator: how long prompts and replies are, turn by turn; measured, or assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmmr1.agents.episode import EPISODES_FILE, load_episodes
from lmmr1.envs.errors import UserError


@dataclass(frozen=True)
class Turn:
    """One exchange."""

    prompt: int  # tokens that it adds before the reply
    reply: int  # tokens
    image: int = 0  # tokens of the prompt that are an image
    environment: float = 0.0  # seconds that the environment takes to answer


Trace = tuple[Turn, ...]


@dataclass(frozen=True)
class Lengths:
    """Traces to draw from, and where they come from ("measured: ..." or "assumed: ...")."""

    traces: tuple[Trace, ...]
    source: str

    @property
    def mean_reply(self) -> float:
        """Mean tokens of a reply."""
        replies = [turn.reply for trace in self.traces for turn in trace]
        return sum(replies) / len(replies)

    def draw(self, rng: np.random.Generator, count: int) -> list[Trace]:
        """`count` traces, with replacement."""
        return [self.traces[index] for index in rng.integers(len(self.traces), size=count)]

    def scaled(self, mean_reply: float, limit: int) -> Lengths:
        """The same distribution with its replies stretched to a mean, before they are cut at `limit` tokens."""
        factor = mean_reply / self.mean_reply
        traces = tuple(
            tuple(replace(turn, reply=min(limit, max(1, round(turn.reply * factor)))) for turn in trace)
            for trace in self.traces
        )
        return Lengths(traces, f"{self.source}, replies stretched {factor:.2f} times")


def measured(folder: Path, environment: float = 0.0) -> Lengths:
    """The episodes that a run left, those that it learned from where it kept some (`tracking.episodes_every`).

    Args:
        folder: a run folder, or any folder with episodes below it.
        environment: seconds that the environment takes for a turn, which episodes do not tell.

    Raises:
        UserError: there are none with tokens.
    """
    files = sorted(folder.rglob(EPISODES_FILE))
    learned = [file for file in files if "-training" in file.parent.parent.name]
    traces = []
    for file in learned or files:
        for episode in load_episodes(file.parent):
            turns = [turn for turn in episode.turns if len(turn.reply_ids)]
            if turns and episode.failure is None:
                traces.append(tuple(Turn(len(t.prompt_ids), len(t.reply_ids), 0, environment) for t in turns))
    if not traces:
        raise UserError(
            f"{folder} holds no episodes with sampled tokens: name the folder of a run (--lengths runs/NAME)"
        )
    return Lengths(tuple(traces), f"measured: {len(traces)} episodes of {folder}")


def assumed(
    prompts: Sequence[Turn], mean: float, spread: float, limit: int, turns: int, rng: np.random.Generator
) -> Lengths:
    """Log-normal replies of a mean and a spread (of the logarithm), cut at `limit`, after prompts as they were met.

    Args:
        prompts: to draw from; their replies are not read.
        mean: tokens of a reply, before it is cut.
        spread: standard deviation of the logarithm.
        limit: longest reply.
        turns: of every episode.
        rng: what to draw with.
    """
    center = math.log(mean) - spread**2 / 2
    traces = []
    for _ in range(2048):
        prompt = prompts[int(rng.integers(len(prompts)))]
        replies = np.clip(rng.lognormal(center, spread, turns).round(), 1, limit).astype(int)
        traces.append(tuple(replace(prompt, reply=int(reply)) for reply in replies))
    return Lengths(tuple(traces), f"assumed: log-normal replies, mean {mean:.0f}, spread {spread:g}")
