"""Read an ONNX file and the weights files beside it, and nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coreml_updatable.errors import SourceError

from .._shared.wording import first_line

MOST_BYTES = 2**31 - 1  # of the file, and of all the weights beside it
MOST_NODES = 100_000


def read_graph(source: Any) -> Any:
    """Return the ``ModelProto`` in the file ``source``, checked by ONNX, or ``source`` itself if it is one."""
    import onnx

    if isinstance(source, Path):
        if source.stat().st_size > MOST_BYTES:
            raise SourceError(f"{source}: is larger than {MOST_BYTES} bytes, the limit of ONNX; use another file")
        try:
            model = onnx.load_model(source, load_external_data=False)
        except Exception as error:  # protobuf's DecodeError, and what damaged text raises
            raise SourceError(f"{source}: is not an ONNX model ({type(error).__name__}); export it again") from error
        _load_external(model, source)
    elif isinstance(source, onnx.ModelProto):
        model = source
    else:
        raise SourceError(f"source: is a {type(source).__name__}, expected an onnx.ModelProto; load it with onnx.load")
    where = source if isinstance(source, Path) else "source"
    if len(model.graph.node) > MOST_NODES:
        raise SourceError(f"{where}: has {len(model.graph.node)} nodes, expected at most {MOST_NODES}; simplify it")
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # ValidationError, and others for what is out of bounds
        raise SourceError(f"{where}: breaks a rule of ONNX ({first_line(error)}); export it again") from error
    return model


def _load_external(model: Any, path: Path) -> None:
    """Load the tensors stored in separate files, which must be beside ``path`` and have the stated length."""
    from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor

    folder, read = path.resolve().parent, 0
    for tensor in _tensors(model):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        try:
            info = ExternalDataInfo(tensor)
        except ValueError as error:
            raise SourceError(
                f"{path}: the description of the weights {tensor.name!r} cannot be read ({first_line(error)}); "
                "export the model again"
            ) from error
        file = (folder / info.location).resolve()
        if not info.location or not file.is_relative_to(folder):
            raise SourceError(
                f"{path}: the weights {tensor.name!r} are stored in {info.location!r}, expected a file in the same "
                "folder; put it there and export again"
            )
        if not file.is_file():
            raise SourceError(f"{path}: the weights file {info.location!r} is missing; put it in the model's folder")
        size, offset = file.stat().st_size, int(info.offset or 0)
        length = int(info.length) if info.length else size - offset
        read += length
        if offset < 0 or length < 0 or offset + length > size or read > MOST_BYTES:
            raise SourceError(
                f"{path}: the weights {tensor.name!r} should be {length} bytes at {offset} of {info.location!r}, "
                f"which has only {size}; export the model again"
            )
        try:
            load_external_data_for_tensor(tensor, str(folder))
        except Exception as error:  # its own checks of what is a regular file
            raise SourceError(
                f"{path}: {info.location!r} cannot be read ({first_line(error)}); export again"
            ) from error
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def _tensors(model: Any) -> Iterator[Any]:
    """Yield initializers and constants in attributes, including those of inner graphs."""
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                if attribute.HasField("g"):
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)
