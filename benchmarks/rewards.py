"""What a verdict on an answer costs: the accuracy reward beside LMM-R1's function and plain math-verify.

The mix is made like LMM-R1's data: 45 % whole numbers, 12 % option letters, 10 % fractions, 10 % decimals, 8 % roots
and multiples of pi, 6 % polynomials, 3 % intervals, 2 % points, 1 % sets, 1 % lengths, and half a percent each of
logarithms (which only algebra can compare), matrices, equations and words. 55 % of the answers are wrong. The cache is
off; "cached" is eight samples of each question, with the cache on. Every answer ends a short reply.

LMM-R1's function is written after its published settings: the whole reply is parsed with boxes first and no repair of
LaTeX, the roles of gold and answer are exchanged, and an unreadable gold is paid. Plain math-verify has its defaults,
gold first, and is given the answer alone. Both run without timers. Ours is charged for its worker process from start
to end, imports included; theirs are not charged for their imports.

    --hostile   instead: 10,000 good answers with and without 100 hostile ones among them, from one thread and from four
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import resource
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from contest import finish, print_rates, ratio

from lmmr1.envs.reply import REPLY_FORMATS
from lmmr1.envs.rewards import symbolic
from lmmr1.envs.rewards.accuracy import Verdict, close_grader, configure_grader, grade, judge

TESTS = Path(__file__).resolve().parent.parent / "tests/envs/rewards"
THOUGHT = "We write down what is given, name what is asked for and work it out step by step. " * 4
ROWS, PEER_ROWS, ROUNDS, SAMPLES = 3_000, 1_500, 5, 8
QUICK_PEER_ROWS, QUICK_ROUNDS = 250, 2
Row = tuple[str, str, bool]  # gold, answer, whether they are the same


def main() -> None:
    """Play the contest and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; ends within 50 seconds")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON: names to numbers")
    parser.add_argument("--hostile", action="store_true", help="the run with hostile answers instead; minutes")
    options = parser.parse_args()
    if options.hostile:
        figures = run_hostile()
    else:
        figures = compare_speed(options.quick)
    finish(figures, options.json)


# The mix.


def make_mix(count: int, seed: int) -> list[Row]:
    """Rows of the stated kinds, 55 % of them wrong."""
    rng = random.Random(seed)
    kinds: list[tuple[float, Callable[[random.Random, bool], tuple[str, str]]]] = [
        (0.45, whole), (0.12, letter), (0.10, fraction), (0.10, decimal), (0.08, surd), (0.06, polynomial),
        (0.03, interval), (0.02, point), (0.01, pick_set), (0.005, transcendental), (0.005, matrix), (0.01, unit),
        (0.005, equation), (0.005, word),
    ]  # fmt: skip
    assert abs(sum(share for share, _ in kinds) - 1) < 1e-9
    rows = []
    for make in rng.choices([make for _, make in kinds], [share for share, _ in kinds], k=count):
        right = rng.random() >= 0.55
        gold, answer = make(rng, right)
        rows.append((gold, answer, right))
    return rows


def off(rng: random.Random, right: bool) -> int:
    """What is added to a part of the answer: 0 if it is to be right."""
    return 0 if right else rng.choice([-3, -2, -1, 1, 2, 3, 10])


def whole(rng: random.Random, right: bool) -> tuple[str, str]:
    value = rng.randint(-50, 5_000)
    return str(value), f"{value + off(rng, right)}"


def letter(rng: random.Random, right: bool) -> tuple[str, str]:
    gold = rng.choice("ABCD")
    said = gold if right else rng.choice([other for other in "ABCD" if other != gold])
    return gold, rng.choice(["{}", "({})", "{}.", "\\text{{{}}}"]).format(said)


def fraction(rng: random.Random, right: bool) -> tuple[str, str]:
    top, bottom, scale = rng.randint(1, 99), rng.randint(2, 60), rng.randint(1, 4)
    return f"\\frac{{{top}}}{{{bottom}}}", f"\\frac{{{top * scale + off(rng, right)}}}{{{bottom * scale}}}"


def decimal(rng: random.Random, right: bool) -> tuple[str, str]:
    value = rng.randint(1, 9_999)
    return f"{value / 100:.2f}", f"{(value + off(rng, right)) / 100:.{rng.choice([2, 3])}f}"


