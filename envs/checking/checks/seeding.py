"""The same seed must give the same episode: here, after other episodes, and in processes that hash otherwise."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.messages import Message, message_images, message_text

from ..case import Case
from ..report import Finding

NAMES = ("same-seed", "group-reset", "seeds-differ", "global-random")
STEPS = 25
SEED, OTHERS = 7, tuple(range(11, 17))
_GENERATOR = "draw from self.np_random, which super().reset(seed=seed) seeds, and from what is derived from it"

# One call's worth of an episode: what the call was, and a digest of what it gave.
Mark = tuple[str, str]


def check_seeding(case: Case) -> Iterator[Finding]:
    """Play from the same seed several times, and from others."""
    with case.native() as env, fixed_generators():
        names = " and ".join(moved_generators(lambda: _play(case, env, SEED)))
    if names:
        yield Finding(
            "global-random", "fail", f"reset or step moved the global generator of {names}", remedy=_GENERATOR
        )
    else:
        yield Finding("global-random", "pass", "those of random and numpy.random were left alone")
    first = yield from compare_copies(case, write_transcript, "calls", _GENERATOR)
    if first is None:
        return
    yield _reset_group(case, first)
    others = {_whole(write_transcript(case, seed)) for seed in OTHERS} | {_whole(first)}
    told = f"{len(others)} of {len(OTHERS) + 1} seeds give episodes of their own"
    if len(others) > 1:
        yield Finding("seeds-differ", "pass", told)
    else:
        yield Finding(
            "seeds-differ", "warn", "every seed gives the same episode", remedy=f"unless it is meant so: {_GENERATOR}"
        )


def compare_copies(
    case: Case, write: Callable[[Case], list[Mark]], unit: str, remedy: str
) -> Generator[Finding, None, list[Mark] | None]:
    """Play two copies from the same seed.

    Args:
        case: the environment.
        write: plays a copy of it, and says what it saw.
        unit: what a mark is of.
        remedy: what to do where the copies differ.

    Returns:
        What both saw; None where they differ, which the checks that build on it are told.
    """
    first, again = write(case), write(case)
    place = differs_at(first, again)
    if place is None:
        yield Finding("same-seed", "pass", f"two copies agree over {len(first)} {unit}")
        return first
    yield Finding("same-seed", "fail", "two copies differ", f"{place} from seed {SEED}", remedy)
    for name in ("group-reset", "seeds-differ"):
        yield Finding(name, "skip", "two copies differ already with the same seed")
    return None


def moved_generators(play: Callable[[], object]) -> list[str]:
    """Names of the global generators that `play` moves."""
    before, before_numpy = random.getstate(), _numpy_state()
    play()
    moved = {"random": random.getstate() != before, "numpy.random": _numpy_state() != before_numpy}
    return [name for name, is_moved in moved.items() if is_moved]


def _numpy_state() -> tuple[bytes, int]:
    state: Any = np.random.get_state()
    return state[1].tobytes(), state[2]


def _reset_group(case: Case, first: list[Mark]) -> Finding:
    """Reset one environment to the same seed after other episodes, as the members of a group are."""
    with fixed_generators(), case.native() as env:
        for seed in (OTHERS[0], OTHERS[1]):
            _play(case, env, seed)
        later = _play(case, env, SEED)
    place = differs_at([mark for mark in first if not mark[0].startswith("spoken")], later)
    if place is None:
        return Finding("group-reset", "pass", "the same start and the same steps after other episodes")
    return Finding(
        "group-reset",
        "fail",
        "an environment that has played differs from a new one: something of the episode before is left",
        f"{place} from seed {SEED}",
        "set all state in reset(); the episodes of a group must begin alike",
    )


def write_transcript(case: Case, seed: int = SEED) -> list[Mark]:
    """Digests of what an episode of random actions gives from a seed, and of the messages that open it.

    The global generators stand at the same place whenever it is written, so that a world that draws from them shows
    as just that, and not as one that forgets its seed.
    """
    with fixed_generators():
        with case.native() as env:
            marks = _play(case, env, seed)
        try:
            with case.spoken() as chat:
                messages, _ = chat.reset(seed=seed)
                marks.append((f"spoken reset(seed={seed})", digest(_plain(messages))))
        except UserError:  # its actions cannot be spoken: a finding of its own
            pass
    return marks


def differs_at(one: list[Mark], other: list[Mark]) -> str | None:
    """The first call that gave something else, or None."""
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            return mine[0]
    return None if len(one) == len(other) else "the length of the episode"


def _play(case: Case, env: Any, seed: int) -> list[Mark]:
    env.action_space.seed(SEED)  # always the same actions: what differs is the environment
    case.watch.touch()
    observation, _ = env.reset(seed=seed)
    marks = [(f"reset(seed={seed})", digest(observation))]
    for step in range(1, STEPS + 1):
        action = env.action_space.sample()
        case.watch.touch()
        observation, reward, terminated, truncated, _ = env.step(action)
        marks.append((f"step {step}", digest((observation, float(reward), bool(terminated), bool(truncated)))))
        if terminated or truncated:
            break
    return marks


def _whole(marks: list[Mark]) -> str:
    return " ".join(mark for _, mark in marks)


def _plain(messages: list[Message]) -> list[Any]:
    return [(message["role"], message_text(message), message_images(message)) for message in messages]


def digest(value: Any) -> str:
    """A short digest that is the same in every process for the same value."""
    hasher = hashlib.blake2b(digest_size=8)
    _feed(hasher, value)
    return hasher.hexdigest()


def _feed(hasher: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype != object:
        hasher.update(f"{value.shape}{value.dtype}".encode())
        hasher.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        # In the order that it came in: whoever writes it out as text shows that order to the model.
        for key, part in value.items():
            _feed(hasher, str(key))
            _feed(hasher, part)
    elif isinstance(value, (list, tuple)):
        hasher.update(f"[{len(value)}".encode())
        for part in value:
            _feed(hasher, part)
    else:
        kind, text = ("text", value) if isinstance(value, str) else ("value", repr(value))
        hasher.update(f"{kind} {len(text)}:".encode() + text.encode("utf-8", "surrogatepass"))


@contextmanager
def fixed_generators() -> Iterator[None]:
    """The global generators at a place that is always the same, and back again afterwards."""
    kept, kept_numpy = random.getstate(), np.random.get_state()
    random.seed(8191)
    np.random.seed(8191)
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)
