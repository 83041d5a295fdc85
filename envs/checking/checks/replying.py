"""Ways of replying: honest ones to compare with, and those that would be paid without any work being done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium.spaces import Discrete, Text

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, message_text
from lmmr1.envs.reply import ANSWER, END_ANSWER, END_THINK, THINK
from lmmr1.envs.spaces import Utterance

GUESSES = tuple("ABCD0123456789")
FEW = 12  # actions of a space that are all named in one reply


@dataclass(frozen=True)
class Moment:
    """What a reply may be made from.

    Attributes:
        env: the environment, at the turn to be answered.
        messages: those of the turn.
        rng: random numbers of the episode and turn; the same for every way of replying.
    """

    env: ChatEnv
    messages: list[Message]
    rng: np.random.Generator

    @property
    def text(self) -> str:
        """The text that is answered."""
        return "\n".join(message_text(message) for message in self.messages)

    def write(self, thought: str, answer: str) -> str:
        """A reply in the environment's format."""
        return self.env.write_reply(thought, answer)

    def guess(self) -> str:
        """An answer at random: an action there is, or for a world of texts a letter or a digit."""
        env = self.env
        names = env.chat_spec.action_names
        if names is not None:
            return str(self.rng.choice(names))
        space = env.env.action_space
        if isinstance(space, Discrete):
            return str(int(space.start) + int(self.rng.integers(space.n)))
        if isinstance(space, (Utterance, Text)):
            return str(self.rng.choice(GUESSES))
        space.seed(int(self.rng.integers(2**31)))
        return ", ".join(str(number) for number in np.ravel(space.sample()).tolist())

    def options(self) -> tuple[str, ...]:
        """All answers there are, or the first dozen of them, or some for a world of texts."""
        names, space = self.env.chat_spec.action_names, self.env.env.action_space
        if names is not None:
            return names[:FEW]
        if isinstance(space, Discrete):
            return tuple(str(int(space.start) + index) for index in range(min(int(space.n), FEW)))
        return GUESSES

    def solved(self) -> str:
        """The right answer where the world knows it, else a guess."""
        try:
            return self.env.solution().answer
        except UserError:
            return self.guess()


@dataclass(frozen=True)
class Way:
    """A way of replying, turn after turn.

    Attributes:
        name: for the table.
        kind: see `Earning`.
        reply: what it says at a moment.
    """

    name: str
    kind: Literal["baseline", "workless", "guess"]
    reply: Callable[[Moment], str]


def _unfinished(moment: Moment) -> str:
    return f"{THINK}so {ANSWER}{moment.solved()}{END_ANSWER}"


def _echo(moment: Moment) -> str:
    # Without the tags that the instructions hold: they would only make it malformed.
    text = moment.text
    for tag in (THINK, END_THINK, ANSWER, END_ANSWER):
        text = text.replace(tag, " ")
    return f"{THINK}{text}{END_THINK}{ANSWER}{text}{END_ANSWER}"


def _several(moment: Moment) -> str:
    answers = "".join(f"{ANSWER}{option}{END_ANSWER}" for option in moment.options())
    return f"{THINK}one of them is right{END_THINK}{answers}"


def _padded(moment: Moment) -> str:
    return moment.write("let me think about it step by step and look at every detail again " * 60, moment.guess())


def _repeated(moment: Moment) -> str:
    return moment.write("go on " * 400, moment.guess())


RANDOM = Way("random", "baseline", lambda moment: moment.write("I take one of them by chance.", moment.guess()))
NULL = Way("null", "baseline", lambda moment: "")


def _oracle(moment: Moment) -> str:
    solution = moment.env.solution()
    return moment.write(solution.thought or "It follows.", solution.answer)


ORACLE = Way("oracle", "baseline", _oracle)

