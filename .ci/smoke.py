#!/usr/bin/env python3
"""Builds the wheel and the sdist, and tries them as users meet them: in empty environments, on every Python here.

    python .ci/smoke.py                     # into dist/; needs the package `build`
    python .ci/smoke.py --extras ""         # without the environment that holds the extras and trains

What is tried: the wheel holds what git holds and nothing else; the sdist gives the same wheel; without extras the
package imports, registers, makes every environment and says which extra a command needs; with extras two iterations are
trained, and an episode is filmed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("envs", "agents", "training", "evaluation")
DATA = (".py", ".typed", ".yaml", ".json", ".jsonl", ".jinja", ".safetensors", ".txt", ".html", ".css", ".js", ".svg")
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
EXTRAS = "train,math,video,games,report"

WITHOUT_EXTRAS = """
import sys, gymnasium as gym, lmmr1
heavy = {"torch", "transformers", "numba", "pygame", "av", "pettingzoo"} & set(sys.modules)
assert not heavy, f"import lmmr1 loaded {heavy}"
ids = [id for id in gym.registry if id.startswith("LMMR1/")]
assert len(ids) >= 5, ids
for id in ids:
    env = gym.make(id)
    try:
        env.reset(seed=0)
    except lmmr1.UserError as error:
        assert id == "LMMR1/Football-v0" and "gfootball_engine" in str(error), error
        continue
    discrete = isinstance(env.action_space, gym.spaces.Discrete)
    env.step(env.action_space.sample() if discrete else env.unwrapped.solution().answer)
    chat = lmmr1.ChatEnv(env)
    chat.reset(seed=0)
    solution = chat.solution()
    *_, info = chat.step(f"<think>{solution.thought}</think><answer>{solution.answer}</answer>")
    assert info["reward_parts"]["format"] > 0, info
boards = gym.make_vec("LMMR1/Sokoban-v0", num_envs=4, engine="numpy")
boards.reset(seed=0)
boards.step(boards.action_space.sample())
print(len(ids), "environments")
"""
RECIPE = """
name: smoke
help: Two iterations, from an installed wheel.
model: {path: tiny}
films: 1
stages:
  learn:
    kind: ppo
    help: Two steps.
    iterations: 2
    environments:
      - {id: LMMR1/Geometry-v0, kwargs: {families: schematic, size: 84, style: slate}, chat: {instructions: brief}}
    rollout: {groups: 4, group_size: 2, max_new_tokens: 24, max_turns: 1}
evaluation:
  max_new_tokens: 24
  tasks:
    image:
      modality: image
      environment:
        {id: LMMR1/Geometry-v0, kwargs: {families: schematic, size: 84, style: slate}, chat: {instructions: brief}}
      episodes: 4
"""


def run(*words: str | Path, cwd: Path = ROOT, fails: int = 0) -> str:
    """Run a command that ends with the exit code `fails`; what it printed."""
    # Nothing of this checkout may be found by chance.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode != fails:
        sys.exit(f"error: {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def contents(wheel: Path) -> dict[str, int]:
    """The files of a wheel and their checksums; without the record, which holds the others' hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist() if not entry.filename.endswith("/RECORD")}


def files_of_git() -> set[str]:
    """What the wheel has to hold, by its paths there."""
    found = set()
    for line in run("git", "ls-files", *FLOORS, "src/lmmr1").splitlines():
        path = Path(line)
        if path.suffix not in DATA and path.name != "py.typed":
            continue  # the four links, and notes such as .gitignore
        found.add(path.relative_to("src").as_posix() if path.parts[0] == "src" else f"lmmr1/{path.as_posix()}")
    return found


