"""The pitch from above: what has to be seen in the picture, at every size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lmmr1.envs.errors import UserError
from lmmr1.envs.football.pitch import Layout, Painter, draw_pitch
from lmmr1.envs.football.pitch.layout import LEFT_COLOUR, RIGHT_COLOUR
from lmmr1.envs.football.pitch.sprites import MARK, WHITE, nose_direction
from lmmr1.envs.football.state import ROLES, GameMode, State

from ..states import make_state, make_team

WIDTHS = [256, 320, 480, 640]
every_width = pytest.mark.parametrize("width", WIDTHS)


def pixel(picture: np.ndarray, width: int, x: float, y: float) -> tuple[int, ...]:
    column, row = Layout(width).place(x, y)
    return tuple(int(part) for part in picture[round(row), round(column)])


def close_to(colour: np.ndarray | tuple[int, ...], other: tuple[int, ...], by: int = 40) -> bool:
    return max(abs(int(one) - two) for one, two in zip(colour, other, strict=True)) <= by


def count(picture: np.ndarray, colour: tuple[int, ...]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) <= 12).sum())


def apart() -> State:
    """Nobody near anybody, and the ball alone."""
    return make_state([(-1.0, 0.0), (-0.4, -0.2)], [(1.0, 0.0), (0.4, 0.2)], (0.1, -0.3), left_controlled=())


@every_width
def test_the_picture_has_the_size_that_was_asked_for(width: int) -> None:
    picture = draw_pitch(apart(), width)
    assert picture.shape == (2 * round(0.35 * width), width, 3) and picture.dtype == np.uint8


@every_width
def test_players_and_ball_are_where_the_match_has_them(width: int) -> None:
    picture = draw_pitch(apart(), width, viewer=None)
    radius = 0.6 * Layout(width).radius / Layout(width).y_scale  # beside the number on the shirt
    assert close_to(pixel(picture, width, -0.4, -0.2 - radius), LEFT_COLOUR)
    assert close_to(pixel(picture, width, 0.4, 0.2 - radius), RIGHT_COLOUR)
    assert count(picture, WHITE) > 0
    ball_alone = draw_pitch(make_state([(-1, 0)], [(1, 0)], (0.1, -0.3), left_controlled=()), width, viewer=None)
    without = draw_pitch(make_state([(-1, 0)], [(1, 0)], (0.9, 0.4), left_controlled=()), width, viewer=None)
    changed = np.argwhere((ball_alone != without).any(axis=2))
    column, row = Layout(width).place(0.1, -0.3)
    near = np.hypot(changed[:, 0] - row, changed[:, 1] - column) < 8 + width / 40
    column, row = Layout(width).place(0.9, 0.4)
    assert (near | (np.hypot(changed[:, 0] - row, changed[:, 1] - column) < 8 + width / 40)).all() and near.any()


@every_width
def test_a_keeper_is_a_square_and_the_others_are_round(width: int) -> None:
    layout = Layout(width)
    column, row = layout.place(-0.25, 0.2)
    bare = draw_pitch(make_state([(0.5, 0.3)], [(1, 0)], (0.9, 0.4), left_controlled=()), width)
    filled = []
    for role in (ROLES.index("GK"), ROLES.index("CB")):
        state = make_state(make_team([(-0.25, 0.2)], roles=[role]), [(1, 0)], (0.9, 0.4), left_controlled=())
        corners = [(round(row + y * 0.84 * layout.radius), round(column + x * 0.84 * layout.radius))
                   for x in (-1, 1) for y in (-1, 1)]  # fmt: skip
        picture = draw_pitch(state, width)
        filled.append(np.mean([np.abs(picture[at].astype(int) - bare[at]).max() for at in corners]))
    assert filled[0] > 40 and filled[1] < 0.6 * filled[0]


@every_width
@pytest.mark.parametrize("way", [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.008), (0.0, -0.008), (0.006, 0.004)])
def test_the_nose_points_where_a_player_runs(width: int, way: tuple[float, float]) -> None:
    teams = [make_team([(-1, 0), (-0.25, 0.2)], [(0, 0), step]) for step in (way, (0, 0))]
    states = [make_state(team, [(1, 0)], (0.9, 0.4), left_controlled=()) for team in teams]
    running, standing = (draw_pitch(state, width) for state in states)
    changed = np.argwhere((running != standing).any(axis=2)).mean(axis=0)[::-1] - Layout(width).place(-0.25, 0.2)
    wanted = np.array(way) * (54.4, 83.6)
    assert changed @ wanted > 0.9 * np.linalg.norm(changed) * np.linalg.norm(wanted)


def test_ways_are_turned_into_noses_in_metres_not_in_units() -> None:
    assert [nose_direction(*way) for way in ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1))] == [0, 6, 12, 18, 3]
    assert nose_direction(1.0, -1e-9) == 0


@every_width
def test_the_marker_points_at_the_viewers_own_player_alone(width: int) -> None:
    state = make_state([(-1, 0), (-0.3, 0.2), (0.3, 0.2)], [(1, 0)], (0.9, -0.4), left_controlled=(1, 2))
    layout = Layout(width)

    def is_marked(picture: np.ndarray, x: float) -> bool:
        column, row = layout.place(x, 0.2)
        above = picture[round(row - 2.7 * layout.radius), round(column)]
        return close_to(above, MARK, 60)

    for viewer, marked in ((0, (True, False)), (1, (False, True)), (None, (True, True))):
        picture = draw_pitch(state, width, viewer)
        assert (is_marked(picture, -0.3), is_marked(picture, 0.3)) == marked


@every_width
def test_spectators_see_the_controlled_players_of_both_teams(width: int) -> None:
    state = make_state(ball=(0.9, -0.4), left_controlled=(1,), right_controlled=(1,))
    none = make_state(ball=(0.9, -0.4), left_controlled=(), right_controlled=())
    reds = count(draw_pitch(state, width, None), MARK), count(draw_pitch(state, width, 0), MARK)
    assert reds[0] > 1.7 * reds[1] > 0 and count(draw_pitch(none, width, None), MARK) == 0


@pytest.mark.parametrize("y", [-0.42, 0.42])
@every_width
def test_at_a_touch_line_the_marker_is_whole(width: int, y: float) -> None:
    places = [(-1.0, 0.0), (-0.3, y)], [(-1.0, 0.0), (-0.3, 0.0)]
    at_line, inside = (draw_pitch(make_state(left, [(1, 0)], (0.9, 0)), width) for left in places)
    assert count(at_line, MARK) >= 0.9 * count(inside, MARK)


@every_width
def test_the_owner_wears_a_ring(width: int) -> None:
    free = make_state(ball=(0.01, 0.0), left_controlled=())
    owned = make_state(ball=(0.01, 0.0), owner=(0, 1), left_controlled=())
    assert count(draw_pitch(owned, width), WHITE) > count(draw_pitch(free, width), WHITE) + 8


@every_width
def test_a_ball_in_the_air_is_larger_and_throws_a_shadow(width: int) -> None:
    low = draw_pitch(make_state(ball=(0.25, 0.2)), width)
    high = draw_pitch(make_state(ball=(0.25, 0.2, 6.0)), width)
    assert count(high, WHITE) > count(low, WHITE)
    layout = Layout(width)
    column, row = layout.place(0.25, 0.2)
    offset = 6 * layout.scale * 0.7
    shadow, grass = (picture[round(row + offset), round(column + offset)].sum() for picture in (high, low))
    assert shadow < 0.8 * grass


@every_width
def test_the_way_of_a_free_ball_is_dotted(width: int) -> None:
    moving = draw_pitch(make_state(ball=(-0.4, 0.3), ball_direction=np.array([0.03, 0.0, 0.0])), width)
    column, row = Layout(width).place(-0.4 + 6 * 0.03, 0.3)
    assert close_to(moving[round(row), round(column)], WHITE, 130)
    resting = draw_pitch(make_state(ball=(-0.4, 0.3)), width)
    assert not close_to(resting[round(row), round(column)], WHITE, 130)


@every_width
def test_a_player_who_was_sent_off_is_gone(width: int) -> None:
    state = make_state(left_controlled=(), ball=(0.9, 0.4))
    off = dataclasses.replace(state, left=dataclasses.replace(state.left, active=np.array([True, False])))
    picture = draw_pitch(off, width)
    bare = draw_pitch(make_state([(-1, 0)], left_controlled=(), ball=(0.9, 0.4)), width)
    np.testing.assert_array_equal(picture, bare)


@every_width
def test_score_clock_play_and_lasting_actions_are_told(width: int) -> None:
    bar = Layout(width).bar
    sprinting = np.array([0, 0, 0, 0, 1, 0, 0, 0, 1, 0], np.uint8)
    changes = [
        {},
        {"score": (1, 0)},
        {"score": (0, 1)},
        {"steps_left": 399},
        {"steps_left": 12},
        {"left_sticky": (sprinting,)},
        *({"game_mode": int(mode)} for mode in GameMode if mode),
    ]
    bars = [draw_pitch(make_state(**change), width)[:bar] for change in changes]
    assert len({bar.tobytes() for bar in bars}) == len(changes)


@every_width
def test_a_larger_score_does_not_run_into_what_is_beside_it(width: int) -> None:
    modes = (make_state(score=(88, 88), game_mode=int(mode), steps_left=3000) for mode in GameMode)
    one, two = (draw_pitch(state, width)[: Layout(width).bar, : round(0.25 * width)] for state in list(modes)[2:4])
    np.testing.assert_array_equal(one, two)


@every_width
def test_the_same_match_gives_the_same_picture(width: int) -> None:
    first = draw_pitch(apart(), width)
    second = Painter(width).paint(apart(), 0)
    np.testing.assert_array_equal(first, second)
    first[:] = 0
    np.testing.assert_array_equal(draw_pitch(apart(), width), second)


@every_width
def test_nothing_breaks_where_ball_or_players_leave_the_pitch(width: int) -> None:
    for x, y, z in ((1.3, 0.7, 0.0), (-1.3, -0.7, 9.0), (0.0, -2.0, 0.0), (9.0, 0.0, 0.0), (1.02, 0.0, 1.0)):
        state = make_state([(-1.0, 0.0), (x, y)], [(x, y)], (x, y, z), ball_direction=np.array([0.1, 0.1, 0.0]))
        picture = draw_pitch(state, width)
        assert picture.shape == (Layout(width).height, width, 3)
    # The scoreboard stays readable whatever flies over it.
    calm = draw_pitch(make_state(ball=(0.0, 0.0)), width)
    wild = draw_pitch(make_state([(-1.0, 0.0), (0.1, -0.5)], ball=(0.0, -0.5, 3.0)), width)
    np.testing.assert_array_equal(calm[: Layout(width).bar], wild[: Layout(width).bar])


def test_the_dark_rim_makes_yellow_stand_out_from_the_lines() -> None:
    picture = draw_pitch(make_state([(-1, 0), (0, 0)], [(1, 0)], (0.9, 0.4), left_controlled=()), 320)
    column, row = Layout(320).place(0, 0)
    around = picture[round(row) - 7 : round(row) + 8, round(column) - 7 : round(column) + 8]
    assert (around.sum(axis=2) < 200).sum() > 12  # grass has 250 and more


@pytest.mark.parametrize("width", [0, 319, 100, 4096, 320.0, True, "320"])
def test_a_width_that_cannot_be_is_named(width: object) -> None:
    with pytest.raises(UserError, match="width of the pitch is .*even number of pixels from 160 to 2048"):
        Painter(width)  # type: ignore[arg-type]
