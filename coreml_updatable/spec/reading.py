"""Reading a model: bytes from outside are bounded and parsed, nothing else."""

from pathlib import Path

from google.protobuf.message import DecodeError

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.bounded import read_bounded
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.package import model_file

MAXIMUM_BYTES = 2**31 - 1  # the wire format of protobuf can not hold more


def read_model(path: Path) -> Model:
    """The ``Model`` message in an .mlmodel file or an .mlpackage folder."""
    model = read_any_model(path)
    _refuse_incomplete(model, str(path))
    return model


def read_any_model(path: Path) -> Model:
    """As ``read_model``, also of a version that does not exist or of no kind: a message to judge, not to work with."""
    file = model_file(path) if path.is_dir() else path
    return _decoded(read_bounded(file, MAXIMUM_BYTES, "an .mlmodel"), str(path))


def parse_model(content: bytes, where: str) -> Model:
    """The ``Model`` message in ``content``; ``where`` names the source in errors."""
    model = _decoded(content, where)
    _refuse_incomplete(model, where)
    return model


def _decoded(content: bytes, where: str) -> Model:
    model = Model_pb2.Model()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(
            f"{where}: not a Core ML model (the bytes are no protobuf message); export it again"
        ) from error
    if model.specificationVersion == 0 and model.WhichOneof("Type") is None:
        _refuse_incomplete(model, where)
    return model


def _refuse_incomplete(model: Model, where: str) -> None:
    if model.specificationVersion < 1 or model.WhichOneof("Type") is None:
        raise ModelError(f"{where}: not a Core ML model (no specification version or no model inside); export it again")
