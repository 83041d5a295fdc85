"""The picture of a match: ground, players, ball and scoreboard, put together from parts that were drawn before."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..metres import METRES_PER_X, METRES_PER_Y
from ..state import ROLES, State, TeamState
from .layout import Layout, draw_ground
from .scoreboard import Scoreboard
from .sprites import MARK, WHITE, Sprites, lay, nose_direction

KEEPER = ROLES.index("GK")
STANDING = 0.05  # metres in a step: who is slower has no nose
SPECKS = (2, 4, 6)  # the ball's way is shown for so many steps ahead
RINGS = {"own": (MARK, 1.28), "other": ((255, 120, 205), 1.28), "owner": (WHITE, 1.3), "both": (WHITE, 1.72)}


class Painter:
    """Paints matches at one size. What is seen is said in words by `LEGEND` in ``speech.py``.

    Args:
        width: pixels, an even number; the height is seven tenths of it.

    Raises:
        UserError: the width is odd, too small or too large.
    """

    def __init__(self, width: int) -> None:
        self.layout = Layout(width)
        self._ground = draw_ground(self.layout)
        self._sprites = Sprites(self.layout.radius)
        self._scoreboard = Scoreboard(self.layout)

    def paint(self, state: State, viewer: int | None = 0) -> np.ndarray:
        """Paint a match.

        Args:
            state: the match, with the viewer's own team as the left one (see `State.flipped`).
            viewer: a place among the controlled players of the left team: the marker points at that player alone, and
                the scoreboard tells its lasting actions. None, for spectators, marks every controlled player.

        Returns:
            A new picture of shape (height, width, 3), uint8. The same state gives the same picture.
        """
        layout, picture = self.layout, self._ground.copy()
        marks = self._marks(state, viewer)
        owner = (state.ball_owned_team, state.ball_owned_player)
        last = []
        for team_index, team in ((1, state.right), (0, state.left)):
            places = self._pixels(team.positions)
            noses = _noses(team)
            roles, active = team.roles.tolist(), team.active.tolist()
            for index, (x, y) in enumerate(places):
                if not active[index]:
                    continue
                sprite = self._sprites.player(team_index == 0, roles[index] == KEEPER, noses[index], index + 1)
                mark = marks.get((team_index, index))
                if mark is None and (team_index, index) != owner:
                    lay(picture, sprite, x, y)
                else:
                    last.append((x, y, sprite, mark, (team_index, index) == owner))
        self._paint_way_of_ball(picture, state)
        # Whoever matters most is painted last, and the marker above everything but the ball.
        last.sort(key=lambda one: (one[3] == "own", one[4]))
        for x, y, sprite, mark, owns in last:
            for ring in _rings(mark, owns):
                lay(picture, self._sprites.ring(*RINGS[ring]), x, y)
            lay(picture, sprite, x, y)
        for x, y, _, mark, _ in last:
            if mark == "own":
                # Below the player where the scoreboard would hide it.
                lay(picture, self._sprites.markers[y > layout.bar + 3.6 * layout.radius], x, y)
        self._paint_ball(picture, state)
        self._scoreboard.draw(
            picture, state, viewer if viewer is not None and viewer < len(state.left_sticky) else None
        )
        return picture

    def _pixels(self, positions: np.ndarray) -> list[list[float]]:
        layout = self.layout
        return (positions * (layout.x_scale, layout.y_scale) + layout.centre).tolist()

    def _marks(self, state: State, viewer: int | None) -> dict[tuple[int, int], str]:
        marks = {(0, player): "own" if viewer is None else "other" for player in state.left_controlled if player >= 0}
        if viewer is None:
            marks |= {(1, player): "own" for player in state.right_controlled if player >= 0}
        elif viewer < len(state.left_controlled):
            marks[0, state.left_controlled[viewer]] = "own"
        return marks

    def _paint_way_of_ball(self, picture: np.ndarray, state: State) -> None:
        if state.ball_owned_team >= 0:
            return
        x, y, _ = state.ball.tolist()
        way_x, way_y, _ = state.ball_direction.tolist()
        if abs(way_x) * METRES_PER_X + abs(way_y) * METRES_PER_Y > 2 * STANDING:
            for steps in SPECKS:
                lay(picture, self._sprites.speck, *self.layout.place(x + steps * way_x, y + steps * way_y))

    def _paint_ball(self, picture: np.ndarray, state: State) -> None:
        layout, radius = self.layout, self.layout.radius
        x, y, height = state.ball.tolist()
        column, row = layout.place(x, y)
        if state.ball_owned_team >= 0 and state.ball_owned_player >= 0:
            # Players are drawn larger than life: the ball goes to the rim of its owner, or it would hide the number.
            team = state.left if state.ball_owned_team == 0 else state.right
            body_x, body_y = layout.place(*team.positions[state.ball_owned_player].tolist())
            length = np.hypot(column - body_x, row - body_y)
            if length < 1.25 * radius:
                way = (1.0 if state.ball_owned_team == 0 else -1.0, 0.0)
                if length > 1e-6:
                    way = ((column - body_x) / length, (row - body_y) / length)
                column, row = body_x + 1.25 * radius * way[0], body_y + 1.25 * radius * way[1]
        size = min(8, max(0, round(height)))
        if height > 0.6:
            offset = min(height, 12.0) * layout.scale * 0.7
            lay(picture, self._sprites.shadow(size), column + offset, row + offset)
        lay(picture, self._sprites.ball(size), column, row)


@lru_cache(maxsize=8)
def painter_for(width: int) -> Painter:
    """The painter of a width, kept for the next one who asks.

    Raises:
        UserError: the width is odd, too small or too large.
    """
    return Painter(width)


def draw_pitch(state: State, width: int = 320, viewer: int | None = 0) -> np.ndarray:
    """Paint a match once; see `Painter.paint`."""
    return painter_for(width).paint(state, viewer)


def _noses(team: TeamState) -> list[int]:
    ways = team.directions * (METRES_PER_X, METRES_PER_Y)
    return [-1 if abs(x) + abs(y) < STANDING else nose_direction(x, y) for x, y in ways.tolist()]


def _rings(mark: str | None, owns: bool) -> tuple[str, ...]:
    if mark is None:
        return ("owner",)
    return ("both", mark) if owns else (mark,)
