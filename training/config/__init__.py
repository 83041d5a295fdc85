"""Everything that a run can be told, as frozen dataclasses; a recipe (YAML) is one `RunConfig` written down.

Each class checks itself when it is built and raises `UserError` with a message that starts with the key that is wrong,
so that whoever reads a recipe can put the path of the object in front: `stages.fre.` + `iterations must be ...`.
"""

from .checkpoints import CheckpointConfig
from .collection import CollectionConfig, CurriculumConfig, ReplayConfig
from .evaluation import EvaluationConfig, EvaluationTaskConfig
from .guards import GuardsConfig
from .model import LoRAConfig, ModelConfig
from .ppo import CorrectionConfig, CriticConfig, KLConfig, OptimizerConfig, PPOConfig
from .rollout import RolloutConfig
from .run import RunConfig, StageConfig
from .sft import DemonstrationConfig, RejectionConfig, SFTConfig
from .tracking import TrackingConfig

__all__ = [
    "CheckpointConfig",
    "CollectionConfig",
    "CorrectionConfig",
    "CriticConfig",
    "CurriculumConfig",
    "DemonstrationConfig",
    "EvaluationConfig",
    "EvaluationTaskConfig",
    "GuardsConfig",
    "KLConfig",
    "LoRAConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PPOConfig",
    "RejectionConfig",
    "ReplayConfig",
    "RolloutConfig",
    "RunConfig",
    "SFTConfig",
    "StageConfig",
    "TrackingConfig",
]
