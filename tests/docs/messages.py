"""Every message that the code can show, as a pattern: what stands between its placeholders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("envs", "agents", "training", "evaluation", "src/lmmr1/commands", "src/lmmr1/doctor")


def sources() -> Iterator[Path]:
    yield ROOT / "src/lmmr1/cli.py"
    for folder in FOLDERS:
        yield from (ROOT / folder).rglob("*.py")


def texts(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The texts of a file: each one's literal parts, joined, and apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "" for part in node.values]
            yield "".join(parts), parts
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, [node.value]


def patterns(least: int = 16) -> list[re.Pattern[str]]:
    """Of each text with at least so many characters of its own; a placeholder stands for anything."""
    found = set()
    for path in sources():
        for literal, parts in texts(path):
            if len(literal) >= least and "\n" not in literal:
                found.add("".join(re.escape(part).replace("`", "`?") if part else ".*?" for part in parts))
    return [re.compile(pattern) for pattern in sorted(found)]
