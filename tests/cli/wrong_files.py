"""A wrong file of each kind that a stranger may hand over, and how to write it."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeAlias

from coreml_updatable.marking import mark
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import graph, valid, weights
from tests.marking.networks import converted
from tests.marking.test_mark import SETTINGS

Content: TypeAlias = Callable[[], bytes]


def truncated() -> bytes:
    return _bytes(valid.classifier())[:-50]


def random_bytes() -> bytes:
    return Random(1).randbytes(5000)


def empty() -> bytes:
    return b""


def another_message() -> bytes:
    """A layer of a network: protobuf, but no model."""
    return _bytes(valid.classifier().neuralNetworkClassifier.layers[3])


def program() -> bytes:
    model = Model_pb2.Model(specificationVersion=7)
    model.mlProgram.version = 1
    return _bytes(model)


def picture() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(100)


NO_MODELS: tuple[Content, ...] = (truncated, random_bytes, empty, another_message, program, picture)


def weights_of_the_wrong_count() -> Model:
    return weights.short_weights()


def missing_blob() -> Model:
    model = valid.classifier()
    valid.layer(model, "fc").input[0] = "nowhere"
    return model


def circular() -> Model:
    model = valid.classifier()
    valid.layer(model, "conv").input[0] = "relu"
    return model


def shapes_that_disagree() -> Model:
    return graph.contradicting_channels()


def absurd_sizes() -> Model:
    model = valid.classifier()
    valid.layer(model, "fc").innerProduct.inputChannels = 2**62
    model.description.input[0].type.multiArrayType.shape[:] = [2**62] * 3
    return model


def absurd_picture() -> Model:
    """A network for pictures of any size; nothing is wrong but the size that is declared."""
    model = mark(converted("pooled linear, softmax", image=True, labels=("a", "b", "c")), SETTINGS)
    for feature in (*model.description.input, *model.description.trainingInput):
        if feature.type.WhichOneof("Type") == "imageType":
            feature.type.imageType.width = feature.type.imageType.height = 2**40
    return model


def ragged_neighbors() -> Model:
    """A remembered sample is a number shorter than it is declared."""
    model = valid.filled_nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples[0].vector.pop()
    return model


WRONG_MODELS: tuple[Callable[[], Model], ...] = (
    weights_of_the_wrong_count, missing_blob, circular, shapes_that_disagree, absurd_sizes, absurd_picture,
    ragged_neighbors,
)  # fmt: skip


def written(make: Callable[[], bytes | Model], folder: Path) -> Path:
    result = make()
    path = folder / f"{make.__name__}.mlmodel"
    path.write_bytes(result if isinstance(result, bytes) else _bytes(result))
    return path


def _bytes(message: Model) -> bytes:
    content: bytes = message.SerializeToString()
    return content
