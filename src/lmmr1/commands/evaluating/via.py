"""`lmmr1 evaluate AGENT --via TOOL [TASK ...]`: another evaluator asks, we serve, and read its results back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmmr1.envs.errors import UserError

if TYPE_CHECKING:
    from lmmr1.evaluation.adapters.outside import Outside
    from lmmr1.evaluation.session import Settings
    from lmmr1.evaluation.suites.suite import Suite

VIA = "via.json"


def evaluate_via(
    tool_name: str,
    tasks: Sequence[str],
    subject: str,
    chosen: Settings,
    folder: Path,
    *,
    include: Path | None,
    online: bool,
) -> dict[str, Any]:
    """Let another evaluator play.

    Args:
        tool_name: "lmms-eval" or "lighteval".
        tasks: its own tasks; none for those of our suite, which are written out for it.
        subject: the agent's word.
        chosen: suite, agent and seed.
        folder: of the evaluation.
        include: a folder with more tasks of lmms-eval's, or a file of custom tasks of lighteval's.
        online: whether the evaluator may use the network.

    Returns:
        The content of via.json: "tool", "version", "agent", and "tasks": its metrics by task. For tasks of ours also
        what our own rules make of the same replies, in evaluations in `folder`/replayed.

    Raises:
        UserError: it cannot be installed, or failed.
    """
    from lmmr1.evaluation.adapters.outside import Outside
    from lmmr1.evaluation.adapters.workshop import find_tool, prepare
    from lmmr1.evaluation.session import fit_to_data

    tool = find_tool(tool_name)
    suite: Suite = fit_to_data(chosen.suite)
    if chosen.agent["kind"] not in ("policy", "fixed", "scripted"):
        raise UserError(f"{chosen.agent['name']} cannot be served: give a model, a script, or answer:TEXT")
    python = prepare(tool, lambda line: print(line, file=sys.stderr))
    place = folder / tool.name
    # Its name is the policy's alone: evaluators keep replies by the name of a model.
    model = re.sub(r"[^A-Za-z0-9.-]", "-", f"{chosen.agent['name']}-{str(chosen.agent.get('weights_sha256', ''))[:10]}")
    exported = None if tasks else _export(suite, chosen.seed)
    with _served(subject, model, suite) as url:
        outside = Outside(python, place.resolve(), url, model, offline=not online)
        found = _run(tool.name, outside, tasks, exported, suite, include)
    results = {"tool": tool.name, "version": tool.version, "agent": dict(chosen.agent), "tasks": {}}
    for task, told in found.items():
        results["tasks"][task] = {"metrics": told["metrics"], "rows": len(told["replies"])}
    if exported is not None:
        replayed = _judge(folder, chosen, suite, {task: told["replies"] for task, told in found.items()})
        for task, modes in replayed["tasks"].items():
            results["tasks"][task]["ours"] = modes["greedy"]["success"]
    (folder / VIA).write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def _export(suite: Suite, seed: int) -> dict[str, list[dict[str, Any]]]:
    from lmmr1.evaluation.adapters.export import export_rows

    return {task.name: export_rows(task, seed) for task in suite.tasks}


def _run(
    tool: str,
    outside: Outside,
    tasks: Sequence[str],
    exported: Mapping[str, list[dict[str, Any]]] | None,
    suite: Suite,
    include: Path | None,
) -> dict[str, Any]:
    from lmmr1.evaluation.adapters import lighteval, lmms_eval

    names: dict[str, str] = {}
    own: Path | None = None
    if exported is not None:
        own = outside.folder / "tasks"
        shutil.rmtree(own, ignore_errors=True)
        write = lmms_eval.write_tasks if tool == "lmms-eval" else lighteval.write_tasks
        names = write(exported, own, suite.max_new_tokens)
    asked = list(names.values()) or list(tasks)
    if tool == "lmms-eval":
        found = lmms_eval.run_lmms_eval(outside, asked, own or (include.resolve() if include else None))
    else:
        system = _only_system(exported) if exported is not None else None
        limits = (suite.max_new_tokens, suite.max_context_tokens)
        found = lighteval.run_lighteval(outside, asked, own or include, system, *limits)
    back = {its: ours for ours, its in names.items()}
    return {back.get(task, task): told for task, told in found.items() if not names or task in back}


def _only_system(exported: Mapping[str, list[dict[str, Any]]]) -> str | None:
    systems = {row["system"] for rows in exported.values() for row in rows}
    if len(systems) > 1:
        raise UserError("lighteval has one system message for all, and these tasks have several: choose with --only")
    return next(iter(systems), None) or None


@contextlib.contextmanager
def _served(subject: str, model: str, suite: Suite) -> Iterator[str]:
    """The agent behind an endpoint of its own process; the URL."""
    command = [sys.executable, "-m", "lmmr1", "serve", subject, "--port", "0", "--name", model]
    command += ["--max-new-tokens", str(suite.max_new_tokens), "--max-context-tokens", str(suite.max_context_tokens)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise UserError(f"the agent cannot be served: {process.stderr.read().strip().removeprefix('error: ')}")
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


def _judge(folder: Path, chosen: Settings, suite: Suite, replies: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """Our own figures of the replies that the evaluator got: an evaluation as any other, its episodes kept."""
    from lmmr1.agents.episode import Episode, Turn
    from lmmr1.agents.players.replay import ReplayPlayer
    from lmmr1.agents.rollout import EVALUATION_STREAM
    from lmmr1.evaluation.session import run_evaluation
    from lmmr1.evaluation.suites.suite import plain_name

    kept = folder / "replayed"
    shutil.rmtree(kept, ignore_errors=True)
    results: dict[str, Any] = {}
    for task in suite.tasks:
        missing = [number for number in range(task.episodes) if number not in replies[task.name]]
        if missing:
            raise UserError(f"{task.name}: there is no reply for the rows {missing[:10]}")
        episodes = [
            Episode(task.name, (chosen.seed, EVALUATION_STREAM, number), number, turns=[Turn([], text)])
            for number, text in replies[task.name].items()
        ]
        one = dataclasses.replace(suite, tasks=(task,), modes=("greedy",), columns={})
        settings = dataclasses.replace(chosen, suite=one)
        told = run_evaluation(kept / plain_name(task.name), settings, ReplayPlayer(episodes, str(chosen.agent["name"])))
        results.setdefault("tasks", {}).update(told["tasks"])
    return results
