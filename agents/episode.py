"""Turns and episodes: what was shown, which ids were sampled, what came of it.

Text is derived from ids, never ids from text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, Part, StopReason

EPISODES_FILE = "episodes.jsonl"
# Half a character: text of a hostile or broken source may hold one, which UTF-8 cannot write and JSON can.
_SURROGATE = re.compile("[\ud800-\udfff]")


def _no_ids() -> np.ndarray:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class TokenCredit:
    """What a trainer made of a reply's tokens, in the order of `Turn.reply_ids`.

    Attributes:
        advantages: float32 (n,), as the policy's loss took them; 0 where nothing is learned.
        returns: float32 (n,), what was paid from each token on, as the estimator counts it.
        values: float32 (n,), what the critic expected before it learned; None without a critic.
        learned: bool (n,), tokens that the policy's loss was taken over.
    """

    advantages: np.ndarray
    returns: np.ndarray
    values: np.ndarray | None
    learned: np.ndarray

    def document(self) -> dict[str, list[float] | list[int] | None]:
        """All of it as plain values, six digits of each number: they are for people to read."""

        def numbers(values: np.ndarray) -> list[float]:
            return [float(f"{value:.6g}") for value in values.tolist()]

        return {
            "advantages": numbers(self.advantages),
            "returns": numbers(self.returns),
            "values": None if self.values is None else numbers(self.values),
            "learned": self.learned.astype(int).tolist(),
        }

    @classmethod
    def read(cls, document: dict[str, Any]) -> TokenCredit:
        """The inverse of `document`, but for the digits."""
        values = document["values"]
        return cls(
            np.array(document["advantages"], np.float32),
            np.array(document["returns"], np.float32),
            None if values is None else np.array(values, np.float32),
            np.array(document["learned"], bool),
        )


@dataclass
class Turn:
    """One exchange.

    Attributes:
        messages: shown before this reply (the system message in the first turn).
        text: the reply; decoded from `reply_ids` where there are any.
        thought, answer, actions, well_formed: what the reply format read in it and which native actions ran.
        reward: of this turn; `reward_parts` add up to it.
        prompt_ids: int32 (p,), the ids that this turn put before the reply, image tokens expanded; empty for agents
            without tokens. In a "conversation" context only what was added, in others the whole prompt.
        reply_ids: int32 (n,), as sampled.
        logprobs: float32 (n,), of `reply_ids` under the distribution that they were sampled from.
        cut_off: whether the reply ran out of tokens before an end token or a stop string ended it.
        version: of the weights that sampled the reply's ids, all of them.
        credit: what the trainer made of the tokens, where the episode was learned from and kept for people to see.
    """

    messages: list[Message]
    text: str
    thought: str = ""
    answer: str = ""
    actions: list[str] = field(default_factory=list[str])
    well_formed: bool = False
    reward: float = 0.0
    reward_parts: dict[str, float] = field(default_factory=dict[str, float])
    prompt_ids: np.ndarray = field(default_factory=_no_ids)
    reply_ids: np.ndarray = field(default_factory=_no_ids)
    logprobs: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    cut_off: bool = False
    version: int = 0
    credit: TokenCredit | None = None

    def ends_with(self, end_ids: Collection[int]) -> bool:
        """Whether the reply's last token is one of `end_ids`; not if it has none."""
        return len(self.reply_ids) > 0 and int(self.reply_ids[-1]) in end_ids


