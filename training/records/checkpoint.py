"""Checkpoints: all that a run needs to go on, bit for bit, from where it was stopped, in files that any tool can read.

A checkpoint is a folder `<serial>-<name>` with one `.safetensors` file for each group of tensors, `state.json`, and
`manifest.json`, which holds the size and the SHA-256 of the others. It is written into a hidden folder beside the
older ones and then renamed, so that under its own name it is either whole or absent, whenever the program is killed.
No pickle is read or written: a checkpoint can run no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lmmr1.envs.errors import UserError

FORMAT = 1
MANIFEST, STATE = "manifest.json", "state.json"
_FOLDER_NAME = re.compile(r"(\d{6,})-.+")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SAVING, _REMOVING = ".saving-", ".removing-"


class CheckpointError(UserError):
    """A checkpoint cannot be written or read; the message says where, why, and what to do."""


@dataclass
class Checkpoint:
    """What is saved.

    Attributes:
        tensors: groups of named tensors (a group might be "policy" or "optimizer"), any shape, dtype and device.
        state: everything else; made of dicts with string keys, lists, strings, numbers, booleans and None.
    """

    tensors: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


# ----------------------------------------------------------------------------------------------------------- saving


def save_checkpoint(folder: Path, name: str, checkpoint: Checkpoint, keep: int = 2, spared: str | None = None) -> Path:
    """Write a checkpoint, then remove all but the newest `keep`.

    Only one process at a time may save into `folder`; what an earlier, killed one left unfinished is removed.

    Args:
        folder: holds the checkpoints of one run; made if absent.
        name: letters, digits, dots, dashes and underscores; a serial number is put in front.
        checkpoint: what to save.
        keep: how many checkpoints to leave, this one included.
        spared: the name of one that is left besides (the best so far, say), if there is one.

    Returns:
        The folder of the new checkpoint.

    Raises:
        CheckpointError: it cannot be written (a full disk, say). The older checkpoints are untouched.
        ValueError: `name`, the name of a group, or `keep` is not allowed.
        TypeError: the state cannot be written as JSON.
    """
    for plain in (name, *checkpoint.tensors):
        if not _PLAIN_NAME.fullmatch(plain):
            raise ValueError(f"a name in a checkpoint holds letters, digits, '.', '-' and '_' only, not {plain!r}")
    if keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    state = json.dumps(checkpoint.state, indent=1).encode()  # before anything is on disk: it may raise
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        older = _checkpoints(folder)
        serial = _serial(older[-1]) + 1 if older else 1
        saved = folder / f"{serial:06d}-{name}"
        unfinished = folder / f"{_SAVING}{saved.name}"
        try:
            _write(unfinished, name, checkpoint.tensors, state)
            os.rename(unfinished, saved)
        except BaseException:  # an interrupt too must not leave gigabytes behind
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        _sync(folder)
        for path in [*older, saved][:-keep]:
            if spared is None or path.name != f"{_serial(path):06d}-{spared}":
                _remove(path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(
            f"cannot write the checkpoint {name} into {folder}: {reason} ({_free(folder)} without it); "
            "the earlier ones are untouched"
        ) from error
    return saved


def _write(folder: Path, name: str, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: bytes) -> None:
    folder.mkdir()
    (folder / STATE).write_bytes(state)
    for group, named in tensors.items():
        save_file(_independent(named), folder / f"{group}.safetensors")
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in sorted(folder.iterdir())}
    manifest = {"format": FORMAT, "name": name, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _independent(named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, contiguous and each with memory of its own: tied weights are written twice."""
    seen: set[int] = set()
    result = {}
    for name, tensor in named.items():
        memory = tensor.untyped_storage().data_ptr()
        result[name] = tensor.detach().clone() if memory in seen else tensor.detach()
        result[name] = result[name].contiguous()
        seen.add(memory)
    return result


