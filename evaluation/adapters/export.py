"""Our problems for other evaluators: what the agent would be shown, and the right answer, a row each."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lmmr1.agents.rollout import EVALUATION_STREAM, derive_epoch_seed, derive_seed
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, message_text

from ..runner import EvaluationTask


def export_rows(task: EvaluationTask, seed: int) -> list[dict[str, Any]]:
    """The problems of a task, in the order and with the seeds in which our own runner asks them.

    Args:
        task: whose environment asks one question and is done.
        seed: of the evaluation.

    Returns:
        For each problem "id", its number; "messages", JSON of the conversation with pictures as {"type": "image",
        "picture": place}; "text", what the user says; "system", what the system message says; "pictures", PNG files;
        "gold" and "options" (JSON of a list, empty for open questions).

    Raises:
        UserError: the environment asks no questions with right answers.
    """
    env = task.environment.make()
    rows = []
    try:
        for number in range(task.episodes):
            entropy = (seed, EVALUATION_STREAM)
            own = derive_epoch_seed(number, *entropy) if task.environment.in_epochs else derive_seed(*entropy, number)
            messages, _ = env.reset(seed=own)
            # The right answer is told once somebody has answered.
            _, _, ended, _, info = env.step(env.write_reply("", "?"))
            if not ended or "gold" not in info:
                raise UserError(f"tasks.{task.name}: {task.environment.id} asks no single question with a right answer")
            rows.append(
                {
                    "id": number,
                    **_as_row(messages),
                    "gold": str(info["gold"]),
                    "options": json.dumps(list(info.get("options", ()))),
                }
            )
    finally:
        env.close()
    return rows


def _as_row(messages: Sequence[Message]) -> dict[str, Any]:
    pictures: list[bytes] = []
    told: list[dict[str, Any]] = []
    for message in messages:
        parts: list[dict[str, Any]] = []
        for part in message["content"]:
            if part["type"] == "text":
                parts.append({"type": "text", "text": part["text"]})
            else:
                parts.append({"type": "image", "picture": len(pictures)})
                pictures.append(_png(part["image"]))
        told.append({"role": message["role"], "content": parts})

    def said(role: str) -> str:
        return "".join(message_text(message) for message in messages if message["role"] == role)

    return {
        "messages": json.dumps(told),
        "text": said("user"),
        "system": said("system"),
        "pictures": pictures,
    }


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rows as a Parquet file."""
    from lmmr1.envs.datasets.sources.tables import write_rows

    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(rows, path)


def write_lines(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rows as JSON lines, without their pictures.

    Raises:
        UserError: a row has pictures.
    """
    if any(row["pictures"] for row in rows):
        raise UserError(
            "this evaluator is asked in words here: choose tasks without pictures with --only, or lmms-eval"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [{key: value for key, value in row.items() if key != "pictures"} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
