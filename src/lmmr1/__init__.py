"""LMMR1: any Gymnasium environment as a world that a vision-language model can act in and learn from."""

from lmmr1.envs.chat import ChatEnv, make_chat
from lmmr1.envs.chat_spec import ChatSpec
from lmmr1.envs.errors import UserError
from lmmr1.envs.football import football_parallel_env
from lmmr1.envs.messages import ImagePart, Message, Part, Solution, StopReason, TextPart
from lmmr1.envs.recording import RecordChat
from lmmr1.envs.registry import EnvironmentConfig, register_all

__version__ = "0.1.0"

__all__ = [
    "ChatEnv",
    "ChatSpec",
    "EnvironmentConfig",
    "ImagePart",
    "Message",
    "Part",
    "RecordChat",
    "Solution",
    "StopReason",
    "TextPart",
    "UserError",
    "__version__",
    "football_parallel_env",
    "make_chat",
]

register_all()
