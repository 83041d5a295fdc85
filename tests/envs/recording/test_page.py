"""Pages: what is drawn where, what is cut, and that only what changes is drawn anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.recording import INK, PAGE, PANEL, Moment, Page, Scene, draw_scene, spell_out
from lmmr1.envs.recording.canvas import BLUE, GREEN, RED
from lmmr1.envs.recording.lettering import wrap

RED_SQUARE = np.full((20, 20, 3), (200, 10, 10), np.uint8)
PARTS = {"task": 1.0, "format": 0.5, "invalid": 0.0}


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


@pytest.mark.parametrize("shape", [(1000, 2000), (200, 400)])
def test_other_pictures_fill_the_place_and_keep_their_proportions(shape: tuple[int, int]) -> None:
    # The smaller one would fill three quarters of its place as a whole multiple; that is too little.
    page = draw_scene(scene(image=np.full((*shape, 3), (10, 200, 10), np.uint8)))
    green = (page == (10, 200, 10)).all(axis=2)
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert len(columns) == 528 and len(rows) == 264


def test_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="uint8"):
        scene(image=RED_SQUARE.astype(float))


def test_without_a_picture_the_prompt_takes_its_place() -> None:
    page = draw_scene(scene(image=None, prompt="What is 2 + 2?"))
    panel = page[100:620, 45:560]
    assert (panel == PANEL).all(axis=2).mean() > 0.9 and (panel == INK).all(axis=2).any()


# Where each thing stands on the page of 1280 x 720: (rows, columns).
PLACES = {
    "title": (slice(20, 70), slice(32, 1040)),
    "turn": (slice(20, 72), slice(1040, 1250)),
    "prompt": (slice(92, 350), slice(605, 1250)),  # and the thought, which gets what the prompt leaves
    "thought": (slice(140, 350), slice(605, 1250)),
    "action": (slice(356, 442), slice(605, 1250)),
    "rewards": (slice(448, 640), slice(605, 918)),
    "curve": (slice(448, 640), slice(930, 1250)),
    "foot": (slice(654, 720), slice(0, 1280)),
}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("title", {"title": "LMMR1/Geometry-v0 " * 20}),
    ("turn", {"turn": 12, "turns": 1234}),
    ("prompt", {"prompt": "Push the other box. " * 60}),
    ("thought", {"thought": "It is on the right. " * 200}),
    ("action", {"answer": "Right, Up, " * 200, "actions": ()}),
    ("action", {"actions": ("Right",) * 200}),
    ("action", {"answer": "12 " * 300, "actions": ("12 " * 300,)}),
    ("rewards", {"reward_parts": {f"part_{n}": 0.125 * n for n in range(12)}}),
    ("rewards", {"reward": -9.75}),
    ("curve", {"curve": (0.5, -1.25, 99999.0)}),
    ("foot", {"total_reward": 123456.0}),
    ("foot", {"outcome": "The environment failed: " + "x" * 500}),
]


@pytest.mark.parametrize(("place", "change"), CHANGES, ids=[f"{place}-{[*change][-1]}" for place, change in CHANGES])
def test_each_thing_has_its_own_place(place: str, change: dict[str, Any]) -> None:
    before, after = draw_scene(scene()), draw_scene(scene(**change))
    changed = (before != after).any(axis=2)
    assert changed[PLACES[place]].any()
    changed[PLACES[place]] = False
    assert not changed.any(), f"{place} reached beyond its place"


@pytest.mark.parametrize(("success", "colour"), [(True, GREEN), (False, RED), (None, INK)])
def test_the_outcome_is_a_strip_at_the_foot_whose_colour_says_how_it_ended(success: Any, colour: Any) -> None:
    before, after = draw_scene(scene()), draw_scene(scene(outcome="in 3 turns", success=success))
    changed = (before != after).any(axis=2)
    assert changed[655:].mean() > 0.95 and not changed[:650].any()
    assert (after[655:] == colour).all(axis=2).mean() > 0.8
    assert (after[655:] == PANEL).all(axis=2).any()


def test_a_moment_hides_what_has_not_happened_yet() -> None:
    thought = "one two three four " * 4
    seen, half = Moment(0.0, False, False), Moment(0.5, False, False)
    said, acted, paid = Moment(1.0, False, False), Moment(1.0, True, False), Moment()
    whole = scene(thought=thought, curve=(1.0, 2.5))
    pages = [draw_scene(whole, moment=moment) for moment in (seen, half, said, acted, paid)]
    for (before, after), places in zip(
        zip(pages[:-1], pages[1:], strict=True),
        (["thought"], ["thought"], ["action"], ["rewards", "curve", "foot"]),
        strict=True,
    ):
        changed = (before != after).any(axis=2)
        for place in places:
            assert changed[PLACES[place]].any(), place
            changed[PLACES[place]] = False
        assert not changed.any()
    ink = [int((page[PLACES["thought"]] == INK).all(axis=2).sum()) for page in pages]
    assert ink[0] < ink[1] < ink[2]
    action = PLACES["action"]
    assert not (pages[2][action] == BLUE).all(axis=2).any() and (pages[3][action] == BLUE).all(axis=2).sum() > 1000


def test_an_answer_that_is_no_action_is_red() -> None:
    page = draw_scene(scene(answer="Jump", actions=()))[PLACES["action"]]
    assert (page == RED).all(axis=2).any() and not (page == BLUE).all(axis=2).any()


@pytest.mark.parametrize(("size", "cell"), [((1280, 720), False), ((640, 720), False), ((640, 360), True)])
def test_a_page_that_is_drawn_on_again_is_the_one_drawn_anew(size: tuple[int, int], cell: bool) -> None:
    page = Page(size, cell)
    scenes = [scene(), scene(image=255 - RED_SQUARE, turn=4, thought="x " * 900), scene(image=None), scene(outcome="x")]
    for one in [*scenes, scenes[0]]:
        for moment in (Moment(0.3, False, False), Moment(1.0, True, False), Moment()):
            page.show(one, moment)
            np.testing.assert_array_equal(np.asarray(page.picture), draw_scene(one, size, moment, cell=cell))


def test_only_what_changes_is_drawn_anew() -> None:
    page = Page((1280, 720))
    assert page.show(scene())[0] == (0, 0, 1280, 720)
    assert page.show(scene(image=RED_SQUARE.copy())) == []
    [box] = page.show(scene(title="another"))
    assert box[3] < 80


def test_a_thought_that_is_too_long_shows_its_end() -> None:
    thought = " ".join(f"word{number}" for number in range(3000))
    page = Page((1280, 720))
    page.show(scene(thought=thought))
    lines = page._said(page._layouts[True].thought, thought, 1.0, 20)  # type: ignore[arg-type]
    assert lines[0].startswith("...") and 3 < len(lines) < 12
    early = page._said(page._layouts[True].thought, thought, 0.01, 20)  # type: ignore[arg-type]
    assert early[0].startswith("word0 word1")


def test_lines_break_where_the_text_does_and_what_is_cut_says_so() -> None:
    def measure(text: str) -> float:
        return len(text)

    assert wrap("ab cd\nef", measure, 10, 5) == ["ab cd", "ef"]
    assert wrap("one two three", measure, 7, 5) == ["one two", "three"]
    assert wrap("one two three four", measure, 8, 2) == ["one two", "three..."]
    assert wrap("x" * 25, measure, 10, 5) == ["x" * 10, "x" * 10, "x" * 5]
    assert wrap("x" * 25, measure, 10, 2) == ["x" * 10, "x" * 7 + "..."]
    assert wrap("", measure, 10, 2) == [] == wrap(" \n ", measure, 10, 2)
    assert wrap("fits", measure, 4, 1) == ["fits"]
    for text in ("a b " * 100_000, "\n" * 100_000 + "end", "y" * 1_000_000):
        lines = wrap(text, measure, 20, 4)
        assert len(lines) <= 4 and all(len(line) <= 20 for line in lines)


def test_what_the_font_cannot_draw_is_spelt_out() -> None:
    assert spell_out("9π cm² ≤ √2, 30°") == "9pi cm^2 <= sqrt2, 30°"
    assert spell_out("naïve café") == "naive cafe"
    assert spell_out("中🙂\x00\ud800") == "????"
    draw_scene(scene(prompt="\x00\x1b[31m\u202e\ud800🙂", answer="中", title="\ud800"))
