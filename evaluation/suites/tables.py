"""The rows that the paper publishes, to be set beside ours. Figures of others: nothing of this was measured here.

LMM-R1, arXiv 2503.07536: Table 1 (reasoning benchmarks), Table 2 (geometry) and Table 3 (agents), read from the project
page. "SFT-Text" was read off a radar plot. Claude, Gemini and GPT-4o of Table 3 are MageBench's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
        title: what it is about.
        columns: the names of its columns, as suites call them.
        rows: figures by the name of the model, in the order of `columns`; None where there is none.
        note: what has to be known about it.
    """

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    note: str = ""


PUBLISHED: dict[str, PublishedTable] = {
    "table1": PublishedTable(
        "Reasoning benchmarks, accuracy in % (Table 1)",
        ("MATH-500", "GPQA", "OlympiadBench", "MathVision", "MathVerse", "MM-Star", "MathVista"),
        {
            "Qwen2.5-VL-3B, CoT": (63.40, 30.30, 10.28, 23.59, 34.64, 51.40, 60.70),
            "FRE-Multi": (61.80, 27.27, 11.80, 24.74, 38.45, 58.76, 64.20),
            "FRE-Text": (65.40, 36.87, 15.62, 25.76, 38.83, 55.15, 61.40),
            "MGT-Geo": (65.80, 32.32, 14.63, 26.84, 41.80, 54.39, 59.00),
            "MGT-PerceReason": (63.80, 38.89, 15.62, 26.35, 41.55, 58.03, 63.20),
            "SFT-Text": (46.0, 27.3, 1.2, 15.9, 20.0, 53.0, 50.5),
        },
        "SFT-Text was read off a radar plot, to a few tenths. The paper lets a language model extract and judge "
        "some of these; our suites do it by rule.",
    ),
    "table2": PublishedTable(
        "Geometry, accuracy in % (Table 2)",
        (
            *("MathVision: analytic", "MathVision: combinatorial", "MathVision: metric", "MathVision: solid"),
            *("MathVerse: text dominant", "MathVerse: text lite", "MathVerse: vision intensive"),
            *("MathVerse: vision dominant", "MathVerse: vision only"),
        ),
        {
            "Qwen2.5-VL-3B, CoT": (34.52, 20.78, 26.33, 20.49, 43.15, 35.41, 33.38, 32.87, 28.43),
            "Direct-RL-Geo": (30.95, 17.53, 26.59, 22.54, 47.59, 40.36, 38.96, 36.04, 27.03),
            "FRE-Text": (28.57, 22.08, 31.01, 24.10, 48.22, 42.26, 39.72, 38.96, 25.00),
            "MGT-Geo": (36.90, 22.73, 31.66, 27.87, 51.02, 42.51, 39.72, 39.09, 36.68),
        },
    ),
    "table3": PublishedTable(
        "Agents, MageBench's score (Table 3)",
        ("Sokoban-Global", "Football-Online"),
        {
            "Idle": (41.18, 2.53),
            "Human": (83.63, 54.68),
            "Claude-3.5-Sonnet": (48.26, 16.94),
            "Gemini-1.5-pro": (46.13, 18.33),
            "GPT-4o": (46.09, 21.20),
            "Qwen2.5-VL-3B": (42.35, 15.36),
            "FRE-Text": (44.81, 18.46),
            "Direct-RL-Sokoban": (46.89, 16.32),
            "MGT-Sokoban": (47.91, 18.99),
        },
        "The paper plays MageBench's levels and scenarios; our suite plays our own of the same sizes, so the scores "
        "can be set side by side but not be compared to the point.",
    ),
}
