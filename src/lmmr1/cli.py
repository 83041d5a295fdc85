"""The command line: `lmmr1 COMMAND ...`.

Exit codes: 0 done, 1 failed, 2 the input was wrong, 130 interrupted. What the user can put right is told in one line,
`error: ...` on standard error; a traceback is a bug.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lmmr1 import __version__
from lmmr1.commands import dataset, doctor, evaluate, grade, listing, settings, size, train
from lmmr1.commands.authoring import check_env, new_env
from lmmr1.commands.disk import DiskFullError, describe, is_disk_full
from lmmr1.commands.evaluating import compare, experiment, leaderboard, rescore, serve
from lmmr1.commands.playing import play, record
from lmmr1.commands.viewing import view
from lmmr1.envs.errors import UserError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
# What only a path of the user's can bring about.
WRONG_PATHS = {errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}

# Which extra brings a module that a command failed to import.
EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "tokenizers": "train",
    "huggingface_hub": "train",
    "safetensors": "train",
    "pydantic": "train",
    "yaml": "train",
    "rich": "train",
    "tensorboard": "train",
    "peft": "lora",
    "wandb": "wandb",
    "math_verify": "math",
    "av": "video",
    "pygame": "games",
    "pettingzoo": "games",
    "matplotlib": "report",
    "datasets": "datasets",
    "deepspeed": "deepspeed",
    "ray": "ray",
    "vllm": "vllm",
    "starlette": "serve",
    "uvicorn": "serve",
}


class _Parser(argparse.ArgumentParser):
    """Tells a wrong command line as any other wrong input is told."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each one's arguments stand beside its code."""
    parser = _Parser(
        prog="lmmr1",
        description="Gymnasium environments for vision-language models: play them, train in them, see the gain.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lmmr1 {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    modules = (
        train,
        evaluate,
        compare,
        rescore,
        experiment,
        leaderboard,
        serve,
        record,
        play,
        view,
        new_env,
        check_env,
        grade,
        listing,
        dataset,
        doctor,
        size,
    )
    for module in modules:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after the program's name; those of the process by default.

    Returns:
        The exit code.
    """
    for stream in (sys.stdin, sys.stdout):
        # What a terminal cannot show, and bytes that are no text, become question marks instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())  # so that "my_pkg:My-v0" is found in the folder that one stands in
    try:
        arguments = build_parser().parse_args(settings.gather(sys.argv[1:] if argv is None else argv))
        return arguments.run(arguments)
    except DiskFullError as error:
        return _tell(str(error), FAILED)
    except UserError as error:
        return _tell(str(error), FAILED if is_disk_full(error) else WRONG_INPUT)
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`lmmr1 envs | head`); not even at exit may more be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _tell(f"this needs {error.name}, which is not installed: run pip install 'lmmr1[{extra}]'", WRONG_INPUT)
    except OSError as error:
        if is_disk_full(error):
            return _tell(f"{describe(error)}; make room, then run the same command again", FAILED)
        if error.errno not in WRONG_PATHS or error.filename is None:
            raise
        return _tell(f"{error.filename}: {error.strerror}", WRONG_INPUT)


def _tell(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}" if code != INTERRUPTED else message, file=sys.stderr)
    return code
