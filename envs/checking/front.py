"""check_env: start the processes, listen to them, and say of one that hangs or dies what it was doing."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from lmmr1.envs.chat import ChatEnv
from lmmr1.envs.errors import UserError
from lmmr1.envs.isolation.frames import read_frames, write_frame
from lmmr1.envs.isolation.outcomes import describe_error

from .case import ByCall, ByCopy, ById, BySpec, Case, Source, Watch, can_travel
from .checks.seeding import differs_at
from .examining import RefusedError, examine, groups_for
from .limits import Limits
from .report import Earning, Finding, Report

END_SECONDS = 5.0  # from the end of what a process says to its own
HASH_SEEDS = ("1", "2")
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lmmr1.envs.checking.inside import main; main()"
)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>\S+)')
_OURS = os.path.dirname(__file__) + os.sep


def check_env(
    env: Any,
    *,
    kwargs: Mapping[str, Any] | None = None,
    chat: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    on_finding: Callable[[Finding], None] | None = None,
) -> Report:
    """Check an environment: Gymnasium's contract, seeds, copies, speed, replies of every kind, and what they are paid.

    An environment that can be made by its id, or by a function or class of an importable module, is checked in
    processes of its own, which are killed when a call hangs. Any other is checked in this process, by copies.

    Args:
        env: an id ("FrozenLake-v1", "my_pkg:My-v0"), the place of a function or class ("my_pkg.env:MyEnv"), such a
            function or class itself, an environment (a `ChatEnv` too), or a PettingZoo environment.
        kwargs: arguments of the environment, with an id or a place.
        chat: arguments of `ChatEnv`.
        limits: how much is tried; None for `Limits()`.
        on_finding: is told of each finding as it comes.

    Raises:
        UserError: there is no such environment, or it cannot be made with what was given.
    """
    limits = Limits() if limits is None else limits
    source, chat = _source_of(env, dict(kwargs or {}), dict(chat or {}))
    began = time.monotonic()
    heard = _listen("check", source, chat, limits, on_finding) if can_travel(source, chat) else None
    if heard is not None and not heard.is_unknown:
        findings = [*heard.findings, *_judge_hashing(source, chat, limits, heard)]
    else:
        heard = _examine_here(source, chat, limits, on_finding)
        reason = "it cannot be made in another process: check it by its id, or by a function of a module"
        findings = [*heard.findings, Finding("hang", "skip", reason), Finding("hash-seed", "skip", reason)]
    return Report(source.name, tuple(findings), tuple(heard.earnings), time.monotonic() - began)


def _source_of(env: Any, kwargs: dict[str, Any], chat: dict[str, Any]) -> tuple[Source, dict[str, Any]]:
    if isinstance(env, str):
        return ById.of(env, kwargs), chat
    if kwargs:
        raise UserError("kwargs go with an id; an environment or a function has its arguments already")
    if isinstance(env, ChatEnv):
        chat = {**env._saved_kwargs, **chat}
        env = env.env
    if isinstance(env, gym.Env):
        return (ByCopy(env) if env.spec is None else BySpec(env.spec)), chat
    if isinstance(env, type) or (callable(env) and not _is_environment(env)):
        return ByCall(env), chat
    if _is_environment(env):
        return ByCopy(env), chat
    raise UserError(f"check_env needs an id, an environment, or a function that makes one, not {env!r:.60}")


def _is_environment(env: Any) -> bool:
    return any(cls.__module__.partition(".")[0] == "pettingzoo" for cls in type(env).__mro__)


@dataclass
class Heard:
    """What a process said, and how it ended."""

    on_finding: Callable[[Finding], None] | None = None
    findings: list[Finding] = field(default_factory=list)
    earnings: list[Earning] = field(default_factory=list)
    names: tuple[str, ...] = ()
    transcript: Any = None
    is_done: bool = False
    is_unknown: bool = False  # the process could not import what it was to make

    def take(self, item: Finding | Earning) -> None:
        """Keep it."""
        if isinstance(item, Finding):
            self.findings.append(item)
            if self.on_finding is not None:
                self.on_finding(item)
        else:
            self.earnings.append(item)


def _listen(
    verb: str,
    source: Source,
    chat: Mapping[str, Any],
    limits: Limits,
    on_finding: Callable[[Finding], None] | None = None,
    hash_seed: str | None = None,
) -> Heard:
    """Run one order in a process of its own; whatever becomes of it is told as findings."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    if hash_seed is not None:
        environment["PYTHONHASHSEED"] = hash_seed
    heard = Heard(on_finding)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
            start_new_session=True,  # what an environment has started is killed with it
        )
        assert process.stdin is not None and process.stdout is not None
        # What an environment has started may hold the pipe open after the process has ended.
        threading.Thread(target=_bury, args=(process,), daemon=True).start()
        try:
            luggage = pickle.dumps((source, dict(chat)))
            write_frame(process.stdin, pickle.dumps((verb, limits, luggage)))
            for frame in read_frames(process.stdout):
                _hear(heard, *pickle.loads(frame))
        except BrokenPipeError:
            pass  # it died before it read its order: told below
        finally:
            _end(process)
        said.seek(0)
        noise = said.read().decode("utf-8", "replace")
    if heard.is_unknown:
        return heard
    if not heard.is_done:
        _mourn(heard, process.returncode, noise, limits)
    elif verb == "check":
        heard.findings.append(Finding("hang", "pass", f"every call came back within {limits.deadline:g} s"))
    return heard


