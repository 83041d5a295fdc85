"""lighteval, asked to evaluate an endpoint: its command line, and its results read back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError

from .export import write_lines
from .lmms_eval import OURS, copy_inside
from .outside import Outside, read_json, run_outside

CONFIG, MODEL, DETAILS = "tasks.json", "model.json", "details.py"
# Its details are Parquet files; its own environment reads them.
_DETAILS = """\
import glob, json, sys
import pandas
found = {}
for path in sorted(glob.glob(sys.argv[1] + "/**/details_*.parquet", recursive=True)):
    frame = pandas.read_parquet(path)
    name = path.rpartition("details_")[2].rpartition("_")[0]
    rows = found.setdefault(name.partition("|")[0], {})
    for place, (doc, response) in enumerate(zip(frame["doc"], frame["model_response"])):
        texts = response.get("text_post_processed")
        texts = response["text"] if texts is None else texts
        number = (doc.get("specific") or {}).get("id")
        rows[str(place if number is None else int(number))] = str(list(texts)[0])
print(json.dumps(found))
"""


def write_tasks(tasks: Mapping[str, Sequence[dict[str, Any]]], folder: Path, max_new_tokens: int) -> dict[str, str]:
    """Write our problems as custom tasks of lighteval.

    Args:
        tasks: rows by the names of our tasks, see `export_rows`; without pictures.
        folder: becomes the folder of the tasks.
        max_new_tokens: longest reply.

    Returns:
        Its name of each of our tasks.

    Raises:
        UserError: a row has pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy_inside(folder, ("rule.py", "lighteval_task.py"))
    names = {task: f"{OURS}{number}" for number, task in enumerate(tasks)}
    for task, rows in tasks.items():
        write_lines(rows, folder / names[task] / "test.jsonl")
    places = {name: str((folder / name).resolve()) for name in names.values()}
    config = {"tasks": places, "max_new_tokens": max_new_tokens}
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return names


def run_lighteval(
    outside: Outside, tasks: Sequence[str], folder: Path | None, system: str | None, max_new_tokens: int, context: int
) -> dict[str, Any]:
    """Let lighteval evaluate the endpoint.

    Args:
        outside: where it runs, and whom it asks.
        tasks: its names of tasks.
        folder: of our tasks, if they are ours.
        system: the system message of every problem.
        max_new_tokens: longest reply.
        context: tokens of a conversation and its reply; without it, it would ask a foreign server.

    Returns:
        {task: {"metrics": {metric: value}, "replies": {row: text}}}.

    Raises:
        UserError: it failed.
    """
    output = outside.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    outside.folder.mkdir(parents=True, exist_ok=True)
    parameters: dict[str, Any] = {
        "provider": "openai",
        "model_name": f"openai/{outside.model}",
        "base_url": outside.url,
        "api_key": outside.api_key,
        "max_model_length": context,
        "concurrent_requests": 16,
        "generation_parameters": {"temperature": 0.0, "max_new_tokens": max_new_tokens},
        "cache_dir": str(outside.folder / "cache"),
        **({"system_prompt": system} if system else {}),
    }
    # JSON is YAML.
    model = outside.folder / f"{MODEL}.yaml"
    model.write_text(json.dumps({"model_parameters": parameters}), encoding="utf-8")
    command = ["-m", "lighteval", "endpoint", "litellm", str(model), ",".join(f"{task}|0" for task in tasks)]
    command += ["--output-dir", str(output), "--save-details", "--no-public-run"]
    # Our thoughts are judged with the reply; its default would cut them out.
    command += ["--no-remove-reasoning-tags"]
    if folder is not None:
        command += ["--custom-tasks", str(folder / "lighteval_task.py")]
        outside = replace(outside, environment={**outside.environment, "LMMR1_TASKS": str(folder / CONFIG)})
    run_outside(outside, command)
    results = sorted(output.rglob("results_*.json"))
    if not results:
        raise UserError(f"lighteval left no results in {output}; see {outside.log}")
    found = read_json(results[-1])["results"]
    replies = _read_details(outside, output)
    read = {}
    for key, values in found.items():
        name = key.partition("|")[0]
        if name == "all":
            continue
        metrics = {metric: value for metric, value in values.items() if not metric.endswith("_stderr")}
        read[name] = {"metrics": metrics, "replies": {int(n): text for n, text in replies.get(name, {}).items()}}
    return read


def _read_details(outside: Outside, output: Path) -> dict[str, dict[str, str]]:
    script = outside.folder / DETAILS
    script.write_text(_DETAILS, encoding="utf-8")
    reading = replace(outside, folder=outside.folder / "details")
    run_outside(reading, [str(script), str(output)])
    # What it prints last is the document.
    return json.loads(reading.log.read_text(encoding="utf-8").strip().splitlines()[-1])
