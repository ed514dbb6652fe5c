"""`predict --overlay`: the labels of a segmentation over its picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from PIL import Image

import coreml_updatable as cu
from coreml_updatable.runtime.io.overlay import class_map, overlay, palette
from coreml_updatable.spec.features import PARAMETERS_KEY
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
from tests.cli.conftest import Run

SIDE = 8
LABELS, COLORS = ["background", "red thing", "blue thing"], ["#000000", "#ff8000", "#0080ff"]


def segmenter() -> Model:
    """A class for each pixel: red, blue, or the background where green is the strongest."""
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(3, SIDE, SIDE))],
        [("scores", datatypes.Array(1, 3, SIDE, SIDE))],
        disable_rank5_shape_mapping=True,
    )
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, [1, 0, 2], [0, 1, 2]] = 1  # scores: green, red, blue
    builder.add_convolution(
        "pick", 3, 3, 1, 1, 1, 1, "valid", 1, kernel, None, False, input_name="image", output_name="scores"
    )
    builder.set_pre_processing_parameters(["image"])
    builder.spec.description.metadata.userDefined[PARAMETERS_KEY] = json.dumps({"labels": LABELS, "colors": COLORS})
    return builder.spec


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:, :, 1] = 200
    pixels[:4, :4] = (240, 0, 0)
    pixels[6:, 6:] = (0, 0, 100)
    return Image.fromarray(pixels)


def test_each_pixel_has_half_of_its_labels_color(run: Run, picture: Image.Image, tmp_path: Path) -> None:
    write_model(segmenter(), tmp_path / "segmenter.mlmodel")
    picture.save(tmp_path / "photo.png")
    ran = run("predict", tmp_path / "segmenter.mlmodel", tmp_path / "photo.png", "--overlay", tmp_path / "masks")
    assert ran.status == 0, ran.err
    result = np.asarray(Image.open(tmp_path / "masks" / "photo.png").convert("RGB"), int)
    given = np.asarray(picture, int)
    for rows, color in ((slice(0, 4), (255, 128, 0)), (slice(6, 8), (0, 128, 255))):
        assert np.abs(result[rows, rows] - (given[rows, rows] + color) / 2).max() <= 1
    np.testing.assert_array_equal(result[0, 4:], given[0, 4:])  # the background
    assert "red thing 25%" in ran.err


def test_two_pictures_of_one_name_do_not_overwrite_each_other(run: Run, picture: Image.Image, tmp_path: Path) -> None:
    write_model(segmenter(), tmp_path / "segmenter.mlmodel")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "photo.png")
    run("predict", tmp_path / "segmenter.mlmodel", tmp_path / "a", tmp_path / "b", "--overlay", tmp_path / "masks")
    assert len(list((tmp_path / "masks").iterdir())) == 2


def test_a_filters_picture_is_written(run: Run, picture: Image.Image, tmp_path: Path) -> None:
    model = segmenter()
    image = model.description.output[0].type.imageType  # the channels in another order
    image.width = image.height = SIDE
    image.colorSpace = FeatureTypes_pb2.ImageFeatureType.RGB
    write_model(model, tmp_path / "filter.mlmodel")
    picture.save(tmp_path / "photo.png")
    ran = run("predict", tmp_path / "filter.mlmodel", tmp_path / "photo.png", "--overlay", tmp_path / "made")
    assert ran.status == 0, ran.err
    result = np.asarray(Image.open(tmp_path / "made" / "photo.png").convert("RGB"))
    np.testing.assert_array_equal(result, np.asarray(picture)[..., [1, 0, 2]])


def test_a_classifier_has_no_mask(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    ran = run("predict", picture_model, photos, "--overlay", tmp_path / "masks")
    assert ran.status != 0
    assert "segmentation" in ran.err
    assert "Traceback" not in ran.err


def test_the_palette_is_that_of_pascal_voc() -> None:
    """Its first colors are published with the challenge's development kit."""
    known = ["000000", "800000", "008000", "808000", "000080", "800080", "008080", "808080", "400000", "c00000"]
    assert ["{:02x}{:02x}{:02x}".format(*palette(index)) for index in range(10)] == known


@pytest.mark.parametrize("params", ["[", "[]", '{"labels": 3, "colors": [7]}', '{"colors": ["red"]}'])
def test_metadata_of_another_kind_leaves_the_palette(picture: Image.Image, params: str) -> None:
    model = segmenter()
    model.description.metadata.userDefined[PARAMETERS_KEY] = params
    result = overlay(model, picture, cu.load(model).predict({"image": picture}))
    assert result.shares.keys() == {"class 0", "class 1", "class 2"}


def test_a_map_of_labels_and_one_of_scores_are_told_apart() -> None:
    scores = np.random.default_rng(0).normal(size=(1, 4, 5, 6))
    np.testing.assert_array_equal(class_map({"s": scores}), scores[0].argmax(0))
    labels = scores[0].argmax(0)[None].astype(np.float32)
    np.testing.assert_array_equal(class_map({"text": "x", "m": labels}), labels[0])
    with pytest.raises(cu.DataError):
        class_map({"v": np.array([0.5, 0.2])})
