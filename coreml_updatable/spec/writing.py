"""Writing a model: the same message gives the same bytes, and a reader never sees half a file."""

from collections.abc import Mapping
from pathlib import Path

from coreml_updatable.errors import ModelError
from coreml_updatable.files import write_all_atomically
from coreml_updatable.spec.messages import Model


def model_bytes(model: Model) -> bytes:
    """The serialized message, map fields in a fixed order."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write_model(model: Model, path: Path) -> None:
    """Write an .mlmodel file; ModelError for the name of a package, which no file may bear."""
    write_models({path: model})


def write_models(models: Mapping[Path, Model]) -> None:
    """All of them, or none. ModelError as ``write_model``."""
    for path in models:
        if path.suffix == ".mlpackage":
            raise ModelError(
                f"{path}: packages are read, not written; name an .mlmodel file, which Xcode takes as well"
            )
    write_all_atomically({path: model_bytes(model) for path, model in models.items()})
