"""What `--repair` does to files and packages, and that the hook lets the two builds be imported together."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lmmr1.doctor.packages import read_packages
from lmmr1.doctor.repair import HOOK, has_hook, repair
from lmmr1.doctor.trials import try_it
from lmmr1.envs.errors import UserError

from .site_packages import SitePackages


@pytest.fixture
def site(tmp_path: Path) -> SitePackages:
    made = SitePackages(tmp_path / "site")
    made.add_stack()
    return made


def test_it_says_what_it_did_and_does_it_once(site: SitePackages, tmp_path: Path):
    site.add("torchaudio", "2.11.0", build="cu130")
    site.add("triton", "3.9.0")
    build = tmp_path / "deepspeed_shm_comm"
    build.mkdir()
    (build / "lock").touch()
    commands: list[list[str]] = []

    def run(command: list[str]) -> int:
        commands.append(command)
        for name in ("torchaudio", "triton"):
            site.remove(name)
        return 0

    done = repair(read_packages([str(site.folder)]), site.folder, [build / "lock"], run=run)
    assert [line.split()[0] for line in done] == ["wrote", "removed", "uninstalled"]
    assert commands == [[sys.executable, "-m", "pip", "uninstall", "--yes", "torchaudio", "triton"]]
    assert has_hook(site.folder) and not build.exists()
    assert repair(read_packages([str(site.folder)]), site.folder, [], run=run) == []
    (site.folder / f"{HOOK}.py").write_text("an older one", encoding="utf-8")
    assert len(repair(read_packages([str(site.folder)]), site.folder, [], run=run)) == 1, "an older hook is replaced"


def test_builds_that_go_together_are_left_alone(site: SitePackages):
    for torch, torchvision in (("cu130", "cu130"), ("cpu", "cpu")):
        site.add("torch", "2.13.0", build=torch)
        site.add("torchvision", "0.28.0", build=torchvision)
        assert repair(read_packages([str(site.folder)]), site.folder, []) == []
    assert not has_hook(site.folder)


def test_what_cannot_be_done_is_told(site: SitePackages):
    site.add("triton", "3.9.0")
    with pytest.raises(UserError, match="pip could not uninstall triton: do it by hand"):
        repair(read_packages([str(site.folder)]), site.folder, [], run=lambda command: 1)
    with pytest.raises(UserError, match="run the command as a user who may write there"):
        repair(read_packages([str(site.folder)]), site.folder / "nowhere", [])


TORCH = """
import types
version = types.SimpleNamespace(cuda={cuda!r})
defined = []
class Library:
    def __init__(self, name, kind): assert not defined, "only one library may define a name"
    def define(self, schema): defined.append(schema.partition("(")[0])
library = types.SimpleNamespace(Library=Library)
"""
TORCHVISION = """
import torch
torch.defined += ["nms"] if torch.version.cuda else []
assert "nms" in torch.defined, "operator torchvision::nms does not exist"
"""


@pytest.mark.parametrize(("cuda", "build", "defined"), [(None, "cu130", ["nms", "qnms"]), ("13.0", "cu130", ["nms"])])
def test_the_hook_in_a_process_of_its_own(tmp_path: Path, cuda: str | None, build: str, defined: list[str]):
    """A .pth file is read at the start of every process; torch is imported only where torchvision is."""
    site = SitePackages(tmp_path / "site")
    site.add_stack()
    repair(read_packages([str(site.folder)]), site.folder, [])
    (site.folder / "torch/__init__.py").write_text(TORCH.format(cuda=cuda), encoding="utf-8")
    (site.folder / "torchvision/__init__.py").write_text(TORCHVISION, encoding="utf-8")
    (site.folder / "torchvision/version.py").write_text(f"__version__ = '0.28.0+{build}'\n", encoding="utf-8")
    program = textwrap.dedent(f"""
        import site, sys
        site.addsitedir({str(site.folder)!r})
        assert {HOOK!r} in sys.modules and "torch" not in sys.modules
        sys.path.insert(0, {str(site.folder)!r})
        import torchvision, torch
        print(*torch.defined)
    """)
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, env={**os.environ})
    assert done.stdout.split() == defined, done.stderr


def test_the_real_torchvision_can_be_imported_here():
    """Where the tests run, torchvision is a build for CUDA and PyTorch one for the CPU."""
    pytest.importorskip("torchvision", reason="an environment without vLLM has none")
    program = (
        "import torch, torchvision.transforms.v2 as v; print(v.functional.resize(torch.ones(1, 4, 4), [2, 2]).shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "torch.Size([1, 2, 2])", done.stderr


def test_trials_end_and_say_why(tmp_path: Path):
    def command(program: str) -> tuple[str, ...]:
        return sys.executable, "-c", program

    passed = try_it("x", command=command("print('noise'); print('works')"))
    assert (passed.passed, passed.text) == (True, "works")
    failed = try_it("x", command=command("raise OSError('no GPU')"))
    assert (failed.passed, failed.text) == (False, "OSError: no GPU")
    child = tmp_path / "child"
    program = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(child)!r}, "w").write(str(child.pid))
time.sleep(600)
"""
    late = try_it("x", limit=3.0, command=command(program))
    assert not late.passed and late.text == "did not end within 3 s"
    state = Path(f"/proc/{child.read_text(encoding='utf-8')}/stat")
    assert not state.exists() or state.read_text(encoding="utf-8").split()[2] == "Z", "its child is still at work"


@pytest.mark.parametrize("name", ["train", "ray", "vllm", "deepspeed"])
def test_the_real_trials(name: str):
    if name != "train":
        pytest.importorskip(name, reason="an environment without the stack")
    trial = try_it(name)
    assert trial.passed, trial.text
