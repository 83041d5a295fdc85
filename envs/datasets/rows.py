"""A row of a data set: from what a file holds to what is asked."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from lmmr1.envs.errors import UserError

from .config import ColumnNames
from .conversation import LETTERS, Draft, add_choices, question_text, read_messages, write_question
from .golds import check_text, read_gold, read_option
from .images import identify
from .refusals import RowError

# What the columns are usually called; the first that a file has is taken.
USUAL = {
    "message": ("message", "messages"),
    "question": ("question", "problem", "prompt", "query", "instruction", "input"),
    "answer": ("answer", "gold", "final_answer", "ground_truth", "label", "target", "solution"),
    "choices": ("choices", "options"),
    "image": ("image", "images", "decoded_image", "picture", "pictures"),
    "solution": ("solution", "rationale", "explanation", "thought"),
}


@dataclass(frozen=True)
class Row:
    """One row, as it is asked.

    Attributes:
        family: the name of its data set.
        number: its number in its file, from 1 up.
        question: the text of what the user says; ``<image>`` stands for each of several pictures.
        answer: the right answer; of a row with options, the letter.
        thought: the worked solution, or the empty text.
        choices: the options, if there are any.
        messages: the conversation that opens the episode.
        pictures: the references of its pictures, as they were written.
        key: 64 bits of a hash of the question; rows that ask the same have the same.
        category: what the data set files it under, or the empty text.
    """

    family: str
    number: int
    question: str
    answer: str
    thought: str
    choices: tuple[str, ...]
    messages: tuple[Draft, ...]
    pictures: tuple[Any, ...]
    key: int
    category: str = ""


def find_columns(given: Mapping[str, ColumnNames], names: Iterable[str], where: str) -> dict[str, ColumnNames]:
    """Find out what the columns of a file hold.

    Args:
        given: the names that are known.
        names: the columns of the file.
        where: the file, for messages.

    Raises:
        UserError: a column that was given is not there, or nothing looks like a question or an answer.
    """
    present = list(dict.fromkeys(names))
    for kind, columns in given.items():
        for column in columns:
            if column not in present and kind not in ("solution", "category"):
                raise UserError(f"{where}: there is no column {column!r} ({kind}); the columns are {_listed(present)}")
    found = {kind: columns for kind, columns in given.items() if set(columns) <= set(present)}
    for kind, usual in USUAL.items():
        if kind not in found and not (kind == "message" and "question" in found):
            taken = next(((name,) for name in usual if name in present), None)
            if taken is not None and not (kind == "solution" and taken == found.get("answer")):
                found[kind] = taken
    for kind in ("question", "answer"):
        if kind not in found and not (kind == "question" and "message" in found):
            raise UserError(
                f"{where}: no column holds the {kind}; the columns are {_listed(present)}: say which, as in "
                f"dataset: {{path: ..., columns: {{{kind}: NAME}}}}"
            )
    return found


def read_row(raw: Mapping[str, Any], columns: Mapping[str, ColumnNames], family: str, number: int) -> Row:
    """Read a row.

    Raises:
        RowError: it cannot be asked.
    """
    loose = _read_pictures(raw, columns)
    message = _value(raw, columns, "message")
    if message is not None or "question" not in columns:
        if message is None:
            raise RowError("missing column", f"the column {columns['message'][0]!r} is missing or empty")
        drafts, pictures = read_messages(message, loose)
    else:
        text = _value(raw, columns, "question")
        if not isinstance(text, str) or not text.strip():
            reason = "missing or empty" if text is None or text == "" else f"a {type(text).__name__}, not a text"
            raise RowError("bad question", f"the column {columns['question'][0]!r} is {reason}")
        drafts, pictures = write_question(text.strip(), len(loose)), loose
    for draft in drafts:
        for part in draft.parts:
            check_text("question", part if isinstance(part, str) else "")
    asked = question_text(drafts)
    if not asked and not pictures:
        raise RowError("bad question", "the user's messages are empty")
    key = _hash([asked, *map(identify, pictures)])
    choices, answer = _read_answer(raw, columns, key)
    drafts = add_choices(drafts, choices)
    solution = _value(raw, columns, "solution")
    thought = check_text("solution", solution.strip()) if isinstance(solution, str) else ""
    filed = _value(raw, columns, "category")
    category = check_text("category", filed.strip()) if isinstance(filed, str) else ""
    return Row(family, number, question_text(drafts), answer, thought, choices, drafts, pictures, key, category)


def _value(raw: Mapping[str, Any], columns: Mapping[str, ColumnNames], kind: str) -> Any:
    return raw.get(columns[kind][0]) if kind in columns else None


def _read_pictures(raw: Mapping[str, Any], columns: Mapping[str, ColumnNames]) -> tuple[Any, ...]:
    pictures: list[Any] = []
    for column in columns.get("image", ()):
        value = raw.get(column)
        if value is None or value == "":
            continue
        pictures += value if isinstance(value, list) else [value]
    return tuple(pictures)


def _read_answer(raw: Mapping[str, Any], columns: Mapping[str, ColumnNames], key: int) -> tuple[tuple[str, ...], str]:
    value = _value(raw, columns, "answer")
    if value is None:
        raise RowError("missing column", f"the column {columns['answer'][0]!r} is missing or empty")
    if "distractors" in columns:
        gold = read_gold(value)
        wrong = [_read_choice(raw.get(column)) for column in columns["distractors"]]
        order = list(range(len(wrong) + 1))
        # The order belongs to the row: the same in every epoch, process and machine.
        random.Random(key).shuffle(order)
        shuffled = [[gold, *wrong][place] for place in order]
        return tuple(shuffled), read_option(gold, shuffled)
    choices = _value(raw, columns, "choices")
    if choices is None or choices == [] or choices == {}:
        return (), read_gold(value)
    if isinstance(choices, dict):
        if sorted(choices) != list(LETTERS[: len(choices)]):
            raise RowError("bad choices", f"the options are called {_listed(sorted(map(str, choices)))}, not A, B, ...")
        choices = [choices[letter] for letter in sorted(choices)]
    if not isinstance(choices, list) or not 2 <= len(choices) <= len(LETTERS):
        raise RowError("bad choices", f"the options are no list of 2 to {len(LETTERS)} texts")
    texts = tuple(_read_choice(choice) for choice in choices)
    return texts, read_option(value, texts)


def _read_choice(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
        raise RowError("bad choices", f"an option is {value!r:.60}, not a text")
    return check_text("option", str(value).strip())


def _hash(parts: Iterable[str]) -> int:
    digest = blake2b(digest_size=8)
    for part in parts:
        # The length comes first, so that no two lists of parts are written alike; white space carries no meaning.
        data = " ".join(part.split()).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return int.from_bytes(digest.digest(), "big")


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown or "none"