def _sync(path: Path) -> None:
    """Wait until the disk has it; for a folder: its list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    # Hidden first, so that no half-removed checkpoint is ever found under its own name.
    hidden = path.with_name(_REMOVING + path.name)
    os.rename(path, hidden)
    shutil.rmtree(hidden)


def _remove_leftovers(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith((_SAVING, _REMOVING)):
            shutil.rmtree(path)


def _free(folder: Path) -> str:
    place = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    return f"{shutil.disk_usage(place).free / 1e6:,.1f} MB are free"


# ---------------------------------------------------------------------------------------------------------- loading


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in a folder, or None; it is not verified here, `load_checkpoint` does that."""
    paths = _checkpoints(folder)
    return paths[-1] if paths else None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte of it. The tensors are on the CPU.

    Raises:
        CheckpointError: it is missing, damaged or of another version; the message names the newest older one that is
            whole.
    """
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"there is no checkpoint {path}")
    problem = _find_problem(path)
    if problem is not None:
        raise CheckpointError(f"the checkpoint {path} cannot be used: {problem}; {_remedy(path)}")
    groups = [file for file in _read_manifest(path)["files"] if file.endswith(".safetensors")]
    tensors = {group.removesuffix(".safetensors"): load_file(path / group) for group in groups}
    return Checkpoint(tensors, json.loads((path / STATE).read_bytes()))


def _find_problem(path: Path) -> str | None:
    """What is wrong with a checkpoint: one clause, or None."""
    try:
        manifest = _read_manifest(path)
        if manifest["format"] != FORMAT:
            return f"{MANIFEST} says format {manifest['format']}, and this version of lmmr1 reads format {FORMAT}"
        files = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in manifest["files"].items()}
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is damaged"
    except OSError as error:
        return f"{MANIFEST} cannot be read ({error.strerror})"
    for name, (size, digest) in files.items():
        file = path / name
        try:
            found = file.stat().st_size
            if found != size:
                return f"{name} is damaged ({found} bytes long instead of {size})"
            if _digest(file) != digest:
                return f"{name} is damaged (its SHA-256 is not the one in {MANIFEST})"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None if STATE in files else f"{MANIFEST} does not list {STATE}"


def _remedy(path: Path) -> str:
    """What to do about a damaged checkpoint."""
    older = [other for other in _checkpoints(path.parent) if _serial(other) < _serial(path)]
    for other in reversed(older):
        if _find_problem(other) is None:
            return (
                f"{other.name} is whole: run 'rm -r {path}' and then the same command with --resume to go on from there"
            )
    return "no older checkpoint is whole: start the run again in a new folder"


def _read_manifest(path: Path) -> dict[str, Any]:
    return json.loads((path / MANIFEST).read_bytes())


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _FOLDER_NAME.fullmatch(path.name)), key=_serial)


def _serial(path: Path) -> int:
    match = _FOLDER_NAME.fullmatch(path.name)
    return int(match.group(1)) if match else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# -------------------------------------------------------------------------------------------------------- optimizers


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Flatten the state of an optimizer whose state is tensors (AdamW and its relatives).

    The settings of its parameter groups (learning rate, betas) are not part of it: they come from the recipe.

    Args:
        optimizer: the optimizer.
        parameters: the parameters by name, as `dict(model.named_parameters())`; may hold more than the optimizer has.

    Returns:
        "<parameter name>/<key>" (e.g. "layers.0.weight/exp_avg", "layers.0.weight/step") to the tensor, not copied.

    Raises:
        ValueError: the optimizer holds a parameter without a name, or a state that is no tensor.
    """
    names = {id(parameter): name for name, parameter in parameters.items()}
    flat = {}
    for parameter in _optimized(optimizer):
        if id(parameter) not in names:
            raise ValueError(f"the optimizer holds a parameter of shape {tuple(parameter.shape)} that has no name")
        for key, value in optimizer.state.get(parameter, {}).items():
            if not isinstance(value, torch.Tensor):
                raise ValueError(f"the optimizer's state {key!r} of {names[id(parameter)]} is no tensor")
            flat[f"{names[id(parameter)]}/{key}"] = value
    return flat


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put back what `optimizer_tensors` took out; parameters that it holds nothing about start without a state.

    Raises:
        CheckpointError: the tensors are of another optimizer or another model.
    """
    optimized = {id(parameter) for parameter in _optimized(optimizer)}
    states: dict[str, dict[str, torch.Tensor]] = {}
    for flat_name, tensor in tensors.items():
        name, _, key = flat_name.rpartition("/")
        parameter = parameters.get(name)
        if parameter is None or id(parameter) not in optimized:
            raise CheckpointError(f"the checkpoint holds the optimizer's state of {name!r}, which is not trained here")
        if tensor.dim() and tensor.shape != parameter.shape:
            shapes = f"{tuple(tensor.shape)}, and the parameter {tuple(parameter.shape)}"
            raise CheckpointError(f"the optimizer's state {flat_name!r} in the checkpoint has the shape {shapes}")
        # Adam keeps its count of steps (a scalar) on the CPU, unless the whole step runs on the device.
        on_device = tensor.dim() > 0 or optimizer.defaults.get("fused") or optimizer.defaults.get("capturable")
        states.setdefault(name, {})[key] = tensor.to(parameter.device if on_device else "cpu", copy=True)
    optimizer.state.clear()
    for name, state in states.items():
        optimizer.state[parameters[name]] = state


def _optimized(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
