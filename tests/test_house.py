"""The plan of the house, kept by reading the imports of every file."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("envs", "agents", "training", "evaluation")

# Which floors a floor may import, itself aside. The command line may import all.
BELOW = {
    "envs": set(),
    "agents": {"envs"},
    "training": {"agents", "envs"},
    "evaluation": {"agents", "envs"},
    "lmmr1": {"envs", "agents", "training", "evaluation"},
}

# Where an optional dependency may be imported: the file, or the folder, that adapts it.
HOMES = {
    "torch": ("agents/", "training/", "evaluation/", "src/lmmr1/doctor/"),
    "transformers": ("agents/", "training/"),
    "tokenizers": ("agents/",),
    "huggingface_hub": ("agents/hub.py",),
    "safetensors": ("agents/", "training/"),
    "pydantic": ("training/recipe.py", "evaluation/documents.py"),
    "yaml": ("training/recipe.py", "evaluation/documents.py", "evaluation/reporting/report.py"),
    "rich": ("training/records/metrics.py", "training/records/progress.py"),
    "tensorboard": ("training/records/board.py",),
    "wandb": ("training/records/weights_and_biases.py",),
    "peft": ("agents/networks/lora.py",),
    "math_verify": ("envs/rewards/", "evaluation/adapters/inside/"),
    "sympy": ("envs/rewards/",),
    "latex2sympy2_extended": ("envs/rewards/",),
    "av": ("envs/recording/mp4.py",),
    "matplotlib": ("evaluation/",),
    "pygame": ("envs/window.py", "src/lmmr1/commands/playing/window.py"),
    "pettingzoo": ("envs/football/", "envs/parallel_chat.py", "envs/checking/checks/agents.py"),
    "numba": ("envs/compiling/kernel.py",),
    "gfootball_engine": ("envs/football/engine/core.py",),
    "datasets": ("envs/datasets/sources/tables.py",),
    "pyarrow": (),
    "reasoning_gym": ("envs/reasoning/reasoning_gym.py",),
    "vllm": ("agents/engines/vllm/", "src/lmmr1/doctor/trials.py"),
    "deepspeed": ("training/backends/zero.py", "src/lmmr1/doctor/trials.py"),
    "ray": ("training/launchers/cluster/", "src/lmmr1/doctor/trials.py"),
    "starlette": ("agents/serving/app.py", "agents/serving/listening.py", "evaluation/viewing/app.py"),
    "uvicorn": ("agents/serving/listening.py",),
    "lmms_eval": ("evaluation/adapters/inside/",),
    "lighteval": ("evaluation/adapters/inside/",),
}
# Of these, the ones that even their homes import inside functions only, so that what lies around them stays light.
DEFERRED = {"math_verify", "sympy", "av", "matplotlib", "pygame", "gfootball_engine", "vllm", "deepspeed", "ray"}
DEFERRED |= {"tensorboard", "wandb", "peft", "datasets", "reasoning_gym", "numba", "starlette", "uvicorn"}

# vLLM's processes import this file by its name; it defines classes of theirs. No module of ours imports it.
BY_NAME = "agents/engines/vllm/inside.py"

VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}


def python_files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    # The links under src/lmmr1 show the floors a second time.
    links = [ROOT / "src/lmmr1" / floor for floor in FLOORS]
    return sorted(path for path in found if not any(link in path.parents for link in links))


FILES = python_files(*FLOORS, "src/lmmr1")
IDS = [str(path.relative_to(ROOT)) for path in FILES]


def module_name(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    parts = relative.parts[1:] if relative.parts[0] == "src" else ("lmmr1", *relative.parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> str:
    """The floor of a module of ours: "envs", ..., or "lmmr1" for the front door."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "lmmr1"


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, written absolutely, and whether it does so when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside: set[int] = set()
    for node in ast.walk(tree):
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if in_function or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            inside |= {id(child) for child in ast.walk(node)}
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        at_once = id(node) not in inside
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, at_once
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for name in node.names:
                full = f"{module}.{name.name}"
                yield (full if full in MODULES else module), at_once


