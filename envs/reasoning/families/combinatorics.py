"""Combinatorics: choosing, arranging, paths, distributing, inclusion and exclusion."""

from __future__ import annotations

import math

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import GROUPS, LETTERS, NAMES
from .notation import counted, listed


# (n, m, size, least, exact): committees of `size` out of n and m with exactly or at least `least` of the first.
def _sample_committee(draw: Draw, level: int) -> Numbers | None:
    n, m = draw.integers(3, 21 + level, 2)
    size = draw.integer(2, 3 + level // 2)
    least = draw.integer(1, size)
    if size > m or least > n:
        return None
    return n, m, size, least, int(level < 4 or draw.flip())


def _word_committee(numbers: Numbers, voice: Draw) -> Wording:
    n, m, size, least, exact = numbers
    first, second = voice.choice(GROUPS)
    steps, ways = [], []
    for k in range(least, least + 1 if exact else min(size, n) + 1):
        ways.append(math.comb(n, k) * math.comb(m, size - k))
        steps.append(
            f"{k} {first}: C({n}, {k}) * C({m}, {size - k}) = {math.comb(n, k)} * {math.comb(m, size - k)} = {ways[-1]}"
        )
    if len(ways) > 1:
        steps.append(f"{' + '.join(map(str, ways))} = {sum(ways)}")
    begin = voice.choice(
        (
            "A committee of {0} is chosen from {1} {3} and {2} {4}. In how many ways can it have {5} {6} of the {3}?",
            "From {1} {3} and {2} {4} a team of {0} is formed with {5} {6} of the {3}. How many such teams are there?",
            "{1} {3} and {2} {4} apply for {0} equal places. In how many ways can {5} {6} of the {3} be chosen?",
        )
    )
    question = begin.format(size, n, m, first, second, "exactly" if exact else "at least", least)
    return Wording(question, tuple(steps), str(sum(ways)))


# Letters of a string, as numbers in the alphabet.
def _sample_anagrams(draw: Draw, level: int) -> Numbers:
    kinds = draw.sample(range(10), 3 + level // 4)
    letters = [*kinds, *(draw.choice(kinds) for _ in range(2 + level // 3))]
    return tuple(draw.sample(letters, len(letters)))


def _word_anagrams(numbers: Numbers, voice: Draw) -> Wording:
    letters = [LETTERS[n] for n in numbers]
    counts = {letter: letters.count(letter) for letter in sorted(set(letters))}
    repeated = [count for count in counts.values() if count > 1]
    top, bottom = math.factorial(len(letters)), math.prod(map(math.factorial, repeated))
    begin = voice.choice(
        (
            "In how many different orders can the letters of {} be written?",
            "How many different strings can be made of all the letters of {}?",
            "How many arrangements of all letters of the string {} are there?",
        )
    )
    steps = (
        f"{len(letters)} letters: {len(letters)}! = {top}",
        "Equal letters: " + ", ".join(f"{letter} {count} times" for letter, count in counts.items() if count > 1),
        f"{top} / ({' * '.join(f'{count}!' for count in repeated)}) = {top} / {bottom} = {top // bottom}",
    )
    return Wording(begin.format("".join(letters)), steps, str(top // bottom))


# (width, height, x, y, avoid, start): shortest paths through a crossing, or around it; x and y count from the start.
def _sample_paths(draw: Draw, level: int) -> Numbers:
    width, height = draw.integers(3, 6 + level // 2, 2)
    x, y = draw.integer(1, width - 1), draw.integer(1, height - 1)
    return width, height, x, y, int(level > 2 and draw.flip()), *draw.integers(-3, 9, 2)


def _word_paths(numbers: Numbers, voice: Draw) -> Wording:
    width, height, x, y, avoid, left, low = numbers
    through_point = f"({left + x}, {low + y})"
    before, after = math.comb(x + y, x), math.comb(width + height - x - y, width - x)
    through, everything = before * after, math.comb(width + height, width)
    begin = voice.choice(
        (
            "A robot on a grid moves one step right or one step up at a time, from {0} to {1}.",
            "On a grid of streets one walks from {0} to {1}, each step one block east or one block north.",
            "Paths from {0} to {1} take steps (1, 0) and (0, 1).",
        )
    )
    asked = voice.choice(("How many paths {} {}?", "How many different ways {} {}?"))
    steps = [
        f"To {through_point}: C({x + y}, {x}) = {before}",
        f"From there: C({width + height - x - y}, {width - x}) = {after}",
        f"{before} * {after} = {through}",
    ]
    if avoid:
        steps += (
            f"In all: C({width + height}, {width}) = {everything}",
            f"{everything} - {through} = {everything - through}",
        )
    goal = f"({left + width}, {low + height})"
    asked = asked.format("avoid" if avoid else "lead through", through_point)
    question = f"{begin.format(f'({left}, {low})', goal)} {asked}"
    return Wording(question, tuple(steps), str(everything - through if avoid else through))


# (total, then the least value of each unknown).
def _sample_distribution(draw: Draw, level: int) -> Numbers:
    least = draw.integers(0, 7 + level, 2 + (level + 2) // 4)
    return sum(least) + draw.integer(3, 17 + 2 * level), *least


def _word_distribution(numbers: Numbers, voice: Draw) -> Wording:
    total, *least = numbers
    count, left = len(least), total - sum(least)
    answer = math.comb(left + count - 1, count - 1)
    if voice.flip():
        people = voice.sample(NAMES, count)
        needs = [f"{name} at least {low}" for name, low in zip(people, least, strict=True) if low]
        question = f"{total} equal coins are given to {listed(people)}"
        question += f", {listed(needs)}. " if needs else "; anybody may get none. "
        question += voice.choice(("In how many ways can that be done?", "How many ways are there?"))
    else:
        letters = "abcdef"[:count]
        needs = ", ".join(f"{letter} >= {low}" for letter, low in zip(letters, least, strict=True))
        begin = voice.choice(
            ("How many integer solutions has {} = {} with {}?", "Count the integer solutions of {} = {} with {}.")
        )
        question = begin.format(" + ".join(letters), total, needs)
    steps = (
        f"What must be given is given first: {total} - ({' + '.join(map(str, least))}) = {left} are left.",
        f"{left} equal things among {count}:"
        f" C({left} + {count} - 1, {count} - 1) = C({left + count - 1}, {count - 1}) = {answer}",
    )
    return Wording(question, steps, str(answer))


# (0 for any or 1 for none, N, then the divisors).
def _sample_divisible_count(draw: Draw, level: int) -> Numbers:
    return draw.integer(0, 1), draw.integer(50, 150 + 150 * level), *draw.distinct(2, 9 + level, 2 + (level > 5))


def _word_divisible_count(numbers: Numbers, voice: Draw) -> Wording:
    none, limit, *divisors = numbers
    steps, total = [], 0
    for chosen in range(1, 1 << len(divisors)):
        subset = [d for place, d in enumerate(divisors) if chosen >> place & 1]
        common = math.lcm(*subset)
        count = limit // common
        total += count if len(subset) % 2 else -count
        steps.append(
            f"{'+' if len(subset) % 2 else '-'} divisible by {listed([str(d) for d in subset])},"
            f" that is by {common}: {count}"
        )
    steps.append(f"Divisible by at least one: {total}")
    if none:
        steps.append(f"{limit} - {total} = {limit - total}")
    words = " or ".join(map(str, divisors))
    begin = voice.choice(
        (
            "How many integers from 1 to {} are divisible by {}?",
            "How many of the numbers 1, 2, ..., {} can be divided by {}?",
            "Count the positive integers up to {} that are multiples of {}.",
        )
        if not none
        else (
            "How many integers from 1 to {} are not divisible by any of {}?",
            "How many of the numbers 1, 2, ..., {} can be divided by none of {}?",
            "Count the positive integers up to {} that are multiples of none of {}.",
        )
    )
    if none:
        words = ", ".join(map(str, divisors))
    return Wording(begin.format(limit, words), tuple(steps), str(limit - total if none else total))


# (letters to choose from, places for them, digits to choose from, places for them, signs to choose from, repetition).
def _sample_codes(draw: Draw, level: int) -> Numbers:
    first, second = draw.integer(1, 2 + level // 5), draw.integer(1, 2 + level // 3)
    letters, digits = draw.integer(5, 26), draw.integer(5, 10)
    return letters, first, digits, second, draw.integer(2, 20), draw.integer(0, 1)


def _word_codes(numbers: Numbers, voice: Draw) -> Wording:
    letters, letter_places, digits, digit_places, signs, repeat = numbers
    first = [letters if repeat else letters - i for i in range(letter_places)]
    second = [digits if repeat else digits - i for i in range(digit_places)]
    left, right = math.prod(first), math.prod(second)
    begin = voice.choice(
        (
            "A code has {1} out of {0}, then {3} out of {2}, then one of {4} signs.",
            "A plate shows {1} out of {0}, {3} out of {2} and one of {4} signs.",
            "Locks open with one of {4} signs after {1} chosen from {0} and {3} chosen from {2}.",
        )
    )
    rule = "Symbols may repeat." if repeat else "No symbol may repeat."
    asked = voice.choice(("How many codes are there?", "How many are possible?"))
    steps = (
        f"Letters: {' * '.join(map(str, first))} = {left}",
        f"Digits: {' * '.join(map(str, second))} = {right}",
        f"{left} * {right} * {signs} = {left * right * signs}",
    )
    places = counted(letter_places, "letter"), counted(digit_places, "digit")
    text = begin.format(letters, places[0], digits, places[1], signs)
    return Wording(f"{text} {rule} {asked}", steps, str(left * right * signs))


COMBINATORICS = (
    TextFamily("committee", "combinatorics", _sample_committee, _word_committee),
    TextFamily("anagrams", "combinatorics", _sample_anagrams, _word_anagrams),
    TextFamily("grid_paths", "combinatorics", _sample_paths, _word_paths),
    TextFamily("distribution", "combinatorics", _sample_distribution, _word_distribution),
    TextFamily("divisible_count", "combinatorics", _sample_divisible_count, _word_divisible_count),
    TextFamily("codes", "combinatorics", _sample_codes, _word_codes),
)
