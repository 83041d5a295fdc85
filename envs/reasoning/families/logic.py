"""Logic: orders, knights and knaves, deductions, truth values, sets, seats, swaps, culprits."""

from __future__ import annotations

from ..draw import Draw
from ..family import Numbers, TextFamily, Wording
from .names import COLOURS, CREATURES, ITEMS, NAMES
from .notation import listed

COMPARED = (
    ("taller", "shorter", "tallest"),
    ("older", "younger", "oldest"),
    ("faster", "slower", "fastest"),
    ("heavier", "lighter", "heaviest"),
    ("richer", "poorer", "richest"),
)
ORDINALS = ("", "second ", "third ", "fourth ", "fifth ", "sixth ", "seventh ", "eighth ", "ninth ")


# (quality, place asked for, then people from the first on, the order of the clues, which clues are turned around).
def _sample_ranking(draw: Draw, level: int) -> Numbers:
    count = 3 + level // 2
    people = draw.sample(range(len(NAMES)), count)
    order = draw.sample(range(count - 1), count - 1)
    return draw.integer(0, 4), draw.integer(0, count - 1), *people, *order, *draw.integers(0, 1, count - 1)


def _word_ranking(numbers: Numbers, voice: Draw) -> Wording:
    quality, asked, *rest = numbers
    count = (len(rest) + 2) // 3
    people = [NAMES[n] for n in rest[:count]]
    order, turned = rest[count : 2 * count - 1], rest[2 * count - 1 :]
    more, less, most = COMPARED[quality]
    clues = [
        f"{people[i + 1]} is {less} than {people[i]}." if turned[i] else f"{people[i]} is {more} than {people[i + 1]}."
        for i in order
    ]
    begin = voice.choice(("Who is the {}{}?", "Which of them is the {}{}?", "Name the {}{} of them."))
    steps = (
        f"Put together, from the {most} on: {', '.join(people)}.",
        f"The {ORDINALS[asked]}{most} is {people[asked]}.",
    )
    return Wording(f"{' '.join(clues)} {begin.format(ORDINALS[asked], most)}", steps, people[asked])


