"""Reading one picture file: formats, colors, turns, and what must be refused; Pillow's own functions are the judge."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.pictures import picture_size, read_photo, to_pixels
from coreml_updatable.errors import DataError

SQUARE = ImageInput("image", 24, 24, "rgb")
GRAY = ImageInput("image", 24, 24, "grayscale")


def picture(width: int = 40, height: int = 32) -> Image.Image:
    coarse = np.random.default_rng(7).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def middle(image: Image.Image, target: ImageInput = SQUARE) -> npt.NDArray[np.int64]:
    """The same by ``ImageOps.fit``."""
    fitted = ImageOps.fit(image, (target.width, target.height), Image.Resampling.LANCZOS)
    return np.asarray(fitted).astype(np.int64).reshape(target.height, target.width, target.channels)


def off_by(pixels: npt.NDArray[np.uint8], expected: npt.NDArray[np.int64]) -> float:
    assert pixels.shape == expected.shape
    return float(np.abs(pixels - expected).mean())


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0.5),
        ("a.jpg", {"quality": 98, "subsampling": 0}, 3),
        ("a.webp", {"lossless": True}, 0.5),
        ("a.JPEG", {"quality": 98, "progressive": True}, 3),
    ],
)
def test_formats(tmp_path: Path, name: str, options: dict[str, Any], tolerance: float) -> None:
    picture().save(tmp_path / name, **options)
    pixels = read_photo(tmp_path / name, SQUARE)
    assert pixels.dtype == np.uint8
    assert off_by(pixels, middle(picture())) < tolerance


def test_heic(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(picture(64, 64)).save(path, quality=95)
    assert off_by(read_photo(path, SQUARE), middle(picture(64, 64))) < 4


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", format="PNG")
    assert off_by(read_photo(tmp_path / "a.jpg", SQUARE), middle(picture())) < 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_turned_upright(tmp_path: Path, orientation: int, name: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / name
    options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {"quality": 100}
    picture().save(path, exif=exif.tobytes(), **options)
    upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert off_by(read_photo(path, SQUARE), middle(upright)) < 1


def test_a_large_jpeg_is_turned_upright_too(tmp_path: Path) -> None:
    """Large ones are decoded at a fraction of their size."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture(400, 320).save(tmp_path / "a.jpg", exif=exif.tobytes(), quality=95)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
    assert off_by(read_photo(tmp_path / "a.jpg", SQUARE), middle(upright)) < 2


def test_a_damaged_exif_block_does_not_matter(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=98)
    assert off_by(read_photo(tmp_path / "a.jpg", SQUARE), middle(picture())) < 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
@pytest.mark.parametrize("target", [SQUARE, GRAY], ids=["rgb", "gray"])
def test_modes(tmp_path: Path, mode: str, target: ImageInput) -> None:
    """Against Pillow's conversion before the file was written."""
    gray = picture(24, 24).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
        plain = gray.convert("RGB")
    else:
        image = picture(24, 24).convert("P").convert("PA") if mode == "PA" else picture(24, 24).convert(mode)
        plain = image.convert("RGB")
    name = "a.jpg" if mode in ("CMYK", "YCbCr") else "a.png"
    if mode == "PA":
        image = image.convert("RGBA")
    image.save(tmp_path / name, quality=100, subsampling=0)
    expected = plain.convert("L" if target.color == "grayscale" else "RGB")
    assert off_by(read_photo(tmp_path / name, target), middle(expected, target)) < 2


def test_transparency_becomes_white(tmp_path: Path) -> None:
    covered = picture(24, 24).convert("RGBA")
    covered.putalpha(Image.linear_gradient("L").resize((24, 24)))
    covered.save(tmp_path / "a.png")
    alpha = np.asarray(covered)[:, :, 3:] / 255
    expected = np.rint(np.asarray(picture(24, 24)) * alpha + 255 * (1 - alpha)).astype(np.int64)
    assert np.abs(read_photo(tmp_path / "a.png", SQUARE) - expected).max() <= 1


