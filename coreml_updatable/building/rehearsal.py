"""Refuse before the first stage what a later one would refuse: the build's own steps on a network that learned nothing.

Marking, the k-NN, the rules of Apple's tools and the layouts look at names, labels, settings and structure, and none of
these changes in training. So they are tried first on a network of a few numbers that stands for the recipe's, at once,
and then on the recipe's own network as it is before training.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from coreml_updatable.building.models_stage import described_and_checked, expect_layouts, marked_pair
from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.converting.registry import find_converter, load_untrained
from coreml_updatable.data.inputs import Examples, Float32Array, ImageInput, UInt8Array
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import BuildError, ModelError, RecipeError
from coreml_updatable.marking import with_samples
from coreml_updatable.publishing.catalogue.names import is_version
from coreml_updatable.recipes.recipe import AnyRecipe, ArraySection, Recipe
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.samples import nearest_neighbors_of

if TYPE_CHECKING:
    from coreml_updatable.building.request import BuildRequest

WIDTH = 2  # of the stand-in's layers


def expect_names_and_settings(recipe: Recipe, where: object) -> None:
    """A RecipeError, beginning with ``where``, for what the later stages, or ``publish``, would refuse of the recipe.

    Nothing of the recipe's own runs, and neither torch nor a converter is imported.
    """
    expect_version(recipe, where)
    _rehearse(recipe, stand_in(recipe), where)


def expect_version(recipe: AnyRecipe, where: object) -> None:
    """A RecipeError, beginning with ``where``, for a version that no catalogue takes."""
    version = recipe.metadata.version
    if not is_version(version):
        raise RecipeError(
            f"{where}: metadata.version is {version!r:.80}, expected numbers with dots such as 1.0, so that the "
            "models can be published; correct it"
        )


def rehearse(request: "BuildRequest") -> None:
    """A UserError for what the stages after the training would refuse of the recipe's own code and network."""
    for reference in _used_functions(request):
        load_function(request.folder, reference, request.recipe.trust_code)
    model = untrained_model(request)
    if model is not None:
        _rehearse(request.recipe, model, request.recipe_path)


def untrained_model(request: "BuildRequest") -> Model | None:
    """Return the recipe's own network as it is before training; None if its converter makes none without rows."""
    recipe = request.recipe
    untrained = load_untrained(find_converter(recipe.source.converter))
    if untrained is None:
        return None
    row_input, nothing = recipe.row_input(), _no_rows(recipe)
    return untrained(
        ConversionRequest(
            source=recipe.source.options(),
            folder=request.folder,
            input=row_input,
            labels=recipe.labels,
            train=nothing,
            validation=nothing,
            test=nothing,
            seed=recipe.seed,
            trust_code=recipe.trust_code,
        )
    )


def stand_in(recipe: Recipe) -> Model:
    """A ``neuralNetwork`` with the recipe's input, as many dense layers as it trains and one more, and an output a
    label: as a converter leaves it, called ``probabilities``."""
    result = Model_pb2.Model(specificationVersion=4)
    network, given = result.neuralNetwork, recipe.row_input()
    feature = result.description.input.add(name=given.name)
    blob, channels = given.name, 1
    taken = {given.name, recipe.outputs.label, recipe.outputs.probabilities}

    def add(output: str | None = None) -> NeuralNetworkLayer:
        nonlocal blob
        name = str(len(network.layers) + 100)  # as tracers number theirs
        while name in taken:
            name = f"0{name}"
        layer = network.layers.add(name=name, input=[blob], output=[output or name])
        blob = str(layer.output[0])
        return layer

    if isinstance(given, ImageInput):
        channels = given.channels
        image = feature.type.imageType
        image.width, image.height = given.width, given.height
        colors = FeatureTypes_pb2.ImageFeatureType
        image.colorSpace = colors.GRAYSCALE if given.color == "grayscale" else colors.RGB
        network.imageInputShapeMapping = NeuralNetwork_pb2.RANK4_IMAGE_MAPPING
        pooling = add().pooling
        pooling.type = NeuralNetwork_pb2.PoolingLayerParams.AVERAGE
        pooling.globalPooling = True
        pooling.valid.SetInParent()
    else:
        array = feature.type.multiArrayType
        array.shape.extend(given.shape)
        array.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
        add().reduceMean.reduceAll = True
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    add().reshapeStatic.targetShape.extend([1, channels])
    for _ in range(recipe.update.last):
        _fill_dense(add(), channels, WIDTH)
        add().activation.ReLU.SetInParent()
        channels = WIDTH
    _fill_dense(add(), channels, len(recipe.labels))
    answer = "probabilities" if given.name != "probabilities" else "probabilities_"
    add(answer).softmaxND.axis = -1
    output = result.description.output.add(name=answer).type.multiArrayType
    output.shape.extend([1, len(recipe.labels)])
    output.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return result


def _fill_dense(layer: NeuralNetworkLayer, inputs: int, outputs: int) -> None:
    dense = layer.innerProduct
    dense.inputChannels, dense.outputChannels, dense.hasBias = inputs, outputs, True
    dense.weights.floatValue.extend([0.5] * (inputs * outputs))
    dense.bias.floatValue.extend([0.0] * outputs)


def _rehearse(recipe: Recipe, converted: Model, where: object) -> None:
    try:
        network, empty = marked_pair(recipe, converted)
        length = int(nearest_neighbors_of(empty).nearestNeighborsIndex.numberOfDimensions)
        filled = with_samples(empty, np.zeros((len(recipe.labels), length), np.float32), recipe.labels)
        described_and_checked(recipe, network, filled)
        expect_layouts(network, recipe.layouts)
    except (ModelError, BuildError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _used_functions(request: "BuildRequest") -> Sequence[str]:
    """References to the code of the recipe that this build is going to call, but for the network's."""
    data = request.recipe.data
    used = [data.adapt] if request.data is not None else [data.draw, data.load]
    if isinstance(request.recipe.input, ArraySection):
        used.append(data.show)
    return [reference for reference in used if reference is not None]


def _no_rows(recipe: Recipe) -> Examples:
    given = recipe.row_input()
    values: UInt8Array | Float32Array = (
        np.zeros((0, given.height, given.width, given.channels), np.uint8)
        if isinstance(given, ImageInput)
        else np.zeros((0, *given.shape), np.float32)
    )
    return Examples(values, np.zeros(0, np.int64), (), ())
