"""A user's photos stay at home: what `publish` writes is searched for their bytes, pixels, names and EXIF."""

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from coreml_updatable.building.build import run as build
from coreml_updatable.building.request import prepare
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.from_paths import publish
from tests.cli.conftest import Run, run

__all__ = ["run"]

SHAPES = Path(__file__).parent / "shapes"
SIDE = 24  # of the recipe's input
CAMERA, PLACE = "Camera of Mrs Miller", (48.0, 51.0, 29.0)


def photo(kind: str, number: int) -> Image.Image:
    """A shape with texture, so that no two photos are alike."""
    drawn = load_function(SHAPES, "drawing.py:draw")(kind, number, (2 * SIDE, 2 * SIDE))
    noise = np.random.default_rng(number).integers(0, 60, (2 * SIDE, 2 * SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(drawn.convert("RGB")) * 0.8 + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos``, JPEGs with the place where they were taken, and ``build/shapes``, what was built of them."""
    place = tmp_path_factory.mktemp("private")
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = CAMERA
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = PLACE
    for kind in ("square", "triangle", "disc", "star"):
        (place / "photos" / kind).mkdir(parents=True)
        for index in range(24):
            photo(kind, index).save(place / "photos" / kind / f"aunt-{kind}-{index}.jpg", exif=exif, quality=95)
    (place / "photos" / "disc" / "aunt-torn.jpg").write_bytes(b"\xff\xd8 torn")
    shutil.copytree(SHAPES, place / "shapes", ignore=shutil.ignore_patterns("__pycache__"))
    build(prepare(place / "shapes" / "recipe.toml", place / "photos", None, None, place / "build"))
    return place


def pictures_in(content: bytes) -> Iterator[Any]:
    """Every picture that a file is or holds, as uint8 [24, 24, 3]."""
    inside = [base64.b64decode(entry) for entry in re.findall(rb"data:image/\w+;base64,([A-Za-z0-9+/=]+)", content)]
    for item in (content, *inside):
        if item.startswith((b"\x89PNG", b"\xff\xd8")):
            shown = Image.open(io.BytesIO(item))
            assert set(shown.getexif()) <= {ExifTags.Base.Orientation}  # of the golden vectors' turned picture
            yield np.asarray(shown.convert("RGB").resize((SIDE, SIDE)), np.float64)


def shown_in(site: Path, photos: Path) -> set[str]:
    """Names of the ``photos`` that some file of ``site`` shows, turned, mirrored or not, within two levels."""
    sources = {
        path.name: np.asarray(Image.open(path).resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float64)
        for path in photos.rglob("aunt-*-*.jpg")
    }
    result = set()
    for path in site.rglob("*"):
        for seen in pictures_in(path.read_bytes()) if path.is_file() else ():
            ways = [np.rot90(item, turns) for item in (seen, seen[:, ::-1]) for turns in range(4)]
            result |= {name for name, pixels in sources.items() if min(np.abs(way - pixels).mean() for way in ways) < 2}
    return result


def test_nothing_of_a_users_photos_is_published(folder: Path, tmp_path: Path) -> None:
    publish([folder / "build" / "shapes"], tmp_path / "site")
    assert shown_in(folder / "build" / "shapes", folder / "photos")  # examples.html, which stays
    assert shown_in(tmp_path / "site", folder / "photos") == set()
    sources = [path.read_bytes() for path in (folder / "photos").rglob("*.jpg")]
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert (folder / "build" / "shapes" / "Shapes.replay.json").is_file()
    assert {path.name for path in files if path.name.endswith(".replay.json")} == {"ShapesHead.replay.json"}
    assert not [path for path in files if path.parent.name == "replay"]
    for path in files:
        content = path.read_bytes()
        for inside in (b"aunt-", b"Miller"):
            assert inside not in content, (path, inside)
        assert not any(source in content or source[-200:] in content for source in sources)


def test_exif_does_not_travel_even_in_the_page_that_stays(folder: Path) -> None:
    page = (folder / "build" / "shapes" / "examples.html").read_bytes()
    assert b"aunt-torn.jpg" in page
    assert len(list(pictures_in(page))) > 10
    for item in re.findall(rb"data:image/\w+;base64,([A-Za-z0-9+/=]+)", page):
        assert not dict(Image.open(io.BytesIO(base64.b64decode(item))).getexif())


def test_examples_are_published_only_where_that_is_asked_for(folder: Path, tmp_path: Path, run: Run) -> None:
    result = str(folder / "build" / "shapes")
    asked = run("publish", result, "--to", str(tmp_path / "site"), "--with-examples")
    assert asked.status == 2
    assert "examples.html" in asked.err
    assert "--yes" in asked.err
    assert not (tmp_path / "site").exists()
    done = run("publish", result, "--to", str(tmp_path / "site"), "--with-examples", "--yes")
    assert done.status == 0, done.err
    assert shown_in(tmp_path / "site", folder / "photos")
    (release,) = json.loads((tmp_path / "site" / "index.json").read_text())["models"][0]["versions"]
    assert "examples.html" in {item["file"] for item in release["files"]}
    assert run("publish", "--check", str(tmp_path / "site")).status == 0


def test_a_version_that_was_published_without_examples_stays_so(folder: Path, tmp_path: Path) -> None:
    publish([folder / "build" / "shapes"], tmp_path / "site")
    with pytest.raises(CatalogueError, match="without examples"):
        publish([folder / "build" / "shapes"], tmp_path / "site", with_examples=True)
