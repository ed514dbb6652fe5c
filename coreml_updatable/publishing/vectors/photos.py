"""Photos of the vectors: one that is not square, and one that its EXIF orientation turns."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from coreml_updatable.data.inputs import Fit, ImageInput, UInt8Array
from coreml_updatable.data.pictures import FITS
from coreml_updatable.publishing.vectors.bench import TOLERANCES, Bench, InputArray
from coreml_updatable.publishing.vectors.differences import difference
from coreml_updatable.publishing.vectors.document import BEFORE, Exercise, Photo
from coreml_updatable.publishing.vectors.values import FOLDER, digest

PHOTOS = "photos"
PHOTOGRAPHED = 4  # rows that photos may be made of
TURNED = 6  # EXIF: the first column is the top


def photos(
    bench: Bench, target: ImageInput, given: Sequence[InputArray], files: dict[str, bytes]
) -> tuple[Exercise, list[str]]:
    """One photo that is not square, and one that its EXIF orientation turns; and the mistakes that do not show."""
    pictures = [_wide(pixels) for pixels in given[:PHOTOGRAPHED]]
    wide_offs, turn_offs = _mistaken(bench, target, pictures)
    wide_off, turn_off = max(wide_offs), max(turn_offs)
    wide, tall = pictures[wide_offs.index(wide_off)], pictures[turn_offs.index(turn_off)]
    wide_file, turned_file = _encoded(wide, "PNG"), _encoded(tall.transpose(Image.Transpose.ROTATE_90), "JPEG")
    # Each model of a build has its own, in one folder.
    names = f"{FOLDER}/wide-{digest(wide_file)}.png", f"{FOLDER}/turned-{digest(turned_file)}.jpg"
    files |= dict(zip(names, (wide_file, turned_file), strict=True))
    rows = [_fitted(wide, target), _fitted(_decoded(turned_file), target)]
    exercise = replace(
        bench.exercise(PHOTOS, bench.rows(rows, []), None), values=tuple(Photo(photo=name) for name in names)
    )
    result = {"another crop": wide_off, "an EXIF orientation ignored": turn_off}
    lost = [name for name, off in result.items() if off <= TOLERANCES[BEFORE]]
    return exercise.document(target.name, bench.label, []), lost


def _wide(pixels: InputArray) -> Image.Image:
    """The picture at twice its size, between two others: its own left and right halves, with their colors inverted."""
    middle = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    size = middle.width * 2, middle.height * 2
    middle = middle.resize(size, Image.Resampling.BICUBIC)
    half, canvas = middle.width // 2, Image.new(middle.mode, (middle.width * 2, middle.height))
    sides = ImageOps.invert(middle)
    canvas.paste(sides.crop((0, 0, half, middle.height)), (0, 0))
    canvas.paste(middle, (half, 0))
    canvas.paste(sides.crop((half, 0, middle.width, middle.height)), (half + middle.width, 0))
    return canvas


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "PNG":
        picture.save(buffer, format="PNG", optimize=True)
        return buffer.getvalue()
    exif = Image.Exif()
    exif[0x0112] = TURNED
    picture.save(buffer, format="JPEG", quality=95, subsampling=0, exif=exif)
    return buffer.getvalue()


def _decoded(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as picture:
        return ImageOps.exif_transpose(picture)


def _fitted(picture: Image.Image, target: ImageInput, fit: Fit | None = None) -> UInt8Array:
    fitted = FITS[fit or target.fit](picture, target.width, target.height)
    return np.asarray(fitted, np.uint8).reshape(target.height, target.width, target.channels)


def _mistaken(bench: Bench, target: ImageInput, pictures: Sequence[Image.Image]) -> tuple[list[float], list[float]]:
    """Of each picture, how far the answers are with the crop that an app is likeliest to take instead, and unturned."""
    wrong: Fit = "scaleFill" if target.fit == "centerCrop" else "centerCrop"
    rows = [
        *(_fitted(picture, target) for picture in pictures),
        *(_fitted(picture, target, wrong) for picture in pictures),
        *(_fitted(picture.transpose(Image.Transpose.ROTATE_90), target) for picture in pictures),
    ]
    answers = bench.run(bench.rows(rows, []), None).answers
    count = len(pictures)
    right, fitted, turned = answers[:count], answers[count : 2 * count], answers[2 * count :]
    return list(map(difference, right, fitted)), list(map(difference, right, turned))
