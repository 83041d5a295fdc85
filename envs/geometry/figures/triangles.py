"""Triangles of any kind: areas, the cosine rule, median, bisector, parallels, circles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import product

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.exact import Exact, root
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene

from .construction import TRIPLES, area, between, dist, is_open, triangle

Points = Mapping[str, Point]
SIDES = ("BC", "CA", "AB")
SINES: dict[int, Exact] = {
    30: Exact.of(Fraction(1, 2)),
    45: root(2) / 2,
    60: root(3) / 2,
    90: Exact.of(1),
    120: root(3) / 2,
    135: root(2) / 2,
    150: Exact.of(Fraction(1, 2)),
}


def _square_area(a: int, b: int, c: int) -> Fraction:
    return Fraction((a + b + c) * (b + c - a) * (a + c - b) * (a + b - c), 16)


@lru_cache(maxsize=1)
def _heronian() -> tuple[tuple[int, int, int], ...]:
    """Triangles with whole sides and a whole area, none too flat, the small ones first."""
    found = []
    for c in range(5, 53):
        for b in range((c + 2) // 2, c + 1):
            for a in range(c - b + 1, b + 1):
                square = _square_area_times_16(a, b, c)
                if square % 16 == 0 and math.isqrt(square // 16) ** 2 == square // 16 and is_open(a, b, c):
                    found.append((a, b, c))
    return tuple(found)


def _square_area_times_16(a: int, b: int, c: int) -> int:
    return (a + b + c) * (b + c - a) * (a + c - b) * (a + b - c)


def _any_triangle(lots: Lots, level: int) -> tuple[int, int, int] | None:
    a, b, c = (lots.integer(3, 8 + 3 * level) for _ in range(3))
    return (a, b, c) if is_open(a, b, c) else None


def _whole_triangle(lots: Lots, level: int) -> tuple[int, int, int]:
    known = _heronian()
    a, b, c = lots.shuffled(known[lots.integer(0, min(len(known), 12 + 10 * level) - 1)])
    return a, b, c


def _three_sides(numbers: tuple[int, int, int], n: Names, tint: int | None = None) -> tuple[Scene, str]:
    """The triangle with its sides written on it, and the sentence that says them."""
    a, b, c = numbers
    corners = triangle(a, b, c)
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2]).polygon("ABC", tint).name("ABC", n)
    for side, length in zip(SIDES, numbers, strict=True):
        scene.side(side, length)
    return scene, ", ".join(f"{n(side)} = {length}" for side, length in zip(SIDES, numbers, strict=True)) + "."


def _sample_heron(lots: Lots, level: int) -> Numbers | None:
    return _whole_triangle(lots, level) if level <= 6 else _any_triangle(lots, level)


def _build_heron(numbers: Numbers, n: Names) -> Figure:
    a, b, c = numbers
    scene, drawn = _three_sides((a, b, c), n, 0)
    s, square = Fraction(a + b + c, 2), _square_area(a, b, c)
    answer = root(square)
    steps = [
        f"Half the perimeter: s = ({a} + {b} + {c})/2 = {s}",
        f"Heron: area^2 = s(s - {a})(s - {b})(s - {c}) = {square}",
        f"area = sqrt({square}) = {answer}",
    ]
    return Figure(
        scene, f"{n('ABC')} is a triangle.", drawn, "Find its area.", steps, answer, [Fraction(a * b, 2), s, a + b + c]
    )


def _measure_area(at: Points, numbers: Numbers) -> float:
    return area(at["A"], at["B"], at["C"])


def _opposite_square(b: int, c: int, alpha: int) -> int:
    return b * b + c * c + (-b * c if alpha == 60 else b * c)


@lru_cache(maxsize=1)
def _whole_cosines() -> tuple[Numbers, ...]:
    """Sides b and c and the angle between them, 60 or 120 degrees, for which the third side is whole."""
    found = []
    for b, c, alpha in product(range(3, 61), range(3, 61), (60, 120)):
        square = _opposite_square(b, c, alpha)
        if b != c and math.isqrt(square) ** 2 == square and is_open(square**0.5, b, c, 20):
            found.append((b, c, alpha))
    return tuple(found)


def _sample_cosine(lots: Lots, level: int) -> Numbers | None:
    if level == 1:
        return lots.choice(_whole_cosines())
    b, c = lots.integer(2, 10 + 4 * level), lots.integer(2, 10 + 4 * level)
    alpha = lots.choice((60, 120))
    if b == c and alpha == 60 or not is_open(_opposite_square(b, c, alpha) ** 0.5, b, c, 20):
        return None
    return b, c, alpha


def _build_cosine(numbers: Numbers, n: Names) -> Figure:
    b, c, alpha = numbers
    square = _opposite_square(b, c, alpha)
    mixed = b * b + c * c - square
    corners = triangle(square**0.5, b, c)
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2]).polygon("ABC").name("ABC", n)
    scene.side("CA", b).side("AB", c).angle("BAC", value=alpha)
    answer = root(square)
    sign = "-" if mixed > 0 else "+"
    steps = [
        f"Cosine rule: {n('BC')}^2 = {b}^2 + {c}^2 - 2 * {b} * {c} * cos({alpha})",
        f"{n('BC')}^2 = {b * b} + {c * c} {sign} {b * c} = {square}",
        f"{n('BC')} = sqrt({square}) = {answer}",
    ]
    drawn = f"{n('AB')} = {c}, {n('CA')} = {b} and the angle at {n('A')} is {alpha} degrees."
    wrong = [root(b * b + c * c), root(square + 2 * mixed), b + c, abs(b - c) + 1]
    return Figure(scene, f"{n('ABC')} is a triangle.", drawn, f"Find {n('BC')}.", steps, answer, wrong)


def _measure_opposite(at: Points, numbers: Numbers) -> float:
    return dist(at["B"], at["C"])


def _sample_sine_area(lots: Lots, level: int) -> Numbers | None:
    b, c = lots.integer(2, 12 + 4 * level), lots.integer(2, 12 + 4 * level)
    alpha = 30 if level <= 3 else lots.choice((30, 45, 60, 120, 135))
    opposite = math.sqrt(b * b + c * c - 2 * b * c * math.cos(math.radians(alpha)))
    return (b, c, alpha) if 0.4 <= b / c <= 2.5 and is_open(opposite, b, c, 15) else None


def _build_sine_area(numbers: Numbers, n: Names) -> Figure:
    b, c, alpha = numbers
    turn = math.radians(alpha)
    scene = Scene().add(A=(0.0, 0.0), B=(float(c), 0.0), C=(b * math.cos(turn), b * math.sin(turn)))
    scene.polygon("ABC", 0).name("ABC", n).side("CA", b).side("AB", c).angle("BAC", value=alpha)
    answer = SINES[alpha] * b * c / 2
    steps = [
        f"area = 1/2 * {n('AB')} * {n('CA')} * sin({alpha}), and sin({alpha}) = {SINES[alpha]}",
        f"area = 1/2 * {b} * {c} * {SINES[alpha]} = {answer}",
    ]
    drawn = f"{n('AB')} = {c}, {n('CA')} = {b} and the angle at {n('A')} is {alpha} degrees."
    wrong = [Fraction(b * c, 2), SINES[alpha] * b * c, root(3) * b * c / 4, Fraction(b * c, 4)]
    return Figure(scene, f"{n('ABC')} is a triangle.", drawn, "Find its area.", steps, answer, wrong)


@lru_cache(maxsize=1)
def _whole_medians() -> tuple[Numbers, ...]:
    """Triangles whose median to the first side is rational, the other two sides being different."""
    found = []
    for a, b, c in product(range(3, 41), repeat=3):
        square = 2 * b * b + 2 * c * c - a * a
        if b != c and abs(b - c) < a < b + c and math.isqrt(square) ** 2 == square and is_open(a, b, c):
            found.append((a, b, c))
    return tuple(found)


def _sample_median(lots: Lots, level: int) -> Numbers | None:
    sides = lots.choice(_whole_medians()) if level <= 2 else _any_triangle(lots, level + 2)
    return sides if sides is not None and sides[1] != sides[2] else None


def _build_median(numbers: Numbers, n: Names) -> Figure:
    a, b, c = numbers
    # In words the side with the middle in it is given whole; in the picture one half is, and ticks make them equal.
    corners, half = triangle(a, b, c), Fraction(a, 2)
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2]).polygon("ABC").name("ABC", n)
    scene.side("CA", b).side("AB", c)
    drawn = f"{n('BC')} = {a}, {n('CA')} = {b}, {n('AB')} = {c}."
    scene.add(M=between(scene.points["B"], scene.points["C"], 0.5)).line("AM").dots("M").side(
        "BM", str(half), float(half)
    )
    scene.ticks("BM MC")
    square = Fraction(2 * b * b + 2 * c * c - a * a, 4)
    answer = root(square)
    steps = [
        f"Length of a median: m^2 = (2 * {b}^2 + 2 * {c}^2 - {a}^2)/4 = {square}",
        f"m = sqrt({square}) = {answer}",
    ]
    stem = f"In triangle {n('ABC')} a line is drawn from {n('A')} to the middle of {n('BC')}."
    wrong = [
        Fraction(b + c, 2),
        root(abs(Fraction(b * b + c * c - a * a, 2)) or 2),
        half,
        root(Fraction(b * b + c * c, 2)),
    ]
    return Figure(scene, stem, drawn, "How long is it?", steps, answer, wrong)


def _measure_median(at: Points, numbers: Numbers) -> float:
    return dist(at["A"], at["M"])


def _sample_bisector(lots: Lots, level: int) -> Numbers | None:
    if level <= 4:
        # The sides are in the ratio p : q, and the pieces are k times p and q.
        p, q = lots.integer(1, 5), lots.integer(1, 5)
        factor = lots.integer(2, 5 + 2 * level)
        b, c, a = factor * p, factor * q, (p + q) * lots.integer(1, factor)
    else:
        sides = _any_triangle(lots, level)
        if sides is None:
            return None
        a, b, c = sides
    return (lots.integer(0, 1), a, b, c) if b != c and is_open(a, b, c, 26) else None


def _build_bisector(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, c = numbers
    corners = triangle(a, b, c)
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2])
    scene.add(D=between(corners[1], corners[2], c / (b + c))).polygon("ABC").line("AD").name("ABCD", n)
    scene.angle("BAD").angle("DAC", reach=1.25).side("AB", c).side("CA", b)
    asked, near, far = ("BD", c, b) if kind == 0 else ("DC", b, c)
    answer = Fraction(a * near, b + c)
    steps = [
        f"The bisector cuts {n('BC')} in the ratio {n('BD')} : {n('DC')} = {c} : {b}",
        f"{n(asked)} = {a} * {near} / ({c} + {b}) = {answer}",
    ]
    stem = f"In triangle {n('ABC')}, {n('AD')} bisects the angle at {n('A')}, and {n('BC')} = {a}."
    drawn = f"{n('AB')} = {c} and {n('CA')} = {b}."
    wrong: list[Value] = [Fraction(a * far, b + c), Fraction(a, 2), Fraction(a * near, far), Fraction(near * far, a)]
    return Figure(scene, stem, drawn, f"Find {n(asked)}.", steps, answer, wrong)


def _measure_bisector(at: Points, numbers: Numbers) -> float:
    return dist(at["B"], at["D"]) if numbers[0] == 0 else dist(at["D"], at["C"])


def _sample_similar(lots: Lots, level: int) -> Numbers | None:
    kind = lots.integer(0, 1 if level <= 3 else 3)
    ad, db = lots.integer(2, 4 + 2 * level), lots.integer(2, 4 + 2 * level)
    bc = lots.integer(ad, 2 * (ad + db))
    ac = lots.integer(ad, 2 * (ad + db))
    if level <= 5:
        # DE is whole.
        part = (ad + db) // math.gcd(ad, ad + db)
        bc = part * max(1, round(bc / part))
    if min(ad, db) / (ad + db) < 0.28 or not is_open(bc, ac, ad + db, 32):
        return None
    return kind, ad, db, bc, ac


def _build_similar(numbers: Numbers, n: Names) -> Figure:
    kind, ad, db, bc, ac = numbers
    ab = ad + db
    corners = triangle(bc, ac, ab)
    scene = Scene().add(A=corners[0], B=corners[1], C=corners[2])
    scene.add(D=between(corners[0], corners[1], ad / ab), E=between(corners[0], corners[2], ad / ab))
    scene.polygon("ABC").line("DE").arrows("DE BC").name("ABCDE", n).side("AD", ad).side("DB", db)
    de, ratio = Fraction(bc * ad, ab), Fraction(ad, ab)
    stem = f"In triangle {n('ABC')}, {n('DE')} is parallel to {n('BC')}."
    given = [f"{n('AD')} = {ad}", f"{n('DB')} = {db}"]
    steps = [f"The triangles are similar: {n('AD')}/{n('AB')} = {ad}/({ad} + {db}) = {ratio}"]
    if kind == 1:
        scene.side("DE", str(de), float(de))
        given.append(f"{n('DE')} = {de}")
        answer: Value = bc
        steps.append(f"{n('BC')} = {de} / ({ratio}) = {bc}")
        asked, wrong = f"Find {n('BC')}.", [de * db / ad, de + db, de * 2]
    elif kind == 2:
        ae = Fraction(ac * ad, ab)
        scene.side("AE", str(ae), float(ae))
        given.append(f"{n('AE')} = {ae}")
        answer = ac - ae
        steps = [f"{n('AD')}/{n('DB')} = {n('AE')}/{n('EC')}", f"{n('EC')} = {ae} * {db} / {ad} = {answer}"]
        asked, wrong = f"Find {n('EC')}.", [ae * ad / db, Fraction(ac), ae + db - ad]
    else:
        scene.side("BC", bc)
        given.append(f"{n('BC')} = {bc}")
        if kind == 0:
            answer = de
            steps.append(f"{n('DE')} = {bc} * {ratio} = {de}")
            asked, wrong = f"Find {n('DE')}.", [Fraction(bc * ad, db), Fraction(bc * db, ab), Fraction(bc, 2)]
        else:
            answer = ratio * ratio
            steps.append(f"The areas are as the squares of the sides: ({ratio})^2 = {answer}")
            asked = f"What fraction of the area of triangle {n('ABC')} is the area of triangle {n('ADE')}?"
            wrong = [ratio, Fraction(ad, db), Fraction(ad * ad, db * db), 1 - answer]
    return Figure(scene, stem, ", ".join(given) + ".", asked, steps, answer, wrong)


def _measure_similar(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 3:
        return area(at["A"], at["D"], at["E"]) / area(at["A"], at["B"], at["C"])
    start, end = ("DE", "BC", "EC")[numbers[0]]
    return dist(at[start], at[end])


def _sample_circles(lots: Lots, level: int) -> Numbers | None:
    kind = 0 if level <= 2 else lots.integer(0, 1)
    if level <= 2:
        a, b, c = lots.choice(TRIPLES[:4])
        factor = lots.integer(1, 6)
        return kind, *(factor * side for side in lots.shuffled((a, b, c)))
    sides = _whole_triangle(lots, level) if level <= 7 else _any_triangle(lots, level)
    if sides is None or not is_open(*sides, least=32):
        return None
    # The centre of the circle around it stays inside or near the triangle.
    return kind, *sides


def _build_circles(numbers: Numbers, n: Names) -> Figure:
    kind, a, b, c = numbers
    scene, drawn = _three_sides((a, b, c), n)
    at = scene.points
    square = _square_area(a, b, c)
    s, size = Fraction(a + b + c, 2), root(square)
    if kind == 0:
        radius = size / s
        weights = (a / (a + b + c), b / (a + b + c), c / (a + b + c))
        centre = tuple(sum(w * at[p][i] for w, p in zip(weights, "ABC", strict=True)) for i in (0, 1))
        stem = f"A circle touches all three sides of triangle {n('ABC')} from inside."
        steps = [
            f"Half the perimeter: s = {s}; Heron: area = sqrt({square}) = {size}",
            f"radius = area/s = {radius}",
        ]
        wrong: list[Value] = [size / (a + b + c), s / 3, Fraction(min(a, b, c), 2), radius * 2]
    else:
        # R = abc / (4 area), with the root taken out of the denominator.
        radius = size * Fraction(a * b * c, 4) / square
        foot_x = at["C"][0] / 2
        height = math.sqrt(max(0.0, float(radius) ** 2 - foot_x**2))
        obtuse = b * b + c * c < a * a
        centre = (foot_x, -height if obtuse else height)
        stem = f"A circle goes through the corners of triangle {n('ABC')}."
        steps = [
            f"Half the perimeter: s = {s}; Heron: area = sqrt({square}) = {size}",
            f"radius = {a} * {b} * {c} / (4 * area) = {radius}",
        ]
        wrong = [Fraction(max(a, b, c), 2), radius * 2, size / s, radius * 4]
    scene.add(O=(centre[0], centre[1])).circle("O", float(radius)).dots("O")
    return Figure(scene, stem, drawn, "Find the radius of the circle.", steps, radius, wrong)


def _measure_circles(at: Points, numbers: Numbers) -> float:
    if numbers[0] == 1:
        return dist(at["O"], at["A"])
    b, c, o = at["B"], at["C"], at["O"]
    return 2 * area(b, c, o) / dist(b, c)


TRIANGLES = (
    DiagramFamily("triangle_area_by_sides", _sample_heron, _build_heron, _measure_area),
    DiagramFamily("triangle_area_by_angle", _sample_sine_area, _build_sine_area, _measure_area),
    DiagramFamily("cosine_rule", _sample_cosine, _build_cosine, _measure_opposite),
    DiagramFamily("median_length", _sample_median, _build_median, _measure_median),
    DiagramFamily("angle_bisector", _sample_bisector, _build_bisector, _measure_bisector),
    DiagramFamily("similar_triangles", _sample_similar, _build_similar, _measure_similar),
    DiagramFamily("circle_of_a_triangle", _sample_circles, _build_circles, _measure_circles),
)
