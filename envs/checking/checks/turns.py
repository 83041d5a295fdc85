"""Conversations of honest random replies: what a turn shows, and whether the parts of its reward add up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, message_images, message_text

from ..case import Case
from ..report import Finding
from .replying import RANDOM, Moment, stream

NAMES = ("spoken", "turn-budget", "turn-images", "parts-sum")
TURNS, SEEDS = 12, 4
PATCH, LEAST_PIXELS, MOST_PIXELS = 28, 56 * 56, 1280 * 28 * 28
CHARACTERS = 4  # of a token, in English
REMEDY = "draw smaller pictures, show fewer of them, or say less: every turn stays in the conversation"


def image_tokens(height: int, width: int) -> int:
    """How many tokens Qwen2.5-VL spends on a picture, by its published rule with its default bounds.

    Both sides are rounded to multiples of 28 pixels (a patch of 14, two by two of which are merged), and the picture is
    scaled so that it has between 56 * 56 and 1280 * 28 * 28 pixels. Source: `smart_resize` of Qwen2-VL's processor.

    Args:
        height: in pixels.
        width: in pixels.
    """
    rows, columns = (max(PATCH, round(side / PATCH) * PATCH) for side in (height, width))
    if rows * columns > MOST_PIXELS:
        shrink = math.sqrt(height * width / MOST_PIXELS)
        rows, columns = (max(PATCH, math.floor(side / shrink / PATCH) * PATCH) for side in (height, width))
    elif rows * columns < LEAST_PIXELS:
        grow = math.sqrt(LEAST_PIXELS / (height * width))
        rows, columns = (math.ceil(side * grow / PATCH) * PATCH for side in (height, width))
    return rows * columns // (PATCH * PATCH)


@dataclass
class Shown:
    """The most that one turn showed, with the turn; and the sizes of its pictures over an episode."""

    images: tuple[int, str] = (0, "")
    image_tokens: tuple[int, str] = (0, "")
    text_tokens: tuple[int, str] = (0, "")
    pixels: int = 0
    odd_sizes: list[str] = field(default_factory=list)
    problem: str = ""

    def look(self, messages: list[Message], where: str) -> list[tuple[int, ...]]:
        """Take one turn's messages into account; returns the shapes of its pictures."""
        pictures = [image for message in messages for image in message_images(message)]
        tokens = sum(image_tokens(*picture.shape[:2]) for picture in pictures)
        text = sum(len(message_text(message)) for message in messages)
        self.images = max(self.images, (len(pictures), where), key=lambda pair: pair[0])
        self.image_tokens = max(self.image_tokens, (tokens, where), key=lambda pair: pair[0])
        self.text_tokens = max(self.text_tokens, (-(-text // CHARACTERS), where), key=lambda pair: pair[0])
        self.pixels = max([self.pixels, *(picture.shape[0] * picture.shape[1] for picture in pictures)])
        return [picture.shape for picture in pictures]


def check_turns(case: Case) -> Iterator[Finding]:
    """Hold conversations, and look at what is shown and paid."""
    shown, wrong = Shown(), ""
    turns = 0
    # A world that does not say itself how it is shown is shown by its frames, if it has some.
    with case.native() as env:
        asked = env.render_mode is not None
    mode = "rgb_array" if not asked and case.sees_pictures() else None
    try:
        with case.spoken(mode) as env:
            for seed in range(SEEDS):
                taken, problem = _converse(case, env, seed, shown)
                turns += taken
                wrong = wrong or problem
    except UserError as error:
        yield Finding("spoken", "fail", str(error), "ChatEnv(env)", "give the world a chat_spec that fits its spaces")
        return
    if shown.problem:
        remedy = "let chat_spec.describe return text_part(...) and image_part(...) only"
        yield Finding("spoken", "fail", shown.problem, remedy=remedy)
    else:
        yield Finding("spoken", "pass", f"{turns} turns of well-made messages")
    yield from judge_budget(case, shown)
    if shown.images[0] == 0:
        yield Finding("turn-images", "skip", "no turn showed a picture")
    elif shown.odd_sizes:
        remedy = "give the pictures of an episode one size: each new size costs memory and a compilation"
        yield Finding("turn-images", "warn", shown.odd_sizes[0], remedy=remedy)
    else:
        yield Finding("turn-images", "pass", f"one size in an episode, {shown.pixels} pixels at most")
    if wrong:
        yield Finding("parts-sum", "fail", wrong, remedy='let info["reward_parts"] add up to the reward, all finite')
    else:
        yield Finding("parts-sum", "pass", f"they add up in {turns} turns")


def _converse(case: Case, env: ChatEnv, seed: int, shown: Shown) -> tuple[int, str]:
    case.watch.touch()
    messages, _ = env.reset(seed=seed)
    where, problem = f"reset(seed={seed})", ""
    sizes = shown.look(messages, where)
    for turn in range(1, TURNS + 1):
        if messages not in env.observation_space:
            shown.problem = shown.problem or f"{where}: what is said is no list of text and picture parts"
        case.watch.touch()
        reply = RANDOM.reply(Moment(env, messages, stream(seed, turn)))
        messages, reward, terminated, truncated, info = env.step(reply)
        where = f"turn {turn} from seed {seed}"
        now = shown.look(messages, where)
        if now and sizes and now != sizes:
            both = " and ".join(" ".join(f"{width}x{height}" for height, width, _ in some) for some in (sizes, now))
            shown.odd_sizes.append(f"{where}: pictures of {both} pixels in one episode")
        sizes = now or sizes
        parts = info["reward_parts"]
        total = math.fsum(parts.values())
        if not (math.isfinite(total) and math.isclose(total, reward, rel_tol=1e-6, abs_tol=1e-9)):
            problem = problem or f"{where}: the parts add up to {total:g}, the reward is {reward:g}"
        if terminated or truncated:
            return turn, problem
    return TURNS, problem


def judge_budget(case: Case, shown: Shown) -> Iterator[Finding]:
    """Whether a turn shows more than the limits allow."""
    limits = case.limits
    told = (
        f"at most {shown.images[0]} pictures ({shown.image_tokens[0]} tokens by Qwen2.5-VL's rule) and about "
        f"{shown.text_tokens[0]} tokens of text a turn"
    )
    over = [
        f"{where}: {count} {what}, {bound} are no cause for a warning"
        for (count, where), bound, what in (
            (shown.images, limits.turn_images, "pictures"),
            (shown.image_tokens, limits.turn_image_tokens, "tokens of pictures"),
            (shown.text_tokens, limits.turn_text_tokens, "tokens of text"),
        )
        if count > bound
    ]
    if not over:
        yield Finding("turn-budget", "pass", told)
    for text in over:
        yield Finding("turn-budget", "warn", text, remedy=REMEDY)
