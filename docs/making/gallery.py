"""Makes docs/gallery.md and its pictures: one sample of every family, from fixed seeds.

python docs/making/gallery.py            # writes the page and the pictures
python docs/making/gallery.py --check    # fails where the page is not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from lmmr1.envs.diagrams.posing import Posed
from lmmr1.envs.geometry.env import GeometryEnv
from lmmr1.envs.geometry.figures import FIGURE_GROUPS
from lmmr1.envs.geometry.posing import GROUPS
from lmmr1.envs.perception.env import PerceptionEnv
from lmmr1.envs.perception.families import PERCEPTION_GROUPS
from lmmr1.envs.reasoning.env import ReasoningEnv
from lmmr1.envs.reasoning.problems import GROUPS as TEXT_GROUPS

DOCS = Path(__file__).resolve().parents[1]
PICTURES = DOCS / "assets" / "gallery"
INTRODUCTION = """# Gallery

One sample of every family of `LMMR1/Geometry-v0`, `LMMR1/Perception-v0` and `LMMR1/Reasoning-v0`, at level 5, with its
question, its answer and its worked solution. `python docs/making/gallery.py` makes this page. What is given is in the
picture; with `modality="text_only"` the same question says all in words, with `modality="image_only"` it stands under
the picture. Pose, names, colours and style are random, the numbers have no end, and levels go from 1 to 10.

```python
import gymnasium as gym, lmmr1

env = gym.make("LMMR1/Geometry-v0", families=["circles", "solids"], level=(3, 8), split="train", style="mixed")
env = gym.make("LMMR1/Perception-v0", answer_format="choice", modality="image_only")
```
"""
TITLES = {
    "schematic": "Schematic figures, not to scale, readable at 84 pixels",
    "right_triangles": "Right triangles",
    "round_areas": "Areas with round edges",
    "coordinates": "Coordinates",
    "paths": "Ways",
}
STYLES = ("paper", "grid", "sketch", "board")


def save_picture(name: str, posed: Posed) -> None:
    """Writes a picture with a palette of its own."""
    image = Image.fromarray(posed.image)
    image.quantize(24, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        PICTURES / f"{name}.png", optimize=True
    )


def write_entry(name: str, posed: Posed) -> str:
    """Returns the part of the page about one family."""
    return (
        f"### `{name}`\n\n![{name}](assets/gallery/{name}.png)\n\n**{posed.text}** Answer: `{posed.answer}`\n\n"
        f"```text\n{posed.thought}\n```\n"
    )


def write_text_entry(name: str) -> str:
    """Returns the part of the page about one family of problems in words."""
    env = ReasoningEnv(families=name, level=5)
    question, _ = env.reset(seed=0)
    solution = env.solution()
    return (
        f"### `{name}`\n\n```text\n{question}\n```\n\nAnswer: `{solution.answer}`\n\n```text\n{solution.thought}\n```\n"
    )


def make_page(pictures: bool) -> str:
    """Returns the page; writes the pictures where asked to."""
    parts, number = [INTRODUCTION], 0
    sections = [("Geometry", GeometryEnv, FIGURE_GROUPS | {"schematic": GROUPS["schematic"]})]
    for title, world, groups in [*sections, ("Perception", PerceptionEnv, PERCEPTION_GROUPS)]:
        parts.append(f"## {title}\n")
        for group, names in groups.items():
            title = TITLES.get(group, group.capitalize())
            parts.append(f'**{title}** (`families="{group}"`)\n')
            for name in names:
                env = world(families=name, level=5, style=STYLES[number % 4] if number % 3 == 0 else "paper")
                env.reset(seed=number)
                posed = env._sitting.posed
                assert posed is not None
                if pictures:
                    save_picture(name, posed)
                parts.append(write_entry(name, posed))
                number += 1
    parts.append("## Text\n")
    for group, names in TEXT_GROUPS.items():
        parts.append(f'**{group.capitalize()}** (`families="{group}"`)\n')
        parts += [write_text_entry(name) for name in names]
    return "\n".join(parts)


def main() -> int:
    """Writes the page, or checks it."""
    page = DOCS / "gallery.md"
    if "--check" in sys.argv[1:]:
        return int(page.read_text(encoding="utf-8") != make_page(pictures=False))
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.write_text(make_page(pictures=True), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
