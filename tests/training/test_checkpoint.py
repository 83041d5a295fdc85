"""Checkpoints are bit exact, whole or absent whenever the program is killed, and say what is wrong when damaged."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lmmr1.training.records import checkpoint as module
from lmmr1.training.records.checkpoint import (
    Checkpoint,
    CheckpointError,
    latest_checkpoint,
    load_checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)


def _make(number: int = 0) -> Checkpoint:
    generator = torch.Generator().manual_seed(number)
    policy = {
        "weight": torch.randn(5, 3, generator=generator),
        "odd": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "half": torch.randn(4, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(number),
    }
    state = {"iteration": number, "rng": [2**90 + number, None, True], "rate": 0.1 + 0.2, "text": "é\n"}
    return Checkpoint({"policy": policy, "optimizer": {}}, state)


def _bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert one.state == other.state
    assert one.tensors.keys() == other.tensors.keys()
    for group, tensors in one.tensors.items():
        assert tensors.keys() == other.tensors[group].keys()
        for name, tensor in tensors.items():
            found = other.tensors[group][name]
            assert (tensor.dtype, tensor.shape) == (found.dtype, found.shape)
            assert _bits(tensor) == _bits(found)


def test_round_trip_is_bit_exact(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "checkpoints", "fre-10", _make(3))
    assert path == latest_checkpoint(tmp_path / "checkpoints")
    assert sorted(file.name for file in path.iterdir()) == [
        "manifest.json",
        "optimizer.safetensors",
        "policy.safetensors",
        "state.json",
    ]
    _assert_same(load_checkpoint(path), _make(3))


def test_tied_transposed_and_sliced_tensors(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {"a": base, "tied": base, "transposed": base.T, "sliced": base[1:]}
    tensors["gradient"] = base.clone().requires_grad_()
    loaded = load_checkpoint(save_checkpoint(tmp_path, "x", Checkpoint({"policy": tensors}))).tensors["policy"]
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor.detach()), name


def test_rotation_and_order(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "absent") is None
    for number in range(12):  # past ten: the order is that of numbers, not of text
        save_checkpoint(tmp_path, "same-name", _make(number), keep=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n:06d}-same-name" for n in (10, 11, 12)]
    latest = latest_checkpoint(tmp_path)
    assert latest is not None
    assert load_checkpoint(latest).state["iteration"] == 11


def test_leftovers_of_a_killed_save_are_ignored_and_removed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "one", _make(1))
    for name in (".saving-000002-two", ".removing-000000-zero"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{")
    latest = latest_checkpoint(tmp_path)
    assert latest is not None and latest.name == "000001-one"
    save_checkpoint(tmp_path, "two", _make(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001-one", "000002-two"]


LOOP = """
import sys
from pathlib import Path
import torch
from lmmr1.training.records.checkpoint import Checkpoint, save_checkpoint
folder = Path(sys.argv[1])
for number in range(100000):
    weight = torch.full((200_000,), float(number))
    checkpoint = Checkpoint({"policy": {"weight": weight}, "optimizer": {"m": weight[:1000]}}, {"number": number})
    save_checkpoint(folder, f"n{number}", checkpoint)
    print(number, flush=True)
"""


def test_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    done = -1
    for attempt in range(3):
        command = [sys.executable, "-c", LOOP, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(3):
            done = int(process.stdout.readline())
        time.sleep(0.003 * attempt)  # another moment each time
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        done = int(rest[-1]) if rest else done
        latest = latest_checkpoint(tmp_path)
        assert latest is not None
        loaded = load_checkpoint(latest)
        number = loaded.state["number"]
        assert number in (done, done + 1)  # renamed, and killed before it was printed
        assert torch.equal(loaded.tensors["policy"]["weight"], torch.full((200_000,), float(number)))


def _two(folder: Path) -> tuple[Path, Path]:
    return save_checkpoint(folder, "one", _make(1)), save_checkpoint(folder, "two", _make(2))


def test_truncated_file(tmp_path: Path) -> None:
    first, second = _two(tmp_path)
    os.truncate(second / "policy.safetensors", 20)
    message = r"policy.safetensors is damaged \(20 bytes long instead of \d+\)"
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(second)
    assert f"{first.name} is whole" in str(caught.value)
    assert f"rm -r {second}" in str(caught.value) and "--resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    _assert_same(load_checkpoint(first), _make(1))


def test_one_flipped_bit(tmp_path: Path) -> None:
    for victim in ("policy.safetensors", "state.json"):
        _, second = _two(tmp_path / victim)
        content = bytearray((second / victim).read_bytes())
        content[-9] ^= 1
        (second / victim).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"{victim} is damaged .*SHA-256"):
            load_checkpoint(second)


def test_nothing_whole_is_left(tmp_path: Path) -> None:
    first, second = _two(tmp_path)
    (first / "state.json").unlink()
    (second / "manifest.json").write_text('{"format": 1')
    with pytest.raises(CheckpointError, match="manifest.json is damaged; no older checkpoint is whole"):
        load_checkpoint(second)
    with pytest.raises(CheckpointError, match="state.json is missing"):
        load_checkpoint(first)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "absent")


STRANGE = ["[]", "{}", "null", '{"format": 1}', '{"format": 1, "files": {"state.json": 3}}', "\x00"]


@pytest.mark.parametrize("content", STRANGE)
def test_strange_manifests(tmp_path: Path, content: str) -> None:
    path = save_checkpoint(tmp_path, "one", _make())
    (path / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match="manifest.json is damaged"):
        load_checkpoint(path)


def test_another_format(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, "one", _make())
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        load_checkpoint(path)


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from lmmr1.training.records.checkpoint import Checkpoint, CheckpointError, save_checkpoint
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # files stop growing here, as on a full disk
try:
    save_checkpoint(folder, "big", Checkpoint({"policy": {"weight": torch.ones(1_000_000)}}))
except CheckpointError as error:
    print(error)
"""


