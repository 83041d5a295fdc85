"""An environment in this process that is made anew after it broke, as a worker process does with its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.registry import EnvironmentConfig

from .outcomes import Advice, Fault, Opening, Outcome, describe_error, run_reset, run_solve, run_step


@dataclass
class LocalEnv:
    """An environment and how to make it; it is made when it is first reset, and again after each fault."""

    config: EnvironmentConfig
    env: ChatEnv | None = None

    def reset(self, seed: int) -> Opening | Fault:
        """Start an episode."""
        if self.env is None:
            try:
                self.env = self.config.make()
            except Exception as error:  # whatever the world's constructor raises
                return Fault("crash", describe_error(error))
        opening = run_reset(self.env, seed)
        if isinstance(opening, Fault):
            self._drop()
        return opening

    def step(self, text: str) -> Outcome | Fault:
        """Give it a reply; its episode must be running."""
        assert self.env is not None
        outcome = run_step(self.env, text)
        if isinstance(outcome, Fault):
            self._drop()
        return outcome

    def solve(self) -> Advice | Fault:
        """Ask it for its solution; its episode must be running."""
        assert self.env is not None
        advice = run_solve(self.env)
        if isinstance(advice, Fault):
            self._drop()
        return advice

    def _drop(self) -> None:
        # What is broken has been reported: that it cannot even be closed is no news.
        env, self.env = self.env, None
        if env is not None:
            with contextlib.suppress(Exception):
                env.close()

    def close(self) -> None:
        """Close the environment."""
        if self.env is not None:
            self.env.close()
