"""Episodes as films: the image, the thought as it is said, the action, the rewards, a curve, turn and total."""

from .canvas import INK, PAGE, PANEL
from .film import write_film, write_grid
from .lettering import spell_out
from .page import Page, draw_scene
from .reel import Reel
from .scene import Moment, Scene, shown_in, tell_outcome
from .wrapper import RecordChat

__all__ = [
    "INK",
    "PAGE",
    "PANEL",
    "Moment",
    "Page",
    "RecordChat",
    "Reel",
    "Scene",
    "draw_scene",
    "shown_in",
    "spell_out",
    "tell_outcome",
    "write_film",
    "write_grid",
]
