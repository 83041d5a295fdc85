"""Where things lie in the picture of the pitch, and the grass with its lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lmmr1.envs.errors import UserError

from ..metres import METRES_PER_X, METRES_PER_Y
from ..state import GOAL_HALF_WIDTH, PITCH_HALF_LENGTH, PITCH_HALF_WIDTH

MIN_WIDTH, MAX_WIDTH = 160, 2048
MARGIN = 6.2  # metres of ground behind each goal line: room for the nets, and for who stands at a line
GOAL_DEPTH = 2.4
# The lines of the laws of the game (IFAB, law 1), in metres.
PENALTY_AREA, GOAL_AREA, CIRCLE, SPOT = (16.5, 40.32), (5.5, 18.32), 9.15, 11.0

GROUND, GRASS, STRIPE, LINE = (36, 92, 48), (57, 136, 66), (64, 147, 73), (228, 240, 228)
BAR = (24, 27, 33)
LEFT_COLOUR, RIGHT_COLOUR = (255, 214, 38), (38, 84, 222)
STRIPES = 12
DETAIL = 4  # lines are drawn this many times larger and then made smaller, so that their edges are smooth


@dataclass(frozen=True)
class Layout:
    """The measures of a picture, in pixels.

    Attributes:
        width: of the picture; even.

    Raises:
        UserError: the width is odd, too small or too large.
    """

    width: int

    def __post_init__(self) -> None:
        """Check the width."""
        whole = isinstance(self.width, int) and not isinstance(self.width, bool)
        if not whole or self.width % 2 or not MIN_WIDTH <= self.width <= MAX_WIDTH:
            raise UserError(
                f"the width of the pitch is {self.width!r}; give an even number of pixels from {MIN_WIDTH} to "
                f"{MAX_WIDTH}"
            )

    @property
    def height(self) -> int:
        """Seven tenths of the width, made even: a pitch with its surroundings and the scoreboard above."""
        return 2 * round(0.35 * self.width)

    @property
    def bar(self) -> int:
        """The height of the scoreboard."""
        return max(13, round(self.width / 16))

    @property
    def scale(self) -> float:
        """Pixels of a metre."""
        return self.width / (2 * (PITCH_HALF_LENGTH * METRES_PER_X + MARGIN))

    @property
    def centre(self) -> tuple[float, float]:
        """Where the middle of the pitch lies."""
        return self.width / 2, self.bar + (self.height - self.bar) / 2

    @property
    def x_scale(self) -> float:
        """Pixels of one unit of x."""
        return self.scale * METRES_PER_X

    @property
    def y_scale(self) -> float:
        """Pixels of one unit of y."""
        return self.scale * METRES_PER_Y

    @property
    def radius(self) -> float:
        """The radius of a player: larger than life, so that it can be seen."""
        return max(3.4, 0.0155 * self.width)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The pixel of a place on the pitch, not rounded."""
        return self.centre[0] + x * self.x_scale, self.centre[1] + y * self.y_scale


def draw_ground(layout: Layout) -> np.ndarray:
    """The picture without players, ball and text: shape (height, width, 3), dtype uint8."""
    size = (layout.width * DETAIL, layout.height * DETAIL)
    image = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(image)
    scale, (centre_x, centre_y) = layout.scale * DETAIL, (DETAIL * part for part in layout.centre)
    half_length, half_width = PITCH_HALF_LENGTH * METRES_PER_X, PITCH_HALF_WIDTH * METRES_PER_Y
    stroke = round(DETAIL * max(1.0, layout.width / 360))

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return centre_x + left * scale, centre_y + top * scale, centre_x + right * scale, centre_y + bottom * scale

    def outline(left: float, top: float, right: float, bottom: float) -> None:
        draw.rectangle(box(left, top, right, bottom), outline=LINE, width=stroke)

    def dot(x: float) -> None:
        draw.ellipse(box(x - 0.45, -0.45, x + 0.45, 0.45), fill=LINE)

    step = 2 * half_length / STRIPES
    for stripe in range(STRIPES):
        left = -half_length + stripe * step
        draw.rectangle(box(left, -half_width, left + step, half_width), fill=STRIPE if stripe % 2 else GRASS)
    outline(-half_length, -half_width, half_length, half_width)
    draw.line(box(0, -half_width, 0, half_width), fill=LINE, width=stroke)
    draw.ellipse(box(-CIRCLE, -CIRCLE, CIRCLE, CIRCLE), outline=LINE, width=stroke)
    dot(0)
    goal = GOAL_HALF_WIDTH * METRES_PER_Y
    for side, colour in ((-1, LEFT_COLOUR), (1, RIGHT_COLOUR)):
        line, spot = side * half_length, side * (half_length - SPOT)
        # The arc is what the penalty area leaves of a circle around the spot: draw it first, then cover it.
        draw.arc(
            box(spot - CIRCLE, -CIRCLE, spot + CIRCLE, CIRCLE),
            *((-54, 54) if side < 0 else (126, 234)),
            fill=LINE,
            width=stroke,
        )
        for depth, width in (PENALTY_AREA, GOAL_AREA):
            inner = line - side * depth
            outline(min(line, inner), -width / 2, max(line, inner), width / 2)
        dot(spot)
        back = line + side * GOAL_DEPTH
        # The net has the colour of the team whose goal it is.
        net = tuple(round(0.62 * part + 0.38 * white) for part, white in zip(colour, LINE, strict=True))
        draw.rectangle(
            box(min(line, back), -goal, max(line, back), goal), fill=net, outline=(250, 250, 250), width=stroke
        )
    draw.rectangle((0, 0, size[0], layout.bar * DETAIL - 1), fill=BAR)
    return np.array(image.resize((layout.width, layout.height), Image.Resampling.BOX))
