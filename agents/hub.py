"""Where a model lies: a folder, the local cache of the Hugging Face hub, or the hub itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

from lmmr1.envs.errors import UserError

# How long the hub may take to say that a model is there. What is downloaded afterwards has the hub's own limits.
ANSWER_SECONDS = 5.0


def locate_model(source: str) -> tuple[str, dict[str, Any]]:
    """Find a model by a folder's path or a name on the hub.

    One short question settles whether the hub can be reached: its client would otherwise try again and again, for half
    a minute and for every file, where there is no network.

    Args:
        source: a folder, or a hub id such as "Qwen/Qwen2.5-VL-3B-Instruct".

    Returns:
        The path or id, and the arguments of `from_pretrained` that go with it.

    Raises:
        UserError: there is no such folder and no such model on the hub, or the hub cannot be reached and the cache
            holds no copy.
    """
    if not source.strip():
        raise UserError("a model needs a name or a folder, and this one is empty")
    folder = Path(source).expanduser()
    if folder.is_dir():
        _check_folder(source, folder)
        return str(folder), {"local_files_only": True}
    if folder.exists():
        raise UserError(f"model '{source}' is a file: give the folder that holds it")
    if source.startswith((".", "/", "~")):
        raise UserError(f"model '{source}': there is no folder {folder}")
    try:
        HfApi().model_info(source, timeout=ANSWER_SECONDS)
    except HFValidationError as error:
        raise UserError(
            f"model '{source}': there is no such folder, and no model on the hub can have this name; "
            "write a name like Qwen/Qwen2.5-VL-3B-Instruct"
        ) from error
    except GatedRepoError as error:
        raise UserError(
            f"model '{source}' asks for an agreement first: accept it at {constants.ENDPOINT}/{source}, "
            "then log in with 'hf auth login'"
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"model '{source}': there is no such folder, and no such model at {constants.ENDPOINT} "
            "(a private one needs 'hf auth login' first)"
        ) from error
    except Exception as error:  # no network, offline mode, a proxy, a hub in trouble: what remains is the cache
        if not isinstance(try_to_load_from_cache(source, "config.json"), str):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"model '{source}': there is no such folder, {constants.ENDPOINT} cannot be reached ({reason}), "
                "and the local cache holds no copy; check the name and the network, or give a folder"
            ) from error
        return source, {"local_files_only": True}
    return source, {}


def cached_file(source: str, name: str) -> Path | None:
    """A file of a model on the hub, if the local cache holds it; nothing is downloaded."""
    try:
        found = try_to_load_from_cache(source, name)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _check_folder(source: str, folder: Path) -> None:
    if (folder / "config.json").is_file():
        return
    inside = sorted((folder / "models").glob("*/config.json"))  # the folder of a run
    hint = f"; did you mean {inside[-1].parent}?" if inside else ""
    raise UserError(f"model '{source}': the folder is no model's, it has no config.json{hint}")
