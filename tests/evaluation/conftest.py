"""A run folder as a training run leaves it, made in seconds: real worlds, and an agent whose skill is set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lmmr1.agents.base import AgentReply, Conversation
from lmmr1.agents.episode import save_episodes
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.runner import EvaluationTask, evaluate

TASKS = (
    EvaluationTask(
        "text", "text", EnvironmentConfig("LMMR1/Reasoning-v0", {"families": "primer", "split": "test"}), episodes=24
    ),
    EvaluationTask("diagrams", "image", EnvironmentConfig("LMMR1/Geometry-v0", {"split": "test"}), episodes=24),
    EvaluationTask("sokoban", "game", EnvironmentConfig("LMMR1/Sokoban-v0", {"split": "test"}), 12, max_turns=16),
)
SKILLS = {"start": (0.2, 0.15, 0.1), "fre": (0.85, 0.5, 0.1), "mgt": (0.9, 0.95, 0.65)}

RECIPE = """
name: tiny
help: A tiny model learns to reason in words, then about diagrams and a game; minutes on a CPU.
seed: 7
model: {path: tiny, dtype: float32}
stages:
  fre:
    kind: ppo
    help: Reinforcement learning on problems in words.
    iterations: 50
    environments: [{id: LMMR1/Reasoning-v0, kwargs: {split: train}, weight: 1.0}]
  mgt:
    kind: ppo
    help: Reinforcement learning on diagrams and Sokoban.
    iterations: 30
    environments:
      - {id: LMMR1/Geometry-v0, kwargs: {split: train}, weight: 2.0}
      - {id: LMMR1/Sokoban-v0, kwargs: {split: train}, weight: 1.0}
evaluation:
  tasks:
    text: {modality: text, environment: {id: LMMR1/Reasoning-v0, kwargs: {split: test}}}
    diagrams: {modality: image, environment: {id: LMMR1/Geometry-v0, kwargs: {split: test}}}
    sokoban: {modality: game, environment: {id: LMMR1/Sokoban-v0, kwargs: {split: test}}, max_turns: 16}
"""


class SkilledAgent:
    """Says what an expert would say as often as its skill is high, else something hasty; some replies have no form."""

    def __init__(self, skill: float, name: str = "skilled") -> None:
        self.skill, self.name, self.context = skill, name, "conversation"
        self.keys: list[tuple[int, ...]] = []
        self.greedy: list[bool] = []

    def act(self, conversations: Sequence[Conversation], *, greedy: bool) -> list[AgentReply]:
        self.greedy.append(greedy)
        return [self._reply(conversation, greedy) for conversation in conversations]

    def _reply(self, conversation: Conversation, greedy: bool) -> AgentReply:
        self.keys.append(conversation.key)
        # The skill decides once an episode, so that a game can be won.
        draw = np.random.default_rng([*conversation.key, int(greedy)]).random()
        if draw < self.skill:
            solution = conversation.env.solution()
            text = conversation.env.write_reply(solution.thought, solution.answer)
        elif draw > 0.97:
            text = "I would say <b>seven</b> & hope"
        else:
            names = conversation.env.chat_spec.action_names
            guess = names[len(conversation.turns) % 2] if names is not None else str(round(draw * 40))
            text = conversation.env.write_reply("", guess)
        ids = np.arange(len(text.split()) + 2, dtype=np.int32)
        return AgentReply(text, reply_ids=ids, logprobs=np.zeros(len(ids), np.float32))


def _metrics() -> list[dict]:
    rng = np.random.default_rng(0)
    rows = []
    for stage, count, tasks in (("fre", 50, ("text",)), ("mgt", 30, ("diagrams", "sokoban"))):
        for iteration in range(count):
            rise = 1 - np.exp(-3 * iteration / count)
            accuracy = {f"accuracy/{t}": 0.3 + 0.5 * rise - 0.2 * i + 0.03 * rng.normal() for i, t in enumerate(tasks)}
            mean = float(np.mean(list(accuracy.values())))
            rows.append(
                {
                    "stage": stage,
                    "iteration": iteration + 1,
                    "step": len(rows),
                    "reward": mean + 0.5,
                    "accuracy": mean,
                    "format_rate": min(1.0, 0.9 + 0.1 * rise + 0.01 * rng.normal()),
                    "reply_tokens": 13 + 16 * rise + rng.normal(),
                    "kl": 0.03 * rise + 0.002 * abs(rng.normal()),
                    "entropy": 0.12 - 0.09 * rise + 0.004 * rng.normal(),
                    "episodes": 256,
                    "wall_seconds": 0.5,
                    "cpu_seconds": 0.5,
                    **accuracy,
                }
            )
    return rows


@pytest.fixture(scope="session")
def make_run_folder() -> Callable[[Path], Path]:
    """A function that fills a folder as a run does (without films and without the report)."""

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _metrics()))
        with (folder / "evaluations.jsonl").open("w", encoding="utf-8") as file:
            for stage, skills in SKILLS.items():
                results, samples = {}, {}
                for task, skill in zip(TASKS, skills, strict=True):
                    results |= evaluate(SkilledAgent(skill), [task], seed=7, samples=samples, num_samples=12)
                save_episodes(folder / "episodes" / stage, [e for episodes in samples.values() for e in episodes])
                file.write(json.dumps({"stage": stage, "tasks": results}) + "\n")
        summary = {"seed": 7, "versions": {"lmmr1": "0.1.0", "torch": "2.13.0"}, "wall_seconds": 118.4}
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return make