def build(out: Path) -> Path:
    """Build both; the wheel."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # what an older build left would be taken along
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)  # the wheel is built from the sdist
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
        [straight], [wheel] = Path(folder).glob("*.whl"), out.glob("*.whl")
        first, second = contents(straight), contents(wheel)
        if first != second:
            sys.exit(f"error: the sdist gives another wheel: {sorted(first.items() ^ second.items())}")
    held = {name for name in second if not re.match(r"lmmr1-[^/]+\.dist-info/", name)}
    wanted = files_of_git()
    if held != wanted:
        sys.exit(f"error: not in the wheel: {sorted(wanted - held)}; not in git: {sorted(held - wanted)}")
    if any("test" in Path(name).parts[0] or "/tests/" in name for name in held):
        sys.exit("error: the wheel holds tests")
    kinds = {suffix: sum(name.endswith(suffix) for name in held) for suffix in DATA}
    megabytes = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {len(held)} files, {megabytes:.1f} MB, {kinds}; the sdist gives the same", flush=True)
    return wheel


def pythons() -> dict[str, Path]:
    """Every Python of this machine that the package is for, by its version."""
    found: dict[str, Path] = {}
    for version in VERSIONS:
        known = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        on_path = shutil.which(f"python{version}")
        for candidate in [*known, *([Path(on_path)] if on_path else [])]:
            asked = subprocess.run([candidate, "-c", "import ensurepip, venv"], capture_output=True)
            if asked.returncode == 0:
                found.setdefault(version, candidate)
    return found


def environment(folder: Path, python: Path, *packages: str) -> Path:
    """An empty virtual environment with some packages; the folder of its programs."""
    run(python, "-m", "venv", folder)
    for package in packages:
        run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *package.split())
    return folder / "bin"


def try_bare(bin: Path, folder: Path) -> str:
    """Without extras: what works, and what is said about the rest."""
    said = run(bin / "python", "-c", WITHOUT_EXTRAS, cwd=folder).strip()
    if "usage: lmmr1" not in run(bin / "lmmr1", "--help", cwd=folder):
        sys.exit("error: lmmr1 --help shows no usage")
    if "LMMR1/Sokoban-v0" not in run(bin / "lmmr1", "envs", cwd=folder):
        sys.exit("error: lmmr1 envs does not list Sokoban")
    told = run(bin / "lmmr1", "train", "tiny", cwd=folder, fails=2)
    if not re.fullmatch(r"error: this needs \w+, which is not installed: run pip install 'lmmr1\[train\]'\n", told):
        sys.exit(f"error: train without its extra says: {told}")
    return said


def try_training(bin: Path, folder: Path) -> None:
    """With extras: two iterations, the report, a film."""
    (folder / "smoke.yaml").write_text(RECIPE, encoding="utf-8")
    run(bin / "lmmr1", "train", "smoke.yaml", cwd=folder)
    for name in ("summary.json", "report.html", "models/learn/model.safetensors"):
        if not (folder / "runs/smoke" / name).is_file():
            sys.exit(f"error: the run left no {name}")
    run(bin / "lmmr1", "record", "LMMR1/Sokoban-v0", "--episodes", "1", "--out", "film.mp4", cwd=folder)
    run(bin / "lmmr1", "grade", r"\ln 8", r"3\ln 2", cwd=folder)


def main() -> int:
    """Build and try."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to (default: dist/)")
    parser.add_argument("--extras", default=EXTRAS, help=f"what trains (default: {EXTRAS}); '' for none")
    torch = os.environ.get("TORCH", "torch==2.13.0")
    parser.add_argument("--torch", default=torch, help="what pip installs first there")
    parser.add_argument("--train-on", default="3.11", metavar="VERSIONS", help="Pythons that train (default: 3.11)")
    arguments = parser.parse_args()
    begun = time.monotonic()
    wheel, found = build(arguments.out), pythons()
    if not found:
        sys.exit("error: there is no Python here that can make environments: apt-get install python3-venv")
    for version in VERSIONS:
        if version not in found:
            print(f"Python {version}: not on this machine")
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            bin = environment(folder / "bare", found[version], str(wheel))
            print(f"Python {version}, no extras: {try_bare(bin, folder)}", flush=True)
            if arguments.extras and version in arguments.train_on.split(","):
                pins = f"--constraint {ROOT / 'constraints.txt'}"
                extras = f"{wheel}[{arguments.extras}]"
                bin = environment(folder / "full", found[version], f"{arguments.torch} {pins}", f"{extras} {pins}")
                try_training(bin, folder)
                print(f"Python {version}, [{arguments.extras}]: trained, reported, filmed, graded", flush=True)
    print(f"smoke: {time.monotonic() - begun:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