@dataclass
class Episode:
    """One episode.

    Attributes:
        env_id: the environment's id, or the name that a task gave it.
        key: entropy that reproduces it: (seed, stream, index).
        group: episodes of one group started from the same environment seed.
        context: the word for the `Context` it was played with. In a "conversation" every turn continues the ids before;
            in a "turn" or a "window:TURNS:IMAGES" each turn is a sequence of its own.
        turns: in order.
        final_messages: what was shown after the last reply.
        stop_reason: why it ended.
        success: what the environment says; None where it does not say.
        failure: what broke, where something did; such an episode is masked and counted, never scored.
        facts: what the environment's infos said last, in plain values, such as "family", "score" or "gold".
    """

    env_id: str
    key: tuple[int, ...]
    group: int
    context: str = "conversation"
    turns: list[Turn] = field(default_factory=list[Turn])
    final_messages: list[Message] = field(default_factory=list[Message])
    stop_reason: StopReason = StopReason.TASK_ENDED
    success: bool | None = None
    failure: str | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def terminated(self) -> bool:
        """Whether the task ended."""
        return self.stop_reason is StopReason.TASK_ENDED

    @property
    def truncated(self) -> bool:
        """Whether it was stopped while the task went on."""
        return self.stop_reason in (StopReason.STEP_LIMIT, StopReason.TURN_LIMIT, StopReason.CONTEXT_LIMIT)

    @property
    def total_reward(self) -> float:
        """The rewards of all turns, undiscounted."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def num_reply_tokens(self) -> int:
        """How many ids the agent sampled."""
        return sum(len(turn.reply_ids) for turn in self.turns)

    @property
    def credited_rewards(self) -> list[float]:
        """The reward of each turn as it is learned from: 0 for turns without reply tokens, which others answer for.

        A turn without tokens has nothing that could be credited, so it is no step: its reward is added, undiscounted,
        to that of the last turn before it that has tokens, or, where there is none, of the first one after it. The sum
        stays `total_reward` unless no turn has any.
        """
        rewards = [0.0] * len(self.turns)
        place = next((index for index, turn in enumerate(self.turns) if len(turn.reply_ids)), None)
        if place is None:
            return rewards
        for index, turn in enumerate(self.turns):
            place = index if len(turn.reply_ids) else place
            rewards[place] += turn.reward
        return rewards

    @property
    def format_rate(self) -> float:
        """The share of replies that the reply format could read; 0 without turns."""
        return sum(turn.well_formed for turn in self.turns) / max(len(self.turns), 1)


def save_episodes(folder: Path, episodes: Sequence[Episode]) -> None:
    """Write `episodes` to a folder: one JSON object a line, and each different image once, as PNG."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names: dict[bytes, str] = {}

    def message(shown: Message) -> dict[str, Any]:
        return {"role": shown["role"], "content": [part(p) for p in shown["content"]]}

    def part(shown: Part) -> dict[str, str]:
        if shown["type"] == "text":
            return {"type": "text", "text": shown["text"]}
        identity = shown["image"].tobytes() + str(shown["image"].shape).encode()
        if identity not in names:
            names[identity] = f"images/{len(names):06d}.png"
            Image.fromarray(shown["image"]).save(folder / names[identity])
        return {"type": "image", "image": names[identity]}

    with open(folder / EPISODES_FILE, "w", encoding="utf-8") as file:
        for episode in episodes:
            row = {**vars(episode), "key": list(episode.key), "stop_reason": episode.stop_reason.value}
            row["final_messages"] = [message(m) for m in episode.final_messages]
            row["turns"] = [{**_plain(turn), "messages": [message(m) for m in turn.messages]} for turn in episode.turns]
            line = json.dumps(row, ensure_ascii=False)
            file.write(_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", line) + "\n")


def _plain(turn: Turn) -> dict[str, Any]:
    """A turn's fields as JSON takes them; its messages are the caller's."""
    row: dict[str, Any] = {
        **vars(turn),
        "prompt_ids": turn.prompt_ids.tolist(),
        "reply_ids": turn.reply_ids.tolist(),
        # repr of a float32 as float64 is exact, so the log-probabilities come back to the bit
        "logprobs": [float(value) for value in turn.logprobs],
    }
    del row["credit"]
    return row if turn.credit is None else {**row, "credit": turn.credit.document()}


def load_episodes(folder: Path) -> list[Episode]:
    """Read what `save_episodes` wrote.

    Raises:
        UserError: the folder holds no episodes, or a line or an image of it cannot be read; says which.
    """
    path = folder / EPISODES_FILE
    if not path.is_file():
        raise UserError(f"{folder} holds no episodes ({EPISODES_FILE} is missing)")
    images: dict[str, np.ndarray] = {}

    def message(row: dict[str, Any]) -> Message:
        return {"role": row["role"], "content": [part(p) for p in row["content"]]}

    def part(row: dict[str, Any]) -> Part:
        if row["type"] == "text":
            return {"type": "text", "text": row["text"]}
        name = row["image"]
        if (folder / name).resolve().parent != (folder / "images").resolve():
            raise ValueError(f"image path '{name}' leaves the folder")
        if name not in images:
            images[name] = np.asarray(Image.open(folder / name).convert("RGB"))
        return {"type": "image", "image": images[name]}

    episodes: list[Episode] = []
    # Bytes, and nothing but line feeds: Unicode knows other ends of lines, and any text may hold one.
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        try:
            row = json.loads(line)
            turns = row.pop("turns")
            row["key"], row["stop_reason"] = tuple(row["key"]), StopReason(row["stop_reason"])
            row["final_messages"] = [message(m) for m in row["final_messages"]]
            episode = Episode(**row)
            for turn in turns:
                turn["messages"] = [message(m) for m in turn["messages"]]
                turn["prompt_ids"] = np.array(turn["prompt_ids"], np.int32)
                turn["reply_ids"] = np.array(turn["reply_ids"], np.int32)
                turn["logprobs"] = np.array(turn["logprobs"], np.float32)
                if turn.get("credit") is not None:
                    turn["credit"] = TokenCredit.read(turn["credit"])
                episode.turns.append(Turn(**turn))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError, OSError) as error:
            # Damage shows in many ways; SyntaxError is how Pillow tells of a broken PNG.
            reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(f"{path}, line {number}: not readable as an episode: {reason}") from error
        episodes.append(episode)
    return episodes
