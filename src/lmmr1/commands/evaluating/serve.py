"""`lmmr1 serve AGENT`: any agent behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from lmmr1.envs.errors import UserError
from lmmr1.envs.registry import EnvironmentConfig

from .. import settings
from .agents import ENDPOINT, EXPERTS, HELP, HUMAN, load_agent

if TYPE_CHECKING:
    from lmmr1.envs.isolation.local import LocalEnv

KEY_VARIABLE = "LMMR1_API_KEY"
_EPILOG = "Arguments of the environment of --env: --kwargs.NAME VALUE; of the way it is spoken to: --chat.NAME VALUE."


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `serve`."""
    parser = commands.add_parser("serve", help="put an agent behind an API", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("agent", metavar="AGENT", help=HELP)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine alone)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port (default: 8000; 0 takes a free one)")
    parser.add_argument("--name", help="the model's name for clients (default: the agent's)")
    parser.add_argument("--api-key", metavar="KEY", help=f"what clients must bring (default: ${KEY_VARIABLE})")
    parser.add_argument("--max-new-tokens", type=int, default=2048, metavar="N", help="longest reply (default: 2048)")
    parser.add_argument("--max-context-tokens", type=int, default=16384, metavar="N", help="conversation and reply")
    parser.add_argument("--temperature", type=float, default=1.0, help="of requests that name none (default: 1.0)")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="requests answered together (default: 64)")
    parser.add_argument("--waiting", type=int, default=256, metavar="N", help="requests that may wait (default: 256)")
    parser.add_argument("--env", metavar="ID", help="the environment that `random` takes its actions from")
    settings.add_overrides(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; the exit code."""
    from lmmr1.agents.serving.app import Front, serve
    from lmmr1.agents.serving.desk import Desk
    from lmmr1.agents.serving.listening import LOOPBACK
    from lmmr1.agents.serving.requests import Limits

    for option in ("max_new_tokens", "batch", "waiting"):
        if vars(arguments)[option] < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, not {vars(arguments)[option]}")
    if not 0 <= arguments.port < 65536:
        raise UserError(f"--port must be from 0 to 65535, not {arguments.port}")
    if not 0 <= arguments.temperature <= 2:
        raise UserError(f"--temperature must be from 0 to 2, not {arguments.temperature}")
    if arguments.max_new_tokens >= arguments.max_context_tokens:
        raise UserError("--max-new-tokens must be below --max-context-tokens")
    key = arguments.api_key or os.environ.get(KEY_VARIABLE)
    if arguments.host not in LOOPBACK and not key:
        raise UserError(f"--host {arguments.host} can be reached from other machines: give an --api-key")
    place = _environment(arguments)
    agent, identity = load_agent(arguments.agent, arguments.max_new_tokens)
    if identity["kind"] == "policy":
        from lmmr1.agents.policy import PolicyAgent

        assert isinstance(agent, PolicyAgent)
        agent.max_context_tokens = arguments.max_context_tokens
    limits = Limits(new_tokens=arguments.max_new_tokens, batch=arguments.batch, waiting=arguments.waiting)
    hosts = tuple(dict.fromkeys((*LOOPBACK, arguments.host.lower())))
    front = Front(arguments.name or str(identity["name"]), key, hosts, arguments.temperature)
    desk = Desk(agent, limits, place)

    def tell(url: str) -> None:
        print(f"{front.model} at {url} (stop with Ctrl-C)", flush=True)

    serve(desk, front, arguments.host, arguments.port, tell)
    desk.close()
    return 0


def _environment(arguments: argparse.Namespace) -> LocalEnv | None:
    from lmmr1.envs.isolation.local import LocalEnv

    if arguments.agent in EXPERTS:
        raise UserError("the expert looks at the state of an environment, and a client's conversation has none")
    if arguments.agent == HUMAN:
        raise UserError("a person cannot be served: nobody answers several clients at a keyboard")
    if arguments.agent.startswith(ENDPOINT):
        raise UserError("an endpoint is served already: ask it directly")
    if arguments.env is None:
        if arguments.agent == "random":
            raise UserError("random needs to know the actions: name an environment with --env")
        if arguments.override:
            raise UserError(f"--{arguments.override[0][0]} goes with --env")
        return None
    config: EnvironmentConfig = settings.environment_from(arguments.env, arguments.override)
    return LocalEnv(config, config.make())
