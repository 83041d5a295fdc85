"""Two parallels and what crosses them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from lmmr1.envs.diagrams.canvas import Point
from lmmr1.envs.diagrams.linear import draw_linear, solve_sum, write_linear
from lmmr1.envs.diagrams.lots import Lots
from lmmr1.envs.diagrams.question import DiagramFamily, Figure, Numbers, Value
from lmmr1.envs.diagrams.scene import Names, Scene, polar

from .construction import angle

Points = Mapping[str, Point]


PAIRS = ("corresponding", "alternate", "co-interior")


def _sample_parallels(lots: Lots, level: int) -> Numbers | None:
    kind, theta = lots.integer(0, 2), lots.integer(38, 142)
    if level <= 4 or (level <= 6 and lots.chance(0.4)):
        if abs(theta - 90) < 6:
            return None
        return (
            (kind, theta, 0, 0, 0, 0) if level <= 2 or lots.chance(0.5) else (3, theta, lots.integer(30, 70), 0, 0, 0)
        )
    x = lots.integer(4, 12 + 3 * level)
    other = theta if kind < 2 else 180 - theta
    one, two = draw_linear(lots, theta, x), draw_linear(lots, other, x)
    if abs(theta - 90) < 8 or one is None or two is None or (kind < 2 and one[0] == two[0]):
        return None
    return kind, theta, *one, *two


def _build_parallels(numbers: Numbers, n: Names) -> Figure:
    kind, theta, a, b, c, d = numbers
    if kind == 3:
        return _build_zigzag(theta, a, n)
    turn = polar(theta)
    # The parallels y = 0 and y = 4; the transversal crosses them at P and Q, with the angle theta to the right above.
    reach, high = 4.6, 4.0
    q = turn[0] / turn[1] * high
    points = {
        "A": (-reach + q / 2, high), "B": (reach + q / 2, high), "C": (-reach + q / 2, 0.0), "D": (reach + q / 2, 0.0),
        "P": (0.0, 0.0), "Q": (q, high), 
        "S": (-turn[0] * 2.6, -turn[1] * 2.6), "T": (q + turn[0] * 2.6, high + turn[1] * 2.6),
    }  # fmt: skip
    scene = Scene().add(**points).line("AB CD ST").arrows("AB CD").name("ABCD", n)
    other = theta if kind < 2 else 180 - theta
    first, second = "DPT", ("BQT", "AQS", "BQS")[kind]
    stem = f"{n('AB')} and {n('CD')} are parallel."
    name = PAIRS[kind]
    if a == 0:
        scene.angle(first, value=theta).angle(second, "?", float(other))
        drawn = f"A line crosses both. One of its angles at the first line is {theta} degrees."
        asked = "How many degrees is the angle marked ?"
        words = f"How many degrees is the {name} angle at the second line?"
        rule = "are equal" if kind < 2 else "add up to 180"
        steps = [f"The two angles are {name} angles, which {rule}"]
        steps.append(f"? = {theta}" if kind < 2 else f"? = 180 - {theta} = {other}")
        wrong: list[Value] = [180 - other, abs(90 - other), other + 10]
        return Figure(scene, stem, drawn, asked, steps, other, wrong, words)
    one, two = (a, b), (c, d)
    scene.angle(first, write_linear(*one), float(theta)).angle(second, write_linear(*two), float(other))
    drawn = f"A line crosses both. Two {name} angles are {write_linear(*one)} and {write_linear(*two)} degrees."
    if kind < 2:
        big, small = (one, two) if one[0] > two[0] else (two, one)
        factor, constant = big[0] - small[0], small[1] - big[1]
        x = constant // factor
        steps = [
            f"The two angles are {name} angles, which are equal: {write_linear(*one)} = {write_linear(*two)}",
            f"{write_linear(factor, 0)} = {constant}",
            f"x = {constant}/{factor} = {x}",
        ]
    else:
        solved, x = solve_sum(180, one, two)
        steps = ["The two angles are co-interior angles, which add up to 180", *solved]
    total = a + c
    wrong = [Fraction(abs((0 if kind == 2 else 180) + b - d), max(1, total)), theta, other, Fraction(180, total)]
    return Figure(scene, stem, drawn, "Find x.", steps, x, wrong)


def _build_zigzag(theta: int, lower: int, n: Names) -> Figure:
    upper = theta // 3 + 15
    # From B on the lower line up to the left to the corner K, and on to the upper line.
    corner = polar(180 - lower, 5.0)
    top = corner[0] + 4.0 / polar(upper)[1] * polar(upper)[0], corner[1] + 4.0
    points = {
        "A": (0.0, 0.0), "B": (4.5, 0.0), "K": corner, "C": top, "D": (top[0] + 4.5, top[1]),
    }  # fmt: skip
    scene = Scene().add(**points).line("AB AK KC CD").arrows("AB CD").name("ABCD", n)
    scene.angle("KAB", value=180 - lower).angle("AKC", "?", float(lower + upper)).angle("KCD", value=180 - upper)
    answer = lower + upper
    stem = f"{n('AB')} and {n('CD')} are parallel."
    drawn = (
        f"They point the same way. From {n('A')} and {n('C')} two lines lead back to a point between the parallels, at "
        f"{180 - lower} degrees to {n('AB')} and at {180 - upper} degrees to {n('CD')}."
    )
    steps = [
        "A third parallel through the corner cuts the angle in two, with co-interior angles on both sides",
        f"? = (180 - {180 - lower}) + (180 - {180 - upper}) = {answer}",
    ]
    wrong: list[Value] = [180 - answer, 360 - answer, abs(lower - upper) or 1, 180 - lower]
    asked = "How many degrees is the angle marked ?"
    words = "How many degrees is the angle between them at that point?"
    return Figure(scene, stem, drawn, asked, steps, answer, wrong, words)


def _measure_parallels(at: Points, numbers: Numbers) -> float:
    kind, _, a, b, c, d = numbers
    if kind == 3:
        return angle(at["A"], at["K"], at["C"])
    first = angle(at["D"], at["P"], at["T"])
    second = angle(at["BAB"[kind]], at["Q"], at["TSS"[kind]])
    # x is what makes the first label true; with none the second angle is asked for.
    return (first - b) / a if a else second


PARALLELS = (DiagramFamily("parallel_lines", _sample_parallels, _build_parallels, _measure_parallels),)
