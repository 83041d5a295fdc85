"""Choosing the launcher."""

from __future__ import annotations

from ..config import RunConfig
from .base import Launcher
from .local import LocalLauncher


def open_launcher(recipe: RunConfig) -> Launcher:
    """The launcher that a recipe asks for; whoever asks closes it.

    Raises:
        UserError: something that it needs is not installed or cannot be reached.
    """
    if recipe.launcher.kind == "local":
        return LocalLauncher(recipe)
    from .cluster.launcher import ClusterLauncher

    return ClusterLauncher(recipe)
