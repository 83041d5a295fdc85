"""Agents by one word: a run, a model, or a player without one."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

if TYPE_CHECKING:
    from lmmr1.agents.base import Agent
    from lmmr1.agents.policy import PolicyAgent

HELP = (
    "random, expert, human, answer:TEXT (always that), MODULE:FUNCTION or FILE.py:FUNCTION (a script of yours), "
    "endpoint:URL#MODEL, a run folder, a model folder, a hub name, or tiny"
)
ANSWER, ENDPOINT, HUMAN = "answer:", "endpoint:", "human"
# A module, or a file of Python, and a function in it.
SCRIPT = re.compile(r"(?P<module>[A-Za-z_][\w.]*|.+\.py):(?P<function>[A-Za-z_]\w*)")
EXPERTS = ("expert", "solver", "oracle")


def load_agent(word: str, max_new_tokens: int = 512, temperature: float = 1.0) -> tuple[Agent, dict[str, Any]]:
    """An agent by its word, and who it is in plain values.

    Args:
        word: see `HELP`.
        max_new_tokens: longest reply of a model, in tokens.
        temperature: of sampling from a model.

    Raises:
        UserError: there is no such agent.
    """
    if word == "random":
        from lmmr1.agents.players.random import RandomPlayer

        return RandomPlayer(), {"name": "random", "kind": "random"}
    if word in EXPERTS:
        from lmmr1.agents.players.expert import ExpertPlayer

        return ExpertPlayer(), {"name": "expert", "kind": "expert"}
    if word.startswith(ANSWER):
        from lmmr1.agents.players.fixed import FixedPlayer

        answer = word.removeprefix(ANSWER)
        return FixedPlayer(answer), {"name": word, "kind": "fixed"}
    if word.startswith(ENDPOINT):
        from lmmr1.agents.players.endpoint import Endpoint, EndpointPlayer

        endpoint = Endpoint.parse(word.removeprefix(ENDPOINT), max_new_tokens=max_new_tokens, temperature=temperature)
        return EndpointPlayer(endpoint), {"name": endpoint.model, "kind": "endpoint", "url": endpoint.url}
    if word == HUMAN:
        from lmmr1.agents.players.human import HumanPlayer

        return HumanPlayer(), {"name": HUMAN, "kind": HUMAN}
    script = SCRIPT.fullmatch(word)
    if script is not None and not Path(word).exists():
        return _load_script(word, script["module"], script["function"])
    from lmmr1.agents.players.identity import identify_policy

    agent = load_policy(word)
    agent.name = _name_of(word)
    return agent, identify_policy(agent, agent.name)


def _load_script(word: str, module_name: str, function_name: str) -> tuple[Agent, dict[str, Any]]:
    """A function of the user's as an agent; its identity holds a digest of its file, so that a changed one is another.

    Raises:
        UserError: the module cannot be imported, or has no such function.
    """
    from lmmr1.agents.players.scripted import ScriptedPlayer

    try:
        if module_name.endswith(".py"):
            path = Path(module_name)
            spec = importlib.util.spec_from_file_location(path.stem, path)
            if not path.is_file() or spec is None or spec.loader is None:
                raise UserError(f"the agent {word}: there is no file {module_name}")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            # As `python -m` does; the installed command would not look where the user stands.
            if os.getcwd() not in sys.path and "" not in sys.path:
                sys.path.insert(0, os.getcwd())
            module = importlib.import_module(module_name)
    except UserError:
        raise
    except Exception as error:  # whatever runs in the module
        raise UserError(
            f"the agent {word}: cannot import {module_name}: {type(error).__name__}: {error}; an agent is {HELP}"
        ) from error
    script = vars(module).get(function_name)
    if not callable(script):
        raise UserError(f"the agent {word}: {module_name} has no function {function_name}")
    source = Path(module.__file__).read_bytes() if module.__file__ else b""
    identity = {"name": word, "kind": "scripted", "source_sha256": hashlib.sha256(source).hexdigest()}
    return ScriptedPlayer(script, word), identity


def _name_of(word: str) -> str:
    """A short name of a run or a model: the last parts of its path, or its name on the hub."""
    path = Path(word)
    if not path.exists():
        return word
    parts = path.resolve().parts
    return "/".join(parts[-3:]) if "models" in parts[-2:-1] else path.resolve().name


def load_policy(subject: str) -> PolicyAgent:
    """The policy of a run folder (after its last stage so far), or of anything that names a model.

    Raises:
        UserError: the run has not come to the end of a stage, or there is no such model.
    """
    from lmmr1.agents.policy import PolicyAgent, use_threads
    from lmmr1.training.recipe import load_recipe

    folder = Path(subject)
    if (folder / "recipe.yaml").is_file():
        recipe = load_recipe(str(folder / "recipe.yaml"))
        trained = [folder / "models" / stage for stage in recipe.stages if (folder / "models" / stage).is_dir()]
        if not trained:
            raise UserError(f"the run in {folder} has no trained model yet: go on with lmmr1 train ... --resume")
        subject = str(trained[-1])
        use_threads(recipe.threads, recipe.model.kernels)  # so that it scores what it scored in the run
    elif subject == "tiny":
        use_threads(1)  # what is done for so small a model is not worth sharing
    return PolicyAgent.from_pretrained(subject)
