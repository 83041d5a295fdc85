"""Geometry: the same problems as diagrams, one answer each."""

from .env import GeometryEnv
from .families import SHAPE_FAMILIES, ShapeFamily, draw_problem

__all__ = ["GeometryEnv", "SHAPE_FAMILIES", "ShapeFamily", "draw_problem"]
