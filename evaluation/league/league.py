"""A league: everybody against everybody, at home and away, on the same seeds.

A match that breaks (the engine died or hung, a policy raised) is masked: it counts for nobody, and the table says how
many did and why. Play the matches with ``worker=True``, so that a broken engine cannot take the league with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.outcomes import describe_error

from .contestants import Contestant, Sight
from .standings import Match

if TYPE_CHECKING:  # two-team football needs PettingZoo, an extra
    from lmmr1.envs.football.parallel import FootballParallelEnv


def play_league(
    contestants: Sequence[Contestant],
    make: Callable[[], FootballParallelEnv],
    *,
    matches: int = 4,
    seed: int = 0,
    on_match: Callable[[Match], None] | None = None,
) -> list[Match]:
    """Play everybody against everybody.

    The same arguments give the same matches, whatever became of the ones before them.

    Args:
        contestants: at least two, of different names.
        make: makes the environment; called once, and again after a match that broke.
        matches: seeds of each pair; each is played twice, so that everybody has both sides.
        seed: of everything.
        on_match: told of every match when it is over.

    Returns:
        The matches, two for each seed of each pair.

    Raises:
        UserError: fewer than two contestants, equal names, no matches, or the environment cannot be made or controls
            only one of the teams.
    """
    names = [contestant.name for contestant in contestants]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"a league needs at least two contestants of different names, not {', '.join(names) or 'none'}")
    if isinstance(matches, bool) or not isinstance(matches, int) or matches < 1:
        raise UserError(f"matches must be a whole number of at least 1, not {matches!r}")
    played: list[Match] = []
    env = _check(make())
    try:
        for one, other in combinations(range(len(contestants)), 2):
            for number in range(matches):
                entropy = (seed, one, other, number)
                env_seed = int(np.random.SeedSequence(entropy).generate_state(1)[0]) >> 1
                for leg, (home, away) in enumerate(((one, other), (other, one))):
                    fresh = Match(names[home], names[away], number, env_seed)
                    match = _play(env, contestants[home], contestants[away], fresh, (*entropy, leg))
                    played.append(match)
                    if on_match is not None:
                        on_match(match)
                    if match.failure is not None:
                        with contextlib.suppress(Exception):
                            env.close()
                        env = _check(make())
    finally:
        env.close()
    return played


def _check(env: FootballParallelEnv) -> FootballParallelEnv:
    sides = {agent.partition("_")[0] for agent in env.possible_agents}
    if sides != {"left", "right"}:
        env.close()
        raise UserError(f"a league needs controlled players on both sides, not on the {' '.join(sides)} alone")
    return env


def _play(
    env: FootballParallelEnv, home: Contestant, away: Contestant, match: Match, entropy: tuple[int, ...]
) -> Match:
    teams = {"left": home, "right": away}
    steps = 0
    try:
        observations, infos = env.reset(seed=match.seed)
        for side, contestant in enumerate(teams.values()):
            contestant.begin((*entropy, side))
        agents = list(env.agents)
        while env.agents:
            actions: dict[str, int] = {}
            for side, contestant in teams.items():
                sights = [
                    _see(env, agent, observations[agent], infos[agent]) for agent in agents if _side(agent) == side
                ]
                chosen = contestant.act(sights)
                actions |= {sight.agent: action for sight, action in zip(sights, chosen, strict=True)}
            observations, _, _, _, infos = env.step(actions)
            steps += 1
        goals = env.match().score
    except UserError:
        raise
    except Exception as error:  # whatever an engine or somebody's policy raises costs this match alone
        return Match(match.home, match.away, match.number, match.seed, steps=steps, failure=describe_error(error))
    return Match(match.home, match.away, match.number, match.seed, *goals, steps)


def _side(agent: str) -> str:
    return agent.partition("_")[0]


def _see(env: FootballParallelEnv, agent: str, observation: Any, info: dict[str, Any]) -> Sight:
    seat = env.seats[agent]
    return Sight(agent, seat.index, env.match(agent), observation, info, env.chat_specs[agent], seat.action_set)
