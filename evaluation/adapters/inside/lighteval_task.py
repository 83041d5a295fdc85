"""What lighteval loads as custom tasks: our rows as documents, judged by our rule and by its own mathematics."""

import json
import os
import sys
from pathlib import Path

import numpy as np
from lighteval.metrics.metrics import Metrics  # pyright: ignore[reportMissingImports]
from lighteval.metrics.metrics_sample import SampleLevelComputation  # pyright: ignore[reportMissingImports]
from lighteval.metrics.utils.metric_utils import SampleLevelMetric  # pyright: ignore[reportMissingImports]
from lighteval.tasks.lighteval_task import LightevalTaskConfig  # pyright: ignore[reportMissingImports]
from lighteval.tasks.requests import Doc, SamplingMethod  # pyright: ignore[reportMissingImports]

sys.path.insert(0, str(Path(__file__).parent))
from rule import is_right, read_answer  # noqa: E402  # pyright: ignore[reportMissingImports]

CONFIG = json.loads(Path(os.environ["LMMR1_TASKS"]).read_text(encoding="utf-8"))


class Right(SampleLevelComputation):
    """Whether the answer is right, by rule.py."""

    def compute(self, doc, model_response, **_):
        """1 or 0."""
        return float(is_right(model_response.final_text[0], doc.specific["gold"], doc.specific["options"]))


class Extracted(SampleLevelComputation):
    """lighteval's own judgement of the answer that our tags hold: its math metric reads no tags."""

    def __init__(self):
        self.metric = Metrics.pass_at_k_math(sample_params={"k": 1, "n": 1}).sample_level_fn

    def compute(self, doc, model_response, **_):
        """1 or 0."""
        answer = read_answer(model_response.final_text[0])
        shown = type(model_response)(text=[f"ANSWER: ${answer}$"])
        return float(self.metric.compute(doc=doc, model_response=shown))


def metric(name, function):
    """A mean over documents."""
    return SampleLevelMetric(
        metric_name=name,
        higher_is_better=True,
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=function,
        corpus_level_fn=np.mean,
    )


def as_document(line, task_name=None):
    """A row as lighteval asks it."""
    specific = {"gold": line["gold"], "options": json.loads(line["options"]), "id": line["id"]}
    gold = line["gold"].strip().strip("$")
    return Doc(task_name=task_name, query=line["text"], choices=[f"${gold}$"], gold_index=0, specific=specific)


TASKS_TABLE = [
    LightevalTaskConfig(
        name=name,
        prompt_function=as_document,
        hf_repo=folder,
        hf_subset="default",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        few_shots_split=None,
        few_shots_select=None,
        generation_size=CONFIG["max_new_tokens"],
        metrics=[metric("right", Right()), metric("math", Extracted())],
        stop_sequence=[],
        version=0,
    )
    for name, folder in CONFIG["tasks"].items()
]