# (asked, then people in a ring, what each says of the next, the order of the statements).
# 0: is a knight, 1: is a knave, 2: of my kind, 3: not of my kind. What the last says settles the first.
def _sample_knights(draw: Draw, level: int) -> Numbers:
    count = 2 + (level + 1) // 2
    people = draw.sample(range(len(NAMES)), count)
    claims = [*draw.integers(0, 3 if level > 4 else 1, count - 1), draw.integer(2, 3)]
    asked = draw.integer(count // 2 if level > 3 else 0, count - 1)
    return asked, *people, *claims, *draw.sample(range(count), count)


def _word_knights(numbers: Numbers, voice: Draw) -> Wording:
    asked, *rest = numbers
    count = len(rest) // 3
    people = [NAMES[n] for n in rest[:count]]
    claims, order = rest[count : 2 * count], rest[2 * count :]
    said = [
        f'{people[i]} says: "{people[(i + 1) % count]} '
        + ("is a knight.", "is a knave.", "and I are of the same kind.", "and I are of different kinds.")[claims[i]]
        + '"'
        for i in range(count)
    ]
    kinds = [claims[-1] == 2]
    steps = [
        f'Said by a knight or by a knave, "of {"the same kind" if kinds[0] else "different kinds"}"'
        f" means that {people[0]} is a {_kind(kinds[0])}."
    ]
    for i in range(count - 1):
        claim = claims[i]
        # "Of my kind" is said truly by a knight of a knight and falsely by a knave of a knight.
        kind = claim == 2 if claim > 1 else (claim == 0) == kinds[i]
        kinds.append(kind)
        steps.append(
            f"{people[i]} is a {_kind(kinds[i])}, so what {people[i]} says is {_truth(kinds[i])}:"
            f" {people[i + 1]} is a {_kind(kind)}."
        )
    begin = voice.choice(
        (
            "Knights always tell the truth, knaves always lie.",
            "On an island live knights, who never lie, and knaves, who always do.",
            "Everybody here is either a knight (always truthful) or a knave (always lying).",
        )
    )
    question = f"{begin} {' '.join(said[i] for i in order)} Is {people[asked]} a knight or a knave?"
    return Wording(question, tuple(steps[: asked + 1]), _kind(kinds[asked]))


def _kind(knight: bool) -> str:
    return "knight" if knight else "knave"


# (x, y, then words, what each but the first word falls under, the order of the rules).
def _sample_deduction(draw: Draw, level: int) -> Numbers:
    count = 4 + level // 2
    words = draw.sample(range(len(CREATURES)), count)
    # Later words fall under late ones most of the time, so that chains are long.
    above = [max(draw.integer(0, i - 1), draw.integer(0, i - 1)) for i in range(1, count)]
    start = draw.integer(count // 2, count - 1)
    chain = _above(start, above)
    others = [n for n in range(count) if n not in chain and n != start]
    end = draw.choice(chain[1:] or chain) if draw.flip() or not others else draw.choice(others)
    return start, end, *words, *above, *draw.sample(range(count - 1), count - 1)


def _above(start: int, above: list[int]) -> list[int]:
    found = []
    while start:
        start = above[start - 1]
        found.append(start)
    return found


def _word_deduction(numbers: Numbers, voice: Draw) -> Wording:
    start, end, *rest = numbers
    count = (len(rest) + 2) // 3
    words = [CREATURES[n] for n in rest[:count]]
    above, order = rest[count : 2 * count - 1], rest[2 * count - 1 :]
    rule = voice.choice(("Every {0} is {1}.", "Each {0} is {1}.", "If something is {2}, it is {1}."))
    rules = [rule.format(words[i + 1], _article(words[above[i]]), _article(words[i + 1])) for i in order]
    chain = _above(start, above)
    follows = end in chain
    steps, here = [], start
    for there in chain[: chain.index(end) + 1] if follows else chain:
        steps.append(f"{_article(words[here])} is {_article(words[there])}")
        here = there
    if not follows:
        steps.append(f"Nothing more is known of {_article(words[start])}; {_article(words[end])} was not among them.")
    asked = f"Does it follow that every {words[start]} is {_article(words[end])}? Answer yes or no."
    return Wording(f"{' '.join(rules)} {asked}", tuple(steps), "yes" if follows else "no")


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


# (number of letters, their values, the first letter and whether it is negated, then for each operation: which one,
# letter, negated, on which side, whether the whole is negated).
def _sample_truth(draw: Draw, level: int) -> Numbers:
    letters = 3 + level // 4
    numbers = [letters, *draw.integers(0, 1, letters), draw.integer(0, letters - 1), draw.integer(0, 1)]
    for _ in range(2 + level // 2):
        numbers += (draw.integer(0, 1 if level < 5 else 2), draw.integer(0, letters - 1), *draw.integers(0, 1, 3))
    return tuple(numbers)


def _word_truth(numbers: Numbers, voice: Draw) -> Wording:
    count = numbers[0]
    values, letters = numbers[1 : count + 1], "pqrstu"[:count]
    which, negated = numbers[count + 1 : count + 3]
    text, value = ("not " if negated else "") + letters[which], values[which] != negated
    # An atom, a letter or what stands negated in brackets, needs no brackets of its own.
    steps, atom = [f"{text} is {_truth(value)}."], True
    for start in range(count + 3, len(numbers), 5):
        operation, which, negated, right, whole = numbers[start : start + 5]
        other, known = ("not " if negated else "") + letters[which], values[which] != negated
        inner = text if atom else f"({text})"
        left, a, b = (other, known, value) if right else (inner, value, known)
        last = inner if right else other
        word = ("and", "or", "implies")[operation]
        text, atom = f"{left} {word} {last}", False
        value = (a and b, a or b, not a or b)[operation]
        steps.append(f"{_truth(a)} {word} {_truth(b)} is {_truth(value)}.")
        if whole:
            text, value, atom = f"not ({text})", not value, True
            steps.append(f"not ({_truth(not value)}) is {_truth(value)}.")
    known = listed([f"{letter} is {_truth(bool(v))}" for letter, v in zip(letters, values, strict=True)])
    begin = voice.choice(
        (
            "Let {0}. Is {1} true or false?",
            "Suppose that {0}. What is the truth value of {1}: true or false?",
            "{0}. True or false: {1}?",
        )
    )
    return Wording(begin.format(known, text), tuple(steps), _truth(value))


def _truth(value: bool) -> str:
    return "true" if value else "false"


# (asked, then the sizes of the regions: none, first, second, both) or eight of them for three sets.
def _sample_sets(draw: Draw, level: int) -> Numbers:
    return draw.integer(0, 2), *draw.integers(1, 8 + 4 * level, 4 if level < 6 else 8)


def _word_sets(numbers: Numbers, voice: Draw) -> Wording:
    asked, *regions = numbers
    total, count = sum(regions), 2 if len(regions) == 4 else 3
    things = voice.sample(ITEMS, count)
    sizes = [sum(size for place, size in enumerate(regions) if place >> i & 1) for i in range(count)]
    pairs = [(i, j) for i in range(count) for j in range(i)]
    both = [sum(size for place, size in enumerate(regions) if place >> i & place >> j & 1) for i, j in pairs]
    facts = [f"{size} collect {thing}" for size, thing in zip(sizes, things, strict=True)]
    facts += [f"{size} collect {things[j]} and {things[i]}" for size, (i, j) in zip(both, pairs, strict=True)]
    if count == 3:
        facts.append(f"{regions[7]} collect all three")
    one = sum(sizes) - sum(both) + (regions[7] if count == 3 else 0)
    last = f" + {regions[7]}" if count == 3 else ""
    steps = [f"At least one: {' + '.join(map(str, sizes))} - {' - '.join(map(str, both))}{last} = {one}"]
    if asked == 0:
        question, answer = "none of these", total - one
        steps.append(f"None: {total} - {one} = {answer}")
    elif asked == 1:
        question, answer = f"{things[0]} and nothing else of these", regions[1]
        # Who collects the first and another is counted once, by the same rule.
        others = [size for size, (_, j) in zip(both, pairs, strict=True) if j == 0]
        steps = [f"Only {things[0]}: {sizes[0]} - {' - '.join(map(str, others))}{last} = {answer}"]
    else:
        question, answer = "exactly one of these kinds", sum(regions[1 << i] for i in range(count))
        inner = f"({' + '.join(map(str, both))})" if count == 3 else str(both[0])
        factor = f" + 3 * {regions[7]}" if count == 3 else ""
        steps = [f"Exactly one: {' + '.join(map(str, sizes))} - 2 * {inner}{factor} = {answer}"]
    begin = voice.choice(
        (
            "Of {0} members of a club {1}. How many collect {2}?",
            "{0} people were asked: {1}. How many of them collect {2}?",
        )
    )
    return Wording(begin.format(total, listed(facts), question), tuple(steps), str(answer))


# (seat asked for, then people by seat, a walk over the seats, the order of the clues).
def _sample_seats(draw: Draw, level: int) -> Numbers:
    count = 4 + level // 3
    people = draw.sample(range(len(NAMES)), count)
    walk, order = draw.sample(range(count), count), draw.sample(range(count - 1), count - 1)
    return draw.integer(0, count - 1), *people, *walk, *order


def _word_seats(numbers: Numbers, voice: Draw) -> Wording:
    asked, *rest = numbers
    count = (len(rest) + 1) // 3
    people = [NAMES[n] for n in rest[:count]]
    walk, order = rest[count : 2 * count], rest[2 * count :]
    clues, steps = [], [f"Count seats from {people[walk[0]]}."]
    for i in range(count - 1):
        here, there = walk[i], walk[i + 1]
        away = abs(there - here)
        side = "right" if there > here else "left"
        clues.append(f"{people[there]} sits {away} seat{'s' * (away > 1)} to the {side} of {people[here]}.")
        steps.append(f"{people[there]}: {there - walk[0]:+d}")
    steps.append(f"So the row is, from the left: {', '.join(people)}.")
    ordinal = ("first", *[word.strip() for word in ORDINALS[1:]])[asked]
    begin = voice.choice(("{} people sit in a row of {} seats.", "A row of {1} seats is taken by {0} people."))
    who = voice.choice(("Who sits in the {} seat from the left?", "Who has the {} seat, counted from the left?"))
    question = f"{begin.format(count, count)} {' '.join(clues[i] for i in order)} {who.format(ordinal)}"
    return Wording(question, tuple(steps), people[asked])


# (number of people, asked, then the colour that each holds, then pairs who swap).
def _sample_swaps(draw: Draw, level: int) -> Numbers:
    count = 3 + level // 3
    swaps = [n for _ in range(3 + level) for n in draw.sample(range(count), 2)]
    return count, draw.integer(0, count - 1), *draw.sample(range(len(COLOURS)), count), *swaps


def _word_swaps(numbers: Numbers, voice: Draw) -> Wording:
    count, asked, *rest = numbers
    held = [COLOURS[n] for n in rest[:count]]
    people = voice.sample(NAMES, count)
    thing = voice.choice(("ball", "hat", "card", "cup", "ribbon"))
    start = listed([f"{name} has the {colour} {thing}" for name, colour in zip(people, held, strict=True)])
    moves, steps = [], []
    for place in range(count, len(rest), 2):
        i, j = rest[place : place + 2]
        held[i], held[j] = held[j], held[i]
        moves.append(f"{people[i]} and {people[j]}")
        steps.append(f"{people[i]} has {held[i]}, {people[j]} has {held[j]}")
    begin = voice.choice(("At first {}.", "In the beginning {}.", "When a game begins, {}."))
    first = begin.format(start)
    text = f"{first} Then these swap, one pair after the other: {'; '.join(moves)}."
    question = f"{text} Which {thing} does {people[asked]} have at the end? Answer with its colour."
    return Wording(question, tuple(steps), held[asked])


# (0 if one statement is true or 1 if one is false, then people, then for each of them who is named and whether denied).
def _sample_culprit(draw: Draw, level: int) -> Numbers | None:
    count = 3 + level // 4
    rule = draw.integer(0, 1)
    claims = [n for _ in range(count) for n in (draw.integer(0, count - 1), draw.integer(0, 1))]
    people = draw.sample(range(len(NAMES)), count)
    return (rule, *people, *claims) if len(_possible(rule, claims)) == 1 else None


def _count_true(culprit: int, claims: list[int]) -> int:
    return sum((claims[i] == culprit) != claims[i + 1] for i in range(0, len(claims), 2))


def _possible(rule: int, claims: list[int]) -> list[int]:
    count = len(claims) // 2
    wanted = count - 1 if rule else 1
    return [culprit for culprit in range(count) if _count_true(culprit, claims) == wanted]


def _word_culprit(numbers: Numbers, voice: Draw) -> Wording:
    rule, *rest = numbers
    count = len(rest) // 3
    people, claims = [NAMES[n] for n in rest[:count]], rest[count:]
    said = []
    for i in range(count):
        named, denied = claims[2 * i : 2 * i + 2]
        who = "I" if named == i else people[named]
        said.append(f'{people[i]}: "{who} {"did not do it" if denied else "did it"}."')
    (culprit,) = _possible(rule, claims)
    steps = [
        f"If {people[c]} did it, {_count_true(c, claims)} of the {count} statements are true." for c in range(count)
    ]
    steps.append(f"{count - 1 if rule else 1} must be true, so it was {people[culprit]}.")
    deed = voice.choice(("broke the window", "ate the cake", "hid the key", "wrote on the wall", "let the dog out"))
    begin = f"One of {listed(people)} {deed}. {' '.join(said)}"
    asked = voice.choice(("Who did it?", "Who was it?"))
    return Wording(
        f"{begin} Exactly one of these statements is {'false' if rule else 'true'}. {asked}",
        tuple(steps),
        people[culprit],
    )


LOGIC = (
    TextFamily("ranking", "logic", _sample_ranking, _word_ranking),
    TextFamily("knights_and_knaves", "logic", _sample_knights, _word_knights),
    TextFamily("deduction", "logic", _sample_deduction, _word_deduction),
    TextFamily("truth_value", "logic", _sample_truth, _word_truth),
    TextFamily("sets", "logic", _sample_sets, _word_sets),
    TextFamily("seats", "logic", _sample_seats, _word_seats),
    TextFamily("swaps", "logic", _sample_swaps, _word_swaps),
    TextFamily("culprit", "logic", _sample_culprit, _word_culprit),
)
