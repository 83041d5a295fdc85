"""The built site, read back: its pages, their links, anchors and pictures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

from .messages import ROOT

# What a browser fetches by itself.
FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}


@dataclass
class Page(HTMLParser):
    """One page; it parses itself.

    Attributes:
        path: the file.
        anchors: what a link may point at.
        links: of `a`, as written.
        fetched: what the browser loads, as written.
        pictures: of each picture its address and its text.
    """

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.pictures.append((values.get("src", ""), values.get("alt", "")))
        loads = tag != "link" or values.get("rel") not in ("canonical", "prev", "next")
        self.fetched += [values[name] for kind, name in FETCHED if kind == tag and name in values and loads]


def build(folder: Path) -> str:
    """Build the site; what MkDocs had to say. A warning fails."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ_with(environment), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def environ_with(values: dict[str, str]) -> dict[str, str]:
    """This process's environment and some values more."""
    return {**os.environ, **values}


def target(page: Path, link: str, site: Path) -> tuple[Path, str]:
    """The file that a link of a page leads to, and the anchor in it."""
    path, anchor = urldefrag(link)
    place = page if not path else ((site if path.startswith("/") else page.parent) / unquote(path.lstrip("/")))
    return (place / "index.html" if path.endswith(("/", ".", "..")) else place).resolve(), unquote(anchor)


def is_outside(link: str) -> bool:
    """Whether a link leads to another site, or is none."""
    return bool(re.match(r"[a-z]+:", link)) or link.startswith("//")
