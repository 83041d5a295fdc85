"""The gallery in the docs shows what the families draw today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from lmmr1.envs.geometry.families import SHAPE_FAMILIES
from lmmr1.envs.geometry.figures import FIGURES
from lmmr1.envs.perception.families import PERCEPTION

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_page_is_up_to_date() -> None:
    assert subprocess.run([sys.executable, str(DOCS / "making/gallery.py"), "--check"]).returncode == 0


def test_every_family_has_its_picture_and_all_are_small() -> None:
    shown = re.findall(r"!\[(\w+)\]\((.+?)\)", (DOCS / "gallery.md").read_text(encoding="utf-8"))
    assert {name for name, _ in shown} == set(SHAPE_FAMILIES) | set(FIGURES) | set(PERCEPTION)
    pictures = [DOCS / path for _, path in shown]
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.size == (224, 224)
    assert {*(DOCS / "assets" / "gallery").iterdir()} == {*pictures}
    assert sum(picture.stat().st_size for picture in pictures) < 600_000
