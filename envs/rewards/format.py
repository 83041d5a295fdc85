"""The format reward: 1 for a reply that follows its format, else 0; the default rule, and that of LMM-R1."""

from __future__ import annotations

import re

from lmmr1.envs.reply import TAGS, THINK, Reply

ECHO_WORDS = 8  # a shorter thought is no copy
ANSWER_ECHO_WORDS = 5
ECHO_SHARE = 0.9
RUN = 4  # words in a row that count as copied

# What the instructions of the reply formats put where something is to be said.
PLACEHOLDERS = {"your reasoning", "your answer"}
ALTERNATIVES = re.compile(r"\bor\b|\\lor\b|\\vee\b", re.IGNORECASE)
TAG = re.compile("|".join(TAGS))
WORD = re.compile(r"[^\W_]+|[^\w\s]")
# LMM-R1's own pattern: nothing around or between the two parts, no end of theirs inside of them, either may be empty.
LMMR1_REPLY = re.compile(r"<think>(?:(?!</think>).)*</think><answer>(?:(?!</answer>).)*</answer>\Z", re.DOTALL)


def format_reward(reply: Reply, *, shown: str = "", success: bool | None = None, thoughtless: bool = False) -> float:
    """Return 1.0 for a well-formed reply that is an honest try, else 0.0; there is no partial credit.

    The format can be had without any work, so whatever imitates work earns nothing: see ``find_trick``.

    Args:
        reply: taken apart.
        shown: the text that the reply answers to.
        success: what the world said of the answer, or None.
        thoughtless: whether nothing needs to be thought here, so that an empty thought is no trick.
    """
    return 1.0 if reply.well_formed and find_trick(reply, shown, success, thoughtless) is None else 0.0


def find_trick(reply: Reply, shown: str = "", success: bool | None = None, thoughtless: bool = False) -> str | None:
    """Say how a well-formed reply tries to be paid for its form alone, or return None.

    Returns:
        "empty thought"; "placeholder" (what the instructions write in place of a thought or an answer); "several
        answers" (alternatives with an "or" between them, unless the world found just that right); "echo" (a thought of
        eight words or more nine tenths of which are runs of four words from the text that it answers to, or a wrong
        answer of five words or more that stands there); or None.
    """
    if THINK in reply.text and not reply.thought and not thoughtless:
        return "empty thought"
    if {reply.thought.casefold(), "" if success else reply.answer.casefold()} & PLACEHOLDERS:
        return "placeholder"
    if success is not True and len([part for part in ALTERNATIVES.split(reply.answer) if part.strip(" ,.;")]) > 1:
        return "several answers"
    copied: set[tuple[str, ...]] = _runs(shown) if shown else set()
    if copied and _copied_share(reply.thought, copied, ECHO_WORDS) >= ECHO_SHARE:
        return "echo"
    if copied and success is not True and _copied_share(reply.answer, copied, ANSWER_ECHO_WORDS) >= ECHO_SHARE:
        return "echo"
    return None


def lmmr1_format_reward(text: str) -> float:
    """LMM-R1's format reward, to the letter: 1.0 or 0.0.

    The whole text is ``<think>...</think><answer>...</answer>`` without a character before, between or behind, and
    each opening tag comes once. Empty parts pass. Source: the published code of LMM-R1 (arXiv 2503.07536).

    Args:
        text: the reply as it came.
    """
    matches = LMMR1_REPLY.match(text) is not None
    return 1.0 if matches and text.count("<think>") == 1 and text.count("<answer>") == 1 else 0.0


def _words(text: str) -> list[str]:
    # A well-formed copy of the instructions is one without the tags that stand in them.
    return WORD.findall(TAG.sub(" ", text).casefold())


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def _copied_share(text: str, runs: set[tuple[str, ...]], least: int) -> float:
    """The share of words that lie in a run of words that the other text holds too; 0 for a short text."""
    words = _words(text[:65_536])
    if len(words) < least:
        return 0.0
    copied = [False] * len(words)
    for at in range(len(words) - RUN + 1):
        if tuple(words[at : at + RUN]) in runs:
            copied[at : at + RUN] = [True] * RUN
    return sum(copied) / len(copied)
