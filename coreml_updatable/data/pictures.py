"""One picture file -> pixels of the input's size. The file is hostile until it is decoded: only four formats are
tried, and sizes are checked before anything of that size is allocated."""

import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from coreml_updatable.data.fitting import center_crop, scale_to_fit, stretch
from coreml_updatable.data.inputs import Fit, ImageInput, UInt8Array
from coreml_updatable.errors import DataError
from coreml_updatable.spec.features import CROP_KEY
from coreml_updatable.spec.messages import Model

Fitting: TypeAlias = Callable[[Image.Image, ImageInput], UInt8Array]
MAXIMUM_BYTES = 200_000_000
MAXIMUM_PIXELS = 120_000_000  # a phone's largest photos have about 108 million
MAXIMUM_MEMORY = 2**29 + 2**27  # bytes of a decoded picture and its copies; Pillow holds a pixel in four
PNG_NAME = r"^([A-Za-z0-9_][A-Za-z0-9_-]{0,63}/)?[A-Za-z0-9_][A-Za-z0-9_-]{0,99}\.png$"  # beside a document
MAX_PNG_PIXELS = 4096 * 4096
STRIP = 2**20  # pixels that change their colors at a time
HEAD_BYTES = 32
SIDEWAYS = 5  # from this orientation on (EXIF 2.32, 4.6.4 A) a picture lies on its side
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# How files of types that are not read begin; a box of ISO media files has its length in front.
OTHER_FORMATS = {
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*"),
    "BMP": (b"BM",),
    "AVIF": (b"ftypavif", b"ftypavis"),
    "PDF": (b"%PDF-",),
    "SVG": (b"<svg", b"<?xml"),
    "MP4 or QuickTime": (b"ftypmp4", b"ftypisom", b"ftypqt"),
}
EXPECTED = "expected JPEG, PNG, WebP or HEIC; convert it or take it out"
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, IndexError, KeyError, TypeError, OverflowError)


def read_photo(path: Path, target: ImageInput, fit: Fitting | None = None) -> UInt8Array:
    """The picture in ``path`` as uint8 [height, width, channels]: upright, on white, cut to the middle, resized.

    ``fit`` takes the place of ``to_pixels``, which does all that comes after the turning. JPEG, PNG, WebP and HEIC are
    read; anything else, and any damage, is a DataError that names the file.
    """
    with calm_decoders():
        return decode(path, target, fit)


@contextmanager
def calm_decoders() -> Iterator[None]:
    """Decoders warn of much that does not matter here; what does matter becomes a DataError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, upright; nothing is decoded. As ``read_photo`` otherwise."""
    try:
        with path.open("rb") as file:
            head = _head(file, path)
            _check_size(path, _webp_size(head), MAXIMUM_MEMORY // 16)
            with Image.open(file, formats=_formats(head)) as image:
                width, height = image.size
                return (height, width) if _orientation(image) >= SIDEWAYS else (width, height)
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is not a readable picture, {EXPECTED}") from error
    except (*DAMAGE, Image.DecompressionBombError, struct.error, zlib.error) as error:
        raise DataError(f"{path}: is damaged or incomplete ({_short(error)}); replace the picture") from error


def decode(path: Path, target: ImageInput, fit: Fitting | None = None) -> UInt8Array:
    """As ``read_photo``; to be called within ``calm_decoders`` (which is not safe to enter from several threads)."""
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise DataError(f"{path}: has {size:,} bytes, expected at most {MAXIMUM_BYTES:,}; make the picture smaller")
        with path.open("rb") as file:
            return _decoded(file, path, target, fit or to_pixels)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path}: needs too much memory to decode; make the picture smaller") from error
    except (*DAMAGE, struct.error, zlib.error) as error:
        raise DataError(f"{path}: is damaged or incomplete ({_short(error)}); replace the picture") from error


FITS: dict[Fit, Callable[[Image.Image, int, int], Image.Image]] = {
    "centerCrop": center_crop,
    "scaleFill": stretch,
    "scaleFit": scale_to_fit,
}


def fit_of(model: Model) -> Fit:
    """How pictures are fitted for ``model``: as its metadata says, else a crop to the middle."""
    crop = str(model.description.metadata.userDefined.get(CROP_KEY, ""))
    return next((fit for fit in FITS if fit == crop), "centerCrop")


def png(pixels: UInt8Array) -> bytes:
    """A picture [H, W, 1 or 3] as PNG: nothing is lost."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def read_png(path: Path, remedy: str) -> Image.Image:
    """The PNG picture in ``path``; DataError for anything else, and above 4096 x 4096 pixels."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PNG_PIXELS:
                raise DataError(f"{path}: has {picture.width}x{picture.height} pixels; too large for any model")
            return picture.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise DataError(f"{path}: is not a PNG picture; {remedy}") from None


