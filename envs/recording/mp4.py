"""Films as MP4; the one file that imports PyAV (the extra ``lmmr1[video]``)."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lmmr1.envs.errors import MissingExtraError

from .timeline import TICKS_PER_SECOND, Frame


def require_av() -> None:
    """Refuse where PyAV is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("av") is None:
        raise MissingExtraError("Writing an MP4", "PyAV (av)", "video")


def write_mp4(frames: Iterable[Frame], path: Path, size: tuple[int, int]) -> None:
    """Write frames as H.264 where the encoder is there, else as MPEG-4."""
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "20", "preset": "veryfast", "tune": "stillimage"} if codec == "libx264" else {"qscale": "3"}
    with av.open(str(path), mode="w", options={"movflags": "+faststart"}) as container:
        # A constant ten frames a second: many players stumble over films of less than one.
        stream: Any = container.add_stream(codec, rate=TICKS_PER_SECOND, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        number = 0
        for frame in frames:
            # Converted once for all the ticks that it stays.
            picture = av.VideoFrame.from_image(frame.picture).reformat(format="yuv420p")
            for _ in range(frame.ticks):
                picture.pts = number
                number += 1
                container.mux(stream.encode(picture))
        container.mux(stream.encode())
