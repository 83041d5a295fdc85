"""Films: that they can be read again, what they show when, grids, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lmmr1.envs.errors import UserError
from lmmr1.envs.recording import Moment, Scene, draw_scene, write_film, write_grid
from lmmr1.envs.recording import mp4 as mp4_module
from lmmr1.envs.recording.film import choose_grid
from lmmr1.envs.recording.gif import make_palette
from lmmr1.envs.recording.timeline import Pace, cell_boxes, play_beside, play_scenes, scene_steps

RED_SQUARE = np.full((20, 20, 3), (200, 10, 10), np.uint8)
needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs lmmr1[video]")


def scene(**changes: Any) -> Scene:
    fields: dict[str, Any] = {
        "image": RED_SQUARE,
        "prompt": "Push the box.",
        "thought": "It is on the left of me and above.",
        "answer": "Left",
        "actions": ("Left",),
        "reward": 1.5,
        "reward_parts": {"task": 1.0, "format": 0.5},
        "total_reward": 2.5,
        "turn": 3,
        "title": "a world",
    }
    return Scene(**(fields | changes))


def read_gif(path: Path) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as film:
        frames = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    return [frame for frame, _ in frames], [duration for _, duration in frames]


def test_a_scene_is_seen_thought_about_word_by_word_answered_and_paid() -> None:
    steps = scene_steps(scene(thought="w " * 10), Pace(12, words_per_tick=2.0))
    assert [step.moment.thought for step in steps] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0]
    assert [(step.moment.acted, step.moment.paid) for step in steps[-3:]] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert sum(step.ticks for step in steps) == 12 + 5
    few = scene_steps(scene(thought="w " * 10), Pace(12, words_per_tick=2.0, steps=2))
    assert [step.moment.thought for step in few] == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert sum(step.ticks for step in few) == 12 + 5, "fewer steps take as long"
    assert sum(step.ticks for step in scene_steps(scene(thought="w " * 9999), Pace(12))) == 12 + 36, "nobody waits"
    assert scene_steps(scene(thought="", outcome="Solved"), Pace(12))[0].ticks == 24
    assert len(scene_steps(scene(thought=""), Pace(12))) == 3 and len(scene_steps(scene(), Pace(1))) == 1


@needs_av
def test_mp4(tmp_path: Path) -> None:
    import av

    path, size = tmp_path / "new" / "film.mp4", (640, 360)
    scenes = [scene(), scene(image=255 - RED_SQUARE, turn=4, outcome="solved")]
    assert write_film(iter(scenes), path, size) == path
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (*size, "yuv420p")
        assert stream.codec.name in ("h264", "mpeg4") and stream.average_rate == 10
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    steps = [step for one in scenes for step in scene_steps(one, Pace())]
    assert len(frames) == sum(step.ticks for step in steps)
    at = 0
    for step in steps:  # every frame is a compressed picture of its moment
        for frame in frames[at : at + step.ticks]:
            assert np.abs(frame.astype(int) - draw_scene(step.scene, size, step.moment)).mean() < 6
        at += step.ticks
    assert list(path.parent.iterdir()) == [path]


def test_gif(tmp_path: Path) -> None:
    size = (640, 360)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    scenes = [scene(), scene(image=noise, turn=4, answer="Up", actions=("Up",)), scene(turn=5, outcome="solved")]
    frames, durations = read_gif(write_film(scenes, tmp_path / "film.gif", size))
    steps = [step for one in scenes for step in scene_steps(one, Pace(steps=4))]
    assert durations == [step.ticks * 100 for step in steps]
    for frame, step in zip(frames, steps, strict=True):
        difference = np.abs(frame.astype(int) - draw_scene(step.scene, size, step.moment))
        assert difference.mean() < 6 and np.median(difference) <= 2


def test_a_gif_stores_what_changes_alone(tmp_path: Path) -> None:
    one = write_film([scene(turn=1)], tmp_path / "one.gif")
    ten = write_film([scene(turn=number) for number in range(1, 11)], tmp_path / "ten.gif")
    assert ten.stat().st_size < 6 * one.stat().st_size


def test_a_palette_leaves_a_colour_for_what_stays() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    palette = make_palette([noise])
    page = Image.fromarray(draw_scene(scene(image=noise)))
    assert np.asarray(page.quantize(palette=palette, dither=Image.Dither.NONE)).max() < 254


def test_side_by_side(tmp_path: Path) -> None:
    short = [scene(thought="", turn=1), scene(turn=1, outcome="Solved", success=True)]
    long = [scene(thought="", turn=turn, image=255 - RED_SQUARE) for turn in range(1, 4)]
    size = (640, 360)
    frames = [(np.asarray(frame.picture), frame.ticks) for frame in play_beside([short, long], size, Pace(), 2, 1)]
    assert sum(ticks for _, ticks in frames) == 36  # as long as the longer one
    left, right = ((slice(0, 360), slice(box[0], box[2])) for box in cell_boxes(size, 2, 1))
    np.testing.assert_array_equal(frames[0][0][left], draw_scene(short[0], (318, 360), Moment(0.0, False, False)))
    np.testing.assert_array_equal(frames[-1][0][left], draw_scene(short[1], (318, 360)))
    np.testing.assert_array_equal(frames[-1][0][right], draw_scene(long[2], (318, 360)))


@pytest.mark.parametrize(("columns", "rows"), [(2, 2), (3, 2), (4, 4)])
def test_a_grid(columns: int, rows: int, tmp_path: Path) -> None:
    size = (1280, 720)
    strips = [[scene(turn=turn, title=f"no {n}") for turn in (1, 2)] for n in range(columns * rows + 1)]
    *_, last = play_beside(strips[: columns * rows], size, Pace(), columns, rows)
    picture = np.asarray(last.picture)
    for number, (left, top, right, bottom) in enumerate(cell_boxes(size, columns, rows)):
        expected = draw_scene(strips[number][1], (right - left, bottom - top), cell=True)
        np.testing.assert_array_equal(picture[top:bottom, left:right], expected)
    path = write_grid(strips, tmp_path / "grid.gif", columns=columns, rows=rows, size=size)
    frames, durations = read_gif(path)
    assert frames[0].shape == (720, 1280, 3)
    # The one too many comes after all others, in a grid of its own.
    assert sum(durations) == 2 * sum(sum(s.ticks for s in scene_steps(one, Pace(steps=4))) for one in strips[0]) * 100


def test_grids_are_as_small_as_they_can_be() -> None:
    assert [choose_grid(n, None, None) for n in (1, 2, 3, 4, 5, 9, 10, 16, 99)] == [
        *[(1, 1), (2, 1), (2, 2), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4), (4, 4)],
    ]
    assert choose_grid(6, 3, None) == (3, 2) and choose_grid(8, None, 2) == (4, 2)
    with pytest.raises(UserError, match="1 to 4 columns, not 5"):
        choose_grid(4, 5, None)


def test_worlds_with_and_without_pictures_may_follow_each_other() -> None:
    scenes = [scene(), scene(image=None), scene()]
    frames = [np.asarray(frame.picture) for frame in play_scenes(scenes, (640, 360), Pace(2))]
    for frame, one in zip(frames, scenes, strict=True):
        np.testing.assert_array_equal(frame, draw_scene(one, (640, 360)))


def test_bad_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"\.mp4 or \.gif"):
        write_film([scene()], tmp_path / "film.avi")
    with pytest.raises(UserError, match="at least one scene"):
        write_film([], tmp_path / "film.gif")
    with pytest.raises(UserError, match="at least one scene"):
        write_grid([[], []], tmp_path / "film.gif")
    with pytest.raises(UserError, match="seconds_per_scene"):
        write_film([scene()], tmp_path / "film.gif", seconds_per_scene=0)
    with pytest.raises(UserError, match="even numbers"):
        write_film([scene(), scene()], tmp_path / "film.gif", (321, 180))
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(UserError, match="cannot write the film"):
        write_film([scene()], tmp_path / "folder" / "film.gif")
    (tmp_path / "folder").unlink()
    monkeypatch.setattr(mp4_module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'lmmr1\[video\]'"):
        write_film([scene()], tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_film_that_breaks(tmp_path: Path) -> None:
    def broken():
        yield scene()
        raise RuntimeError("broken")

    for ending in ("gif", "mp4") if importlib.util.find_spec("av") is not None else ("gif",):
        with pytest.raises(RuntimeError, match="broken"):
            write_film(broken(), tmp_path / f"film.{ending}")
    assert list(tmp_path.iterdir()) == []