HACKS = (
    Way("empty tags", "workless", lambda moment: f"{THINK}{END_THINK}{ANSWER}{END_ANSWER}"),
    Way("tags only", "workless", lambda moment: f"{THINK}{ANSWER}{END_THINK}{END_ANSWER}" * 3),
    Way("long nothing", "workless", lambda moment: " .\n" * 1500),
    Way("thought, no answer", "workless", lambda moment: f"{THINK}I know what to do here.{END_THINK}"),
    Way("answer in the thought", "workless", lambda moment: f"{THINK}the answer is {moment.solved()}{END_THINK}"),
    Way("unfinished thought", "workless", _unfinished),
    Way("echo of the prompt", "workless", _echo),
    Way("instructions copied", "workless", lambda moment: moment.env.instruction_text()),
    Way("placeholders", "workless", lambda moment: moment.write("your reasoning", "your answer")),
    Way("all options, or", "guess", lambda moment: moment.write("one of them is right", " or ".join(moment.options()))),
    Way("all options, comma", "guess", lambda moment: moment.write("all of them", ", ".join(moment.options()))),
    Way("several answers", "guess", _several),
    Way("endless thought", "guess", _padded),
    Way("repetition", "guess", _repeated),
)


def _pieces() -> tuple[str, ...]:
    tags = (THINK, END_THINK, ANSWER, END_ANSWER)
    halves = tuple(tag[:cut] for tag in tags for cut in (1, len(tag) - 1)) + tuple(tag.upper() for tag in tags)
    letters = (
        "\u00e9\u03bb\u4e2d",
        "\U0001f642" * 3,
        "e\u0301\u0301\u0301",
        "\u202eabc\u202c",
        "\u200b\ufeff",
        "\u0661\u0662",
        "\uff21",
    )
    control = ("\x00", "\x1b[2J", "\r\n\r\n", "\x07\x08\x7f", "\ud800", "\udfff\ud83d", "\t\v\f")
    numbers = (
        "1e999",
        "-" * 40,
        "9" * 4400,
        "NaN",
        "inf",
        "0x",
        "1/0",
        "1__0",
        "\u221e",
        "--;--",
        ",,,,",
        ";;;;",
        "[[[[",
        "((((",
    )
    code = (
        "%s%n%x",
        "{0.__class__}",
        "${jndi}",
        "__import__('os')",
        "'; DROP TABLE",
        "../../etc/passwd",
        "<script>",
        "&lt;",
        "\\boxed{",
        "$$",
        "```",
        "null",
        '{"answer":',
        "<|im_end|>",
        "<|image_pad|>",
    )
    return (*tags, *halves, *letters, *control, *numbers, *code)


PIECES = _pieces()
HUGE = 100_000  # characters of the longest ones


def odd_reply(rng: np.random.Generator) -> str:
    """An odd reply: tags whole, halved and nested, odd letters, control characters, code, nothing, or very much of it.

    None of the pieces is an action or an answer that anybody could mean.
    """
    kind = int(rng.integers(100))
    if kind == 0:
        piece = PIECES[int(rng.integers(len(PIECES)))]
        return (piece * (HUGE // len(piece)))[:HUGE]
    if kind == 1:
        depth = int(rng.integers(2, 2000))
        return THINK * depth + ANSWER * depth + END_ANSWER * depth + END_THINK * depth
    if kind < 5:
        return ""
    drawn = "".join(PIECES[int(index)] for index in rng.integers(len(PIECES), size=int(rng.integers(1, 12))))
    if kind < 50:
        return drawn
    for tag in (THINK, END_THINK, ANSWER, END_ANSWER):  # so that it gets through to the world
        drawn = drawn.replace(tag, "")
    return f"{THINK}odd{END_THINK}{ANSWER}{drawn}{END_ANSWER}"


def first_of(text: str, length: int = 60) -> str:
    """How a reply begins, in one printable line."""
    shown = " ".join(text[: 4 * length].split())[:length]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in shown)


def stream(seed: int, turn: int) -> np.random.Generator:
    """The random numbers of one turn of one episode."""
    return np.random.default_rng(np.random.SeedSequence([seed, turn, 97]))
