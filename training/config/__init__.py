"""Everything that a run can be told, as frozen dataclasses; a recipe (YAML) is one `RunConfig` written down.

Each class checks itself when it is built and raises `UserError` with a message that starts with the key that is wrong,
so that whoever reads a recipe can put the path of the object in front: `stages.fre.` + `iterations must be ...`.
"""

from .evaluation import EvaluationConfig, EvaluationTaskConfig
from .model import ModelConfig
from .ppo import CriticConfig, KLConfig, OptimizerConfig, PPOConfig
from .rollout import RolloutConfig
from .run import RunConfig, StageConfig
from .sft import DemonstrationConfig, SFTConfig

__all__ = [
    "CriticConfig",
    "DemonstrationConfig",
    "EvaluationConfig",
    "EvaluationTaskConfig",
    "KLConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PPOConfig",
    "RolloutConfig",
    "RunConfig",
    "SFTConfig",
    "StageConfig",
]