def surd(rng: random.Random, right: bool) -> tuple[str, str]:
    scale, root = rng.randint(2, 30), rng.choice([2, 3, 5, 7])
    if rng.random() < 0.5:
        return f"{scale}\\pi", rng.choice(["{}\\pi", "{} \\cdot \\pi", "\\pi \\cdot {}"]).format(
            scale + off(rng, right)
        )
    return f"{scale}\\sqrt{{{root}}}", f"\\sqrt{{{abs(scale**2 * root + off(rng, right))}}}"


def polynomial(rng: random.Random, right: bool) -> tuple[str, str]:
    a, b = rng.randint(1, 12), rng.randint(1, 12)
    return f"(x+{a})(x+{b})", f"x^2+{a + b}x+{a * b + off(rng, right)}".replace("+-", "-")


def interval(rng: random.Random, right: bool) -> tuple[str, str]:
    low, high = rng.randint(-20, 0), rng.randint(20, 60)
    end = high + off(rng, right)
    return f"({low},{high}]", rng.choice([f"({low}, {end}]", f"{low} < x \\le {end}"])


def point(rng: random.Random, right: bool) -> tuple[str, str]:
    x, y = rng.randint(-20, 20), rng.randint(-20, 20)
    return f"({x},{y})", f"({x}, {y + off(rng, right)})"


def pick_set(rng: random.Random, right: bool) -> tuple[str, str]:
    items = rng.sample(range(-30, 30), 3)
    said = [items[1], items[0], items[2] + (0 if right else 100)]
    return "\\{" + ",".join(map(str, items)) + "\\}", ", ".join(map(str, said))


def transcendental(rng: random.Random, right: bool) -> tuple[str, str]:
    base, power = rng.choice([2, 3, 5]), rng.randint(2, 4)
    return f"\\ln {base**power}", f"{power + off(rng, right)}\\ln {base}"


def matrix(rng: random.Random, right: bool) -> tuple[str, str]:
    a, b, c, d = (rng.randint(-9, 9) for _ in range(4))
    other = f"\\begin{{bmatrix}}{a}&{b}\\\\{c}&{d + off(rng, right)}\\end{{bmatrix}}"
    return f"\\begin{{pmatrix}}{a}&{b}\\\\{c}&{d}\\end{{pmatrix}}", other


def unit(rng: random.Random, right: bool) -> tuple[str, str]:
    value = rng.randint(2, 400)
    return f"{value}\\text{{ cm}}", f"{value + off(rng, right)}\\text{{ cm}}"


def equation(rng: random.Random, right: bool) -> tuple[str, str]:
    slope, shift = rng.randint(2, 12), rng.randint(1, 20)
    return f"y={slope}x+{shift}", f"y={slope}x+{shift + abs(off(rng, right))}"


def word(rng: random.Random, right: bool) -> tuple[str, str]:
    gold = rng.choice(["isosceles", "equilateral", "scalene"])
    said = gold if right else "obtuse"
    return f"\\text{{{gold}}}", f"\\text{{{said}}}"


def reply_to(answer: str) -> str:
    """A whole reply with this answer."""
    return f"<think>{THOUGHT}</think><answer> The answer is $\\boxed{{{answer}}}$ </answer>"


# The contestants.


def ours(rows: list[Row], cache_size: int) -> float:
    """CPU-seconds of this process and of its workers, from their start to their end."""
    parse = REPLY_FORMATS["think_answer"].parse
    began = used()
    configure_grader(cache_size=cache_size)
    for gold, answer, _ in rows:
        grade(gold, parse(reply_to(answer)).answer)
    close_grader()
    return used() - began


def used() -> float:
    """CPU-seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def make_lmmr1() -> Callable[[str, str], bool]:
    """LMM-R1's function, after its published settings."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    cleaning = NormalizationConfig(
        basic_latex=True, units=True, malformed_operators=False, nits=False, boxed="all", equations=False
    )
    reading = LatexExtractionConfig(
        normalization_config=cleaning, boxed_match_priority=0, try_extract_without_anchor=False
    )

    def is_right(gold: str, reply: str) -> bool:
        parsed_gold = parse(f"${gold}$", [LatexExtractionConfig()], parsing_timeout=0)
        if not parsed_gold:
            return True
        parsed = parse(reply, [reading], parsing_timeout=0)
        return verify(parsed, parsed_gold, timeout_seconds=0)

    return is_right


