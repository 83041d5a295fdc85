"""Football: the engine of Google Research Football, alone and in teams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import MissingExtraError

if TYPE_CHECKING:
    from .parallel import FootballParallelEnv


def football_parallel_env(*args: Any, **kwargs: Any) -> FootballParallelEnv:
    """Make the environment of two teams; the arguments are those of `FootballParallelEnv`.

    Raises:
        MissingExtraError: PettingZoo is not installed.
        UserError: an argument is not one there is.
    """
    try:
        from .parallel import FootballParallelEnv
    except ModuleNotFoundError as error:
        if error.name != "pettingzoo":
            raise
        raise MissingExtraError("football_parallel_env", "pettingzoo", "games") from error
    return FootballParallelEnv(*args, **kwargs)
