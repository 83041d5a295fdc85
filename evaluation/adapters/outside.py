"""Running an evaluator in its own environment: what it may know of this one, and what it told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError

# No evaluator may go to the network for what lies here; --online of the command leaves these out.
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
QUIET = {"TOKENIZERS_PARALLELISM": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Outside:
    """An evaluator's process.

    Attributes:
        python: of its environment.
        folder: what it writes goes here.
        url, model, api_key: whom it asks.
        offline: whether it may not use the network.
        environment: variables besides.
    """

    python: Path
    folder: Path
    url: str
    model: str
    api_key: str = "none"
    offline: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """All that it printed."""
        return self.folder / "log.txt"


def run_outside(outside: Outside, arguments: Sequence[str]) -> None:
    """Run it to its end.

    Raises:
        UserError: it failed; the last lines that it printed, and where the rest is.
    """
    outside.folder.mkdir(parents=True, exist_ok=True)
    hidden = ("PYTHONPATH", "PYTHONHOME")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {**QUIET, **(OFFLINE if outside.offline else {}), **outside.environment}
    # Its caches of replies and data are this evaluation's alone: another policy behind the same name must not meet
    # them.
    environment |= {"HF_DATASETS_CACHE": str(outside.folder / "cache"), "LMMS_EVAL_HOME": str(outside.folder / "cache")}
    environment |= {"PYTHONPATH": str(outside.folder / "tasks")}
    with open(outside.log, "w", encoding="utf-8") as log:
        done = subprocess.run(
            [str(outside.python), *arguments], stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=outside.folder
        )
    if done.returncode:
        lines = outside.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise UserError(f"{arguments[1]} failed: {' / '.join(lines[-3:])[-600:]} (all of it: {outside.log})")


def read_json(path: Path) -> dict[str, Any]:
    """A file of results.

    Raises:
        UserError: it is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the results in {path} cannot be read: {error}") from error
