"""What lmms-eval's task file calls: our rows as messages, and its own judgement of the replies."""

import io
import json

from PIL import Image
from rule import is_right, read_answer


def doc_to_messages(doc, lmms_eval_specific_kwargs=None):
    """The conversation of a row, its pictures decoded."""
    pictures = [Image.open(io.BytesIO(data)) for data in doc["pictures"]]
    messages = json.loads(doc["messages"])
    for message in messages:
        for part in message["content"]:
            if part["type"] == "image":
                part["url"] = pictures[part.pop("picture")]
    return messages


def doc_to_visual(doc):
    """The pictures of a row."""
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in doc["pictures"]]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    """All that is said, for the samples file."""
    parts = [part for message in json.loads(doc["messages"]) for part in message["content"]]
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


def process_results(doc, results):
    """The metrics of a row: whether the answer is right, and whether there is one."""
    right = is_right(results[0], doc["gold"], json.loads(doc["options"]))
    return {"right": float(right), "answered": float(bool(read_answer(results[0])))}
