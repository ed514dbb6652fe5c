"""From a trained module to a Core ML network: traced by torch, translated by coremltools."""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.conversion import ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.messages import Model

from .torch_wording import first_line

DATED = "com.github.apple.coremltools.conversion_date"
ANSWER = "probabilities"


def to_core_ml(network: nn.Module, image: ImageInput) -> Model:
    """The ``neuralNetwork`` that answers softmax(network(pixels / 255)) in ``probabilities``; no date inside.

    ``torch.jit.trace`` and not ``torch.export``, whose graphs become files that Apple's validator rejects.
    Raises SourceError naming the operator that Core ML has no layer for.
    """
    traced = _traced(network, image)
    with quiet():
        ct = _import_coremltools()
        layout = ct.colorlayout.RGB if image.channels == 3 else ct.colorlayout.GRAYSCALE
        shape = (1, image.channels, image.height, image.width)
        try:
            converted = ct.convert(
                traced,
                convert_to="neuralnetwork",
                inputs=[ct.ImageType(name=image.name, shape=shape, scale=1 / 255, color_layout=layout)],
                outputs=[ct.TensorType(name=ANSWER if image.name != ANSWER else f"{ANSWER}_")],
            )
        except Exception as error:  # coremltools raises many kinds for what it can not translate
            raise SourceError(_sentence(error)) from error
    model = converted.get_spec()
    if DATED in model.description.metadata.userDefined:
        del model.description.metadata.userDefined[DATED]
    _make_normalisation_exact(model.neuralNetwork.layers, image.name)
    return model


def _make_normalisation_exact(layers: Any, image: str) -> None:
    """coremltools writes x * a + b as a ``batchnorm`` with variance 1 and forgets the epsilon that is added to it."""
    for layer in layers:
        params = layer.batchnorm
        variance = params.variance.floatValue
        if image in layer.input and layer.WhichOneof("layer") == "batchnorm" and set(variance) == {1.0}:
            variance[:] = [1.0 - params.epsilon] * len(variance)


def _traced(network: nn.Module, image: ImageInput) -> Any:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: Tensor) -> Tensor:
            return torch.softmax(self.network(pictures), dim=1)

    example = torch.rand(1, image.channels, image.height, image.width)
    # The fused attention of torch's fast path is one operator that nothing can translate.
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with quiet(), torch.no_grad():
            return torch.jit.trace(Classifier().eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # the module's own code runs
        raise SourceError(
            f"the network can not be traced ({type(error).__name__}: {first_line(error)}); simplify its forward"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _import_coremltools() -> ModuleType:
    import coremltools

    return coremltools  # type: ignore[no-any-return]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings about versions, missing macOS parts and progress; errors are exceptions and pass."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _sentence(error: Exception) -> str:
    text = str(error)
    operator = re.search(r"function for op '([^']+)' not implemented", text)
    if operator is not None:
        return (
            f"the network uses the operator {operator[1]!r}, for which coremltools knows no Core ML layer; "
            "write it with simpler operators"
        )
    named = re.search(r"op \"?'?([\w.]+)\"?'?", text)
    where = f" at the operator {named[1]!r}" if named is not None else ""
    return (
        f"the network can not be converted{where} ({type(error).__name__}: {first_line(error)}); "
        "change it or use another one"
    )
