"""The blocks of code of the pages, and what is known about the commands in them.

A comment before a block says what cannot be done with it here: ``<!-- not run: needs a GPU -->`` (it is parsed all the
same), or ``<!-- needs: MODULE -->`` (run where the module is installed). ``<!-- file: NAME`` begins a file that the
page's blocks find beside them, up to ``-->``; a block of YAML with a ``name`` is written to ``NAME.yaml``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .messages import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = ("bash", "console", "sh", "shell")
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (not run|needs): ([^>]+?) -->\s*$")
_FILE = re.compile(r"<!-- file: (\S+)\n(.*?)-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        page: its file.
        line: of its first line, from 1.
        kind: the word behind the fence, "" for none.
        text: what it holds.
        reason: why it is not run here, or "".
        needs: a module that it needs, or "".
    """

    page: Path
    line: int
    kind: str
    text: str
    reason: str = ""
    needs: str = ""

    @property
    def where(self) -> str:
        """File and line, as error messages say it."""
        place = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page.name
        return f"{place}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in _BLOCK.finditer(text):
        mark = _MARK.search(text, 0, match.start())
        reason, needs = ("", "") if mark is None else (mark[2], "") if mark[1] == "not run" else ("", mark[2])
        line = text.count("\n", 0, match.start()) + 2
        indent = len(match["indent"])
        body = "\n".join(row[indent:] for row in match["text"].split("\n"))
        found.append(Block(page, line, match["kind"], body, reason, needs))
    return found


def write_files(page: Path, folder: Path) -> None:
    """Write what the blocks of a page find beside them: its files, and its recipes."""
    for name, text in _FILE.findall(page.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    for block in read_blocks(page):
        if block.kind == "yaml":
            values = yaml.safe_load(block.text)
            if isinstance(values, dict) and isinstance(values.get("name"), str) and "stages" in values:
                (folder / f"{values['name']}.yaml").write_text(block.text, encoding="utf-8")


def read_commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block, each as its words. In a console only lines that begin with ``$`` are commands."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if block.kind == "console":
            if not line.startswith("$ "):
                continue
            line = line[2:]
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set(";&|"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)
        if words:
            yield words
