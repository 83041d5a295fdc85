"""lmms-eval, asked to evaluate an endpoint: its command line, and its results read back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import UserError

from .export import write_parquet
from .outside import Outside, read_json, run_outside

# It writes this in the place of a reply that it did not get, and would score it as a wrong one.
FAILED = "[LMMS_EVAL_REQUEST_FAILED"
OURS = "lmmr1_"

_TASK = """\
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {data}
task: {name}
test_split: test
output_type: generate_until
doc_to_messages: !function lmms_task.doc_to_messages
doc_to_visual: !function lmms_task.doc_to_visual
doc_to_text: !function lmms_task.doc_to_text
doc_to_target: gold
process_results: !function lmms_task.process_results
# Its command line would cut the thoughts out before the reply is judged.
reasoning_tags: none
generation_kwargs: {{max_new_tokens: {tokens}, temperature: 0}}
metric_list:
  - {{metric: right, aggregation: mean, higher_is_better: true}}
  - {{metric: answered, aggregation: mean, higher_is_better: true}}
"""


def write_tasks(tasks: Mapping[str, Sequence[dict[str, Any]]], folder: Path, max_new_tokens: int) -> dict[str, str]:
    """Write our problems as tasks of lmms-eval.

    Args:
        tasks: rows by the names of our tasks, see `export_rows`.
        folder: becomes its folder of tasks.
        max_new_tokens: longest reply.

    Returns:
        Its name of each of our tasks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy_inside(folder, ("rule.py", "lmms_task.py"))
    names = {}
    for number, (task, rows) in enumerate(tasks.items()):
        names[task] = f"{OURS}{number}"
        data = folder / f"{names[task]}.parquet"
        write_parquet(rows, data)
        text = _TASK.format(data=json.dumps(str(data.resolve())), name=names[task], tokens=max_new_tokens)
        (folder / f"{names[task]}.yaml").write_text(text, encoding="utf-8")
    return names


def copy_inside(folder: Path, names: Sequence[str]) -> None:
    """Put files that run in the other environment into a folder."""
    for name in names:
        with as_file(files("lmmr1.evaluation.adapters.inside") / name) as path:
            shutil.copy(path, folder / name)


def run_lmms_eval(outside: Outside, tasks: Sequence[str], include: Path | None) -> dict[str, Any]:
    """Let lmms-eval evaluate the endpoint.

    Args:
        outside: where it runs, and whom it asks.
        tasks: its names of tasks.
        include: a folder with more tasks.

    Returns:
        {task: {"metrics": {metric: value}, "replies": {row: text}}}.

    Raises:
        UserError: it failed, or a request of it did; a reply that never came is never scored.
    """
    output = outside.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    model = f"model_version={outside.model},base_url={outside.url},api_key={outside.api_key},num_concurrent=16"
    command = ["-m", "lmms_eval", "--model", "openai", "--model_args", model, "--tasks", ",".join(tasks)]
    command += ["--batch_size", "1", "--log_samples", "--output_path", str(output), "--reasoning_tags", "none"]
    if include is not None:
        command += ["--include_path", str(include)]
    run_outside(outside, command)
    results = sorted(output.rglob("*_results.json"))
    if not results:
        raise UserError(f"lmms-eval left no results in {output}; see {outside.log}")
    found = read_json(results[-1])["results"]
    return {task: _read_task(task, found, output) for task in found}


def _read_task(task: str, found: Mapping[str, Any], output: Path) -> dict[str, Any]:
    metrics = {
        key.partition(",")[0]: value
        for key, value in found[task].items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and "stderr" not in key and key != "samples"
    }
    replies: dict[int, str] = {}
    for path in sorted(output.rglob(f"*_samples_{task}.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            # Where its filters have changed nothing it writes the reply once.
            reply = _first_text(sample.get("resps", sample.get("filtered_resps")))
            if reply is None:
                raise UserError(f"lmms-eval kept no reply for row {sample['doc_id']} of {task}: see {path}")
            if reply.startswith(FAILED):
                raise UserError(f"lmms-eval: a request of {task} failed, row {sample['doc_id']}: {reply[:300]}")
            replies[int(sample["doc_id"])] = reply
    return {"metrics": metrics, "replies": replies}


def _first_text(value: Any) -> str | None:
    """The first reply in its nested lists."""
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else None
