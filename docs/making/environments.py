"""A page for each registered environment, from its class's docstring; and what the pages show, which is kept.

python docs/making/environments.py            # plays each one: pictures, films, conversations into assets/
python docs/making/environments.py --check    # fails where a conversation is not what would be played today

Football needs its engine (`make football`); without it, it is left as it is, and `--check` says so.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lmmr1
from lmmr1.envs.messages import Message
from lmmr1.envs.registry import REGISTRATIONS, Registration

DOCS = Path(__file__).resolve().parents[1]
ASSETS = DOCS / "assets" / "environments"


@dataclass(frozen=True)
class Shown:
    """How an environment is shown on its page.

    Attributes:
        seed: of the conversation; the films begin with it.
        turns: of the conversation, at most.
        episodes: of the film.
        kwargs: arguments of the environment.
        chat: arguments of `ChatEnv`.
        more: a page that says more, and what it is about.
    """

    seed: int
    turns: int
    episodes: int
    more: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    chat: dict[str, Any] = field(default_factory=dict)


SHOWN = {
    "LMMR1/Reasoning-v0": Shown(3, 1, 5, "[all families, with an example each](../reasoning.md)", {"level": 3}),
    "LMMR1/Geometry-v0": Shown(11, 1, 5, "[a sample of every family](../gallery.md#geometry)", {"level": 3}),
    "LMMR1/Perception-v0": Shown(12, 1, 5, "[a sample of every family](../gallery.md#perception)", {"level": 3}),
    "LMMR1/Sokoban-v0": Shown(
        7, 2, 2, "[rules, levels, the solver and many boards](../sokoban.md)", {"dim_room": (7, 7), "num_boxes": 2}
    ),
    "LMMR1/Football-v0": Shown(
        2,
        2,
        1,
        "[scenarios, the engine, two teams](../football.md)",
        {"scenario": "academy_run_to_score", "macro": "adapting"},
    ),
}

INDEX = """\
# Environments

Each is a Gymnasium environment of its own, and a conversation through [`ChatEnv`](../concepts.md). `lmmr1 envs` lists
them in a terminal. What they have in common:

* `gym.make(ID, ...)` takes the arguments that the page lists; a wrong one is an error that names the choices.
* One seed gives one episode, on every machine and in every process.
* Each knows an answer to where it is: `env.unwrapped.solution()`. `lmmr1 record ID --agent expert` films it.
* `success` in the info says whether the task is done. Problems and levels of `split="train"` and `split="test"` are
  kept apart by their content.

Any other Gymnasium environment works as well: `lmmr1.ChatEnv(gym.make("FrozenLake-v1", render_mode="rgb_array"))`.

"""


def slug(id: str) -> str:
    """The name of an environment's page and files: "sokoban"."""
    return id.partition("/")[2].rpartition("-")[0].lower()


def write_pages() -> dict[str, str]:
    """The pages, by their paths from docs/."""
    pages = {f"environments/{slug(row.id)}.md": write_page(row) for row in REGISTRATIONS}
    return {"environments/index.md": write_index(), **pages}


def write_index() -> str:
    """The page that lists them."""
    rows = [
        f"## [{slug(row.id).capitalize()}]({slug(row.id)}.md)\n\n`{row.id}`: {documentation(row)[0]}\n\n"
        f"[![An episode of {row.id}](../assets/environments/{slug(row.id)}.gif)]({slug(row.id)}.md)\n"
        for row in REGISTRATIONS
    ]
    return INDEX + "\n".join(rows)


def documentation(row: Registration) -> tuple[str, dict[str, str]]:
    """The first sentence of an environment's class, and its sections by their titles."""
    module, _, name = row.entry_point.partition(":")
    text = inspect.getdoc(getattr(import_module(module), name)) or ""
    first, *sections = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return first.strip(), dict(zip(sections[::2], (part.strip() for part in sections[1::2]), strict=True))


def write_page(row: Registration) -> str:
    """The page of one environment."""
    first, sections = documentation(row)
    name, shown = slug(row.id), SHOWN[row.id]
    pair = lambda value: json.dumps(value).replace("[", "(").replace("]", ")")  # noqa: E731
    arguments = "".join(f", {key}={pair(value)}" for key, value in shown.kwargs.items())
    parts = [
        f"# {name.capitalize()}",
        f"**`{row.id}`**: {first}",
        f"![An episode of {row.id}, played by its expert](../assets/environments/{name}.gif)",
        f"Played by its own expert; what it sees, thinks, answers and is paid. More: {shown.more}.",
        f'```python\nimport gymnasium as gym\nimport lmmr1\n\nenv = gym.make("{row.id}"{arguments})\n'
        f'chat = lmmr1.make_chat("{row.id}"{arguments})\n```',
    ]
    for title, text in sections.items():
        if title == "Registered Configurations":
            continue
        parts.append(f"## {title}\n\n{lists(text)}")
        if title == "Description":
            parts.append(write_conversation(row))
        if title == "Arguments":
            parts.append(write_configurations(row))
    return "\n\n".join(parts) + "\n"


def lists(text: str) -> str:
    """Markdown wants an empty line before a list."""
    return re.sub(r"(?<!\n)\n(?=- )", "\n\n", text, count=1)


def write_configurations(row: Registration) -> str:
    """The table of what `gym.make` knows, and the defaults of the class."""
    module, _, name = row.entry_point.partition(":")
    signature = inspect.signature(getattr(import_module(module), name).__init__)
    defaults = {key: value.default for key, value in signature.parameters.items() if key != "self"}
    registered = ", ".join(f"`{key}={value!r}`" for key, value in row.kwargs.items()) or "none: the defaults below"
    return "\n".join(
        (
            "## Registered configurations\n",
            "| Id | Arguments | Step limit | Vector environment |",
            "| --- | --- | --- | --- |",
            f"| `{row.id}` | {registered} | {row.max_episode_steps or 'its own'} | "
            f"{'its own' if row.vector_entry_point else 'Gymnasium`s'.replace('`', chr(39))} |",
            "\n| Argument | Default |",
            "| --- | --- |",
            *(f"| `{key}` | `{value!r}` |" for key, value in defaults.items() if value is not inspect.Parameter.empty),
        )
    )


