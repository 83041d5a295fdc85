"""A rule by which another evaluator judges our tasks: its own reading of an answer, of which lmmr1's knows nothing.

Plain answers are compared as texts, letters and exact numbers; for the rest math-verify, where it is installed.
"""

import re
from fractions import Fraction

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:/\d+)?")


def read_answer(text):
    """What the last pair of answer tags behind the thought holds, without a box around it."""
    behind = text.rpartition("</think>")[2]
    found = ANSWER.findall(behind)
    answer = found[-1].strip() if found else ""
    boxed = BOXED.findall(answer)
    return (boxed[-1] if boxed else answer).strip().strip("$").strip()


def is_right(text, gold, options):
    """Whether a reply's answer is the right one.

    Args:
        text: the reply.
        gold: the right answer; of a question with options the letter.
        options: their texts, or an empty list.
    """
    answer, gold = read_answer(text), gold.strip().strip("$").strip()
    if options:
        letter = re.fullmatch(r"\(?([A-J])[).:]?(?:\s.*)?", answer, re.DOTALL)
        return answer == options[ord(gold) - ord("A")] or (letter is not None and letter[1] == gold)
    if answer == gold:
        return True
    plain = [value.replace(",", "").rstrip("°% ") for value in (answer, gold)]
    if all(NUMBER.fullmatch(value) for value in plain):
        return Fraction(plain[0]) == Fraction(plain[1])
    return _is_equal(gold, answer) if answer else False


def _is_equal(gold, answer):
    try:
        from math_verify import parse, verify
    except ImportError:
        return False
    return bool(verify(parse(f"${gold}$"), parse(f"${answer}$")))
