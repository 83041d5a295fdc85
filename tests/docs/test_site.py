"""The site: no link leads nowhere, no picture is mute, nothing comes from elsewhere, all that is public is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lmmr1
from lmmr1 import cli
from lmmr1.envs.registry import REGISTRATIONS

from .messages import ROOT
from .site import Page, build, is_outside, target

# Pages that lie at the root, where no site generator looks at their links.
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Page]):
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":  # it is shown at any address, so its links start from the root
            continue
        for link in page.links:
            if is_outside(link):
                continue
            place, anchor = target(path, link, site)
            if not place.is_file() or (anchor and place in pages and anchor not in pages[place].anchors):
                broken.append(f"{path.relative_to(site.resolve())}: {link}")
    assert len(pages) > 30 and not broken, "\n".join(broken)


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]):
    for page in pages.values():
        for link in page.fetched:
            assert not is_outside(link) or link.startswith("data:"), f"{page.path}: {link}"
            if not is_outside(link) and page.path.name != "404.html":
                assert target(page.path.resolve(), link, site)[0].is_file(), f"{page.path}: {link}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_every_picture_says_what_it_shows(pages: dict[Path, Page]):
    mute = [f"{page.path}: {source}" for page in pages.values() for source, text in page.pictures if not text.strip()]
    assert not mute


def test_links_of_the_pages_at_the_root():
    for name in AT_THE_ROOT:
        for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            if is_outside(link) or link.startswith("<"):
                continue
            assert not path or (ROOT / path).exists(), f"{name}: {link}"
            if anchor and path.endswith(".md"):
                headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{name}: {link}"


def test_every_environment_has_its_page(site: Path):
    for row in REGISTRATIONS:
        name = row.id.partition("/")[2].rpartition("-")[0].lower()
        page = Page(site / f"environments/{name}/index.html")
        titles = {"description", "action-space", "observation-space", "rewards", "arguments", "a-conversation"}
        assert page.anchors >= titles | {"registered-configurations"}
        assert any(source.endswith(f"{name}.gif") for source, _ in page.pictures)


def test_every_command_is_on_the_page(site: Path):
    text = cli.build_parser().format_help()
    commands = re.findall(r"^    ([a-z-]+)", text, re.MULTILINE)
    assert len(commands) > 10
    anchors = Page(site / "commands/index.html").anchors
    assert anchors >= {f"lmmr1-{command}" for command in commands}


def test_every_public_name_is_in_the_reference(site: Path):
    anchors = Page(site / "api/environments/index.html").anchors
    shown = {name for name in lmmr1.__all__ if name not in ("__version__", "Part")}
    assert {f"lmmr1.{name}" for name in shown} <= anchors


def test_the_kept_conversations_are_those_of_today():
    command = [sys.executable, str(ROOT / "docs/making/environments.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    required = os.environ.get("LMMR1_REQUIRE_FOOTBALL") == "1"
    assert not (required and "is not installed" in done.stdout), done.stdout


def test_the_versions_agree():
    stated = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert stated is not None and stated[1] == lmmr1.__version__
    assert f"version = {{{lmmr1.__version__}}}" in (ROOT / "docs/citing.md").read_text(encoding="utf-8")
    assert f'version = "{lmmr1.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
