"""Non-maximum suppression against a plain loop over pairs of boxes, alone and behind a detector."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.checking import check
from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

FLOAT32, DOUBLE = FeatureTypes_pb2.ArrayFeatureType.FLOAT32, FeatureTypes_pb2.ArrayFeatureType.DOUBLE


def _array(features: Any, name: str, columns: int, rows: tuple[int, int] | int | None = None) -> None:
    """A multi-array of [rows, columns]: any number of rows, a fixed one, or a range."""
    array = features.add(name=name).type.multiArrayType
    array.dataType = DOUBLE
    if isinstance(rows, int):
        array.shape.extend([rows, columns])
        return
    for lower, upper in (rows or (0, -1), (columns, columns)):
        array.shapeRange.sizeRanges.add(lowerBound=lower, upperBound=upper)


def suppression(
    classes: int,
    iou: float = 0.5,
    confidence: float = 0.0,
    per_class: bool = False,
    rows: tuple[int, int] | int | None = None,
    labels: list[Any] | None = None,
) -> Any:
    """raw_scores [N, classes], raw_boxes [N, 4], the optional numbers iou and least -> scores, boxes."""
    model = Model_pb2.Model(specificationVersion=5)
    nms = model.nonMaximumSuppression
    nms.pickTop.perClass = per_class
    nms.iouThreshold, nms.confidenceThreshold = iou, confidence
    nms.confidenceInputFeatureName, nms.coordinatesInputFeatureName = "raw_scores", "raw_boxes"
    nms.iouThresholdInputFeatureName, nms.confidenceThresholdInputFeatureName = "iou", "least"
    nms.confidenceOutputFeatureName, nms.coordinatesOutputFeatureName = "scores", "boxes"
    _array(model.description.input, "raw_scores", classes)
    _array(model.description.input, "raw_boxes", 4)
    for name in ("iou", "least"):
        type_ = model.description.input.add(name=name).type
        type_.doubleType.SetInParent()
        type_.isOptional = True
    _array(model.description.output, "scores", classes, rows)
    _array(model.description.output, "boxes", 4, rows)
    if labels:
        held = nms.stringClassLabels if isinstance(labels[0], str) else nms.int64ClassLabels
        held.vector.extend(labels)
    return model


def _overlap(one: Any, other: Any) -> float:
    """Intersection over union of two boxes (x, y, width, height), counted from their corners."""
    sides = []
    for axis in (0, 1):
        low = max(one[axis] - one[axis + 2] / 2, other[axis] - other[axis + 2] / 2)
        high = min(one[axis] + one[axis + 2] / 2, other[axis] + other[axis + 2] / 2)
        sides.append(max(0.0, high - low))
    common = sides[0] * sides[1]
    union = one[2] * one[3] + other[2] * other[3] - common
    return common / union if union > 0 else 0.0


def plain(scores: Any, boxes: Any, iou: float, least: float, per_class: bool) -> list[int]:
    """The steps of the format's comment, one box at a time."""
    left = [index for index in range(len(scores)) if max(scores[index]) >= least]
    left.sort(key=lambda position: -max(scores[position]))
    kept: list[int] = []
    for number in left:
        near = [
            other
            for other in kept
            if _overlap(boxes[number], boxes[other]) > iou
            and (not per_class or int(np.argmax(scores[number])) == int(np.argmax(scores[other])))
        ]
        if not near:
            kept.append(number)
    return kept


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 40),
    classes=st.integers(1, 5),
    iou=st.sampled_from([0.0, 0.1, 0.45, 0.7, 1.0]),
    least=st.sampled_from([0.0, 0.3, 0.9, 2.0]),
    per_class=st.booleans(),
    given_with_the_row=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_as_a_plain_loop(
    seed: int, count: int, classes: int, iou: float, least: float, per_class: bool, given_with_the_row: bool
) -> None:
    random = np.random.default_rng(seed)
    scores = random.uniform(0, 1, (count, classes))
    boxes = np.concatenate([random.uniform(0, 1, (count, 2)), random.uniform(0, 0.6, (count, 2))], 1)
    row: dict[str, Any] = {"raw_scores": scores, "raw_boxes": boxes}
    if given_with_the_row:
        model = suppression(classes, 0.33, 0.22, per_class)
        row |= {"iou": iou, "least": least}
    else:
        model = suppression(classes, iou, least, per_class)
    answer = load(model).predict(row)
    kept = plain(scores, boxes, iou, least, per_class)
    np.testing.assert_array_equal(answer["scores"], scores[kept].reshape(-1, classes))
    np.testing.assert_array_equal(answer["boxes"], boxes[kept].reshape(-1, 4))


