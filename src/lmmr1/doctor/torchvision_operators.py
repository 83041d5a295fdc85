"""Lets a torchvision built for CUDA be imported beside a CPU build of PyTorch, by declaring two operators.

The default package index holds torchvision for CUDA only. Beside a CPU build its operators cannot be loaded, and
`import torchvision` fails at the place where it registers what `nms` does; what image processors need of it works
without them. `lmmr1 doctor --repair` copies this file into site-packages and adds a one-line .pth file that
installs it, since every process must have it: vLLM and Ray start their own. Hence nothing of this package is imported
here, and torch only at the moment at which torchvision would import it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class _DeclareFirst(importlib.abc.MetaPathFinder):
    """Finds nothing; declares the operators when torchvision is looked for, if it would miss them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Let the next finder go on."""
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            if _is_built_for_cuda(importlib.machinery.PathFinder.find_spec(fullname, path)):
                _declare()
        return None


def _is_built_for_cuda(spec: importlib.machinery.ModuleSpec | None) -> bool:
    if spec is None or spec.origin is None:
        return False
    try:
        return "+cu" in (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return False


def _declare() -> None:
    import torch

    if torch.version.cuda is not None:  # then torchvision declares them itself, and a second time is an error
        return
    try:
        library = torch.library.Library("torchvision", "DEF")
    except RuntimeError:  # another hook of this kind was here first
        return
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    sys.modules["_torchvision_operators"] = library  # type: ignore[assignment]  # kept alive


def install() -> None:
    """Wait for torchvision to be imported; what the .pth file calls."""
    sys.meta_path.insert(0, _DeclareFirst())
