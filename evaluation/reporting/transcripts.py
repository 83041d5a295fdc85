"""Episodes on a page, turn by turn: what was shown, thought, answered and paid. All text of models is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from lmmr1.agents.episode import Episode, Turn
from lmmr1.envs.errors import MissingExtraError
from lmmr1.envs.messages import Message, message_images, message_text
from lmmr1.envs.recording import write_film

from .films import GIF_SCENES, GIF_SIZE, episode_scenes, outcome
from .samples import data_uri, image_tag, safe_text

MOST_TURNS = 6
LARGEST_FILM = 3_000_000


def choose_episodes(episodes: Sequence[Episode], count: int) -> list[Episode]:
    """Some episodes to show: solved and unsolved in turn, each in the order of its number."""
    solved = [episode for episode in episodes if episode.success]
    others = [episode for episode in episodes if not episode.success]
    mixed = [episode for pair in zip(solved, others, strict=False) for episode in pair]
    rest = [*solved[len(others) :], *others[len(solved) :]]
    return [*mixed, *rest][:count]


def html_transcript(episode: Episode, heading: str) -> str:
    """One episode as a card."""
    verdict, word = {True: ("right", "solved"), False: ("wrong", "not solved"), None: ("open", "ended")}[
        episode.success
    ]
    if episode.failure is not None:
        verdict, word = "open", "failed"
    turns = "".join(_html_turn(turn, number) for number, turn in enumerate(episode.turns[:MOST_TURNS], start=1))
    hidden = len(episode.turns) - MOST_TURNS
    more = f'<p class="more">and {hidden} more turns</p>' if hidden > 0 else ""
    facts = "".join(
        f"<li>{escape(name)}: {safe_text(str(value))}</li>" for name, value in episode.facts.items() if name != "row"
    )
    told = (
        f'<details><summary>What the environment told</summary><ul class="told">{facts}</ul></details>' if facts else ""
    )
    ending = escape(outcome(episode))
    return (
        f'<article class="transcript {verdict}"><h4><span class="verdict">{word}</span>{escape(heading)}, '
        f'reward {episode.total_reward:.2f}</h4>{turns}{more}<p class="note">{ending}</p>{told}</article>'
    )


def _html_turn(turn: Turn, number: int) -> str:
    seen = "".join(_html_message(message) for message in turn.messages if message["role"] != "system")
    if turn.well_formed or turn.answer:
        thought = f'<p class="thought">{safe_text(turn.thought)}</p>' if turn.thought else ""
        said = f'{thought}<p class="said">{safe_text(turn.answer)}</p>'
    else:
        said = f'<p class="malformed">{safe_text(turn.text)}</p>'
    parts = "".join(
        f'<span class="part">{escape(name)} {value:+.2f}</span>' for name, value in turn.reward_parts.items() if value
    )
    paid = f'<p class="paid">turn {number}: {turn.reward:+.2f} {parts}</p>'
    return f'<div class="exchange"><div class="question">{seen}</div><div>{said}{paid}</div></div>'


def _html_message(message: Message) -> str:
    pictures = "".join(image_tag(image, "what the agent saw") for image in message_images(message))
    return f"{pictures}<p>{safe_text(message_text(message))}</p>"


def html_film(episode: Episode, title: str, folder: Path) -> str:
    """A film of an episode, within the page: a video, or an animated picture where PyAV is not installed.

    Args:
        episode: with pictures.
        title: above it.
        folder: where the film is written as well.
    """
    scenes = episode_scenes(episode, title)
    shown = [*scenes[: GIF_SCENES - 1], scenes[-1]] if len(scenes) > GIF_SCENES else scenes
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in f"{episode.env_id}-{episode.key[-1]}")
    try:
        path = write_film(shown, folder / f"{stem}.mp4", size=GIF_SIZE)
        kind = "video/mp4"
    except MissingExtraError:
        path = write_film(shown, folder / f"{stem}.gif", size=GIF_SIZE)
        kind = "image/gif"
    content = path.read_bytes()
    name = escape(f"{folder.name}/{path.name}", quote=True)
    if len(content) > LARGEST_FILM:
        body = f'<a href="{name}">{name}</a>'
    elif kind == "video/mp4":
        body = f'<video controls muted preload="metadata" src="{data_uri(content, kind)}"></video>'
    else:
        body = f'<img alt="{escape(title, quote=True)}" src="{data_uri(content, kind)}">'
    verdict = {True: "solved", False: "not solved", None: "ended"}[episode.success]
    return f'<div class="film"><h4>{escape(title)}, {verdict}, {len(episode.turns)} turns</h4>{body}</div>'
