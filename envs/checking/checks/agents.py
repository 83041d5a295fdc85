"""The checks of a PettingZoo environment: its own contract, seeds, and the conversation of each agent."""

from __future__ import annotations

import difflib
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pettingzoo
from pettingzoo import AECEnv
from pettingzoo.test import api_test, parallel_api_test

from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import describe_error
from lmmr1.envs.messages import message_images, message_text
from lmmr1.envs.parallel_chat import ParallelChat

from ..case import Case
from ..report import Finding
from .copying import check_closing
from .replying import first_of, odd_reply, stream
from .seeding import Mark, compare_copies, differs_at, digest, fixed_generators, moved_generators
from .turns import Shown, judge_budget

NAMES = (
    "pettingzoo",
    "same-seed",
    "group-reset",
    "seeds-differ",
    "global-random",
    "spoken",
    "turn-budget",
    "parts-sum",
    "flags",
    "ends",
    "odd-replies",
    "null-baseline",
    "close-twice",
)
SEED, OTHERS = 7, tuple(range(11, 17))
TURNS, EPISODES = 60, 4
CYCLES = 100


def make_registered(id: str, kwargs: dict[str, Any]) -> Any:
    """Make an environment of PettingZoo's own registry, such as "classic/rps-v2"; a parallel one where there is one.

    Raises:
        UserError: there is none of that id.
    """
    kinds = vars(pettingzoo).get("parallel_registry", {}), vars(pettingzoo).get("aec_registry", {})
    if not kinds[1]:
        raise UserError("this PettingZoo has no ids: name the function instead, pettingzoo.classic.rps_v2:parallel_env")
    if id not in kinds[1]:
        close = difflib.get_close_matches(id, list(kinds[1]), n=3)
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        raise UserError(f"PettingZoo has no environment {id!r}{meant}")
    return pettingzoo.make("parallel" if id in kinds[0] else "aec", id, **kwargs)


def check_agents(case: Case) -> Iterator[Finding]:
    """Ask PettingZoo's own tests, and hold conversations."""
    yield _ask_pettingzoo(case)
    with _chat(case) as chat, fixed_generators():
        moved = moved_generators(lambda: _play(case, chat, SEED))
    names = " and ".join(moved)
    remedy = "draw from a generator of the environment's own, which reset(seed=...) makes"
    if names:
        yield Finding("global-random", "fail", f"reset or step moved the global generator of {names}", remedy=remedy)
    else:
        yield Finding("global-random", "pass", "those of random and numpy.random were left alone")
    yield from _check_seeds(case, remedy)
    try:
        yield from _converse(case)
    except UserError as error:
        yield Finding("spoken", "fail", str(error), "ParallelChat(env)", "give the environment chat_specs that fit")
        return
    yield _give_odd_replies(case)
    yield check_closing(case)


@contextmanager
def _chat(case: Case) -> Iterator[ParallelChat]:
    with case.native() as env:
        yield ParallelChat(env, **case.chat)


def _ask_pettingzoo(case: Case) -> Finding:
    place = "pettingzoo.test"
    with case.native() as env, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.watch.touch(4.0)
        try:
            if isinstance(env, AECEnv):
                api_test(env, num_cycles=CYCLES)
            else:
                parallel_api_test(env, num_cycles=CYCLES)
        except Exception as error:  # assertions, mostly, and whatever the world itself raises
            remedy = "see PettingZoo's page on making an environment"
            return Finding("pettingzoo", "fail", describe_error(error), place, remedy)
    told = [str(warning.message) for warning in caught if warning.category is UserWarning]
    if told:
        return Finding("pettingzoo", "warn", told[0], place, "see PettingZoo's page on making an environment")
    return Finding("pettingzoo", "pass", "its own test finds nothing to say")


def _check_seeds(case: Case, remedy: str) -> Iterator[Finding]:
    first = yield from compare_copies(case, write_transcript, "turns", remedy)
    if first is None:
        return
    with _chat(case) as chat, fixed_generators():
        for seed in OTHERS[:2]:
            _play(case, chat, seed)
        place = differs_at(first, _play(case, chat, SEED))
    if place is None:
        yield Finding("group-reset", "pass", "the same start and the same turns after other episodes")
    else:
        seen = "an environment that has played differs from a new one: something of the episode before is left"
        yield Finding("group-reset", "fail", seen, f"{place} from seed {SEED}", "set all state in reset()")
    # A game of skill alone, such as noughts and crosses, knows no chance: then only its players differ.
    starts = {write_transcript(case, seed)[0][1] for seed in OTHERS} | {first[0][1]}
    if len(starts) > 1:
        yield Finding("seeds-differ", "pass", f"{len(starts)} of {len(OTHERS) + 1} seeds begin in a way of their own")
    else:
        yield Finding("seeds-differ", "skip", "every seed begins alike, as games of skill do")


def write_transcript(case: Case, seed: int = SEED) -> list[Mark]:
    """Digests of what each agent is told in an episode of random replies."""
    with fixed_generators(), _chat(case) as chat:
        return _play(case, chat, seed)


