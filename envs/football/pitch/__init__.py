"""The pitch as a picture: flat, seen from above, drawn fast enough to be an observation."""

from .layout import MAX_WIDTH, MIN_WIDTH, Layout
from .painter import Painter, draw_pitch, painter_for

__all__ = ["MAX_WIDTH", "MIN_WIDTH", "Layout", "Painter", "draw_pitch", "painter_for"]
