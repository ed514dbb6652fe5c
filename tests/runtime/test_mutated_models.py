"""Hostile models of many layer kinds: only our own errors come out, soon, and within bounded memory."""

import contextlib
import math
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.checking import check
from coreml_updatable.errors import ModelError, UserError
from coreml_updatable.runtime import load
from coreml_updatable.spec.features import RGB
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.runtime.mutations import any_layer, damaged_bytes, damaged_fields, layer_kinds
from tests.runtime.sound_models import sound_models

SECONDS = 20  # of the processor, so that a busy machine fails nothing; a case takes milliseconds
MEMORY = 3 * 2**30  # beyond what the process had before
LARGEST = 10**5  # values of an input that the test makes
SOUND = sound_models()
KINDS = layer_kinds()
SEEDS = st.integers(0, 2**32)


def row_for(model: Model) -> dict[str, Any]:
    """A row of the shapes that the model declares, where they can be."""
    row: dict[str, Any] = {}
    for feature in model.description.input:
        if feature.type.WhichOneof("Type") == "imageType":
            width, height = int(feature.type.imageType.width), int(feature.type.imageType.height)
            possible = width > 0 and height > 0 and width * height <= LARGEST
            row[feature.name] = np.zeros((height, width, 3) if possible else (8, 8, 3), np.uint8)
        else:
            shape = [int(size) for size in feature.type.multiArrayType.shape]
            row[feature.name] = np.ones(shape if can_be_made(shape) else [4], np.float32)
    return row


def can_be_made(shape: list[int]) -> bool:
    """Whether numpy makes an array of that shape: no 65th axis, and no product too large beside a size of 0."""
    if len(shape) > 64 or not all(0 <= size <= LARGEST for size in shape):
        return False
    return math.prod(max(size, 1) for size in shape) <= LARGEST


def use(content: bytes) -> None:
    """All that a stranger's file meets: reading, checking, loading, predicting."""
    with warnings.catch_warnings(), contextlib.suppress(UserError):
        warnings.simplefilter("ignore")
        model = parse_model(content, "a file")
        check(model)
        load(model).predict(row_for(model))


def a_layer(seed: int) -> bytes:
    content: bytes = any_layer(KINDS[seed % len(KINDS)], Random(seed)).SerializeToString()
    return content


def bytes_of_a_model(seed: int) -> bytes:
    random = Random(seed)
    one, other = (random.choice(SOUND).SerializeToString() for _ in range(2))
    return damaged_bytes(one, other, random)


def fields_of_a_model(seed: int) -> bytes:
    random = Random(seed)
    content: bytes = damaged_fields(random.choice(SOUND), random).SerializeToString()
    return content


MAKERS = {"a layer": a_layer, "bytes": bytes_of_a_model, "fields": fields_of_a_model}


@contextlib.contextmanager
def limited(memory: int) -> Iterator[None]:
    """No more address space than now and ``memory``, so that no case harms the machine (Linux only)."""
    if sys.platform != "linux":
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, (int(held.split()[1]) * 1024 + memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def soon() -> Iterator[None]:
    """A case that hangs fails."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"a hostile file took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, ring)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def _search(maker: str, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(SEEDS)
    def run(seed: int) -> None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        use(MAKERS[maker](seed))

    with limited(MEMORY):
        run()


@pytest.mark.parametrize("number", range(len(SOUND)))
def test_the_models_are_sound(number: int) -> None:
    assert load(SOUND[number]).predict(row_for(SOUND[number]))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("maker", MAKERS)
def test_only_our_errors_come_out(maker: str) -> None:
    _search(maker, 350)


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("maker", MAKERS)
def test_only_our_errors_come_out_of_ten_thousand(maker: str) -> None:
    _search(maker, 3400)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("seed", [27631, 462])
def test_files_that_once_took_too_long_or_ended_in_a_traceback(seed: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    use(fields_of_a_model(seed))


def test_every_kind_of_layer_is_tried() -> None:
    content = [a_layer(seed) for seed in range(len(KINDS))]
    tried = {parse_model(model, "a file").neuralNetwork.layers[0].WhichOneof("layer") for model in content}
    assert tried == set(KINDS)


PROGRAM = """
import resource, sys
from tests.runtime.test_mutated_models import MAKERS, use
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for maker in MAKERS.values():
    for seed in range(100):
        use(maker(seed))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_stays_small() -> None:
    """Three hundred hostile files in one process: the most it ever holds is little more than before."""
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True
    )
    grown = int(result.stdout.splitlines()[-1]) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 150 * 2**20


def _answering(kind: str, shape: list[int], value: float = 0.0) -> Model:
    """A network whose output "y" is described as ``kind`` and is ``shape`` full of ``value``."""
    model = Model_pb2.Model(specificationVersion=4)
    model.description.input.add(name="x").type.multiArrayType.shape.append(1)
    output = model.description.output.add(name="y").type
    getattr(output, kind).SetInParent()
    if kind == "imageType":
        output.imageType.colorSpace = RGB
    model.neuralNetwork.arrayInputShapeMapping = 1
    constant = model.neuralNetwork.layers.add(name="constant", output=["y"]).loadConstantND
    constant.shape.extend(shape)
    constant.data.floatValue.extend([value] * int(np.prod(shape)))
    return model


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (_answering("imageType", [4]), "blob 'y': has the shape [4], but a picture needs [3, height, width]"),
        (
            _answering("imageType", [1, 2, 2]),
            "blob 'y': has the shape [1, 2, 2], but a picture needs [3, ",
        ),
        (_answering("imageType", [2, 3, 2, 2]), "blob 'y': has the shape [2, 3, 2, 2], but a picture needs [3, "),
        (_answering("int64Type", [1], float("nan")), "blob 'y': is nan, but the model declares an integer"),
        (_answering("int64Type", [1], float("inf")), "blob 'y': is inf, but the model declares an integer"),
    ],
)
def test_outputs_that_are_not_what_they_are_said_to_be(model: Model, sentence: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(model).predict({"x": np.zeros(1, np.float32)})
    assert sentence in str(caught.value)


def test_a_member_that_describes_an_output_it_does_not_give() -> None:
    pipeline = next(model for model in SOUND if model.WhichOneof("Type") == "pipelineClassifier")
    damaged = parse_model(pipeline.SerializeToString(), "a file")
    member = damaged.pipelineClassifier.pipeline.models[-1]
    name = member.description.predictedProbabilitiesName
    member.description.predictedProbabilitiesName = ""
    with pytest.raises(ModelError) as caught:
        load(damaged).predict(row_for(damaged))
    assert f"describes the output '{name}' but does not compute it" in str(caught.value)
