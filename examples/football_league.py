"""A league of football policies: everybody against everybody, at home and away, and the Elo table that follows.

    python examples/football_league.py --scenario 1_vs_1_easy --matches 4
    python examples/football_league.py --scenario 5_vs_5 --team 2 --players scripted random --model tiny

Every match is played by an engine in a process of its own: one that dies costs its match, which counts for nobody.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from lmmr1.agents.players.football import RULES
from lmmr1.envs.errors import UserError
from lmmr1.envs.football import football_parallel_env
from lmmr1.evaluation.league.contestants import Contestant, RuleContestant, SpeakingContestant
from lmmr1.evaluation.league.league import play_league
from lmmr1.evaluation.league.standings import Match, describe_league, make_standings, write_table

if TYPE_CHECKING:
    from lmmr1.envs.football.parallel import FootballParallelEnv


def tell(match: Match) -> None:
    result = match.failure or f"{match.home_goals} - {match.away_goals}"
    print(f"{match.home} - {match.away}: {result}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenario", default="1_vs_1_easy")
    parser.add_argument("--team", type=int, default=1, help="players of each team that are controlled")
    parser.add_argument("--players", nargs="+", default=list(RULES), help=f"of {', '.join(RULES)}")
    parser.add_argument("--model", help="a run's model, a model folder, or a hub name, to play too")
    parser.add_argument("--matches", type=int, default=2, help="seeds of each pair; each is played at home and away")
    parser.add_argument("--max-steps", type=int, help="of a match (default: as long as the scenario lasts)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()

    def make() -> FootballParallelEnv:
        return football_parallel_env(
            arguments.scenario,
            arguments.team,
            arguments.team,
            observation="text" if arguments.model is None else "view",
            action_set="v2",
            max_steps=arguments.max_steps,
            worker=True,
        )

    try:
        contestants: list[Contestant] = [RuleContestant(name) for name in arguments.players]
        if arguments.model is not None:
            from lmmr1.agents.policy import PolicyAgent

            contestants.append(
                SpeakingContestant(PolicyAgent.from_pretrained(arguments.model, context="turn"), "model")
            )
        matches = play_league(contestants, make, matches=arguments.matches, seed=arguments.seed, on_match=tell)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(describe_league(matches)))
    else:
        print(write_table(make_standings(matches), matches))
    return 0


if __name__ == "__main__":
    sys.exit(main())
