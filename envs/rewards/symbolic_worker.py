"""The program of one grading worker: a line of JSON in, one word out. Run by ``symbolic.py``.

The one file that imports math-verify. It imports nothing of this project, so that it starts fast.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys


def compare(gold: str, answer: str) -> str:
    """Compare two answers.

    Returns:
        "equal", "different", or "unverifiable" where the gold answer cannot be read.
    """
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    # Without timeouts of their own: those use alarms, which this process sets itself. The gold answer comes
    # first: the comparison is not symmetric.
    gold_parsed = parse(f"\\boxed{{{gold}}}", targets, parsing_timeout=0)
    if not gold_parsed:
        return "unverifiable"
    answer_parsed = parse(f"\\boxed{{{answer}}}", targets, parsing_timeout=0)
    equal = bool(answer_parsed) and verify(gold_parsed, answer_parsed, timeout_seconds=0)
    return "equal" if equal else "different"


def judge(gold: str, answer: str) -> str:
    """Compare two answers, whatever they are: never raises what a parser or its nonsense raises."""
    try:
        return compare(gold, answer)
    except (MemoryError, RecursionError):
        return "unverifiable"
    except Exception:
        # The parsers raise all sorts of errors at nonsense; nonsense is not the right answer.
        return "different"


def limit_memory(size: int) -> None:
    """Let this process have at most ``size`` bytes of addresses, where the system can do that."""
    if sys.platform == "win32":
        return
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    except (ValueError, OSError):
        # macOS refuses this limit; the time limit remains.
        return


def count_memory() -> int:
    """Return the most bytes that this process has held at once, or 0 where the system does not say."""
    if sys.platform == "linux":
        # Not getrusage(): its peak survives exec, so a worker would answer for the process that started it.
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


def main(memory: int, timeout: float) -> None:
    """Answer lines until the input ends, or until memory runs short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # Our pipe is the only thing on the real standard output: whatever a library prints goes nowhere.
    output = os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    logging.disable(logging.CRITICAL)
    compare("1", "\\frac{2}{2}")  # imports everything before the first task is timed
    limit_memory(memory)
    output.write("ready\n")
    for line in sys.stdin:
        gold, answer = json.loads(line)
        if sys.platform != "win32":
            # CPU time, not time by the clock: a verdict must not depend on how busy the machine is. The signal ends
            # this process, which the parent reads as "unverifiable". Nor does a worker outlive its parent for long.
            signal.setitimer(signal.ITIMER_PROF, timeout)
        word = judge(gold, answer)
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)
        # sympy and math-verify swallow most errors, so that running out of memory looks like "different" too.
        exhausted = count_memory() > memory / 2
        if exhausted:
            output.write(("unverifiable" if word == "different" else word) + " last\n")
            return
        output.write(word + "\n")


if __name__ == "__main__":
    # This file's folder is the first entry of sys.path, and its neighbours must not pass for top-level modules.
    del sys.path[0]
    main(int(sys.argv[1]), float(sys.argv[2]))
