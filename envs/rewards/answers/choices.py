"""Multiple choice: an option's letter, its text, or both."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .cleaning import clean_answer
from .comparison import GoldReading, decide

LETTERS = "ABCDEFGHIJ"
OPTION = re.compile(
    r"(?:(?:the )?(?:option|choice|answer) )?[(\[]? ?(?P<letter>[A-Ja-j]) ?[)\]]?"
    r"(?:(?:[).:,\]-]| -)+ ?(?P<text>.*))?",
    re.IGNORECASE | re.DOTALL,
)
SINGLE = re.compile(r"(?<![A-Za-z\\])([A-J])(?![A-Za-z])")
SEVERAL = re.compile(r"[(\[{]?[A-J](?:(?:, ?| and | & | )[(]?[A-J][)]?)*[)\]}]?")


def match_letter(gold: str, answer: str) -> bool:
    """Whether an answer names the option with this letter, and no other: ``B``, ``(b)``, ``B. 45``, ``Option B``.

    Args:
        gold: a capital letter.
        answer: cleaned.
    """
    match = OPTION.fullmatch(answer)
    return match is not None and match["letter"].upper() == gold and _names_no_other(match["text"] or "", gold)


def match_letters(gold: str, answer: str) -> bool | None:
    """Whether an answer names the same options as a right answer with several letters (``A, C``); order is free.

    Returns:
        None if the right answer is not of this kind.
    """
    if not SEVERAL.fullmatch(gold) or sum(map(str.isalpha, gold.replace("and", ""))) < 2:
        return None
    if not SEVERAL.fullmatch(answer) and not re.fullmatch("[A-J]{2,10}", answer):
        return False
    one, other = (re.findall("[A-J]", text.replace("and", "")) for text in (gold, answer))
    return sorted(one) == sorted(other)


def match_choices(gold: str, answer: str, choices: Sequence[str]) -> bool | None:
    """Whether an answer names the right one of known choices, by its letter, by its text, or by both, which must agree.

    Args:
        gold: the letter or the text of the right choice, cleaned.
        answer: cleaned.
        choices: the texts, in the order of their letters.

    Returns:
        None if the right answer is none of the choices.
    """
    texts = [clean_answer(choice) for choice in choices]
    right = _find(gold, texts)
    return None if right is None else _find(answer, texts) == right


def _find(text: str, texts: list[str]) -> int | None:
    """Which choice a text names; None for none, for several, and for a letter with the text of another choice."""
    match = OPTION.fullmatch(text)
    if match is not None and LETTERS.index(match["letter"].upper()) < len(texts):
        index = LETTERS.index(match["letter"].upper())
        said = (match["text"] or "").strip()
        if not said or said.rstrip(").") == "":
            return index
        return index if _same_text(texts[index], said) else None
    found = [index for index, choice in enumerate(texts) if _same_text(choice, text)]
    return found[0] if len(found) == 1 else None


def _same_text(one: str, other: str) -> bool:
    if " ".join(one.casefold().split()) == " ".join(other.casefold().split()):
        return True
    return decide(GoldReading(one), other) is True


def _names_no_other(text: str, gold: str) -> bool:
    """Whether what follows a letter is its text: "A, B", "A. or B" and "A. B. C" name several options."""
    others = set(SINGLE.findall(text)) - {gold}
    words = re.findall(r"[a-z]+", text.casefold())
    if words and words[0] in ("or", "and", "not"):
        return False
    beside = any(map(str.isalnum, SINGLE.sub("", text)))
    return not (others and (not beside or {"or", "and"} & set(words) or "," in text))