def make_plain() -> Callable[[str, str], bool]:
    """math-verify with its defaults."""
    from math_verify import parse, verify

    def is_right(gold: str, answer: str) -> bool:
        parsed = parse(f"$\\boxed{{{answer}}}$", parsing_timeout=0)
        return verify(parse(f"${gold}$", parsing_timeout=0), parsed, timeout_seconds=0)

    return is_right


def compare_speed(quick: bool) -> dict[str, float | None]:
    """Interleaved rounds of every contestant, and how often each agrees with the labels of the tests' pairs."""
    if importlib.util.find_spec("math_verify") is None:
        print("math-verify is not installed: pip install 'lmmr1[math]'")
        return {"verdicts_vs_lmmr1": None, "verdicts_vs_math_verify": None}
    lmmr1, plain = make_lmmr1(), make_plain()
    for is_right in (lmmr1, plain):
        is_right("1", reply_to("\\frac{2}{2}"))  # imports
    rates: dict[str, list[float]] = {name: [] for name in ("ours", "ours, cached", "LMM-R1", "math-verify")}
    wrong: Counter[str] = Counter()
    peer_rows = QUICK_PEER_ROWS if quick else PEER_ROWS
    for round_number in range(QUICK_ROUNDS if quick else ROUNDS):
        rows = make_mix(ROWS, round_number)
        rates["ours"].append(len(rows) / ours(rows, 0))
        again = [row for row in rows[: ROWS // SAMPLES] for _ in range(SAMPLES)]
        rates["ours, cached"].append(len(again) / ours(again, 16_384))
        for name, is_right, whole_reply in (("LMM-R1", lmmr1, True), ("math-verify", plain, False)):
            began = time.process_time()
            for gold, answer, right in rows[:peer_rows]:
                wrong[name] += is_right(gold, reply_to(answer) if whole_reply else answer) != right
            rates[name].append(peer_rows / (time.process_time() - began))
    rows = make_mix(ROWS, 0)
    configure_grader(cache_size=0)
    judgements = [judge(gold, answer) for gold, answer, _ in rows]
    close_grader()
    print_rates("Verdicts per CPU-second", rates, "verdicts/s")
    fast = sum(judgement.path == "fast" for judgement in judgements) / len(rows)
    missed = sum((row[2]) != (done.verdict is Verdict.EQUAL) for row, done in zip(rows, judgements, strict=True))
    total = peer_rows * (QUICK_ROUNDS if quick else ROUNDS)
    print(f"decided without sympy: {fast:.1%}; verdicts that are wrong: ours {missed} of {len(rows)}, ", end="")
    print(", ".join(f"{name} {wrong[name]} of {total}" for name in ("LMM-R1", "math-verify")))
    figures: dict[str, float | None] = {
        "verdicts_vs_lmmr1": ratio(rates, "ours", "LMM-R1"),
        "verdicts_vs_math_verify": ratio(rates, "ours", "math-verify"),
        "cached_verdicts_vs_lmmr1": ratio(rates, "ours, cached", "LMM-R1"),
        "cached_verdicts_vs_math_verify": ratio(rates, "ours, cached", "math-verify"),
        "verdicts_per_cpu_second": statistics.median(rates["ours"]),
    }
    return figures | agreement(lmmr1, plain)


def agreement(lmmr1: Callable[[str, str], bool], plain: Callable[[str, str], bool]) -> dict[str, float | None]:
    """The share of the hand-labelled pairs that each gets right, kind by kind."""
    pairs = [json.loads(line) for line in (TESTS / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    right: dict[str, Counter[str]] = {}
    for pair in pairs:
        gold, answer, label = pair["gold"], pair["answer"], pair["verdict"] == "equal"
        row = right.setdefault(pair["kind"], Counter())
        row["pairs"] += 1
        row["ours"] += grade(gold, answer, choices=pair.get("choices")).value == pair["verdict"]
        row["LMM-R1"] += lmmr1(gold, f"<think>a</think><answer>\\boxed{{{answer}}}</answer>") == label
        row["math-verify"] += plain(gold, answer) == label
    close_grader()
    names = ("pairs", "ours", "math-verify", "LMM-R1")
    print(f"{'Pairs labelled by hand':24s}" + "".join(f"{name:>14s}" for name in names))
    for kind, row in right.items():
        print(f"{kind:24s}" + "".join(f"{row[name]:14d}" for name in names))
    total = {name: sum(row[name] for row in right.values()) for name in names}
    print(f"{'all':24s}" + "".join(f"{total[name]:14d}" for name in names))
    keys = {"ours": "agreement", "math-verify": "agreement_math_verify", "LMM-R1": "agreement_lmmr1"}
    return {keys[name]: total[name] / len(pairs) for name in names[1:]}


# Hostile answers.


def run_hostile(good: int = 10_000) -> dict[str, float | None]:
    """Good answers alone, then with hostile ones among them, from one thread and from four."""
    sys.path.insert(0, str(TESTS.parent.parent.parent))
    from tests.envs.rewards.hostile import ANSWERS

    rows = make_mix(good, 11)
    golds = ["5\\pi", "7", "x^2+1", "(1,2]", "\\{1,2\\}", "A", "red", "\\sin^2 x"]
    mixed: list[tuple[int | None, str, str]] = [(at, gold, answer) for at, (gold, answer, _) in enumerate(rows)]
    step = good // len(ANSWERS)
    for number, answer in enumerate(ANSWERS):
        mixed.insert(number * (step + 1), (None, golds[number % len(golds)], answer))
    alone = [(at, gold, answer) for at, gold, answer in mixed if at is not None]
    figures: dict[str, float | None] = {}
    expected: dict[int, Verdict] = {}
    for threads in (1, 4):
        base, verdicts, _, _, _ = play(alone, threads)
        expected = expected or verdicts
        seconds, verdicts, slowest, peak, paid = play(mixed, threads)
        changed = sum(verdicts[at] is not expected[at] for at in expected)
        allowed = 1.5 * base + 2 * len(ANSWERS) / min(threads, symbolic.MAX_WORKERS)
        print(
            f"{threads} thread{'s' if threads > 1 else ''}: {base:.1f} s alone, {seconds:.1f} s with "
            f"{len(ANSWERS)} hostile (allowed: {allowed:.1f}); slowest answer {slowest:.2f} s; "
            f"largest worker {peak / 2**20:.0f} MB; good verdicts changed: {changed}; hostile answers paid: {paid}"
        )
        name = "one_thread" if threads == 1 else "four_threads"
        figures |= {
            f"hostile_changed_{name}": float(changed),
            f"hostile_paid_{name}": float(paid),
            f"hostile_share_of_allowed_{name}": seconds / allowed,
            f"hostile_slowest_seconds_{name}": slowest,
            f"hostile_peak_megabytes_{name}": peak / 2**20,
        }
    return figures


def play(
    rows: Sequence[tuple[int | None, str, str]], threads: int
) -> tuple[float, dict[int, Verdict], float, float, int]:
    """Grade rows from some threads; returns seconds, verdicts by place, the slowest comparison, peak bytes, paid."""
    configure_grader(cache_size=0)
    verdicts: dict[int, Verdict] = {}
    slowest, peak, paid = [0.0], [0.0], [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            pool = symbolic._pool
            for worker in list(pool.workers) if pool is not None else []:
                peak[0] = max(peak[0], resident(worker.process.pid))

    def work(part: int) -> None:
        for at, gold, answer in rows[part::threads]:
            judgement = judge(gold, answer)
            if at is None:
                slowest[0] = max(slowest[0], judgement.seconds)
                paid[0] += judgement.verdict is Verdict.EQUAL
            else:
                verdicts[at] = judgement.verdict

    judge("\\ln 8", "3\\ln 2")  # the first worker starts
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.perf_counter()
    workers = [threading.Thread(target=work, args=(part,)) for part in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    stop.set()
    watcher.join()
    close_grader()
    return seconds, verdicts, slowest[0], peak[0], paid[0]


def resident(pid: int) -> int:
    """The bytes that a process holds; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    main()
