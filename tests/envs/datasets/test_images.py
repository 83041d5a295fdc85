"""Pictures: every way to give one, and none that reads what it should not."""

from __future__ import annotations

import base64
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from lmmr1.envs.datasets.images import MOST_PIXELS, identify, load, measure
from lmmr1.envs.datasets.refusals import RowError

RED = (200, 30, 40)


def base64_of(data):
    return base64.b64encode(data).decode()


@pytest.fixture
def folder(tmp_path, picture):
    """A data folder with a picture, and another one outside of it."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "images" / "a.png").write_bytes(picture())
    (root / "images" / "a b%.png").write_bytes(picture())
    (tmp_path / "data-secret").mkdir()
    (tmp_path / "data-secret" / "s.png").write_bytes(picture())
    return root


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_bytes_data_urls_and_base64_are_one_picture(kind, picture):
    data = picture(kind=kind)
    expected = load(data, None, 10_000)
    assert expected.shape == (30, 40, 3) and expected.dtype == np.uint8
    assert np.abs(expected.astype(int) - RED).max() <= 8
    encoded = base64_of(data)
    forms = [{"bytes": data, "path": None}, {"bytes": data, "path": "gone.png"}, bytearray(data), encoded]
    forms += [
        f"data:image/{kind.lower()};base64,{encoded}",
        f"data:;base64,{encoded}",
        "\n".join([encoded[:60], encoded[60:]]),
    ]
    for form in forms:
        np.testing.assert_array_equal(load(form, None, 10_000), expected)
        assert measure(form, None) == (40, 30)


@pytest.mark.parametrize("form", ["images/a.png", "./images/../images/a.png", "{root}/images/a.png", "file://{root}/images/a.png",
                                  "file://localhost{root}/images/a.png", "file:images/a.png", "images/a b%.png",
                                  "file://{root}/images/a%20b%25.png"])  # fmt: skip
def test_paths_inside_the_folder_are_read(form, folder):
    assert load(form.format(root=folder), folder, 10_000).shape == (30, 40, 3)
    assert load({"bytes": None, "path": form.format(root=folder)}, folder, 10_000).shape == (30, 40, 3)


@pytest.mark.parametrize("form", ["../data-secret/s.png", "images/../../data-secret/s.png", "{root}-secret/s.png",
                                  "/etc/passwd", "file:///etc/passwd", "file://{root}/../data-secret/s.png",
                                  "file://{root}/%2e%2e/data-secret/s.png",
                                  "file:../data-secret/s.png", "link/s.png", "link.png"])  # fmt: skip
def test_no_path_leads_out_of_the_folder(form, folder):
    (folder / "link").symlink_to(folder.parent / "data-secret")
    (folder / "link.png").symlink_to(folder.parent / "data-secret" / "s.png")
    with pytest.raises(RowError) as caught:
        load(form.format(root=folder), folder, 10_000)
    assert caught.value.kind == "path outside" and "image_root" in str(caught.value)


def test_a_link_inside_the_folder_and_a_folder_that_is_a_link_are_read(folder, tmp_path):
    (folder / "link.png").symlink_to(folder / "images" / "a.png")
    (tmp_path / "other").symlink_to(folder)
    assert load("link.png", folder, 10_000).shape == (30, 40, 3)
    assert load("images/a.png", tmp_path / "other", 10_000).shape == (30, 40, 3)
    assert load(f"{folder}/images/a.png", tmp_path / "other", 10_000).shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("http://example.org/a.png", "nothing is fetched"),
        ("https://example.org/a.png", "nothing is fetched"),
        ("ftp://example.org/a.png", "nothing is fetched"),
        ("file://server/share/a.png", "on another machine"),
        ("images/none.png", "No such file"),
        ("images", "directory"),
        ("images/a.png\0.jpg", "NUL"),
        ("x" * 5000, "cannot be read"),
        ("", "give bytes"),
        (None, "give bytes"),
        (17, "give bytes"),
        ({"bytes": None, "path": None}, "give bytes"),
        ({}, "give bytes"),
        ("data:image/png,rawbytes", "not in base64"),
        ("data:image/png;base64,@@@@", "no base64"),
        (b"", "is no PNG"),
        (b"not a picture at all", "is no PNG"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(form, part, folder):
    with pytest.raises(RowError) as caught:
        measure(form, folder)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "form", ["/their/disk/data/images/a.png", "data/images/a.png", "file:///their/images/a.png", "images/a.png"]
)
def test_what_stands_before_the_named_folder_is_cut_off(form, folder):
    assert measure(form, folder, "images") == (40, 30)
    if form != "images/a.png":
        with pytest.raises(RowError):
            measure(form, folder)


@pytest.mark.parametrize(
    "form", ["/their/images/../../data-secret/s.png", "images/../../data-secret/s.png", "/etc/passwd"]
)
def test_cutting_off_leads_nowhere_else(form, folder):
    with pytest.raises(RowError) as caught:
        measure(form, folder, "images")
    assert caught.value.kind == "path outside"


def test_a_path_without_a_folder_asks_for_one():
    with pytest.raises(RowError, match="set image_root"):
        measure("images/a.png", None)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
def test_a_pipe_is_refused_rather_than_waited_for(folder):
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(RowError, match="no plain file"):
        measure("pipe.png", folder)


def png_of_size(width, height):
    """A PNG that says it is that large and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(100_000, 100_000), (MOST_PIXELS // 1000 + 1, 1000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(size):
    with pytest.raises(RowError, match="pixels|is no PNG"):
        measure(png_of_size(*size), None)


def test_a_strip_that_no_model_reads_is_refused():
    with pytest.raises(RowError, match="too long or too narrow"):
        measure(png_of_size(2010, 10), None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_truncated_picture_is_refused_when_it_is_decoded(kind, picture, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise", kind)
    data = (tmp_path / "noise").read_bytes()
    with pytest.raises(RowError):
        load(data[: len(data) // 2], None, 10_000)


def test_a_large_picture_is_scaled_down_and_a_small_one_left(picture):
    scaled = load(picture((400, 200)), None, 20_000)
    assert scaled.shape == (100, 200, 3)
    assert load(picture((400, 200)), None, 80_000).shape == (200, 400, 3)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [("RGBA", (200, 30, 40, 0), (255, 255, 255)), ("RGBA", (200, 30, 40, 255), RED), ("L", 77, (77, 77, 77)),
     ("LA", (10, 0), (255, 255, 255)), ("1", 1, (255, 255, 255)), ("I;16", 0x8001, (128, 128, 128))],
)  # fmt: skip
def test_every_mode_becomes_plain_colours_on_white(mode, colour, expected, picture):
    assert load(picture(mode=mode, colour=colour), None, 10_000)[0, 0].tolist() == list(expected)


def test_a_picture_is_told_from_another_by_bytes_or_by_path(picture):
    data = picture()
    assert identify(data) == identify({"bytes": data, "path": "x"}) != identify(picture(colour=(1, 2, 3)))
    assert identify("a.png") == identify({"bytes": None, "path": "a.png"}) != identify("b.png")
