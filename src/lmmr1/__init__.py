"""LMMR1: any Gymnasium environment as a world that a vision-language model can act in and learn from."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmmr1.envs.chat import ChatEnv, make_chat
from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError
from lmmr1.envs.football import football_parallel_env
from lmmr1.envs.messages import ImagePart, Message, Part, Solution, StopReason, TextPart
from lmmr1.envs.recording import RecordChat
from lmmr1.envs.registry import EnvironmentConfig, register_all

if TYPE_CHECKING:
    from lmmr1.envs.checking import check_env as check_env
    from lmmr1.envs.parallel_chat import ParallelChat as ParallelChat

__version__ = "0.1.0"

__all__ = ["ChatEnv", "ChatSpec", "EnvironmentConfig", "ImagePart", "Message", "Part", "RecordChat"]
__all__ += ["Solution", "StopReason", "TextPart", "UserError", "__version__", "football_parallel_env", "make_chat"]

register_all()

# What needs an extra, or is seldom needed, is imported when it is first asked for.
_LATER = {"check_env": "lmmr1.envs.checking", "ParallelChat": "lmmr1.envs.parallel_chat"}


def __getattr__(name: str) -> Any:
    """What is imported later."""
    if name not in _LATER:
        raise AttributeError(f"module 'lmmr1' has no attribute {name!r}")
    return vars(import_module(_LATER[name]))[name]
