"""Football's players beside each other: idleness, chance, the script, the engine's own AI and, if you like, a model.

    python examples/football_players.py --scenarios magebench_mini
    python examples/football_players.py --scenarios academy_empty_goal academy_corner --episodes 10 --measure success
    python examples/football_players.py --model runs/football_tiny/models/football --tiny

Everybody speaks: the players go through the same conversations as a model does. The figures are MageBench's score in
its scenarios and goals less those of the opponent in the others ("return"), or how often the own team led at the end
("success").
"""

from __future__ import annotations

import argparse
import json
import sys

from lmmr1.agents.base import Agent
from lmmr1.agents.players.expert import ExpertPlayer
from lmmr1.agents.players.fixed import FixedPlayer
from lmmr1.agents.players.random import RandomPlayer
from lmmr1.envs.errors import UserError
from lmmr1.envs.football.scenarios.table import find_scenarios, is_magebench
from lmmr1.envs.registry import EnvironmentConfig
from lmmr1.evaluation.comparison import compare, write_comparison
from lmmr1.evaluation.runner import EvaluationTask

MOST_TURNS = 400  # as in MageBench


def make_task(name: str, rewards: str, observation: str, episodes: int, macro: str, tiny: bool) -> EvaluationTask:
    world = {"scenario": name, "rewards": rewards, "observation": observation, "macro": macro, "action_set": "v2"}
    chat: dict[str, object] = {"format_weight": 0.0}
    if tiny:  # as the recipe football_tiny speaks
        world |= {"width": 160, "words": False}
        chat |= {"instructions": "brief", "needs_thought": False}
    environment = EnvironmentConfig("LMMR1/Football-v0", world, chat)
    return EvaluationTask(name, "game", environment, episodes, max_turns=40 if tiny else MOST_TURNS)


def make_players(model: str | None) -> list[Agent]:
    expert = ExpertPlayer()
    expert.name = "scripted"
    players: list[Agent] = [
        FixedPlayer("action_idle", "idle"),
        RandomPlayer(),
        expert,
        FixedPlayer("action_builtin_ai", "builtin_ai"),
    ]
    if model is not None:
        from lmmr1.agents.policy import PolicyAgent

        players.append(PolicyAgent.from_pretrained(model, context="turn", name="model"))
    return players


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenarios", nargs="+", default=["magebench_mini"], help="names, or sets of them")
    parser.add_argument("--episodes", type=int, default=1, help="of each scenario")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--macro", choices=("none", "adapting"), default="adapting")
    parser.add_argument("--measure", choices=("return", "success"), default="return")
    parser.add_argument("--model", help="a run's model, a model folder, or a hub name, to play too")
    parser.add_argument(
        "--tiny", action="store_true", help="small pictures without words, 40 turns: football_tiny's way"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    try:
        observation = "text" if arguments.model is None else "view"  # the others do not look
        tasks = [
            make_task(
                scenario.name,
                "magebench" if is_magebench(scenario) else "scoring",
                observation,
                arguments.episodes,
                arguments.macro,
                arguments.tiny,
            )
            for scenario in find_scenarios(arguments.scenarios)
        ]
        comparison = compare(
            make_players(arguments.model),
            tasks,
            arguments.seed,
            on_agent=lambda name: print(f"{name} plays", file=sys.stderr),
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(comparison) if arguments.json else write_comparison(comparison, arguments.measure))
    return 0


if __name__ == "__main__":
    sys.exit(main())