SCORES = np.array([[0.2, 0.7], [0.9, 0.1], [0.6, 0.3], [0.1, 0.5]])
BOXES = np.array([[0.5, 0.5, 0.4, 0.4], [0.5, 0.52, 0.4, 0.4], [0.52, 0.5, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]])


def _kept(model: Any, **given: Any) -> list[int]:
    answer = load(model).predict({"raw_scores": SCORES, "raw_boxes": BOXES, **given})
    return [int(np.flatnonzero((row == SCORES).all(1))[0]) for row in answer["scores"] if row.any()]


def test_by_hand() -> None:
    """The first three boxes are nearly one: 1 is the best of all, 0 the best of the second class."""
    assert _kept(suppression(2)) == [1, 3]
    assert _kept(suppression(2, per_class=True)) == [1, 0, 3]
    assert _kept(suppression(2, confidence=0.5, per_class=True)) == [1, 0, 3]
    assert _kept(suppression(2, confidence=0.51, per_class=True)) == [1, 0]
    assert _kept(suppression(2), iou=1.0) == [1, 0, 2, 3]
    assert _kept(suppression(2), iou=1.0, least=0.6) == [1, 0, 2]


@pytest.mark.parametrize(
    ("rows", "shape"), [(None, 2), (1, 1), (5, 5), ((0, 1), 1), ((3, 10), 3), ((0, -1), 2), ((2, 2), 2)]
)
def test_outputs_have_the_rows_that_are_described(rows: Any, shape: int) -> None:
    answer = load(suppression(2, rows=rows)).predict({"raw_scores": SCORES, "raw_boxes": BOXES})
    assert answer["scores"].shape == (shape, 2)
    assert answer["boxes"].shape == (shape, 4)
    kept = [1, 3][:shape]
    np.testing.assert_array_equal(answer["scores"][: len(kept)], SCORES[kept])
    assert not answer["scores"][len(kept) :].any()
    assert not answer["boxes"][len(kept) :].any()


def detector(boxes: int, classes: int) -> Any:
    """x [6] -> raw_scores [boxes, classes], raw_boxes [boxes, 4]: a random product each."""
    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(6))],
        [("raw_scores", datatypes.Array(boxes, classes)), ("raw_boxes", datatypes.Array(boxes, 4))],
        disable_rank5_shape_mapping=True,
    )
    for name, columns in (("raw_scores", classes), ("raw_boxes", 4)):
        size = boxes * columns
        builder.add_inner_product(
            f"{name}_product", random.normal(size=(size, 6)), None, 6, size, False, "x", f"{name}_flat"
        )
        builder.add_activation(f"{name}_sigmoid", "SIGMOID", f"{name}_flat", f"{name}_positive")
        builder.add_reshape_static(f"{name}_table", f"{name}_positive", name, (boxes, columns))
    spec = builder.spec
    for feature in spec.description.output:
        feature.type.multiArrayType.dataType = DOUBLE
    return spec