MODULES = {module_name(path): path for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_point_down(path: Path):
    floor = floor_of(module_name(path))
    for name, _ in imports(path):
        top = name.split(".")[0]
        assert top not in FLOORS, f"import lmmr1.{name}: from the root's own path it would be a second module"
        if top == "lmmr1" and path != ROOT / "src/lmmr1/__init__.py":
            target = floor_of(name)
            assert target == floor or target in BELOW[floor], f"{floor} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_across_floors_are_absolute(path: Path):
    # A relative import that leaves its folder is read differently through the links.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    depth = len(path.relative_to(ROOT).parts) - (2 if path.is_relative_to(ROOT / "src") else 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level <= max(depth, 1), f"line {node.lineno} leaves the floor by a relative import"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_optional_dependencies_stay_in_their_homes(path: Path):
    here = path.relative_to(ROOT).as_posix()
    for name, at_once in imports(path):
        top = "tensorboard" if name.startswith("torch.utils.tensorboard") else name.split(".")[0]
        if top in HOMES:
            at_home = any(here == home or (home.endswith("/") and here.startswith(home)) for home in HOMES[top])
            assert at_home, f"{here} imports {name}, whose place is {' or '.join(HOMES[top])}"
            needed = not (at_once and top in DEFERRED) or (here, top) == (BY_NAME, "vllm")
            assert needed, f"{here} imports {name} before it is needed"
        assert name != module_name(ROOT / BY_NAME), f"{here} imports what only vLLM may"


def test_no_module_imports_itself_in_a_circle():
    graph = {
        name: {target for target, at_once in imports(path) if at_once and target in MODULES and target != name}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> None:
        assert name not in trail, "a circle: " + " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph[name]):
                walk(target, [*trail, name])
            done.add(name)

    for name in graph:
        walk(name, [])


@pytest.mark.parametrize("path", python_files(*FLOORS, "src/lmmr1", "tests", "benchmarks", "examples"), ids=str)
def test_files_are_short(path: Path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = 40 if path.name == "__init__.py" else 400
    assert lines <= limit, f"{lines} lines, {limit} at most: split it"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_names_say_something(path: Path):
    parts = {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    assert not parts & VAGUE_NAMES


@pytest.mark.parametrize("top", [*FLOORS, "src/lmmr1", "tests"])
def test_folders_are_small(top: str):
    for folder in {path.parent for path in python_files(top)}:
        files = [path for path in folder.iterdir() if path.suffix == ".py" and path.name != "__init__.py"]
        assert len(files) <= 12, f"{folder.relative_to(ROOT)} holds {len(files)} files: a dozen, then another folder"


@pytest.mark.parametrize("floor", FLOORS)
def test_the_links_to_the_floors(floor: str):
    link = ROOT / "src/lmmr1" / floor
    assert link.is_symlink(), "a git checkout without links: see CONTRIBUTING.md, 'The four links'"
    assert os.readlink(link) == f"../../{floor}"
    assert (link / "__init__.py").samefile(ROOT / floor / "__init__.py")


def modules_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_front_door_is_light():
    loaded = modules_after("import lmmr1, lmmr1.cli")
    assert not loaded & set(HOMES), "importing lmmr1 must load nothing of the extras"


def test_making_every_environment_needs_no_torch():
    loaded = modules_after(
        "import gymnasium, lmmr1\n"
        "for id in list(gymnasium.registry):\n"
        "    if id.startswith('LMMR1/'):\n"
        "        try: lmmr1.make_chat(id).reset(seed=0)\n"
        "        except lmmr1.UserError as error: assert 'make football' in str(error), error"
    )
    assert not loaded & {"torch", "transformers"}


def test_ruff_refuses_the_floors_by_their_bare_names(tmp_path: Path):
    wrong = tmp_path / "wrong.py"
    for floor in FLOORS:
        wrong.write_text(f'"""Wrong."""\n\nimport {floor}\n\nprint({floor})\n', encoding="utf-8")
        command = ["-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(wrong)]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
        assert "TID251" in done.stdout, done.stdout + done.stderr