def _hear(heard: Heard, kind: str, value: Any) -> None:
    if kind == "refused":
        raise UserError(value)
    if kind == "item":
        heard.take(value)
    elif kind == "names":
        heard.names = value
    elif kind == "unknown":
        heard.is_unknown = True
    elif kind == "unmade":
        heard.is_done = True
        remedy = "the environment must be made by what was given, without an error"
        heard.findings.append(Finding("crash", "fail", value, "making the environment", remedy))
    else:
        heard.transcript, heard.is_done = value, True


def _bury(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    with contextlib.suppress(ProcessLookupError):  # all of the group have gone
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # It has said all there is to say, or nobody listens any more (Ctrl-C).
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS if sys.exc_info()[0] is None else 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _mourn(heard: Heard, status: int, noise: str, limits: Limits) -> None:
    """Say why a process ended before it was done."""
    if "Timeout (" in noise:
        reason, name = "hung", "hang"
        seen = f"a call did not come back within {limits.deadline:g} s; its process was killed"
        remedy = "find what it waits for; a search needs a bound, a socket a timeout"
        where = _innermost(noise.rpartition("Timeout (")[2])
    else:
        reason, name = "died", "death"
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        last = next((line.strip() for line in reversed(noise.splitlines()) if line.strip()), "")
        seen = f"its process ended with {how}" + (f": {last[:120]}" if last else "")
        remedy, where = "an environment must not end its process: raise, or mark it as one that needs workers", ""
    told = {finding.name for finding in heard.findings}
    heard.findings.append(Finding(name, "fail", seen, where, remedy))
    for check in heard.names:
        if check not in told:
            heard.findings.append(Finding(check, "skip", f"the environment {reason}: see `{name}`"))


def _innermost(trace: str) -> str:
    """The innermost place that is not ours, of a trace whose most recent call comes first."""
    # The thread that plays comes last.
    frames = [match for match in _FRAME.finditer(trace.rpartition("Thread 0x")[2] or trace)]
    for match in frames:
        if not match["file"].startswith(_OURS):
            return f"{match['file']}:{match['line']} in {match['name']}"
    return ""


def _judge_hashing(source: Source, chat: Mapping[str, Any], limits: Limits, heard: Heard) -> list[Finding]:
    failed = {finding.name for finding in heard.findings if finding.verdict == "fail"}
    for name in ("hang", "death", "crash", "same-seed"):
        if name in failed:
            return [Finding("hash-seed", "skip", f"see `{name}`")]
    both = [_listen("transcript", source, chat, limits, hash_seed=seed) for seed in HASH_SEEDS]
    for one in both:
        if one.transcript is None:
            return [Finding("hash-seed", "fail", one.findings[0].seen, "a process of its own", one.findings[0].remedy)]
    place = differs_at(both[0].transcript, both[1].transcript)
    if place is None:
        return [Finding("hash-seed", "pass", f"processes with PYTHONHASHSEED {' and '.join(HASH_SEEDS)} agree")]
    seen = f"the same seed gives something else with PYTHONHASHSEED {' and '.join(HASH_SEEDS)}"
    remedy = "derive nothing from hash(text) or the order of a set: SeedSequence([seed, index]), sorted(...)"
    return [Finding("hash-seed", "fail", seen, place, remedy)]


def _examine_here(
    source: Source, chat: Mapping[str, Any], limits: Limits, on_finding: Callable[[Finding], None] | None
) -> Heard:
    heard, case = Heard(on_finding), Case(source, chat, limits, Watch(limits.deadline))
    try:
        for item in examine(case, groups_for(case)):
            heard.take(item)
    except RefusedError as error:
        raise UserError(str(error)) from error
    except Exception as error:  # a copy that cannot be made, mostly
        remedy = "give the id, or a function that makes the environment, so that it need not be copied"
        heard.findings.append(Finding("crash", "fail", describe_error(error), "making the environment", remedy))
    return heard
