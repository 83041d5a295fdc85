"""Sample problems on a page: the same problem before and after training, side by side. All model text is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from lmmr1.agents.episode import Episode, Turn
from lmmr1.envs.messages import Message, message_images, message_text

from .films import choose_pairs, outcome

MAX_CHARACTERS = 1200
MAX_TURNS = 8


def data_uri(content: bytes, kind: str) -> str:
    """A file as a part of the page; `kind` is its media type, such as "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def image_tag(image: np.ndarray, description: str) -> str:
    """A picture, shape (height, width, 3), dtype uint8, as an element of the page; small ones are shown larger."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    width = min(280, image.shape[1] * max(1, 240 // max(1, image.shape[1])))
    small = ' class="pixels"' if width > image.shape[1] else ""
    source = data_uri(buffer.getvalue(), "image/png")
    return f'<img{small} width="{width}" alt="{escape(description, quote=True)}" src="{source}">'


def html_samples(pairs: Sequence[tuple[Episode, Episode]], last_stage: str, count: int = 3) -> str:
    """Sample problems of each task.

    Args:
        pairs: the same problem before and after training; see `pair_problems`.
        last_stage: after which the second of each pair was played.
        count: problems for each task.
    """
    sections = []
    for task in dict.fromkeys(before.env_id for before, _ in pairs):
        of_task = [pair for pair in pairs if pair[0].env_id == task]
        chosen = choose_pairs(of_task, count)
        rules = _system_text(of_task[0][0].turns[0].messages if of_task[0][0].turns else [])
        told = f"<details><summary>What the model is told</summary><p>{safe_text(rules)}</p></details>" if rules else ""
        cards = "".join(_html_pair(before, after, last_stage) for before, after in chosen)
        sections.append(f"<h3>{escape(task)}</h3>{told}{cards}")
    return "".join(sections)


def _html_pair(before: Episode, after: Episode, last_stage: str) -> str:
    question = _html_messages(before.turns[0].messages if before.turns else after.final_messages)
    return (
        f'<div class="problem"><div class="question"><h4>Problem</h4>{question}</div>'
        f"{_html_episode(before, 'Before training')}{_html_episode(after, f'After {last_stage}')}</div>"
    )


def _html_episode(episode: Episode, heading: str) -> str:
    verdict = {True: "right", False: "wrong", None: "open"}[episode.success]
    if len(episode.turns) == 1:
        label, turns = verdict.capitalize(), _html_turn(episode.turns[0])
    else:
        label, turns = _many_turns_label(episode), _html_turns(episode.turns)
    return (
        f'<div class="reply {verdict}"><h4><span class="verdict">{escape(label)}</span>{escape(heading)}</h4>'
        f"{turns}</div>"
    )


def _many_turns_label(episode: Episode) -> str:
    words = {True: "Solved", False: "Not solved", None: outcome(episode)}[episode.success]
    return f"{words}, {len(episode.turns)} turns"


def _html_turn(turn: Turn) -> str:
    if _is_shapeless(turn):
        return f'<dl><dt>reply, not in the form asked for</dt><dd class="malformed">{safe_text(turn.text)}</dd></dl>'
    thought = f"<dt>thought</dt><dd>{safe_text(turn.thought)}</dd>" if turn.thought else ""
    return f'<dl>{thought}<dt>answer</dt><dd class="answer">{safe_text(turn.answer)}</dd></dl>'


def _html_turns(turns: Sequence[Turn]) -> str:
    rows = []
    for number, turn in enumerate(turns[:MAX_TURNS], start=1):
        if _is_shapeless(turn):
            cells = f'<td colspan="2" class="malformed">{safe_text(turn.text)}</td>'
        else:
            cells = f"<td>{safe_text(turn.thought)}</td><td>{safe_text(turn.answer)}</td>"
        rows.append(f"<tr><th>{number}</th>{cells}</tr>")
    hidden = len(turns) - len(rows)
    more = f'<p class="more">and {hidden} more {"turn" if hidden == 1 else "turns"}</p>' if hidden else ""
    head = "<thead><tr><th>turn</th><th>thought</th><th>answer</th></tr></thead>"
    return f'<table class="turns">{head}<tbody>{"".join(rows)}</tbody></table>{more}'


def _is_shapeless(turn: Turn) -> bool:
    return not turn.well_formed and not turn.answer


def _html_messages(messages: Sequence[Message]) -> str:
    pieces = []
    for message in messages:
        if message["role"] == "system":
            continue
        pieces += [image_tag(image, "what the model saw") for image in message_images(message)]
        pieces.append(f"<p>{safe_text(message_text(message))}</p>")
    return "".join(pieces)


def _system_text(messages: Sequence[Message]) -> str:
    return "\n".join(message_text(message) for message in messages if message["role"] == "system")


def safe_text(text: str) -> str:
    """Text of a model or a world, safe on a page: escaped, cut, and with what cannot be printed made visible."""
    cut = text[:MAX_CHARACTERS] + (" [...]" if len(text) > MAX_CHARACTERS else "")
    visible = "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in cut)
    return escape(visible) or '<span class="nothing">nothing</span>'
