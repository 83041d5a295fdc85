"""The pictures of a row: bytes, data URLs, base64 and paths that stay inside the data's folder."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import struct
import urllib.parse
import warnings
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .refusals import RowError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_BYTES = 64 << 20
MOST_PIXELS = 50_000_000
# The image processors of the Qwen family refuse what is longer than wide, or wider than long, by more.
MOST_ASPECT = 200
# How base64 of these formats begins. That of a JPEG begins with a slash, as a path may.
BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk")
BASE64 = re.compile(r"[A-Za-z0-9+/\s]{40,}={0,2}\s*")
DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+)?((?:;[^;,]*)*),", re.IGNORECASE)
# What Pillow raises at files that are not what they say they are.
BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
BROKEN += (EOFError, MemoryError, AssertionError, NotImplementedError, struct.error, zlib.error)
BROKEN += (Image.DecompressionBombError, Image.DecompressionBombWarning)


def identify(reference: Any) -> str:
    """What tells a picture from another one: a hash of its bytes, or of its path."""
    reference = _unwrap(reference)
    data = reference if isinstance(reference, bytes) else str(reference).encode("utf-8", "backslashreplace")
    return blake2b(data, digest_size=16).hexdigest()


def measure(reference: Any, root: Path | None, folder: str | None = None) -> tuple[int, int]:
    """Read a picture's size from its first bytes, without decoding it.

    Args:
        reference, root, folder: see `load`.

    Returns:
        Width and height.

    Raises:
        RowError: it cannot be read, or is too large.
    """
    with _open(reference, root, folder) as image:
        return image.size


def load(reference: Any, root: Path | None, most_pixels: int, folder: str | None = None) -> np.ndarray:
    """Decode a picture.

    Args:
        reference: bytes, ``{"bytes": ..., "path": ...}``, a data URL, base64, ``file://`` and a path, or a path alone.
        root: the folder that paths start from and may not leave; None where there is none.
        most_pixels: a picture with more is scaled down to as many.
        folder: a folder in ``root``; of a path that names it, what stands before it is cut off.

    Returns:
        Shape (height, width, 3), dtype uint8; transparent parts are white.

    Raises:
        RowError: it cannot be read, or is too large.
    """
    with _open(reference, root, folder) as opened:
        try:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
            if image.width * image.height > most_pixels:
                factor = (most_pixels / (image.width * image.height)) ** 0.5
                size = max(1, int(image.width * factor)), max(1, int(image.height * factor))
                image = image.resize(size, Image.Resampling.LANCZOS)
            return np.array(image)
        except BROKEN as error:
            raise RowError("bad picture", f"the picture cannot be decoded: {_reason(error)}") from error


def _open(reference: Any, root: Path | None, folder: str | None) -> Image.Image:
    data = read_bytes(reference, root, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
    except BROKEN as error:
        bomb = isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning))
        reason = "has too many pixels" if bomb else f"is no {', '.join(FORMATS)}"
        raise RowError("bad picture", f"the picture {reason} ({len(data)} bytes)") from error
    if width * height > MOST_PIXELS:
        raise RowError("bad picture", f"the picture has {width} x {height} pixels; {MOST_PIXELS:,} are the most")
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise RowError("bad picture", f"the picture has {width} x {height} pixels: too long or too narrow")
    return image


def read_bytes(reference: Any, root: Path | None, folder: str | None = None) -> bytes:
    """Fetch the bytes of a picture.

    Raises:
        RowError: the reference is of no known kind, or leads out of the folder.
    """
    path = _unwrap(reference)
    if isinstance(path, bytes):
        return _check_size(path)
    if not isinstance(path, str) or not path:
        raise RowError("bad picture", f"a picture is {_shown(path)}; give bytes, a path, a data URL or base64")
    if match := DATA_URL.match(path[:256]):
        encoded = path[match.end() :]
        if "base64" not in match[2].lower():
            raise RowError("bad picture", "a data URL is not in base64")
        return _decode(encoded)
    if path.startswith(BASE64_STARTS) and BASE64.fullmatch(path):
        return _decode(path)
    return _read_file(path, root, folder)


def _unwrap(reference: Any) -> Any:
    """The bytes of a picture, or its path, also where a mapping holds them, as in Hugging Face data sets."""
    if isinstance(reference, dict):
        reference = reference.get("path") if reference.get("bytes") is None else reference["bytes"]
    return bytes(reference) if isinstance(reference, (bytearray, memoryview)) else reference


def _decode(text: str) -> bytes:
    if len(text) > 2 * MOST_BYTES:
        raise RowError("bad picture", f"a picture has {len(text):,} characters of base64")
    try:
        return _check_size(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError) as error:
        raise RowError("bad picture", f"a picture is no base64: {error}") from error


def _check_size(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise RowError("bad picture", f"a picture has {len(data):,} bytes; {MOST_BYTES:,} are the most")
    return data


def _read_file(text: str, root: Path | None, folder: str | None) -> bytes:
    shown = text if len(text) <= 120 else text[:117] + "..."
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)
    if scheme is not None and scheme[1].lower() == "file":
        url = urllib.parse.urlsplit(text)
        if url.netloc not in ("", "localhost"):
            raise RowError("bad picture", f"the picture {shown} is on another machine")
        text = urllib.parse.unquote(url.path)
    elif scheme is not None and "//" in text:
        raise RowError("bad picture", f"the picture {shown} is not a file here; nothing is fetched from the network")
    if root is None:
        raise RowError("bad picture", f"the picture {shown} is a path, and there is no folder: set image_root")
    pieces = text.split("/")
    if folder is not None and folder in pieces:
        text = "/".join(pieces[pieces.index(folder) :])
    if "\0" in text:
        raise RowError("bad picture", "the path of a picture holds a NUL character")
    try:
        # Links are followed first: what counts is where the file lies in the end.
        real_root = os.path.realpath(root)
        real = os.path.realpath(os.path.join(real_root, text))
        if os.path.commonpath([real, real_root]) != real_root:
            raise RowError(
                "path outside", f"the picture {shown} lies outside of {root}; image_root names another folder"
            )
        # Neither a link that came in between nor a pipe that never ends is read.
        number = os.open(real, os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK"))
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise RowError("bad picture", f"the picture {shown} is no plain file")
            return _check_size(file.read(MOST_BYTES + 1))
    except (OSError, ValueError) as error:
        raise RowError("missing picture", f"the picture {shown} cannot be read: {_reason(error)}") from error


def _flag(name: str) -> int:
    """A flag of `os.open`, 0 on systems that do not have it."""
    return int(vars(os).get(name, 0))


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (" ".join(text.split()) or type(error).__name__)[:120]


def _shown(value: Any) -> str:
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value)[:60] if plain else f"a {type(value).__name__}"