def pipeline(boxes: int, classes: int, thresholds: str = "optional", **settings: Any) -> Any:
    """``thresholds``: "required", as Apple's validator wants a suppression's to be; "by the pipeline", where alone
    exporters describe them; or "optional"."""
    model = Model_pb2.Model(specificationVersion=5)
    members = [detector(boxes, classes), suppression(classes, **settings)]
    model.pipeline.models.extend(members)
    model.description.input.append(members[0].description.input[0])
    model.description.input.extend(members[1].description.input[2:])
    model.description.output.extend(members[1].description.output)
    for features in (model.description.input, model.pipeline.models[1].description.input):
        for feature in features:
            if feature.name in ("iou", "least") and thresholds != "optional":
                feature.type.isOptional = False
    if thresholds == "by the pipeline":
        del model.pipeline.models[1].description.input[2:]
    return model


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize(
    ("labels", "thresholds"),
    [(["dog", "cat", "bird"], "optional"), ([10, 20, 30], "required"), (None, "by the pipeline")],
)
def test_behind_a_detector(per_class: bool, labels: Any, thresholds: str) -> None:
    message = pipeline(30, 3, thresholds, iou=0.4, confidence=0.5, per_class=per_class, labels=labels)
    assert {problem.rule for problem in check(message)} == ({"M1.9"} if thresholds == "optional" else set())
    model = load(message)
    row = {"x": np.linspace(-1, 1, 6)}
    raw = load(detector(30, 3)).predict(row)
    for given_thresholds, iou, least in (({}, 0.4, 0.5), ({"iou": 0.9}, 0.9, 0.5), ({"least": 0.8}, 0.4, 0.8)):
        kept = plain(raw["raw_scores"], raw["raw_boxes"], iou, least, per_class)
        answer = model.predict({**row, **given_thresholds})
        np.testing.assert_allclose(answer["boxes"], raw["raw_boxes"][kept])
        np.testing.assert_allclose(answer["scores"], raw["raw_scores"][kept])


def _without(change: Any) -> Any:
    model = suppression(2)
    change(model.nonMaximumSuppression, model.description)
    return model


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda nms, _: nms.ClearField("pickTop"), "method"),
        (lambda nms, _: setattr(nms, "confidenceInputFeatureName", "nothing"), "confidenceInputFeatureName"),
        (lambda nms, _: setattr(nms, "coordinatesInputFeatureName", "iou"), "coordinatesInputFeatureName"),
        (lambda nms, _: setattr(nms, "confidenceOutputFeatureName", ""), "confidenceOutputFeatureName"),
        (lambda nms, _: setattr(nms, "coordinatesOutputFeatureName", "raw_boxes"), "coordinatesOutputFeatureName"),
        (lambda nms, _: setattr(nms, "iouThreshold", 1.5), "0 to 1"),
        (lambda nms, _: setattr(nms, "iouThreshold", -0.1), "0 to 1"),
        (lambda nms, _: setattr(nms, "iouThreshold", float("nan")), "0 to 1"),
        (lambda nms, _: setattr(nms, "confidenceThreshold", -0.1), "0 or more"),
    ],
)
def test_a_message_at_fault_is_refused(change: Any, word: str) -> None:
    with pytest.raises(ModelError, match=f"^model: .*{word}"):
        load(_without(change)).predict({"raw_scores": SCORES, "raw_boxes": BOXES})


@pytest.mark.parametrize("rows", [2**40, (2**40, -1), (5, 2)])
def test_outputs_of_absurd_sizes_are_refused(rows: Any) -> None:
    with pytest.raises(ModelError, match=r"^model: .*rows"):
        load(suppression(2, rows=rows))


@pytest.mark.parametrize(
    ("given_row", "words"),
    [
        ({"raw_scores": SCORES[:2]}, "2 confidences and 4 boxes"),
        ({"raw_boxes": BOXES * np.nan}, "raw_boxes"),
        ({"raw_scores": SCORES * np.inf}, "raw_scores"),
        ({"iou": 1.1}, "'iou'"),
        ({"least": -1.0}, "'least'"),
        ({"least": np.inf}, None),
    ],
)
def test_rows_at_fault_are_refused(given_row: dict[str, Any], words: str | None) -> None:
    row = {"raw_scores": SCORES, "raw_boxes": BOXES, **given_row}
    if words is None:
        assert load(suppression(2)).predict(row)["scores"].shape == (0, 2)
        return
    with pytest.raises(DataError, match=f"^row 0: .*{words}"):
        load(suppression(2)).predict(row)


def test_labels_are_as_many_as_classes() -> None:
    model = load(suppression(2, labels=["a", "b", "c"]))
    with pytest.raises(DataError, match="raw_scores"):
        model.predict({"raw_scores": SCORES, "raw_boxes": BOXES})
