"""Run folders as a training run leaves them: what is in them is made up, how it is written is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lmmr1.agents
from lmmr1.agents.episode import Episode, TokenCredit, Turn, save_episodes
from lmmr1.envs.messages import StopReason, image_part, system, user

TOKENIZER = Path(str(lmmr1.agents.__file__)).parent / "weights" / "tiny" / "tokenizer.json"
RECIPE = """
name: made_up
help: nothing was trained here
seed: 3
stages:
  fre:
    kind: ppo
    help: text
    iterations: 4
    environments:
      - id: LMMR1/Reasoning-v0
        kwargs: {families: [triangle_perimeter], split: train}
        chat: {instructions: brief}
evaluation:
  max_new_tokens: 24
  tasks:
    text:
      modality: text
      environment:
        id: LMMR1/Reasoning-v0
        kwargs: {families: [triangle_perimeter], split: test}
        chat: {instructions: brief}
      episodes: 4
"""


def byte_ids(text: str) -> np.ndarray:
    """Ids of the tiny tokenizer, one for each byte."""
    from lmmr1.evaluation.viewing.spelling import Spelling

    ids = {piece: index for index, piece in Spelling(TOKENIZER)._pieces.items() if len(piece) == 1}
    return np.array([ids[bytes([byte])] for byte in text.encode("utf-8", "replace")], np.int32)


def make_turn(text: str, reward: float = 0.0, learned: bool = False, picture: int | None = None, **others) -> Turn:
    """A turn that said `text`; with credit if it was learned from, with a picture of one grey if asked."""
    ids = byte_ids(text)
    rng = np.random.default_rng(len(ids))
    credit = None
    if learned:
        advantages = rng.normal(size=len(ids)).astype(np.float32)
        mask = np.arange(len(ids)) % 3 > 0
        credit = TokenCredit(advantages, advantages + 1, advantages * 0 + 0.5, mask)
    shown = [user(image_part(np.full((24, 24, 3), picture, np.uint8)))] if picture is not None else []
    return Turn(
        messages=[system("Think first."), *shown, user("What is seven and five?")],
        text=text,
        thought="seven",
        answer=text,
        well_formed=True,
        reward=reward,
        reward_parts={"task": reward},
        prompt_ids=np.arange(9, dtype=np.int32),
        reply_ids=ids,
        logprobs=np.log(rng.uniform(0.05, 1.0, len(ids))).astype(np.float32),
        version=2,
        credit=credit,
        **others,
    )


def make_episode(
    number: int, texts: Sequence[str], rewards: Sequence[float], env_id: str = "text", **others
) -> Episode:
    """An episode whose turns said `texts`."""
    learned, picture = others.pop("learned", False), others.pop("picture", None)
    turns = [make_turn(text, reward, learned, picture) for text, reward in zip(texts, rewards, strict=True)]
    success = others.pop("success", sum(rewards) > 0.5)
    return Episode(
        env_id, (3, 1, number), number, turns=turns, final_messages=[user("Done.")], success=success, **others
    )


def make_row(stage: str, iteration: int, step: int) -> dict:
    """A row of metrics."""
    return {
        "stage": stage,
        "iteration": iteration,
        "step": step,
        "reward": 0.1 * step,
        "kl": 0.01 / step,
        "accuracy/text": 0.5,
        "wall_seconds": 2.0,
    }


def make_run(folder: Path, rows: int = 4, sick: str = "") -> Path:
    """A run folder: metrics, evaluations, episodes that were judged and learned from; one of them says `sick`."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    lines = [json.dumps(make_row("fre", step, step)) + "\n" for step in range(1, rows + 1)]
    (folder / "metrics.jsonl").write_text("".join(lines))
    figures = {"success": 0.25, "interval": [0.1, 0.5], "return": 0.5, "stop_reasons": {"task_ended": 4}}
    evaluations = [{"stage": stage, "tasks": {"text": {"greedy": figures}}} for stage in ("start", "fre")]
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in evaluations))
    (folder / "models/fre").mkdir(parents=True)
    shutil.copy(TOKENIZER, folder / "models/fre/tokenizer.json")
    save_episodes(
        folder / "episodes/start",
        [
            make_episode(0, ["It is twelve."], [1.0], facts={"gold": "12"}),
            make_episode(1, ["Perhaps eleven?", "No idea"], [0.0, -0.5], stop_reason=StopReason.TURN_LIMIT),
        ],
    )
    broken = make_episode(3, ["Twelve"], [0.0], "sokoban", success=None, failure="the world broke")
    broken.stop_reason = StopReason.FAILED
    said = [make_episode(2, [sick or "Grüße 🙂 zwölf"], [0.25], "sokoban", success=None, picture=90), broken]
    save_episodes(folder / "episodes/fre", said)
    for iteration in (1, 2):
        learned = [make_episode(n, [f"iteration {iteration} says {n}"], [0.1 * n], learned=True) for n in range(3)]
        save_episodes(folder / f"episodes/fre-training/{iteration:05d}", learned)
    return folder


def make_evaluation(folder: Path) -> Path:
    """An evaluation's folder: two blocks of a task."""
    folder.mkdir(parents=True)
    settings = {"format": 1, "agent": {"name": "random", "kind": "random"}, "seed": 0, "suite": {"name": "tiny"}}
    (folder / "settings.json").write_text(json.dumps(settings))
    for block in range(2):
        place = folder / f"episodes/words/sampled/{block:04d}"
        save_episodes(place, [make_episode(2 * block + n, ["yes"], [1.0]) for n in range(2)])
    tasks = {"words": {"sampled": {"success": 1.0, "episodes": 4}}}
    (folder / "results.json").write_text(json.dumps({"tasks": tasks}))
    return folder
