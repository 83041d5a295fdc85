"""A language model as judge: a second opinion on answers that the rules call wrong. Its word stands beside theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import Any

from lmmr1.agents.episode import Episode
from lmmr1.envs.messages import Message, message_text, system, user

from .scores import wilson_interval

# What the judge is told; part of every figure that it gives. It sees no picture and no thought.
INSTRUCTIONS = (
    "You compare a student's final answer with the reference answer to a question. Other forms of the same value, "
    "other units of the same quantity and other words for the same thing count as the same; anything else does "
    "not. Do not solve the question. Reply with one word: SAME or DIFFERENT."
)
_WORD = re.compile(r"\b(SAME|DIFFERENT)\b", re.IGNORECASE)
# Messages -> the judge's reply.
Ask = Callable[[Sequence[Message]], str]


def judge_episodes(episodes: Sequence[Episode], ask: Ask, concurrency: int = 16) -> dict[int, bool | None]:
    """Ask about every answer that the rules call wrong.

    Args:
        episodes: of questions whose right answer their environment tells (the fact "gold").
        ask: asks the judge.
        concurrency: questions at a time.

    Returns:
        For each place in `episodes` that was asked about: whether the judge calls the answer right; None where it said
        neither word.
    """
    asked = [
        (place, episode)
        for place, episode in enumerate(episodes)
        if episode.failure is None and episode.success is not True and "gold" in episode.facts and episode.turns
    ]
    # An answer that is not there is wrong, and no judge need be asked.
    asked = [(place, episode) for place, episode in asked if episode.turns[-1].answer]
    with ThreadPoolExecutor(concurrency) as threads:
        replies = list(threads.map(lambda pair: ask(question_for(pair[1])), asked))
    return {place: read_verdict(reply) for (place, _), reply in zip(asked, replies, strict=True)}


def question_for(episode: Episode) -> list[Message]:
    """What the judge is asked about an episode."""
    first = episode.turns[0].messages
    question = "\n".join(message_text(message) for message in first if message["role"] == "user")
    parts = f"Question: {question}\n\nReference answer: {episode.facts['gold']}\n\n"
    return [system(INSTRUCTIONS), user(f"{parts}Student's answer: {episode.turns[-1].answer}")]


def read_verdict(reply: str) -> bool | None:
    """The last of the two words that a reply holds; None where it holds neither."""
    found = _WORD.findall(reply)
    return found[-1].upper() == "SAME" if found else None


def summarize_judged(episodes: Sequence[Episode], verdicts: Mapping[int, bool | None]) -> dict[str, Any]:
    """The success that rules and judge find together.

    Returns:
        "success" and "interval" with the judge's word, "overruled": how many answers the judge calls right and the
        rules wrong, "unread": how many verdicts could not be read (they stay as the rules say), "asked".
    """
    scored = [(place, episode) for place, episode in enumerate(episodes) if episode.failure is None]
    right = [episode.success is True or verdicts.get(place) is True for place, episode in scored]
    return {
        "success": fmean(right) if right else None,
        "interval": list(wilson_interval(sum(right), len(right))),
        "overruled": sum(verdict is True for verdict in verdicts.values()),
        "unread": sum(verdict is None for verdict in verdicts.values()),
        "asked": len(verdicts),
    }
