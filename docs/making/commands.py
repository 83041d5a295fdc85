"""The page about the command line, from the parsers themselves: `python docs/making/commands.py` prints it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from lmmr1.cli import build_parser

HEAD = """\
# The command line

`lmmr1 COMMAND --help` says the same in a terminal. What can be put right is told in one line, `error: ...`; what each
message means is in [When something goes wrong](troubleshooting.md).

## Exit codes

| Code | What happened |
| ---: | --- |
| 0 | it is done |
| 1 | it failed: a run that a guard stopped, a disk that is full, a check that found something |
| 2 | the input was wrong; the message says what, where, and what to do |
| 130 | it was interrupted (Ctrl-C, or SIGTERM while training); the last line says how to go on |

`lmmr1 --version` prints the version.

"""


def write_page() -> str:
    """The page."""
    parser = build_parser()
    rows, parts = [], []
    for name, child, summary in subcommands(parser):
        rows.append(f"| [`lmmr1 {name}`](#lmmr1-{name}) | {cell(summary)} |")
        parts.append(section(child, name, summary, 2))
    table = "\n".join(["| Command | What it does |", "| --- | --- |", *rows])
    return HEAD + "## Commands\n\n" + table + "\n\n" + "\n".join(parts)


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Each command of a parser: its name, its own parser, and its line of help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, child in action.choices.items():
                yield name, child, helps.get(name, "")


def section(parser: argparse.ArgumentParser, name: str, summary: str, depth: int) -> str:
    """What one command takes, its own commands after it."""
    # The same line breaks on a narrow and on a wide terminal.
    formatter = argparse.HelpFormatter(parser.prog, width=88)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    usage = formatter.format_help().strip().removeprefix("usage: ")
    text = f"{'#' * depth} `lmmr1 {name}` {{#lmmr1-{name.replace(' ', '-')}}}\n\n"
    text += f"{sentence(parser.description or summary)}\n\n```text\n{usage}\n```\n\n"
    rows = [row(action) for action in parser._actions if shown(action)]
    if rows:
        text += "\n".join(["| Argument | Meaning |", "| --- | --- |", *rows]) + "\n\n"
    if parser.epilog:
        raw = parser.formatter_class is argparse.RawDescriptionHelpFormatter
        shown_raw = f"```text\n{parser.epilog.strip()}\n```\n\n"
        text += shown_raw if raw else f"{escape(' '.join(parser.epilog.split()))}\n\n"
    return text + "".join(
        section(child, f"{name} {word}", help, depth + 1) for word, child, help in subcommands(parser)
    )


def shown(action: argparse.Action) -> bool:
    """Whether an argument is one that people write."""
    hidden = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not hidden and action.help is not argparse.SUPPRESS


def row(action: argparse.Action) -> str:
    """One line of the table of arguments."""
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else None)
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings:
        left = f"`{value or action.dest.upper()}`"
    elif action.nargs == 0:
        left = ", ".join(f"`{word}`" for word in action.option_strings)
    else:
        value = value or action.dest.upper()
        value = {"?": f"[{value}]", "+": f"{value} ...", "*": f"[{value} ...]"}.get(str(action.nargs), value)
        left = ", ".join(f"`{word} {value}`" for word in action.option_strings)
    told = (action.help or "") % {**vars(action), "prog": "lmmr1"}
    return f"| {left.replace('|', chr(92) + '|')} | {cell(told)} |"


def cell(text: str) -> str:
    """A text as it may stand in a table."""
    return escape(" ".join(text.split())).replace("|", "\\|")


def escape(text: str) -> str:
    """What Markdown would read as its own is shown as it is."""
    for character in "\\`*_<":
        text = text.replace(character, f"&#{ord(character)};" if character in "<\\" else f"\\{character}")
    return text


def sentence(text: str) -> str:
    """A capital letter and a full stop."""
    text = escape(text[:1].upper() + text[1:])
    return text if text.endswith((".", "?", "!")) else f"{text}."


if __name__ == "__main__":
    print(write_page())