def write_conversation(row: Registration) -> str:
    """The kept conversation, in quotation marks of Markdown."""
    told = json.loads((ASSETS / f"{slug(row.id)}.json").read_text(encoding="utf-8"))
    parts = [
        "## A conversation\n",
        f"Seed {SHOWN[row.id].seed}, answered by the expert. Each turn shows what the environment says, the reply, and "
        "what the reply was paid.\n",
    ]
    for entry in told:
        parts.append(f"**{entry['role'].capitalize()}**\n")
        for part in entry["content"]:
            if "image" in part:
                picture = f"![A picture of {row.id}](../assets/environments/{part['image']})"
                parts.append(f"> {picture}\n")
            else:
                parts.append("\n".join(f"> {line}".rstrip() for line in quote(part["text"])) + "\n")
        if "reward" in entry:
            earned = ", ".join(f"{name} {value:+g}" for name, value in entry["reward"].items() if value)
            parts.append(f"Paid: {earned or 'nothing'}.\n")
    return "\n".join(parts)


def quote(text: str) -> list[str]:
    """The lines of a text as a block of code, which Markdown leaves alone."""
    return ["```text", *text.splitlines(), "```"]


def play(id: str) -> list[dict[str, Any]]:
    """Play a conversation; pictures are arrays."""
    shown = SHOWN[id]
    chat = lmmr1.make_chat(id, chat=shown.chat, **shown.kwargs)
    messages, _ = chat.reset(seed=shown.seed)
    told: list[dict[str, Any]] = []
    for _ in range(shown.turns):
        told += [tell(message) for message in messages]
        solution = chat.solution()
        reply = f"<think>{solution.thought}</think><answer>{solution.answer}</answer>"
        messages, _, terminated, truncated, info = chat.step(reply)
        told.append({"role": "assistant", "content": [{"text": reply}], "reward": dict(info["reward_parts"])})
        if terminated or truncated:
            break
    chat.close()
    return told


def tell(message: Message) -> dict[str, Any]:
    """A message in plain values."""
    return {
        "role": message["role"],
        "content": [
            {"image": part["image"]} if part["type"] == "image" else {"text": part["text"]}
            for part in message["content"]
        ],
    }


def save(id: str, told: list[dict[str, Any]]) -> None:
    """Write a conversation and its pictures."""
    number = 0
    for entry in told:
        for part in entry["content"]:
            if "image" in part:
                number += 1
                name = f"{slug(id)}-{number}.png"
                Image.fromarray(part["image"]).save(ASSETS / name, optimize=True)
                part["image"] = name
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (ASSETS / f"{slug(id)}.json").write_text(text, encoding="utf-8")


def is_kept(id: str, told: list[dict[str, Any]]) -> bool:
    """Whether this is the conversation that the page shows, pictures included."""
    kept = json.loads((ASSETS / f"{slug(id)}.json").read_text(encoding="utf-8"))
    if len(kept) != len(told):
        return False
    for old, new in zip(kept, told, strict=True):
        if {**old, "content": None} != {**new, "content": None} or len(old["content"]) != len(new["content"]):
            return False
        if not all(is_alike(*parts) for parts in zip(old["content"], new["content"], strict=True)):
            return False
    return True


def is_alike(kept: dict[str, Any], told: dict[str, Any]) -> bool:
    """Whether two parts say the same, or show it: less than a grey level apart in the mean."""
    if "image" not in kept or "image" not in told:
        return kept == told
    picture = np.asarray(Image.open(ASSETS / kept["image"]).convert("RGB"), np.int16)
    return picture.shape == told["image"].shape and float(np.abs(picture - told["image"]).mean()) < 1


def film(id: str) -> None:
    """Write the film of an environment: its expert, some episodes."""
    from lmmr1.agents.players.expert import ExpertPlayer
    from lmmr1.agents.rollout import rollout
    from lmmr1.envs.recording import write_film
    from lmmr1.evaluation.reporting.films import episode_scenes

    shown = SHOWN[id]
    config = lmmr1.EnvironmentConfig(id, dict(shown.kwargs), dict(shown.chat))
    expert, count = ExpertPlayer(), shown.episodes
    episodes = rollout(expert, config.make, count, seed=shown.seed, stream=7, greedy=True, max_turns=30)
    assert all(episode.failure is None for episode in episodes), [episode.failure for episode in episodes]
    scenes = [scene for episode in episodes for scene in episode_scenes(episode, f"{id}, expert")]
    seconds = 3.0 if shown.turns == 1 else 0.8
    write_film(scenes, ASSETS / f"{slug(id)}.gif", size=(640, 360), seconds_per_scene=seconds)


def main() -> int:
    """Play and write everything, or check it."""
    ASSETS.mkdir(parents=True, exist_ok=True)
    wrong = []
    for row in REGISTRATIONS:
        if row.id == "LMMR1/Football-v0" and find_spec("gfootball_engine") is None:
            print(f"{row.id}: its engine is not installed: left as it is")
            continue
        told = play(row.id)
        if "--check" in sys.argv[1:]:
            wrong += [] if is_kept(row.id, told) else [row.id]
        else:
            save(row.id, told)
            film(row.id)
    if wrong:
        print(f"{', '.join(wrong)}: other than the page shows; run python docs/making/environments.py")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
