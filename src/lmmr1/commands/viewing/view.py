"""`lmmr1 view RUN`: a local page over a run folder, while it trains and after."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import webbrowser
from pathlib import Path

from lmmr1.envs.errors import UserError

MOST_RUNS = 8
_EPILOG = """\
The page shows curves that go on while the run trains, kept episodes token by token, and two checkpoints on the same
seed. Several runs lie over each other. It loads nothing from a network."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `view`."""
    parser = commands.add_parser("view", help="look at a run on a local page", epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("folders", metavar="RUN", nargs="+", type=Path, help="folder of a run or of an evaluation")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine alone)"
    )
    parser.add_argument("--port", type=int, default=8765, help="port (default: 8765; 0 takes a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where compared checkpoints play (default: cpu)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the page until interrupted; the exit code."""
    from lmmr1.agents.serving.listening import LOOPBACK, listen
    from lmmr1.evaluation.viewing.app import PURPOSE, Exhibit, Gallery, make_app
    from lmmr1.evaluation.viewing.subject import open_subjects

    from .theatre import CheckpointTheatre

    if not 0 <= arguments.port < 65536:
        raise UserError(f"--port must be from 0 to 65535, not {arguments.port}")
    if len(arguments.folders) > MOST_RUNS:
        raise UserError(f"{len(arguments.folders)} folders are too many for one page: name at most {MOST_RUNS}")
    subjects = open_subjects(arguments.folders)
    theatre = CheckpointTheatre(subjects, arguments.device)
    exhibits = [Exhibit.open(subject, theatre.base_folder(number)) for number, subject in enumerate(subjects)]
    if arguments.host not in LOOPBACK:
        print(
            f"warning: --host {arguments.host} lets everybody who reaches this machine read these folders and have "
            "their checkpoints play",
            file=sys.stderr,
        )

    def tell(url: str) -> None:
        print(f"{', '.join(subject.label for subject in subjects)} at {url} (stop with Ctrl-C)", flush=True)
        if not arguments.no_browser and _has_display():
            webbrowser.open(url)

    with contextlib.closing(Gallery(exhibits, theatre)) as gallery:
        listen(make_app(gallery, arguments.host), arguments.host, arguments.port, PURPOSE, tell)
    return 0


def _has_display() -> bool:
    """Whether a browser would have a window; without one it might take over the terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
