"""Convert a trained module to a Core ML network: torch traces it, coremltools translates it."""

import contextlib
import gc
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.data.inputs import ArrayInput, ImageInput, Input
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
from coreml_updatable.spec.shapes import blob_shapes

from .._shared.wording import first_line

ALIASES = {
    "absolute": "abs",
    "arccos": "acos",
    "arctan": "atan",
    "concatenate": "cat",
    "divide": "div",
    "greater": "gt",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "special_erf": "erf",
    "special_expit": "sigmoid",
    "subtract": "sub",
    "swapaxes": "transpose",
    "swapdims": "transpose",
}


def register_aliases() -> None:
    """Let coremltools translate operators that are other names of known ones (Keras on torch writes ``subtract``)."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY as REGISTRY

    for alias, name in ALIASES.items():
        function = REGISTRY.get_func(name)
        if function is not None and REGISTRY.get_func(alias) is None:
            REGISTRY.set_func_by_name(function, alias)


DATED = "com.github.apple.coremltools.conversion_date"
ANSWER = "probabilities"


def to_core_ml(network: nn.Module, given: Input) -> Model:
    """Return the ``neuralNetwork`` of softmax(network(pixels / 255)), or softmax(network(values)) of an array, as
    ``probabilities``; it contains no date.

    It uses ``torch.jit.trace`` because the graphs of ``torch.export`` become files that Apple's validator rejects.
    Raises SourceError that names an operator without a Core ML layer.
    """

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, row: Tensor) -> Tensor:
            batch = row if isinstance(given, ImageInput) else row.unsqueeze(0)
            return torch.softmax(self.network(batch), dim=1)

    return core_ml_of(Classifier(), (given,))


def core_ml_of(module: nn.Module, inputs: Sequence[Input]) -> Model:
    """Return the ``neuralNetwork`` that computes module(*inputs) as ``probabilities``; it contains no date.

    ``module`` takes pictures float32 [1, channels, height, width] in 0..1 and arrays of the shape of one row.
    """
    traced = traced_on(module, tuple(example(given) for given in inputs))
    with quiet():
        ct = _import_coremltools()
        register_aliases()
        names = {given.name for given in inputs}
        answer = ANSWER if ANSWER not in names else f"{ANSWER}_"

        def convert(passes: Any) -> Any:
            described = [_described(ct, given) for given in inputs]
            options = {"inputs": described, "outputs": [ct.TensorType(name=answer)], "pass_pipeline": passes}
            with _nothing_to_collect():
                return ct.convert(traced, convert_to="neuralnetwork", **options)

        try:
            try:
                converted = convert(ct.PassPipeline.DEFAULT)
            except ValueError as error:
                if "Cannot delete op" not in str(error):
                    raise
                converted = convert(_without_fusing(ct))
        except Exception as error:  # coremltools raises many kinds for what it cannot translate
            raise SourceError(_sentence(error)) from error
    model = converted.get_spec()
    _make_softmax_exact(model)
    if DATED in model.description.metadata.userDefined:
        del model.description.metadata.userDefined[DATED]
    for feature, given in zip(list(model.description.input), inputs, strict=True):
        if feature.name != given.name:  # coremltools makes identifiers of names
            ct.utils.rename_feature(model, str(feature.name), given.name)
    for given in inputs:
        if isinstance(given, ImageInput):
            _make_normalisation_exact(model.neuralNetwork.layers, given.name)
        elif given.whole:  # coremltools describes every array as floats
            feature = feature_named(model.description.input, given.name)
            assert feature is not None
            feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.INT32
    return model


@contextlib.contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """coremltools collects garbage at every conversion, which looks at every object of the process: four fifths of the
    time that a small network takes. What lives already is left out of that meanwhile."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _without_fusing(ct: ModuleType) -> Any:
    """Return the passes of coremltools except one that removes operators still in use (coremltools #2643)."""
    passes = ct.PassPipeline.DEFAULT
    passes.remove_passes({"common::fuse_stack_split"})
    return passes


def _described(ct: ModuleType, given: Input) -> Any:
    if isinstance(given, ArrayInput):
        return ct.TensorType(name=given.name, shape=given.shape, dtype=np.int32 if given.whole else np.float32)
    layouts = {"rgb": ct.colorlayout.RGB, "bgr": ct.colorlayout.BGR, "grayscale": ct.colorlayout.GRAYSCALE}
    return ct.ImageType(name=given.name, shape=shape_of(given), scale=1 / 255, color_layout=layouts[given.color])


def shape_of(given: Input) -> tuple[int, ...]:
    """Return the shape of one row, as the traced module receives it."""
    return given.shape if isinstance(given, ArrayInput) else (1, given.channels, given.height, given.width)


def example(given: Input) -> Tensor:
    if isinstance(given, ArrayInput) and given.whole:
        return torch.ones(given.shape, dtype=torch.int32)
    return torch.rand(shape_of(given))


def _make_softmax_exact(model: Model) -> None:
    """coremltools writes a softmax along axis -3 as ``softmax``, which at rank 3 works along the last axis, as is
    reported in its issue 1714; ``softmaxND`` has an axis of its own."""
    shapes = blob_shapes(model)
    for layer in model.neuralNetwork.layers:
        if layer.WhichOneof("layer") == "softmax" and len(shapes.get(str(layer.input[0]), ())) < 4:
            layer.softmaxND.axis = -3


def _make_normalisation_exact(layers: Any, image: str) -> None:
    """Fix the ``batchnorm`` with variance 1 that coremltools writes for x * a + b without regard to its epsilon."""
    for layer in layers:
        params = layer.batchnorm
        variance = params.variance.floatValue
        if image in layer.input and layer.WhichOneof("layer") == "batchnorm" and set(variance) == {1.0}:
            variance[:] = [1.0 - params.epsilon] * len(variance)


def traced_on(module: nn.Module, examples: tuple[Tensor, ...]) -> Any:
    """Return the ``torch.jit.ScriptModule`` of ``module`` in evaluation mode, traced with ``examples``."""
    # The fused attention of torch's fast path is one operator that nothing can translate.
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with quiet(), torch.no_grad():
            return torch.jit.trace(module.eval(), examples, check_trace=False)
    except Exception as error:  # the module's own code runs
        raise SourceError(
            f"the network cannot be traced ({type(error).__name__}: {first_line(error)}); simplify its forward"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _import_coremltools() -> ModuleType:
    import coremltools

    library: ModuleType = coremltools
    return library


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings about versions, missing macOS parts and progress; errors are exceptions and pass."""
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
            f"the network uses the operator {operator[1]!r}, which coremltools cannot convert to a Core ML layer; "
            "write it with simpler operators"
        )
    named = re.search(r"op \"?'?([\w.]+)\"?'?", text)
    where = f" at the operator {named[1]!r}" if named is not None else ""
    return (
        f"the network cannot be converted{where} ({type(error).__name__}: {first_line(error)}); "
        "change it or use another one"
    )
