"""Data sets behind the environments that ask questions: files, folders and Hugging Face ids."""

from .config import DatasetConfig
from .dataset import POSITIONS, Dataset, DatasetWarning, open_dataset
from .presets import PRESETS, Preset

__all__ = ["POSITIONS", "PRESETS", "Dataset", "DatasetConfig", "DatasetWarning", "Preset", "open_dataset"]