def test_one_transparent_color(tmp_path: Path) -> None:
    image = Image.new("P", (24, 24), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(0, (0, 0, 12, 24))
    image.save(tmp_path / "a.png", transparency=0)
    pixels = read_photo(tmp_path / "a.png", SQUARE)
    assert (pixels[:, :12] == 255).all()
    assert (pixels[:, 12:] == (200, 0, 0)).all()


@given(width=st.integers(1, 90), height=st.integers(1, 90), wide=st.integers(8, 40), high=st.integers(8, 40))
def test_any_size_to_any_size(width: int, height: int, wide: int, high: int) -> None:
    pixels = to_pixels(Image.new("RGB", (width, height), (9, 80, 200)), ImageInput("image", wide, high, "rgb"))
    assert pixels.shape == (high, wide, 3)
    assert (pixels == (9, 80, 200)).all()


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def webp_that_claims(width: int, height: int) -> bytes:
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + canvas


@pytest.mark.parametrize("size", [(30_000, 30_000), (12_000, 10_001), (1_000_000, 1_000)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_that_claims(*size))
    assert path.stat().st_size < 200
    with pytest.raises(DataError, match=r"huge\.png: .*too large, expected at most 120 million pixels"):
        read_photo(path, SQUARE)


def test_a_webp_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "huge.webp"
    path.write_bytes(webp_that_claims(30_000, 30_000))
    with pytest.raises(DataError, match=r"huge\.webp: 30,000 x 30,000 pixels; too large"):
        read_photo(path, SQUARE)


def test_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(200_000_001)  # a file with a hole: it takes no room
    with pytest.raises(DataError, match=r"a\.jpg: has 200,000,001 bytes, expected at most 200,000,000"):
        read_photo(path, SQUARE)


FRAMES = [picture(24, 24), picture(24, 24).transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("RGB", (24, 24))]


@pytest.mark.parametrize(
    ("name", "options"), [("a.webp", {"lossless": True}), ("a.png", {}), ("a.jpg", {"quality": 98})]
)
def test_of_several_frames_the_first_is_taken(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """An animated WebP, an APNG, and a JPEG of several pictures (MPO), as cameras with two lenses write it."""
    form = "MPO" if name.endswith("jpg") else None
    FRAMES[0].save(tmp_path / name, format=form, save_all=True, append_images=FRAMES[1:], **options)
    with Image.open(tmp_path / name) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert off_by(read_photo(tmp_path / name, SQUARE), middle(FRAMES[0])) < 6


def test_a_panorama_is_fitted_as_the_input_says(tmp_path: Path) -> None:
    picture(2400, 240).save(tmp_path / "a.png")
    assert off_by(read_photo(tmp_path / "a.png", SQUARE), middle(picture(2400, 240))) < 2
    whole = picture(2400, 240).resize((24, 24), Image.Resampling.LANCZOS)
    assert off_by(read_photo(tmp_path / "a.png", replace(SQUARE, fit="scaleFill")), middle(whole)) < 2


@pytest.mark.parametrize(("name", "options"), [("GIF", {"save_all": True}), ("TIFF", {}), ("BMP", {}), ("PDF", {})])
def test_a_format_that_is_not_read_is_named(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = tmp_path / "a.jpg"
    FRAMES[0].save(path, format=name, **options)
    for read in (lambda: read_photo(path, SQUARE), lambda: picture_size(path)):
        with pytest.raises(DataError, match=rf"a\.jpg: .*{name}, expected JPEG, PNG, WebP or HEIC"):
            read()


@pytest.mark.parametrize("content", [b"", b"just some text"])
def test_no_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: is not a readable picture, expected JPEG, PNG, WebP or HEIC"):
        read_photo(path, SQUARE)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.heic"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_short(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (80, 80, 3), dtype=np.uint8))
    if name.endswith("heic"):
        pillow_heif.from_pillow(noise).save(path)
    else:
        noise.save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=rf"{name}: is (damaged or incomplete|not a readable picture)"):
        read_photo(path, SQUARE)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg"):
        read_photo(tmp_path / "none.jpg", SQUARE)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x18ftypheic"]),
)
def test_hostile_bytes_never_get_through(tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile"
    path.write_bytes(head + content)
    with pytest.raises(DataError, match="hostile"):
        read_photo(path, SQUARE)
