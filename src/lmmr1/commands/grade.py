"""`lmmr1 grade GOLD ANSWER`: is this answer the same as that one, and how was it told?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmmr1.envs.errors import UserError

if TYPE_CHECKING:
    from lmmr1.envs.rewards.accuracy import Judgement

_EPILOG = """\
equal: the same; different: not the same; unverifiable: cannot be told (GOLD cannot be read, or ANSWER would take too
long). An answer that begins with a dash stands behind two of them: lmmr1 grade -- 3 -3"""
_KEYS = {"gold", "answer", "choices", "tolerance"}


class _Pair(NamedTuple):
    gold: str
    answer: str
    choices: list[str] | None
    tolerance: float


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `grade`."""
    parser = commands.add_parser(
        "grade",
        help="compare an answer with the right one, as the accuracy reward does",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("gold", nargs="?", metavar="GOLD", help="the right answer")
    parser.add_argument("answer", nargs="?", metavar="ANSWER", help="the answer to be judged")
    parser.add_argument(
        "--choices", action="append", metavar="TEXT", help="an option's text; once for A, once for B, ..."
    )
    parser.add_argument(
        "--tolerance", type=float, metavar="T", help="how far off a number may be, relative (default: 0)"
    )
    parser.add_argument(
        "--pairs", metavar="FILE.jsonl", help="grade many: rows with gold and answer, and maybe choices and tolerance"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that compare symbolically; 0 for none")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each row, in order")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Grade; the exit code."""
    from lmmr1.envs.rewards.accuracy import CACHE_SIZE, configure_grader

    pairs = list(_gather(arguments))
    configure_grader(workers=arguments.workers, cache_size=CACHE_SIZE)
    # Threads only wait: what takes long happens in the worker processes.
    with ThreadPoolExecutor(max_workers=4 if arguments.workers is None else max(1, arguments.workers)) as threads:
        judgements = threads.map(_judge, pairs) if len(pairs) > 1 and arguments.workers != 0 else map(_judge, pairs)
        for pair, judgement in zip(pairs, judgements, strict=True):
            print(json.dumps(_row(pair, judgement)) if arguments.json else _line(pair, judgement, len(pairs) > 1))
    return 0


def _judge(pair: _Pair) -> Judgement:
    from lmmr1.envs.rewards.accuracy import judge

    return judge(pair.gold, pair.answer, choices=pair.choices, tolerance=pair.tolerance)


def _gather(arguments: argparse.Namespace) -> Iterator[_Pair]:
    if arguments.pairs is None:
        if arguments.gold is None or arguments.answer is None:
            raise UserError("grade needs GOLD and ANSWER, or --pairs FILE.jsonl")
        where = "grade"
        row = {"gold": arguments.gold, "answer": arguments.answer, "choices": arguments.choices}
        row["tolerance"] = 0.0 if arguments.tolerance is None else arguments.tolerance
        yield _read_row(row, where)
        return
    if arguments.gold is not None or arguments.choices is not None or arguments.tolerance is not None:
        raise UserError("--pairs stands in place of GOLD, ANSWER, --choices and --tolerance: leave them out")
    yield from _read_pairs(Path(arguments.pairs))


def _read_pairs(path: Path) -> Iterator[_Pair]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    empty = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where, empty = f"{path}, line {number}", False
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not a line of JSON: {error}") from error
        if not isinstance(row, dict):
            raise UserError(f"{where}: a row is an object with the keys gold and answer, not {type(row).__name__}")
        yield _read_row(row, where)
    if empty:
        raise UserError(f"{path}: there are no rows in it")


def _read_row(row: dict[str, Any], where: str) -> _Pair:
    for key in ("gold", "answer"):
        if key not in row:
            raise UserError(f'{where}: the key "{key}" is missing; there are {", ".join(map(repr, row)) or "none"}')
        if not isinstance(row[key], str):
            raise UserError(f'{where}: "{key}" must be text, not {json.dumps(row[key])[:40]}')
    choices, tolerance = row.get("choices"), row.get("tolerance", 0.0)
    if choices is not None and not (
        isinstance(choices, list) and 2 <= len(choices) <= 10 and all(isinstance(choice, str) for choice in choices)
    ):
        raise UserError(f"{where}: choices must be two to ten texts")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
        raise UserError(f"{where}: tolerance must be a number from 0 to below 1, not {tolerance!r}")
    return _Pair(row["gold"], row["answer"], choices, float(tolerance))


def _row(pair: _Pair, judgement: Judgement) -> dict[str, Any]:
    return {
        "gold": pair.gold,
        "answer": pair.answer,
        "verdict": judgement.verdict.value,
        "path": judgement.path,
        "seconds": round(judgement.seconds, 6),
    }


def _line(pair: _Pair, judgement: Judgement, named: bool) -> str:
    line = f"{judgement.verdict.value:12s}  {judgement.path:8s}  {judgement.seconds * 1000:9.3f} ms"
    return f"{line}  {_short(pair.gold)}  |  {_short(pair.answer)}" if named else line


def _short(text: str) -> str:
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= 40 else text[:39] + "\u2026"
