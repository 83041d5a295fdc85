"""`lmmr1 dataset check`: what a data set holds, and which of its rows cannot be asked."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from lmmr1.envs.errors import UserError

MOST_PRINTED = 20


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `dataset`."""
    parser = commands.add_parser("dataset", help="look into a data set", allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    parser = actions.add_parser("check", help="count the rows, and list those that cannot be asked", allow_abbrev=False)
    parser.add_argument("path", help="a .jsonl or .parquet file, a folder, a Hugging Face id, or a preset's name")
    parser.add_argument("--preset", help="read the columns as this preset does")
    parser.add_argument("--subset", help="the configuration of a Hugging Face data set that has several")
    parser.add_argument("--split", default="all", help="all, train, validation or test (default: all)")
    parser.add_argument("--dataset-split", help="one of the data's own splits")
    parser.add_argument("--image-root", help="the folder that image paths start from and may not leave")
    parser.add_argument(
        "--column", action="append", default=[], metavar="KIND=NAME", help="what a column is called, as question=text"
    )
    parser.add_argument("--fast", action="store_true", help="do not check right answers that take algebra to read")
    parser.add_argument("--all", action="store_true", help=f"list more than {MOST_PRINTED} refused rows")
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    """Print what was found."""
    from lmmr1.envs.datasets import DatasetWarning, open_dataset

    columns: dict[str, str] = {}
    for column in arguments.column:
        kind, equals, name = column.partition("=")
        if not equals:
            raise UserError(f"--column is {column!r}; write KIND=NAME, as in question=text")
        columns[kind] = name
    config: dict[str, Any] = {"path": arguments.path, "columns": columns, "check": "fast" if arguments.fast else "all"}
    named = {
        "preset": arguments.preset,
        "subset": arguments.subset,
        "split": arguments.dataset_split,
        "image_root": arguments.image_root,
    }
    config |= {key: value for key, value in named.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DatasetWarning)  # the refused rows are listed below
        dataset = open_dataset(config, arguments.split)
    report = dataset.report
    print(f"{arguments.path}: {report.rows} rows can be asked, {report.refused.total()} were refused")
    print(f"split {arguments.split}: {len(dataset)} rows")
    print("right answers: " + ", ".join(f"{count} {kind}" for kind, count in report.golds.most_common()))
    if report.unchecked:
        print(f"not checked: {report.unchecked} right answers that take algebra to read")
    print(f"questions: up to {report.longest} characters; {report.duplicates} ask what an earlier row asks")
    if report.pictures:
        low_width, low_height, width, height = report.sizes
        print(f"pictures: {report.pictures}, {low_width} to {width} wide and {low_height} to {height} high, in pixels")
    for kind, count in report.refused.most_common():
        print(f"refused, {kind}: {count}")
    shown = report.refusals if arguments.all else report.refusals[:MOST_PRINTED]
    for refusal in shown:
        print(f"  {refusal}")
    hidden = report.refused.total() - len(shown)
    if hidden:
        print(f"  and {hidden} more" + ("" if arguments.all else "; --all lists them"))
    return 0