def to_pixels(image: Image.Image, target: ImageInput) -> UInt8Array:
    """``image`` as uint8 [height, width, channels] of the target's size and colors: on white, fitted as it says."""
    flat = flattened(image, target.color == "grayscale")
    fitted = FITS[target.fit](flat, target.width, target.height)
    pixels = np.array(fitted, dtype=np.uint8)
    return pixels.reshape(target.height, target.width, target.channels)


def _decoded(file: IO[bytes], path: Path, target: ImageInput, fit: Fitting) -> UInt8Array:
    head = _head(file, path)
    _check_size(path, _webp_size(head), MAXIMUM_MEMORY // 16)  # its decoder holds two canvases, Pillow two copies
    try:
        image = Image.open(file, formats=_formats(head))
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is not a readable picture, {EXPECTED}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {_pixels_in(error)}{_too_large()}") from error
    with image:
        _check_size(path, image.size)
        turned = _orientation(image) != 1
        if image.format in ("JPEG", "MPO"):  # decode at 1/2, 1/4 or 1/8 where twice the size asked for remains
            side = 2 * max(target.width, target.height)
            share = side / min(image.size)
            image.draft(image.mode, (math.ceil(image.width * share), math.ceil(image.height * share)))
        _check_memory(path, image, turned=turned, gray=target.color == "grayscale")
        image.load()
        with suppress(*DAMAGE, struct.error):  # the photo may be whole though its EXIF block is not
            ImageOps.exif_transpose(image, in_place=True)
        return fit(image, target)


def _head(file: IO[bytes], path: Path) -> bytes:
    """The first bytes; a DataError that names the format where they are those of one that is not read."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    for name, magics in OTHER_FORMATS.items():
        if head.startswith(magics) or (head[4:8] == b"ftyp" and head[4:].startswith(magics)):
            raise DataError(f"{path}: is a file of type {name}, {EXPECTED}")
    return head


def _formats(head: bytes) -> list[str]:
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        import pillow_heif

        pillow_heif.register_heif_opener()
        return ["HEIF"]
    return ["JPEG", "PNG", "WEBP"]


def _check_size(path: Path, size: tuple[int, int], most: int = MAXIMUM_PIXELS) -> None:
    width, height = size
    if width * height > most:
        raise DataError(f"{path}: {width:,} x {height:,} pixels; {_too_large(most)}")


def _check_memory(path: Path, image: Image.Image, *, turned: bool, gray: bool) -> None:
    """Before anything is decoded: the picture, a turned one, and one in other colors are held at once."""
    copies = 1 + turned + (image.mode != ("L" if gray else "RGB")) + (2 if image.format == "WEBP" else 0)
    if 4 * image.width * image.height * copies > MAXIMUM_MEMORY:
        most = MAXIMUM_MEMORY // (4 * copies) // 1_000_000
        raise DataError(
            f"{path}: {image.width:,} x {image.height:,} pixels; too large for a {image.format} picture in mode "
            f"{image.mode}, expected at most {most} million pixels; make the picture smaller, or save it as JPEG"
        )


def _pixels_in(error: Image.DecompressionBombError) -> str:
    """How many there are, as Pillow's sentence says it."""
    match = re.search(r"\((\d+) pixels\)", str(error))
    return f"{int(match[1]):,} pixels; " if match else ""


def _too_large(most: int = MAXIMUM_PIXELS) -> str:
    return f"too large, expected at most {most // 1_000_000} million pixels; make the picture smaller"


def _webp_size(head: bytes) -> tuple[int, int]:
    """The canvas that a WebP file declares (its decoder allocates it as soon as the file is opened); else (0, 0).

    RFC 9649: the extended form, lossless and lossy pictures.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return 0, 0
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            sizes = int.from_bytes(head[21:25], "little")
            return 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF)
        case b"VP8 ":
            return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return 0, 0


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*DAMAGE, struct.error):  # the photo may be whole though its EXIF block is not
        return 1


def flattened(image: Image.Image, gray: bool) -> Image.Image:
    """In 8 bits and the colors asked for; what is transparent is white. The picture itself where nothing changes, else
    made a strip at a time: copies of a large picture would take several times its memory."""
    mode = "L" if gray else "RGB"
    if image.mode == mode and not image.has_transparency_data:
        return image
    if image.width * image.height <= STRIP:
        return _in_colors(image, mode)
    result, height = Image.new(mode, image.size), max(1, STRIP // image.width)
    for top in range(0, image.height, height):
        bottom = min(image.height, top + height)
        result.paste(_in_colors(image.crop((0, top, image.width, bottom)), mode), (0, top))
    return result


def _in_colors(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(image)
    elif image.has_transparency_data:
        covered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", covered.size, "white"), covered)
    return image.convert(mode)


def _from_deep(image: Image.Image) -> Image.Image:
    """16 bits a pixel (in Pillow's several modes for that) -> 8."""
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8))


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:100] if text else type(error).__name__
