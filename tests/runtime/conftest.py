"""Small models made with coremltools: one layer, or a torch network converted."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import coremltools as ct
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.runtime import load

Array: TypeAlias = NDArray[Any]
jit: Any = torch.jit  # untyped
RunLayer: TypeAlias = Callable[..., Array]


def layer_model(add: Callable[[Any], None], inputs: Mapping[str, tuple[int, ...]], rank5: bool) -> Any:
    """The message of a network whose layers ``add`` puts into a builder; it must write the blob "y"."""
    described = [(name, datatypes.Array(*shape)) for name, shape in inputs.items()]
    builder = NeuralNetworkBuilder(described, [("y", None)], disable_rank5_shape_mapping=not rank5)
    add(builder)
    return builder.spec


@pytest.fixture
def run_layer() -> RunLayer:
    """run_layer(add, x=array, ..., rank5=False): what the network answers as "y"."""

    def run(add: Callable[[Any], None], rank5: bool = False, **inputs: Array) -> Array:
        spec = layer_model(add, {name: array.shape for name, array in inputs.items()}, rank5)
        answer: Array = load(spec).predict(inputs)["y"]
        return answer

    return run


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    return layer_model


@pytest.fixture(scope="session")
def converted() -> Callable[..., Any]:
    """converted(module, example, image=False, labels=None): the message that coremltools makes of a torch module."""

    def convert(
        module: torch.nn.Module, example: torch.Tensor, image: bool = False, labels: list[str] | None = None
    ) -> Any:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            traced = jit.trace(module.eval(), example)
            kind = ct.ImageType if image else ct.TensorType
            model = ct.convert(
                traced,
                convert_to="neuralnetwork",
                inputs=[kind(name="x", shape=tuple(example.shape))],
                outputs=None if labels else [ct.TensorType(name="y")],
                classifier_config=ct.ClassifierConfig(labels) if labels else None,
            )
        return model.get_spec()

    return convert


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)
