"""check_env: what an environment must hold to before a model is trained on it, in processes that can be killed."""

from .front import check_env
from .limits import Limits
from .report import Finding, Report

__all__ = ["Finding", "Limits", "Report", "check_env"]
