r"""The accuracy reward: is this answer the same as that one?

Three verdicts, because "wrong" and "could not be verified" are two different things. Most answers are
decided here, exactly and at once: equal texts, option letters, plain words, numbers. Only what is left goes
to math-verify (the extra ``lmmr1[math]``), which reads LaTeX with sympy. An answer comes from a policy that is
being optimised against this rule, so that half runs in worker processes that are killed when they take
more than two seconds or a gigabyte; see ``symbolic.py``.
"""

from __future__ import annotations

import re
from enum import Enum
from fractions import Fraction
from functools import lru_cache

from lmmr1.envs.rewards.symbolic import close_grader, compare_symbolically

__all__ = ["MAX_LENGTH", "Verdict", "clean_answer", "close_grader", "grade", "read_number"]

MAX_LENGTH = 2_000
MAX_DEPTH = 40

NUMBER = re.compile(r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
FRACTION = re.compile(r"([+-]?)\\frac *\{ *([+-]?[0-9.,]+) *\} *\{ *([+-]?[0-9.,]+) *\}")
MIXED = re.compile(r"([+-]?)([0-9]+) +([0-9]+)/([0-9]+)")
ASSIGNMENT = re.compile(r"[A-Za-z] *= *")
WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")
OPTION = re.compile(r"(?:option |choice )?\(?([A-Ja-j])(?:[).:](?: .*)?)?", re.IGNORECASE)
LIST = re.compile(r"[(\[{]?[^()\[\]{}]+[)\]}]?")
UNIT = re.compile(r"(.*?[0-9]) *([A-Za-z\u00b0%]+(?:\^[23]|\u00b2|\u00b3)?)")
# Letters that mean a number or a function to a mathematician are not words.
MATHEMATICAL_WORDS = frozenset("pi tau exp sin cos tan cot sec csc log ln sqrt inf infinity oo".split())
UNITS = frozenset("mm cm dm m km in ft yd mi g kg mg s min h ml l degree degrees deg".split()) | {"\u00b0"}
REPLACEMENTS = (
    ("\u2212", "-"), ("\u2013", "-"), ("\u00d7", "\\times "), ("\u00b7", "*"), ("\u22c5", "*"), ("\u00f7", "/"),
    ("\u03c0", "\\pi "), ("\u00b2", "^2"), ("\u00b3", "^3"), ("**", "^"), ("\\left", ""), ("\\right", ""),
    ("\\!", ""), ("\\,", " "), ("\\;", " "), ("~", " "), ("{,}", ","), ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"),
    ("^{\\circ}", "\u00b0"), ("^\\circ", "\u00b0"), ("\\{", "{"), ("\\}", "}"),
)  # fmt: skip
WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
TEXT_COMMANDS = ("\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{")
ROOT = re.compile("\u221a *(?:\\(([^()]*)\\)|([0-9]+|[A-Za-z]))")
BARE_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])")
# What would only cost time: numbers in powers of powers, exponents of five digits, factorials of factorials.
EXPLOSIVE = re.compile(r"[0-9)}] *\^[ {(]*[0-9]+[ {}()]*\^[ {(]*[0-9]|\^[ {(]*[0-9]{5}|![ )}]*!|[0-9]{6} *!")


