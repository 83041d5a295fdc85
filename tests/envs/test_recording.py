"""Pages and films: what is drawn where, what is cut, and that films can be read again."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lmmr1.envs import recording
from lmmr1.envs.errors import UserError
from lmmr1.envs.recording import INK, PAGE, PANEL, Scene, draw_scene, spell_out, write_film

RED_SQUARE = np.full((20, 20, 3), (200, 10, 10), np.uint8)
PARTS = {"task": 1.0, "format": 0.5, "invalid": 0.0}
needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs lmmr1[video]")


def scene(**changes: Any) -> Scene:
    fields: dict[str, Any] = {
        "image": RED_SQUARE,
        "prompt": "Push the box.",
        "thought": "It is on the left.",
        "answer": "Left, Up",
        "actions": ("Left", "Up"),
        "reward": 1.5,
        "reward_parts": PARTS,
        "total_reward": 2.5,
        "turn": 3,
        "title": "LMMR1/Sokoban-v0",
    }
    return Scene(**(fields | changes))


def is_blank(page: np.ndarray) -> bool:
    return bool((page == PAGE).all())


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (1920, 1080), (720, 720), (1000, 400), (320, 180)])
def test_a_page_has_its_size_and_free_margins(size: tuple[int, int]) -> None:
    long = "A long word: " + "x" * 900 + " and more words " * 100
    page = draw_scene(scene(prompt=long, thought=long, answer=long, actions=(long,), title=long), size)
    assert page.shape == (size[1], size[0], 3) and page.dtype == np.uint8
    edge = int(24 * min(size[0] / 1280, size[1] / 720))
    for strip in (page[:, :edge], page[:, -edge:], page[:edge], page[-edge // 4 :]):
        assert is_blank(strip)
    assert not is_blank(page[edge:, edge:])


@pytest.mark.parametrize("size", [(1281, 720), (1280, 100), (0, 0)])
def test_bad_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="even numbers"):
        draw_scene(scene(), size)


def test_small_pictures_grow_by_whole_multiples_and_stay_sharp() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    page = draw_scene(scene(image=picture))
    times = 13  # the place for it is 528 pixels wide and high
    big = np.repeat(np.repeat(picture, times, axis=0), times, axis=1)
    y, x = 100 + (528 - 30 * times) // 2, 40 + (528 - 40 * times) // 2
    np.testing.assert_array_equal(page[y : y + 30 * times, x : x + 40 * times], big)


def test_large_pictures_shrink_and_keep_their_proportions() -> None:
    page = draw_scene(scene(image=np.full((1000, 2000, 3), (10, 200, 10), np.uint8)))
    green = (page == (10, 200, 10)).all(axis=2)
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert len(columns) == 528 and len(rows) == 264


def test_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="uint8"):
        draw_scene(scene(image=RED_SQUARE.astype(float)))


def test_without_a_picture_the_prompt_takes_its_place() -> None:
    page = draw_scene(scene(image=None, prompt="What is 2 + 2?"))
    panel = page[100:620, 45:560]
    assert (panel == PANEL).all(axis=2).mean() > 0.9 and (panel == INK).all(axis=2).any()


# Where each thing stands on the page of 1280 x 720: (rows, columns).
PLACES = {
    "title": (slice(20, 70), slice(32, 900)),
    "turn": (slice(20, 70), slice(1100, 1250)),
    "prompt": (slice(92, 150), slice(605, 1250)),
    "thought": (slice(150, 335), slice(605, 1250)),
    "answer": (slice(335, 440), slice(605, 1250)),
    "actions": (slice(430, 496), slice(605, 1250)),
    "reward_parts": (slice(500, 600), slice(605, 940)),
    "reward": (slice(603, 636), slice(605, 940)),
    "total_reward": (slice(654, 720), slice(1000, 1280)),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "LMMR1/Geometry-v0"),
        ("turn", 12),
        ("prompt", "Push the other box."),
        ("thought", "It is on the right. " * 200),
        ("answer", "Right, Up, " * 200),
        ("actions", ("Right",) * 200),
        ("reward_parts", {"task": -3.0, "format": 0.25, "invalid": 0.125}),
        ("reward", -9.75),
        ("total_reward", 123456.0),
    ],
)
def test_each_thing_has_its_own_place(name: str, value: Any) -> None:
    before, after = draw_scene(scene()), draw_scene(scene(**{name: value}))
    changed = (before != after).any(axis=2)
    assert changed[PLACES[name]].any()
    changed[PLACES[name]] = False
    assert not changed.any(), f"{name} reached beyond its place"


def test_the_outcome_is_a_dark_strip_at_the_foot() -> None:
    before, after = draw_scene(scene()), draw_scene(scene(outcome="solved in 3 turns"))
    changed = (before != after).any(axis=2)
    assert changed[655:].mean() > 0.95 and not changed[:650].any()
    assert (after[655:] == INK).all(axis=2).mean() > 0.8
    assert (after[655:] == PANEL).all(axis=2).any()


def test_lines_break_where_the_text_does_and_what_is_cut_says_so() -> None:
    def measure(text: str) -> float:
        return len(text)

    assert recording._wrap("ab cd\nef", measure, 10, 5) == ["ab cd", "ef"]
    assert recording._wrap("one two three", measure, 7, 5) == ["one two", "three"]
    assert recording._wrap("one two three four", measure, 8, 2) == ["one two", "three..."]
    assert recording._wrap("x" * 25, measure, 10, 5) == ["x" * 10, "x" * 10, "x" * 5]
    assert recording._wrap("x" * 25, measure, 10, 2) == ["x" * 10, "x" * 7 + "..."]
    assert recording._wrap("", measure, 10, 2) == [] == recording._wrap(" \n ", measure, 10, 2)
    assert recording._wrap("fits", measure, 4, 1) == ["fits"]
    for text in ("a b " * 100_000, "\n" * 100_000 + "end", "y" * 1_000_000):
        lines = recording._wrap(text, measure, 20, 4)
        assert len(lines) <= 4 and all(len(line) <= 20 for line in lines)


def test_what_the_font_cannot_draw_is_spelt_out() -> None:
    assert spell_out("9π cm² ≤ √2, 30°") == "9pi cm^2 <= sqrt2, 30°"
    assert spell_out("naïve café") == "naive cafe"
    assert spell_out("中🙂\x00\ud800") == "????"
    draw_scene(scene(prompt="\x00\x1b[31m\u202e\ud800🙂", answer="中", title="\ud800"))


@needs_av
@pytest.mark.parametrize("seconds", [0.5, 1.2])
def test_mp4(tmp_path: Path, seconds: float) -> None:
    import av

    path = tmp_path / "new" / "film.mp4"
    scenes = [scene(), scene(image=255 - RED_SQUARE, turn=4, outcome="solved")]
    assert write_film(iter(scenes), path, (640, 360), seconds) == path
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (640, 360, "yuv420p")
        assert stream.codec.name in ("h264", "mpeg4")
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 3 * round(10 * seconds)  # the last scene stays twice as long
    for frame, expected in ((frames[0], scenes[0]), (frames[-1], scenes[1])):
        difference = np.abs(frame.astype(int) - draw_scene(expected, (640, 360)))
        assert difference.mean() < 6  # a compressed picture of the same thing
    assert list(path.parent.iterdir()) == [path]


def test_gif(tmp_path: Path) -> None:
    path = write_film([scene(), scene(turn=4)], tmp_path / "film.gif", (320, 180), 0.5)
    with Image.open(path) as film:
        assert film.size == (320, 180) and getattr(film, "n_frames", 0) == 2
        assert film.info["duration"] == 500
        difference = np.abs(np.asarray(film.convert("RGB")).astype(int) - draw_scene(scene(), (320, 180)))
        assert difference.mean() < 6
        film.seek(1)
        assert film.info["duration"] == 1000


def test_bad_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"\.mp4 or \.gif"):
        write_film([scene()], tmp_path / "film.avi")
    with pytest.raises(UserError, match="at least one scene"):
        write_film([], tmp_path / "film.gif")
    with pytest.raises(UserError, match="seconds_per_scene"):
        write_film([scene()], tmp_path / "film.gif", seconds_per_scene=0)
    with pytest.raises(UserError, match="even numbers"):
        write_film([scene(), scene()], tmp_path / "film.gif", (321, 180))
    monkeypatch.setattr(recording, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'lmmr1\[video\]'"):
        write_film([scene()], tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []
