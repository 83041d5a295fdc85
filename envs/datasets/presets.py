"""Data sets by name: where they lie, and what their columns are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Preset:
    """A published data set.

    Attributes:
        hub: its Hugging Face id.
        columns: what its columns are called, by what they hold.
        files: of the files in its repository, the one to read; None for what the repository declares.
        subset: the configuration to load, where there are several.
        split: the split that has answers, where the data's own names say nothing about training and testing.
        held_out: whether it is for testing alone, whatever its splits are called.
        archive: of the images that a row names by path, the archive in the repository; None where rows hold them.
        image_folder: the folder in that archive. Rows name it behind folders of the machine that they were written on.
    """

    hub: str
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: str | None = None
    subset: str | None = None
    split: str | None = None
    held_out: bool = False
    archive: str | None = None
    image_folder: str | None = None


MESSAGES = {"message": ("message",), "answer": ("answer",)}
GPQA = {
    "question": ("Question",),
    "answer": ("Correct Answer",),
    "distractors": ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
    "solution": ("Explanation",),
}
MATHEMATICS = {"question": ("problem",), "answer": ("answer",), "solution": ("solution",)}


def _olympiad(subset: str, pictures: bool = False) -> Preset:
    """Open-ended problems in English: in text alone (TO), or with pictures (MM), which the text calls <image_1> etc."""
    columns = {
        "question": ("question",),
        "answer": ("final_answer",),
        "category": ("subfield",),
        **({"image": tuple(f"image_{number}" for number in range(1, 6))} if pictures else {}),
    }
    return Preset("Hothan/OlympiadBench", columns, subset=subset, split="train", held_out=True)


PRESETS: dict[str, Preset] = {
    # The 40,300 problems of FRE-Text, as published by DeepScaleR's authors.
    "deepscaler": Preset("agentica-org/DeepScaleR-Preview-Dataset", MATHEMATICS),
    # The rows of LMM-R1: stringified chat messages, and pictures in an archive beside them.
    "vermulti": Preset(
        "VLM-Reasoner/VerMulti",
        MESSAGES,
        files="mathv60k_message.jsonl",
        archive="mathv60k_img.tar.gz",
        image_folder="mathv60k_img",
    ),
    "vermulti_geo": Preset(
        "VLM-Reasoner/VerMulti",
        MESSAGES,
        files="mathv_geo_message.jsonl",
        archive="mathv_geo_img.tar.gz",
        image_folder="mathv_geo_img",
    ),
    "math500": Preset("HuggingFaceH4/MATH-500", MATHEMATICS, split="test", held_out=True),
    "gpqa": Preset("Idavidrein/gpqa", GPQA, subset="gpqa_main", split="train", held_out=True),
    "gpqa_diamond": Preset("Idavidrein/gpqa", GPQA, subset="gpqa_diamond", split="train", held_out=True),
    # The answers of its other split, "test", are not published.
    "mathvista": Preset(
        "AI4Math/MathVista",
        {"question": ("question",), "answer": ("answer",), "choices": ("choices",), "image": ("decoded_image",)},
        split="testmini",
        held_out=True,
    ),
    "mathvision": Preset(
        "MathLLMs/MathVision",
        {
            "question": ("question",),
            "answer": ("answer",),
            "choices": ("options",),
            "image": ("decoded_image",),
            "category": ("subject",),
        },
        split="test",
        held_out=True,
    ),
    # Five versions of each problem, from all in words to all in the picture; the question with which option letters are
    # asked for is a column of its own, and the only one that the last version has.
    "mathverse": Preset(
        "AI4Math/MathVerse",
        {"question": ("query_wo",), "answer": ("answer",), "image": ("image",), "category": ("problem_version",)},
        subset="testmini",
        split="testmini",
        held_out=True,
    ),
    # The options are part of its questions.
    "mmstar": Preset(
        "Lin-Chen/MMStar",
        {"question": ("question",), "answer": ("answer",), "image": ("image",), "category": ("category",)},
        split="val",
        held_out=True,
    ),
    "olympiadbench_maths": _olympiad("OE_TO_maths_en_COMP"),
    "olympiadbench_physics": _olympiad("OE_TO_physics_en_COMP"),
    "olympiadbench_maths_mm": _olympiad("OE_MM_maths_en_COMP", pictures=True),
    "olympiadbench_physics_mm": _olympiad("OE_MM_physics_en_COMP", pictures=True),
}