def _play(case: Case, chat: ParallelChat, seed: int) -> list[Mark]:
    case.watch.touch()
    chats, _ = chat.reset(seed=seed)
    marks = [(f"reset(seed={seed})", digest(_plain(chats)))]
    for turn in range(1, TURNS + 1):
        case.watch.touch()
        chats, rewards, terminated, truncated, _ = chat.step(_replies(chat, seed, turn))
        marks.append((f"turn {turn}", digest((_plain(chats), rewards, terminated, truncated))))
        if not chat.agents:
            break
    return marks


def _replies(chat: ParallelChat, seed: int, turn: int) -> dict[str, str]:
    """A random legal action of each agent that acts; not of the world's own generators, so that both stay apart."""
    rng, replies = stream(seed, turn), {}
    for agent in chat.acting:
        space = chat.env.action_space(agent)
        actions = chat.legal_actions(agent)
        if actions:
            answer = chat.action_name(agent, actions[int(rng.integers(len(actions)))])
        else:
            space.seed(int(rng.integers(2**31)))
            answer = ", ".join(str(number) for number in np.ravel(space.sample()).tolist())
        replies[agent] = chat.reply_format.write("I take one of them by chance.", answer or "?")
    return replies


def _plain(chats: dict[str, Any]) -> list[Any]:
    return [
        (agent, [(message["role"], message_text(message), message_images(message)) for message in messages])
        for agent, messages in chats.items()
    ]


def _converse(case: Case) -> Iterator[Finding]:
    shown, wrong, flags = Shown(), "", ""
    turns, ended, silent, spoken = 0, 0, [], []
    mode = "rgb_array" if case.sees_pictures() else None
    with case.native(mode) as env:
        chat = ParallelChat(env, **case.chat)
        for seed in range(EPISODES):
            case.watch.touch()
            chats, _ = chat.reset(seed=seed)
            total = 0.0
            for turn in range(1, case.limits.most_steps + 1):
                for agent, messages in chats.items():
                    where = f"turn {turn} of {agent} from seed {seed}"
                    shown.look(messages, where)
                    if messages not in chat.observation_space(agent):
                        shown.problem = shown.problem or f"{where}: what is said is no list of text and picture parts"
                agents = chat.agents
                case.watch.touch()
                chats, rewards, terminated, truncated, infos = chat.step(_replies(chat, seed, turn))
                turns += 1
                for agent in agents:
                    total += infos[agent]["reward_parts"]["task"]
                    sum_of_parts = math.fsum(infos[agent]["reward_parts"].values())
                    if not (math.isfinite(rewards[agent]) and math.isclose(sum_of_parts, rewards[agent], abs_tol=1e-9)):
                        wrong = wrong or f"turn {turn} of {agent}: {sum_of_parts:g} and {rewards[agent]:g}"
                    if terminated[agent] and truncated[agent]:
                        flags = flags or f"turn {turn} of {agent} from seed {seed}: both are set"
                if not chat.agents:
                    ended += 1
                    break
            spoken.append(total)
            silent.append(_play_silently(case, chat, seed))
    yield Finding(
        "spoken", "fail" if shown.problem else "pass", shown.problem or f"{turns} turns of well-made messages"
    )
    yield from judge_budget(case, shown)
    remedy = "let the reward be one finite number"
    told = f"they add up in {turns} turns"
    yield Finding("parts-sum", "fail", wrong, remedy=remedy) if wrong else Finding("parts-sum", "pass", told)
    remedy = "terminated says that the task ended, truncated that it was stopped: never both"
    yield Finding("flags", "fail", flags, remedy=remedy) if flags else Finding("flags", "pass", f"in {turns} turns")
    if ended == EPISODES:
        yield Finding("ends", "pass", f"{turns / EPISODES:g} turns on average")
    else:
        seen = (
            f"{EPISODES - ended} of {EPISODES} episodes of random replies do not end in {case.limits.most_steps} turns"
        )
        yield Finding("ends", "fail", seen, remedy="end the game, or truncate it")
    nothing, by_chance = (sum(values) / len(values) for values in (silent, spoken))
    seen = f"all agents together earn {nothing:.3f} by saying nothing, {by_chance:.3f} by random replies"
    yield Finding("null-baseline", "pass", seen)


def _play_silently(case: Case, chat: ParallelChat, seed: int) -> float:
    case.watch.touch()
    chat.reset(seed=seed)
    total = 0.0
    for _ in range(TURNS):
        if not chat.agents:
            break
        case.watch.touch()
        _, _, _, _, infos = chat.step(dict.fromkeys(chat.agents, ""))
        total += math.fsum(info["reward_parts"]["task"] for info in infos.values())
    return total


def _give_odd_replies(case: Case) -> Finding:
    rng, given, began = np.random.default_rng(np.random.SeedSequence([29, 1])), 0, time.perf_counter()
    limits = case.limits
    with _chat(case) as chat:
        while given < limits.odd_replies and time.perf_counter() - began < limits.odd_seconds:
            if not chat.agents:
                case.watch.touch()
                chat.reset(seed=given)
            replies = {agent: odd_reply(rng) for agent in chat.acting}
            case.watch.touch()
            try:
                chat.step(replies)
            except (Exception, SystemExit) as error:  # whatever the world raises
                remedy = "take a reply apart without trusting it"
                where = f"the reply {first_of(next(iter(replies.values())))!r}"
                return Finding("odd-replies", "fail", describe_error(error), where, remedy)
            given += len(replies)
    return Finding("odd-replies", "pass", f"{given} given")