class Verdict(str, Enum):
    """What a comparison with the right answer found."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNVERIFIABLE = "unverifiable"

    def __str__(self) -> str:
        """The plain value, the same on every version of Python."""
        return self.value


def grade(gold: str, answer: str) -> Verdict:
    r"""Compare an answer with the right one.

    Numbers are compared exactly (0.5 = 1/2 = 50/100, but 0.333 is not 1/3), words and option letters as
    texts without regard to case, a unit where both have one. A list without brackets or in braces is
    compared without regard to order, one in round or square brackets in order.

    Args:
        gold: the right answer, alone: a number, an expression, a word, an option letter.
        answer: the answer to be judged, alone as well; it may stand in ``\boxed{}`` or between dollars. One of
            more than 2,000 characters is different without further work.

    Returns:
        EQUAL, DIFFERENT, or UNVERIFIABLE: the gold answer cannot be read, or the comparison ran out of time
        or memory.

    Raises:
        UserError: symbolic comparison is needed, and math-verify is not installed.
    """
    gold, answer = gold.strip(), answer.strip()
    if gold == answer and gold:
        return Verdict.EQUAL
    if not gold:
        return Verdict.UNVERIFIABLE
    if len(answer) > MAX_LENGTH:
        return Verdict.DIFFERENT
    if len(gold) > MAX_LENGTH:
        return Verdict.UNVERIFIABLE
    return _grade_cached(gold, answer)


@lru_cache(maxsize=16_384)
def _grade_cached(gold: str, answer: str) -> Verdict:
    gold, answer = clean_answer(gold), clean_answer(answer)
    verdict = _grade_exactly(gold, answer)
    if verdict is not None:
        return verdict
    if _is_explosive(answer):
        return Verdict.UNVERIFIABLE
    return Verdict(compare_symbolically(gold, answer))


def clean_answer(text: str) -> str:
    r"""Strip what carries no meaning: ``\boxed{}``, dollars, ``\text{}``, odd minus signs, a final full stop.

    Of several boxes the last one counts.
    """
    text = " ".join(_unbox(text).split())
    for old, new in REPLACEMENTS:
        text = text.replace(old, new)
    text = text.strip().removesuffix(".").strip()
    for start, end in WRAPPERS:
        if len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end):
            text = text[len(start) : -len(end)].strip()
    for command in TEXT_COMMANDS:
        if text.startswith(command) and text.endswith("}") and "}" not in text[:-1]:
            text = text[len(command) : -1].strip()
    text = text.removesuffix(".").strip()
    text = ROOT.sub(lambda match: f"\\sqrt{{{match[1] if match[1] is not None else match[2]}}}", text)
    return " ".join(BARE_PI.sub(r"\\pi ", text).split())


def _unbox(text: str) -> str:
    start = text.rfind("\\boxed{")
    if start < 0:
        return text
    start += len("\\boxed{")
    depth = 1
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[start:end]
    return text[start:]


def read_number(text: str) -> Fraction | None:
    r"""Read an exact number: ``-3``, ``1,000``, ``0.25``, ``1.2e3``, ``3/4``, ``\frac{3}{4}``, ``1 3/4``.

    Returns:
        The number, or None if the text is none of these (or divides by zero).
    """
    text = text.strip()
    if len(text) > 400:
        return None
    if match := FRACTION.fullmatch(text):
        sign, top, bottom = match.groups()
        return _divide(read_number(top), read_number(bottom), sign)
    if match := MIXED.fullmatch(text):
        sign, whole, top, bottom = match.groups()
        part = _divide(Fraction(int(top)), Fraction(int(bottom)), "")
        return None if part is None else (int(whole) + part) * (-1 if sign == "-" else 1)
    top, slash, bottom = text.partition("/")
    if slash:
        return _divide(_read_decimal(top), _read_decimal(bottom), "") if "/" not in bottom else None
    return _read_decimal(text)


def _divide(top: Fraction | None, bottom: Fraction | None, sign: str) -> Fraction | None:
    if top is None or bottom is None or bottom == 0:
        return None
    return -top / bottom if sign == "-" else top / bottom


def _read_decimal(text: str) -> Fraction | None:
    text = text.strip()
    # "- 3" is how some write -3.
    text = text[0] + text[1:].lstrip() if text[:1] in ("+", "-") else text
    if not NUMBER.fullmatch(text) or not any(character.isdigit() for character in text.partition("e")[0]):
        return None
    return Fraction(text.replace(",", ""))


def _grade_exactly(gold: str, answer: str) -> Verdict | None:
    """Decide what needs no algebra, or return None."""
    if gold == answer:
        return Verdict.EQUAL
    if not answer:
        return Verdict.DIFFERENT
    if len(gold) == 1 and gold in "ABCDEFGHIJ":
        match = OPTION.fullmatch(answer)
        return _verdict(match is not None and match[1].upper() == gold)
    if WORDS.fullmatch(gold) and gold.casefold() not in MATHEMATICAL_WORDS:
        if WORDS.fullmatch(answer) or not _has_operator(answer):
            return _verdict(gold.casefold() == answer.casefold())
        return None if len(gold) <= 3 else Verdict.DIFFERENT
    for grade_kind in (_grade_numbers, _grade_lists):
        verdict = grade_kind(gold, answer)
        if verdict is not None:
            return verdict
    return Verdict.EQUAL if gold.replace(" ", "") == answer.replace(" ", "") else None


def _verdict(equal: bool) -> Verdict:
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


def _has_operator(text: str) -> bool:
    return any(character in "*^\\+/=_" for character in text)


def _grade_numbers(gold: str, answer: str) -> Verdict | None:
    gold_text, gold_unit = _split_unit(gold)
    gold_number = read_number(gold_text)
    if gold_number is None:
        return None
    if not ASSIGNMENT.match(gold) and (match := ASSIGNMENT.match(answer)):
        answer = answer[match.end() :]
    answer_text, answer_unit = _split_unit(answer)
    answer_number = read_number(answer_text)
    if answer_number is None:
        # A sentence without any sign of mathematics is no number, and math-verify would multiply its letters.
        return Verdict.DIFFERENT if WORDS.fullmatch(answer) and answer.casefold() not in MATHEMATICAL_WORDS else None
    if gold_unit and answer_unit and gold_unit != answer_unit:
        return Verdict.DIFFERENT
    return _verdict(gold_number == answer_number)


def _split_unit(text: str) -> tuple[str, str]:
    text = text.replace("\\text{", " ").replace("\\mathrm{", " ").replace("}", " ") if "\\frac" not in text else text
    match = UNIT.fullmatch(" ".join(text.split()))
    if match is None:
        return text, ""
    number, unit = match[1], match[2]
    base = unit.removesuffix("^2").removesuffix("^3")
    if base not in UNITS:
        return text, ""
    return number, "\u00b0" if base.startswith("deg") else unit


def _grade_lists(gold: str, answer: str) -> Verdict | None:
    gold_items, answer_items = _read_list(gold), _read_list(answer)
    if gold_items is None or answer_items is None:
        return None
    ordered = gold[0] in "(["
    if ordered or answer[0] in "([":
        # (1, 2) is a point or an open interval, [1, 2] a closed one: the brackets are part of the answer.
        same_brackets = gold[0] == answer[0] and gold[-1] == answer[-1]
        return _verdict(same_brackets and gold_items == answer_items)
    return _verdict(sorted(gold_items) == sorted(answer_items))


def _read_list(text: str) -> list[Fraction] | None:
    if "," not in text or not LIST.fullmatch(text):
        return None
    if (text[0] in "([{") != (text[-1] in ")]}"):
        return None
    numbers = [read_number(item) for item in text.strip("()[]{}").split(",")]
    return [number for number in numbers if number is not None] if None not in numbers else None


def _is_explosive(text: str) -> bool:
    depth = deepest = 0
    for character in text:
        depth += (character in "({[") - (character in ")}]")
        deepest = max(deepest, depth)
    return deepest > MAX_DEPTH or EXPLOSIVE.search(text) is not None
