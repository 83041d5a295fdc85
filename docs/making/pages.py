"""MkDocs' hook: the pages that are written anew at each build.

* ``commands.md``: the command line, from its own parsers (`commands.py`);
* ``environments/*.md``: each registered environment, from its class (`environments.py`);
* ``changelog.md``, ``contributing.md``, ``security.md``: the files of the root, their links turned.
"""

from __future__ import annotations

import re
from pathlib import Path

import commands
import environments
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
ROOT_PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that lie in docs/."""
    pages = {"commands.md": commands.write_page(), **environments.write_pages()}
    pages |= {name: turn_links((ROOT / source).read_text(encoding="utf-8")) for name, source in ROOT_PAGES.items()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def turn_links(text: str) -> str:
    """Links of a file of the root, as they lead from docs/."""
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", text)
    for page, source in ROOT_PAGES.items():
        text = text.replace(f"]({source}", f"]({page}")
    return text
