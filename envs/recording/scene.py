"""What a film shows: a scene for each turn of an episode, and the moments of a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, StopReason, is_image, message_images, message_text

ENDINGS = {
    StopReason.TASK_ENDED: "The task ended",
    StopReason.STEP_LIMIT: "Stopped: too many steps",
    StopReason.TURN_LIMIT: "Stopped: too many turns",
    StopReason.CONTEXT_LIMIT: "Stopped: the conversation became too long",
    StopReason.FAILED: "The environment failed",
}


@dataclass(frozen=True)
class Scene:
    """One turn of a film.

    Attributes:
        image: what was seen, shape (height, width, 3), dtype uint8, or None in a world of text.
        prompt: the text that came with it.
        thought: the thought of the reply.
        answer: the answer of the reply.
        actions: the names of the actions that it ran.
        reward: this turn's reward.
        reward_parts: the parts that sum to it.
        total_reward: the sum of the rewards of this episode so far.
        turn: the number of this turn, from 1.
        turns: how many the episode has, where that is known.
        title: the head of the page, such as the name of the world and of the agent.
        outcome: how the episode ended, on its last page; else None.
        success: whether it was solved; None where nobody says.
        curve: a value for each turn up to this one: the critic's, or the sum of the rewards so far.
        curve_name: what the curve shows.

    Raises:
        UserError: the image is no picture.
    """

    image: np.ndarray | None
    prompt: str
    thought: str = ""
    answer: str = ""
    actions: tuple[str, ...] = ()
    reward: float = 0.0
    reward_parts: Mapping[str, float] = field(default_factory=dict)
    total_reward: float = 0.0
    turn: int = 1
    turns: int | None = None
    title: str = ""
    outcome: str | None = None
    success: bool | None = None
    curve: tuple[float, ...] = ()
    curve_name: str = "return so far"

    def __post_init__(self) -> None:
        """Check the image."""
        if self.image is not None and not is_image(self.image):
            raise UserError("the image of a scene must be an array of shape (height, width, 3) and dtype uint8")


@dataclass(frozen=True)
class Moment:
    """How far a scene has come.

    Attributes:
        thought: the share of the thought that was said, from 0 to 1.
        acted: whether the answer was given.
        paid: whether the reward was.
    """

    thought: float = 1.0
    acted: bool = True
    paid: bool = True


WHOLE = Moment()


def shown_in(messages: Sequence[Message]) -> tuple[np.ndarray | None, str]:
    """The last picture among some messages, and what the user's side says in them."""
    images = [image for message in messages for image in message_images(message)]
    text = " ".join(message_text(message) for message in messages if message["role"] == "user")
    return (images[-1] if images else None), text.strip()


def tell_outcome(stop_reason: StopReason, success: bool | None, failure: str | None = None) -> str:
    """How an episode ended, in words."""
    if failure is not None:
        return f"{ENDINGS[StopReason.FAILED]}: {failure}"
    if success:
        return "Solved"
    return ENDINGS[stop_reason] if success is None else f"Not solved. {ENDINGS[stop_reason]}"
