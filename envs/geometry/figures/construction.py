"""Ruler and protractor: points that are made, and values that are measured."""

from __future__ import annotations

import math

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.lots import Lots

# Pythagorean triples whose triangles are not too flat to be drawn.
TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (20, 21, 29), (7, 24, 25), (12, 35, 37), (28, 45, 53), (33, 56, 65))


def dist(p: Point, q: Point) -> float:
    """Returns the distance of two points."""
    return math.dist(p, q)


def angle(p: Point, corner: Point, q: Point) -> float:
    """Returns the angle p-corner-q in degrees, from 0 to 180."""
    first = math.atan2(p[1] - corner[1], p[0] - corner[0])
    second = math.atan2(q[1] - corner[1], q[0] - corner[0])
    return abs((math.degrees(second - first) + 180) % 360 - 180)


def area(*corners: Point) -> float:
    """Returns the area of a figure that does not cross itself, by the shoelace formula."""
    return abs(sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(corners, corners[1:] + corners[:1], strict=True))) / 2


def perimeter(*corners: Point) -> float:
    """Returns the length of the way around."""
    return sum(dist(p, q) for p, q in zip(corners, corners[1:] + corners[:1], strict=True))


def triangle(a: float, b: float, c: float) -> tuple[Point, Point, Point]:
    """Returns A, B and C of the triangle with the sides a = BC, b = CA and c = AB; BC lies on the x axis."""
    x = (a * a + c * c - b * b) / (2 * a)
    return (x, math.sqrt(max(0.0, c * c - x * x))), (0.0, 0.0), (a, 0.0)


def triangle_by_angles(at_b: float, at_c: float, base: float = 10.0) -> tuple[Point, Point, Point]:
    """Returns A, B and C of the triangle with these angles in degrees at B and C; BC lies on the x axis."""
    beta, gamma = math.radians(at_b), math.radians(at_c)
    c = base * math.sin(gamma) / math.sin(beta + gamma)
    return (c * math.cos(beta), c * math.sin(beta)), (0.0, 0.0), (base, 0.0)


def between(p: Point, q: Point, share: float) -> Point:
    """Returns the point at a share of the way from p to q; below 0 and above 1 lie beyond them."""
    return p[0] + (q[0] - p[0]) * share, p[1] + (q[1] - p[1]) * share


def foot(p: Point, a: Point, b: Point) -> Point:
    """Returns the foot of the perpendicular from p on the line through a and b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    return between(a, b, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy))


def meet(p: Point, q: Point, r: Point, s: Point) -> Point:
    """Returns where the lines pq and rs meet."""
    dx, dy, ex, ey = q[0] - p[0], q[1] - p[1], s[0] - r[0], s[1] - r[1]
    return between(p, q, ((r[0] - p[0]) * ey - (r[1] - p[1]) * ex) / (dx * ey - dy * ex))


def draw_triple(lots: Lots, level: int) -> tuple[int, int, int]:
    """Draws the legs in any order and the hypotenuse of a right triangle of whole numbers."""
    a, b, c = TRIPLES[lots.integer(0, min(len(TRIPLES) - 1, level + 1))]
    factor = lots.integer(1, max(1, min(15, (65 + 10 * level) // c)))
    a, b = (a, b) if lots.chance(0.5) else (b, a)
    return a * factor, b * factor, c * factor


def is_open(a: float, b: float, c: float, least: float = 24.0) -> bool:
    """Tells whether a triangle with these sides exists and has no angle below ``least`` degrees."""
    if a + b <= c or a + c <= b or b + c <= a:
        return False
    corners = triangle(a, b, c)
    return min(angle(corners[i - 1], corners[i], corners[(i + 1) % 3]) for i in range(3)) >= least
