"""Films: episodes as scenes, and the same problem before and after training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lmmr1.agents.episode import Episode, load_episodes
from lmmr1.envs.errors import MissingExtraError
from lmmr1.envs.messages import message_images
from lmmr1.envs.recording import Reel, Scene, tell_outcome, write_film

FOLDER, INDEX = "videos", "index.json"
FILM_SIZE, GIF_SIZE = (1280, 720), (800, 450)
GIF_SCENES = 40  # a report holds the GIFs themselves; a longer film is whole as MP4 only


@dataclass(frozen=True)
class Film:
    """A film of one episode, as the index of a run's films lists it.

    Attributes:
        task: the task that the episode belongs to.
        problem: number of the problem; films of one task and problem show the same one.
        stage: after which stage it was played; "start" is before all of them.
        success: whether the episode was solved; None where nobody says.
        turns: how many turns it took.
        mp4: name of the film beside the index; None where PyAV is not installed.
        gif: name of the same film in small.
    """

    task: str
    problem: int
    stage: str
    success: bool | None
    turns: int
    mp4: str | None
    gif: str


def episode_scenes(episode: Episode, title: str) -> list[Scene]:
    """One scene for each turn, and a last one that shows what came of it.

    Args:
        episode: as it was played or kept; the environment is not needed.
        title: the head of every page.
    """
    reel = Reel(title, critic_values(episode))
    for turn in episode.turns:
        reel.add(
            turn.messages,
            thought=turn.thought,
            # A reply without the tags has no answer; the whole of it says more than an empty field.
            answer=turn.answer if turn.answer or turn.well_formed else turn.text,
            actions=turn.actions,
            reward=turn.reward,
            reward_parts=turn.reward_parts,
        )
    return reel.end(episode.final_messages, outcome(episode), episode.success)


def critic_values(episode: Episode) -> list[float] | None:
    """What the critic expected at the first token of each turn; None where any turn kept nothing of a critic."""
    values: list[float] = []
    for turn in episode.turns:
        if turn.credit is None or turn.credit.values is None or not len(turn.credit.values):
            return None
        values.append(float(turn.credit.values[0]))
    return values or None


def outcome(episode: Episode) -> str:
    """How an episode ended, in words."""
    return tell_outcome(episode.stop_reason, episode.success, episode.failure)


def has_pictures(episode: Episode) -> bool:
    """Whether any turn showed a picture."""
    return any(message_images(message) for turn in episode.turns for message in turn.messages)


def pair_problems(before: Sequence[Episode], after: Sequence[Episode]) -> list[tuple[Episode, Episode]]:
    """Pairs of episodes of the same task that started from the same problem; failed ones are left out."""
    found = {(episode.env_id, episode.key): episode for episode in after if episode.failure is None}
    keys = [(episode, (episode.env_id, episode.key)) for episode in before if episode.failure is None]
    return [(episode, found[key]) for episode, key in keys if key in found]


def choose_pairs(pairs: Iterable[tuple[Episode, Episode]], count: int) -> list[tuple[Episode, Episode]]:
    """The pairs that show most: problems newly solved; but the last place is for one that is not solved afterwards.

    Within a kind they stay in the order of their problems, so that nothing else is picked.
    """
    pairs = list(pairs)
    gained = [pair for pair in pairs if pair[1].success and not pair[0].success]
    unsolved = [pair for pair in pairs if not pair[1].success]
    kept = [pair for pair in pairs if pair[1].success and pair[0].success]
    places_for_unsolved = 1 if unsolved and count > 1 else 0
    chosen = [*gained, *kept][: count - places_for_unsolved]
    return [*chosen, *unsolved][:count]


def record_films(run: Path, stages: Sequence[str], count: int, name: str = "") -> list[Film]:
    """Film `count` problems of each task that has pictures, before and after training.

    Args:
        run: the run's folder; the episodes are those of `episodes/<stage>`, the films go into `videos`.
        stages: the first and the last of them are filmed.
        count: films for each task and stage.
        name: of the run, for the titles.

    Returns:
        What was filmed, as also written to `videos/index.json`.

    Raises:
        UserError: a folder of episodes is missing or damaged.
    """
    first, last = stages[0], stages[-1]
    pairs = pair_problems(load_episodes(run / "episodes" / first), load_episodes(run / "episodes" / last))
    films: list[Film] = []
    for task in dict.fromkeys(episode.env_id for episode, _ in pairs):
        of_task = [pair for pair in pairs if pair[0].env_id == task and has_pictures(pair[0])]
        for before, after in choose_pairs(of_task, count):
            films.append(_record(run / FOLDER, before, first, "before training", name))
            films.append(_record(run / FOLDER, after, last, f"after {last}", name))
    if films:
        index = json.dumps([asdict(film) for film in films], indent=1)
        (run / FOLDER / INDEX).write_text(index, encoding="utf-8")
    return films


def read_films(run: Path) -> list[Film]:
    """The films of a run; none where there is no readable index."""
    try:
        return [Film(**row) for row in json.loads((run / FOLDER / INDEX).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _record(folder: Path, episode: Episode, stage: str, when: str, name: str) -> Film:
    problem = episode.key[-1] if episode.key else 0
    scenes = episode_scenes(episode, ", ".join(part for part in (episode.env_id, when, name) if part))
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in f"{episode.env_id}-{problem}-{stage}")
    shortened = [*scenes[: GIF_SCENES - 1], scenes[-1]] if len(scenes) > GIF_SCENES else scenes
    gif = write_film(shortened, folder / f"{stem}.gif", size=GIF_SIZE)
    try:
        mp4 = write_film(scenes, folder / f"{stem}.mp4", size=FILM_SIZE).name
    except MissingExtraError:
        mp4 = None
    return Film(episode.env_id, problem, stage, episode.success, len(episode.turns), mp4, gif.name)
