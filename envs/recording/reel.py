"""An episode as it goes on, as scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lmmr1.envs.messages import Message

from .scene import Scene, shown_in


class Reel:
    """Collects the scenes of one episode.

    Args:
        title: the head of every page.
        values: what a critic said at each turn; without it the curve is the sum of the rewards so far.
    """

    def __init__(self, title: str = "", values: Sequence[float] | None = None) -> None:
        self.title, self.values = title, values
        self._scenes: list[Scene] = []
        self._returns: list[float] = []

    @property
    def num_turns(self) -> int:
        """How many turns there are so far."""
        return len(self._scenes)

    def add(
        self,
        messages: Sequence[Message],
        *,
        thought: str,
        answer: str,
        actions: Sequence[str],
        reward: float,
        reward_parts: Mapping[str, float],
    ) -> Scene:
        """Add a turn.

        Args:
            messages: what was shown before the reply.
            thought, answer, actions: what was read in it, and what it ran; the whole reply stands for the answer of a
                malformed one.
            reward: of this turn; `reward_parts` add up to it.

        Returns:
            The scene.
        """
        total = (self._returns[-1] if self._returns else 0.0) + reward
        self._returns.append(total)
        number = len(self._returns)
        told = self.values is not None and len(self.values) >= number
        image, prompt = shown_in(messages)
        scene = Scene(
            image=image,
            prompt=prompt,
            thought=thought,
            answer=answer,
            actions=tuple(actions),
            reward=reward,
            reward_parts=dict(reward_parts),
            total_reward=total,
            turn=number,
            title=self.title,
            curve=tuple(self.values[:number]) if told and self.values is not None else tuple(self._returns),
            curve_name="value (critic)" if told else "return so far",
        )
        self._scenes.append(scene)
        return scene

    def end(self, messages: Sequence[Message], outcome: str, success: bool | None = None) -> list[Scene]:
        """All scenes, which now know how many there are, and a last one that shows what came of it.

        Args:
            messages: what was shown after the last reply.
            outcome: how the episode ended, in words.
            success: whether it was solved; None where nobody says.
        """
        image, prompt = shown_in(messages)
        if not self._scenes:
            return [Scene(image, prompt, title=self.title, outcome=outcome, success=success)]
        last = self._scenes[-1]
        # What was said last stays on the page, beside what came of it.
        shown = last.image if image is None else image
        scenes = [*self._scenes, replace(last, image=shown, outcome=outcome, success=success)]
        return [replace(scene, turns=last.turn) for scene in scenes]
