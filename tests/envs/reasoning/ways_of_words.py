"""Another way of working out the answers, continued: logic and word problems."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import permutations, product

from .ways_of_numbers import NUMBER, numbers_in


def ranking(p):
    clues = re.findall(r"(\w+) is (\w+) than (\w+)\.", p.question)
    less = {"shorter", "younger", "slower", "lighter", "poorer"}
    above = [(b, a) if word in less else (a, b) for a, word, b in clues]
    # Remove the topmost again and again.
    left, order = {name for pair in above for name in pair}, []
    while left:
        (top,) = [name for name in left if not any(b == name and a in left for a, b in above)]
        order.append(top)
        left.remove(top)
    ordinals = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    asked = [i + 1 for i, word in enumerate(ordinals) if word in p.question]
    return order[asked[0] if asked else 0]


def knights_and_knaves(p):
    said = re.findall(
        r'(\w+) says: "(\w+) (is a knight|is a knave|and I are of the same kind|and I are of different)', p.question
    )
    names = sorted({name for one, two, _ in said for name in (one, two)})
    asked = re.findall(r"Is (\w+) a knight or a knave\?", p.question)[0]
    kinds = set()
    for guess in product((True, False), repeat=len(names)):
        kind = dict(zip(names, guess, strict=True))
        told = {
            "is a knight": lambda one, two, kind=kind: kind[two],
            "is a knave": lambda one, two, kind=kind: not kind[two],
            "and I are of the same kind": lambda one, two, kind=kind: kind[one] == kind[two],
            "and I are of different": lambda one, two, kind=kind: kind[one] != kind[two],
        }
        if all(told[text](one, two) == kind[one] for one, two, text in said):
            kinds.add(tuple(kind.items()))
    (only,) = kinds
    return "knight" if dict(only)[asked] else "knave"


def deduction(p):
    rules = re.findall(r"(?:Every|Each) (\w+) is an? (\w+)\.", p.question)
    rules += re.findall(r"If something is an? (\w+), it is an? (\w+)\.", p.question)
    start, end = re.findall(r"follow that every (\w+) is an? (\w+)\?", p.question)[0]
    reached = {start}
    while True:
        grown = reached | {b for a, b in rules if a in reached}
        if grown == reached:
            return "yes" if end in reached else "no"
        reached = grown


def truth_value(p):
    values = {name: value == "true" for name, value in re.findall(r"([p-u]) is (true|false)", p.question)}
    text = re.findall(
        r"(?:Is|value of|True or false:) ((?:not |[(p-u]).*?)(?: true or false\?|: true or false\?|\?)", p.question
    )[0]
    words = re.findall(r"[()]|\w+", text)

    def atom():
        word = words.pop(0)
        if word == "not":
            return not atom()
        if word == "(":
            value = expression()
            assert words.pop(0) == ")"
            return value
        return values[word]

    def expression():
        left = atom()
        if words and words[0] != ")":
            operation, right = words.pop(0), atom()
            # Two operations side by side would need brackets.
            assert not words or words[0] == ")", text
            return {"and": left and right, "or": left or right, "implies": not left or right}[operation]
        return left

    value = expression()
    assert not words
    return "true" if value else "false"


def sets(p):
    given = [int(n) for n in NUMBER.findall(p.question)]
    if len(given) == 4:
        total, a, b, both = given
        none, only, one = total - a - b + both, a - both, a + b - 2 * both
    else:
        total, a, b, c, ab, ac, bc, abc = given
        only = a - ab - ac + abc
        one = only + (b - ab - bc + abc) + (c - ac - bc + abc)
        none = total - one - (ab + ac + bc - 3 * abc) - abc
    return none if "none of" in p.question else only if "nothing else" in p.question else one


def seats(p):
    clues = re.findall(r"(\w+) sits (\d+) seats? to the (right|left) of (\w+)\.", p.question)
    names = sorted({name for clue in clues for name in (clue[0], clue[3])})
    ordinals = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    asked = next(i for i, word in enumerate(ordinals) if word in p.question)
    found = set()
    for row in permutations(names):
        place = {name: i for i, name in enumerate(row)}
        if all(place[a] - place[b] == (int(n) if side == "right" else -int(n)) for a, n, side, b in clues):
            found.add(row)
    (row,) = found
    return row[asked]


def swaps(p):
    held = dict(re.findall(r"(\w+) has the (\w+)", p.question))
    for a, b in re.findall(r"(\w+) and (\w+)[;.]", p.question.split("one pair after the other:")[1]):
        held[a], held[b] = held[b], held[a]
    return held[re.findall(r"does (\w+) have at the end", p.question)[0]]


def culprit(p):
    said = re.findall(r'(\w+): "(\w+) (did it|did not do it)\."', p.question)
    claims = [(one if who == "I" else who, text == "did it") for one, who, text in said]
    wanted = 1 if "is true" in p.question else len(claims) - 1
    names = [one for one, _, _ in said]
    (found,) = [name for name in names if sum((who == name) == did for who, did in claims) == wanted]
    return found


def change(p):
    places, paid, *bought = p.numbers
    bill = sum(count * Fraction(price, 10**places) for count, price in zip(bought[::2], bought[1::2], strict=True))
    assert sum(numbers_in(p.question)) == sum(bought[::2]) + Fraction(paid + sum(bought[1::2]), 10**places)
    return Fraction(paid, 10**places) - bill


def work_together(p):
    times = [int(n) for n in numbers_in(p.question)]
    if "drain" in p.question:
        times[-1] = -times[-1]
    # The work that all do in the answer's time is one whole.
    return sum(Fraction(p.answer) / time for time in times) == 1


def travel(p):
    kind, distance, first, second, start = p.numbers
    time = Fraction(p.answer)
    one, two = first * (start + time), second * time
    return one + two == distance if kind == 0 else one == two


def mixture(p):
    pairs = re.findall(r"(\d+) [a-z]+ with (\d+)%", p.question)
    whole = sum(int(a) for a, _ in pairs)
    return sum(Fraction(int(a), whole) * int(b) for a, b in pairs)


def ages(p):
    kind, older, times, years, asked, beside = p.numbers
    age = int(p.answer) - (0, older, older + beside)[asked]
    then = -years if kind else years
    return age > 0 and age + older + then == times * (age + then)


def price_changes(p):
    price, *_ = (n for n in numbers_in(p.question) if n >= 0)
    for way, percent in re.findall(r"(raised|cut) by (\d+)%", p.question):
        price += (1 if way == "raised" else -1) * price * Fraction(int(percent), 100)
    return price


def shares(p):
    ratio = [int(n) for n in re.findall(r"(\d+(?::\d+)+)", p.question)[0].split(":")]
    total = next(int(n) for n in re.findall(r"(\d+) (?:coins|euros|points)", p.question))
    got = [Fraction(total * part, sum(ratio)) for part in ratio]
    return abs(got[0] - got[1]) if "differ" in p.question else got[p.numbers[0]]


def interest(p):
    compound, capital, percent, years = p.numbers
    assert ("added to the capital" in p.question) == bool(compound)
    owed = Fraction(capital)
    for _ in range(years):
        owed += (owed if compound else capital) * Fraction(percent, 100)
    return owed


def stock(p):
    sentences = p.question.split(". ")
    total = int(numbers_in(sentences[0])[0])
    parts = {"half": 2, "a third": 3, "a quarter": 4, "a fifth": 5}
    for text in sentences[1:-1]:
        number = [int(n) for n in NUMBER.findall(text)]
        part = [size for word, size in parts.items() if word in text]
        if part:
            total -= Fraction(total, part[0])
        elif "doubles" in text or "as many again" in text:
            total *= 2
        else:
            total += number[0] * (-1 if re.search("sells|lost|away", text) else 1)
    return total


def grades(p):
    wished, *points = p.numbers
    assert 0 <= int(p.answer) <= 100 and all(str(n) in p.question for n in p.numbers)
    return Fraction(sum(points) + int(p.answer), len(points) + 1) == wished


LEGS = {
    "chickens": 2, "geese": 2, "ostriches": 2, "ducks": 2, "rabbits": 4, "goats": 4, "zebras": 4, "lizards": 4,
    "beetles": 6, "spiders": 8,
}  # fmt: skip


def heads_and_legs(p):
    animals = sorted({word for word in re.findall("|".join(LEGS), p.question.lower())}, key=p.question.lower().find)
    heads, legs = (int(n) for n in numbers_in(p.question))
    first, second = (LEGS[animal] for animal in animals)
    (found,) = [n for n in range(heads + 1) if n * second + (heads - n) * first == legs]
    return found


WORDS = {
    "ranking": ranking,
    "knights_and_knaves": knights_and_knaves,
    "deduction": deduction,
    "truth_value": truth_value,
    "sets": sets,
    "seats": seats,
    "swaps": swaps,
    "culprit": culprit,
    "change": change,
    "work_together": work_together,
    "travel": travel,
    "mixture": mixture,
    "ages": ages,
    "price_changes": price_changes,
    "shares": shares,
    "interest": interest,
    "stock": stock,
    "grades": grades,
    "heads_and_legs": heads_and_legs,
}
