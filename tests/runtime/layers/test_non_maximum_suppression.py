"""NonMaximumSuppression against its definition, written box by box in NumPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import ModelError

OUTPUTS = ("boxes", "scores", "numbers", "counts")


def overlap(a: Any, b: Any) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    sides = [
        min(a[at] + a[at + 2] / 2, b[at] + b[at + 2] / 2) - max(a[at] - a[at + 2] / 2, b[at] - b[at + 2] / 2)
        for at in (0, 1)
    ]
    common = max(0.0, sides[0]) * max(0.0, sides[1])
    union = a[2] * a[3] + b[2] * b[3] - common
    return common / union if union > 0 else 0.0


def kept(boxes: Any, scores: Any, limit: float, least: float, most: int, by_class: bool) -> list[int]:
    best, classes = scores.max(1), scores.argmax(1)
    order = sorted(range(len(boxes)), key=lambda box: -best[box])
    chosen: list[int] = []
    for box in order:
        if best[box] < least or len(chosen) == most:
            continue
        rivals = [other for other in chosen if not by_class or classes[other] == classes[box]]
        if all(overlap(boxes[box], boxes[other]) <= limit for other in rivals):
            chosen.append(box)
    return chosen or order[:1]


def expected(row: Any, limit: float, least: float, most: int, by_class: bool) -> dict[str, Any]:
    chosen = [
        kept(*pair, limit, least, most, by_class)
        for pair in zip(row["b"].astype(float), row["s"].astype(float), strict=True)
    ]
    batch, classes = len(row["b"]), row["s"].shape[2]
    result = {
        "boxes": np.zeros((batch, most, 4)), "scores": np.zeros((batch, most, classes)),
        "numbers": np.full((batch, most), -1.0), "counts": np.array([len(numbers) for numbers in chosen]),
    }  # fmt: skip
    for index, numbers in enumerate(chosen):
        count = len(numbers)
        result["boxes"][index, :count], result["scores"][index, :count] = (
            row["b"][index, numbers],
            row["s"][index, numbers],
        )
        result["numbers"][index, :count] = numbers
    return result


def drawn(random: Any, batch: int, count: int, classes: int) -> dict[str, Any]:
    """Boxes in eighths, so that their overlaps are the same in 32 and 64 bits; scores without ties."""
    boxes = np.concatenate([random.integers(0, 17, (batch, count, 2)), random.integers(0, 17, (batch, count, 2))], 2)
    scores = random.permutation(batch * count * classes).reshape(batch, count, classes) / (batch * count * classes)
    return {"b": (boxes / 8).astype(np.float32), "s": scores.astype(np.float32)}


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 3)),
    limit=st.sampled_from([0.0, 0.13, 0.57, 1.0]), least=st.sampled_from([0.0, 0.5, 2.0]), most=st.integers(1, 10),
    by_class=st.booleans(), inputs=st.integers(0, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_equals_the_definition(
    answers: Any, sizes: Any, limit: float, least: float, most: int, by_class: bool, inputs: int, seed: int
) -> None:
    """``inputs``: how many of the thresholds are read from blobs, in which case the message's own do not count."""
    random = np.random.default_rng(seed)
    values = [limit, least, float(most)]
    read = ["limit", "least", "most"][:inputs]
    extra = {name: np.array([value], np.float32) for name, value in zip(read, values, strict=False)}
    rows = [drawn(random, *sizes) | extra for _ in range(2)]
    own = [0.99, 0.99, 1][:inputs] + [limit, least, most][inputs:]
    actual = answers(
        lambda b: b.add_nms("nms", ["b", "s", *read], list(OUTPUTS), *own, by_class), rows, outputs=OUTPUTS
    )
    for row, answer in zip(rows, actual, strict=True):
        for name, array in expected(row, limit, least, most, by_class).items():
            np.testing.assert_array_equal(answer[name], array.astype(np.float32), strict=True)


def test_the_best_box_stays_when_all_are_below_the_threshold(answers: Any) -> None:
    row = {"b": np.ones((1, 3, 4), np.float32), "s": np.array([[[0.1], [0.3], [0.2]]], np.float32)}
    (result,) = answers(lambda b: b.add_nms("nms", ["b", "s"], list(OUTPUTS), 0.5, 0.9, 2), [row], outputs=OUTPUTS)
    assert result["numbers"].tolist() == [[1.0, -1.0]]
    assert result["counts"].tolist() == [1.0]


def test_faults(answers: Any) -> None:
    row = {"b": np.ones((1, 3, 4), np.float32), "s": np.ones((1, 3, 1), np.float32)}

    def add(builder: Any, most: int = 2) -> None:
        builder.add_nms("nms", ["b", "s"], list(OUTPUTS), 0.5, 0.9, most)

    for most in (0, 2**40):
        with pytest.raises(ModelError, match=r"layer 'nms': maxBoxes is .*, the layer expects 1 to 1048576"):
            answers(lambda b, most=most: add(b, most), [row], outputs=OUTPUTS)
    with pytest.raises(ModelError, match=r"layer 'nms': boxes \[1, 3, 3\] and scores \[1, 3, 1\], the layer expects"):
        answers(add, [row | {"b": row["b"][..., :3]}], outputs=OUTPUTS)
    with pytest.raises(ModelError, match="layer 'nms': a threshold has 2 values, the layer expects 1"):
        answers(
            lambda b: b.add_nms("nms", ["b", "s", "t"], list(OUTPUTS)), [row | {"t": np.ones(2, np.float32)}],
            outputs=OUTPUTS,
        )  # fmt: skip
    with pytest.raises(ModelError, match="layer 'nms': has 1 inputs, the layer expects 2 to 5"):
        answers(add, [row], outputs=OUTPUTS, edit=lambda layer: layer.input.pop())
