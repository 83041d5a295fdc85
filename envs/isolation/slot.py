"""A slot of a pool: an environment, and what brings it back to where it is in a new worker process."""

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import message_images, message_text
from lmmr1.envs.registry import EnvironmentConfig

from .outcomes import Fault, Outcome
from .process import Order


@dataclass
class Slot:
    """An environment, and what brings it back to where it is: the seed of its episode, the replies, what they gave.

    Attributes:
        config: what it is made by.
        spec: its registration as a pickle, where a worker may not know it.
        made: whether its worker has it.
    """

    config: EnvironmentConfig
    spec: bytes | None
    made: bool = False
    seed: int | None = None
    replies: list[str] = field(default_factory=list)
    marks: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, config: EnvironmentConfig, remedy: str) -> Slot:
        """A slot for an environment that is to live in another process.

        Args:
            config: what it is made by.
            remedy: how to do without the other process, for the message.

        Raises:
            UserError: its class cannot be found from another process.
        """
        spec = gym.registry.get(config.id.rpartition(":")[2])
        try:
            packed = None if spec is None or config.id.startswith("LMMR1/") else pickle.dumps(spec)
        except Exception as error:  # pickle raises whatever the object raises
            raise UserError(
                f"{config.id} cannot be played in a worker process ({error}): register it with an entry point written "
                f"as 'module:Class', or {remedy}"
            ) from error
        return cls(config, packed)

    def script(self, order: Order) -> list[Order]:
        """An order, and before it whatever a worker that does not know the environment must do first."""
        if self.made:
            return [order]
        verb, number, _ = order
        make: Order = ("make", number, (self.config, self.spec))
        if verb == "reset":
            return [make, order]
        return [make, ("reset", number, self.seed), *(("step", number, text) for text in self.replies), order]

    def check_again(self, position: int, answer: Any) -> Fault | None:
        """Whether an answer in the middle of a script is what it was the first time."""
        place = position - 1  # the first order of a script makes the environment
        if place < 0 or _mark(answer) == self.marks[place]:
            return None
        where = f"turn {place}" if place else "the opening"
        return Fault(
            "garbage", f"not deterministic: {where} differed when the episode was played again in a new worker"
        )

    def note(self, order: Order, answer: Any) -> None:
        """An order was answered: remember what brings the environment back to here."""
        verb, _, argument = order
        if verb == "reset":
            self.seed, self.replies, self.marks = argument, [], [_mark(answer)]
        elif verb == "step":
            self.replies.append(argument)
            self.marks.append(_mark(answer))
        # What broke is made anew before it plays again.
        self.made = self.made and not isinstance(answer, Fault)


def _mark(answer: Any) -> Any:
    """What must be the same when an episode is played again."""
    if isinstance(answer, Fault):
        return None
    texts = [message_text(message) for message in answer.messages]
    images = [zlib.crc32(image.tobytes()) for message in answer.messages for image in message_images(message)]
    return texts, images, answer.reward if isinstance(answer, Outcome) else None