def test_disk_that_takes_no_more(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path, "one", _make(1), keep=1)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    [line] = done.stdout.splitlines()
    assert line.startswith(f"cannot write the checkpoint big into {tmp_path}: ") and "MB are free without it" in line
    assert list(tmp_path.iterdir()) == [first]
    _assert_same(load_checkpoint(first), _make(1))


def test_error_in_every_call_that_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save_checkpoint(tmp_path, "one", _make(1), keep=1)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    calls = ((module, "save_file"), (module.os, "fsync"), (module.os, "rename"), (module.Path, "write_bytes"))
    for owner, name in calls:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            with pytest.raises(CheckpointError, match="No space left on device") as caught:
                save_checkpoint(tmp_path, "two", _make(2), keep=1)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == [first]
    _assert_same(load_checkpoint(first), _make(1))


def test_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, "one", _make())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write the checkpoint one into"):
        save_checkpoint(tmp_path / "file", "one", _make())


def test_arguments_that_callers_get_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'../x'"):
        save_checkpoint(tmp_path, "../x", _make())
    with pytest.raises(ValueError, match="'a/b'"):
        save_checkpoint(tmp_path, "x", Checkpoint({"a/b": {}}))
    with pytest.raises(ValueError, match="keep"):
        save_checkpoint(tmp_path, "x", _make(), keep=0)
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, "x", Checkpoint({}, {"bad": object()}))
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- optimizers


def _train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()


def _build() -> tuple[torch.nn.Module, torch.optim.AdamW]:
    generator = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    frozen = model[0].bias
    assert isinstance(frozen, torch.nn.Parameter)
    frozen.requires_grad_(False)  # in the optimizer, but without a state
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2)


def test_optimizer_goes_on_bit_exactly(tmp_path: Path) -> None:
    model, optimizer = _build()
    _train(model, optimizer, range(5))
    named = dict(model.named_parameters())
    flat = optimizer_tensors(optimizer, named)
    keys = ("step", "exp_avg", "exp_avg_sq")
    assert set(flat) == {f"{name}/{key}" for name in ("0.weight", "2.weight", "2.bias") for key in keys}
    path = save_checkpoint(tmp_path, "x", Checkpoint({"policy": dict(model.state_dict()), "optimizer": flat}))
    _train(model, optimizer, range(5, 9))

    other, other_optimizer = _build()
    _train(other, other_optimizer, range(90, 92))  # a state that has to go
    loaded = load_checkpoint(path)
    other.load_state_dict(loaded.tensors["policy"])
    load_optimizer_tensors(other_optimizer, dict(other.named_parameters()), loaded.tensors["optimizer"])
    _train(other, other_optimizer, range(5, 9))
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert _bits(one.detach()) == _bits(two.detach())
    again = optimizer_tensors(other_optimizer, dict(other.named_parameters()))
    for name, tensor in optimizer_tensors(optimizer, named).items():
        assert _bits(tensor) == _bits(again[name]), name
    assert loaded.tensors["optimizer"]["2.bias/step"].item() == 5  # what was loaded is not what is trained on


def test_optimizer_of_another_model() -> None:
    model, optimizer = _build()
    named = dict(model.named_parameters())
    with pytest.raises(CheckpointError, match="'other.weight', which is not trained here"):
        load_optimizer_tensors(optimizer, named, {"other.weight/step": torch.tensor(1.0)})
    with pytest.raises(CheckpointError, match=r"'2.bias/exp_avg' in the checkpoint has the shape \(3,\)"):
        load_optimizer_tensors(optimizer, named, {"2.bias/exp_avg": torch.zeros(3)})
    with pytest.raises(ValueError, match="no name"):
        optimizer_tensors(optimizer, {})
