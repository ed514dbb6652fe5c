"""From the converted network to the two updatable models: marked, described, and the k-NN with its samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coreml_updatable import __version__
from coreml_updatable.checking import Problem, expect_valid
from coreml_updatable.converting.fitted_head import central, one_thread
from coreml_updatable.converting.layouts import arrange, laid_out
from coreml_updatable.converting.neighbors import embedded
from coreml_updatable.data.inputs import Examples, Float32Array, Float64Array
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking import Wishes, describe, extractor, knn_variant, mark, rename_features, with_samples
from coreml_updatable.marking.features import with_preview
from coreml_updatable.marking.head import find_head, read_weights, write_weights
from coreml_updatable.marking.settings import SGD, Adam, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.recipes.parameters import DoubleField, Int64Field
from coreml_updatable.recipes.recipe import (
    AdamSection,
    AnyRecipe,
    FixedRecipe,
    ImageSection,
    KNNSection,
    Recipe,
    SGDSection,
)
from coreml_updatable.spec.features import CROP_KEY
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, copy_of
from coreml_updatable.spec.network import network_of

SAMPLES_PER_KIND, NEIGHBORS = 6, 3  # where neither the recipe nor the data says better
MOST_NEIGHBORS = 15


def typical(embeddings: Float32Array, kinds: Sequence[str], per_kind: int, seed: int) -> list[int]:
    """Indices of at most ``per_kind`` rows of each kind that stand for the rest; ``embeddings`` float32 [n, D]."""
    if per_kind == 0:
        return []
    rows, named = embeddings.astype(np.float64), np.array(kinds)
    with one_thread():
        chosen = [central(rows, np.flatnonzero(named == kind), per_kind, 3, seed) for kind in sorted(set(kinds))]
    return [index for indices in chosen for index in indices.tolist()]


def update_settings(section: SGDSection | AdamSection) -> UpdateSettings:
    return UpdateSettings(_optimizer(section), _int64(section.epochs), section.shuffle, section.seed)


def knn_settings(section: KNNSection, neighbors: int = NEIGHBORS) -> KNNSettings:
    """``neighbors`` counts where the section says nothing."""
    given = section.number_of_neighbors
    return KNNSettings(
        number_of_neighbors=Int64Parameter(neighbors, (1, MOST_NEIGHBORS)) if given is None else _int64(given),
        weighting=section.weighting,
        index=section.index,
        leaf_size=section.leaf_size,
        default_label=section.default_label,
    )


def _optimizer(section: SGDSection | AdamSection) -> SGD | Adam:
    rate, batch = _double(section.learning_rate), _int64(section.mini_batch_size)
    if isinstance(section, SGDSection):
        return SGD(rate, batch, _double(section.momentum))
    return Adam(rate, batch, _double(section.beta1), _double(section.beta2), _double(section.eps))


def _int64(parameter: Int64Field) -> Int64Parameter:
    return Int64Parameter(parameter.default, parameter.range, parameter.allowed)


def _double(parameter: DoubleField) -> DoubleParameter:
    return DoubleParameter(parameter.default, parameter.range)


@dataclass(frozen=True)
class Variants:
    """Both models as they will be written, and what the rules still warn of."""

    network: Model
    knn: Model
    warnings: tuple[Problem, ...]


def make_variants(
    recipe: Recipe,
    converted: Model,
    train: Examples,
    samples_per_kind: int = SAMPLES_PER_KIND,
    seen: Float32Array | None = None,
    neighbors: int = NEIGHBORS,
) -> Variants:
    """Mark ``converted``, build its k-NN with samples from ``train``; a BuildError if a rule is broken.

    ``samples_per_kind`` and ``neighbors`` count where the recipe says nothing. ``seen`` are the embeddings of
    ``train``, if known.
    """
    network, empty = marked_pair(recipe, converted, neighbors)
    seen = embeddings(network, train) if seen is None else seen
    per_kind = recipe.knn.samples_per_kind
    samples = typical(seen, train.kinds, samples_per_kind if per_kind is None else per_kind, recipe.seed)
    knn = with_samples(empty, seen[samples], [recipe.labels[train.labels[sample]] for sample in samples])
    return described_and_checked(recipe, network, knn)


def marked_pair(recipe: Recipe, converted: Model, neighbors: int = NEIGHBORS) -> tuple[Model, Model]:
    """The marked network, and the k-NN on its extractor, which remembers nothing yet."""
    outputs = recipe.outputs
    wishes: Wishes = {
        "last": recipe.update.last,
        "labels": recipe.labels,
        "label": outputs.label,
        "probabilities": outputs.probabilities,
    }
    settings, scale = update_settings(recipe.update), recipe.update.head_scale
    if scale != 1:  # before reserved labels get their share
        converted = scaled_head(mark(converted, settings, **wishes), scale)
    if recipe.reserved_labels is not None:
        wishes |= {"reserved": recipe.reserved_labels.count, "reserved_share": recipe.reserved_labels.share}
    network = mark(converted, settings, **wishes)
    return network, knn_variant(network, knn_settings(recipe.knn, neighbors))


def scaled_head(network: Model, scale: float) -> Model:
    """A marked network whose logits are ``scale`` times as large: no label changes, but how sure it is does."""
    result = copy_of(network)
    layers = network_of(result).layers
    softmax = max(index for index, layer in enumerate(layers) if layer_kind(layer) in ("softmax", "softmaxND"))
    layer = layers[find_head(network_of(result), softmax).number]
    weights, bias = read_weights(layer, f"layer '{layer.name}'")
    has_bias = bool(getattr(layer, layer_kind(layer)).hasBias)
    factor = np.float32(scale)
    write_weights(layer, weights * factor, bias * factor if has_bias else None, len(bias))
    return result


def sharpened(probabilities: Float64Array, scale: float) -> Float64Array:
    """The probabilities [n, K] of logits that are ``scale`` times as large: p^scale / sum p^scale."""
    powers = probabilities**scale
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def described_and_checked(recipe: Recipe, network: Model, knn: Model) -> Variants:
    """Both as they are written; a BuildError if a rule is broken."""
    names = recipe.outputs
    outputs = {names.label: names.label_description, names.probabilities: names.probabilities_description}
    network, knn = _described(recipe, network, outputs), _described(recipe, knn, outputs)
    return Variants(
        network, knn, (*expect_valid(network, "network", BuildError), *expect_valid(knn, "k-NN", BuildError))
    )


def embeddings(network: Model, examples: Examples) -> Float32Array:
    """What the network's extractor makes of ``examples``: float32 [n, D]."""
    alone = extractor(network)
    name = str(alone.description.input[0].name)
    return embedded(alone, ({name: value} for value in examples.values))


def fixed_model(recipe: FixedRecipe, converted: Model) -> tuple[Model, tuple[Problem, ...], str]:
    """The model as it is written, what the rules warn of, and why it cannot be marked, in the marking's own words.

    A BuildError if a rule is broken, or if it can be marked.
    """
    output, given = recipe.output, recipe.input
    named = rename_features(converted, {str(converted.description.output[0].name): output.name})
    model = _described(recipe, named, {output.name: output.description})
    if recipe.preview is not None:
        model = with_preview(model, recipe.preview.type, recipe.labels, recipe.preview.colors)
    if output.type == "image":
        image = model.description.output[0].type.imageType  # in the place of an array
        image.width, image.height, image.colorSpace = given.width, given.height, COLORS[given.color]
    try:
        mark(model, UpdateSettings())
    except ModelError as refused:
        return model, tuple(expect_valid(model, "model", BuildError)), str(refused)
    raise BuildError("the recipe says `updatable = false`, but its model can be marked; leave that line out")


def _described(recipe: AnyRecipe, model: Model, outputs: Mapping[str, str]) -> Model:
    metadata = recipe.metadata
    features = {recipe.input.name: recipe.input.description, **outputs}
    return describe(
        model,
        features=features,
        description=metadata.description,
        author=metadata.author,
        license=metadata.license,
        version=metadata.version,
        user_defined={
            "made by": f"coreml_updatable {__version__}",
            "recipe": recipe.name,
            **({CROP_KEY: recipe.input.fit} if isinstance(recipe.input, ImageSection) else {}),
        },
    )


COLORS = {"rgb": FeatureTypes_pb2.ImageFeatureType.RGB, "grayscale": FeatureTypes_pb2.ImageFeatureType.GRAYSCALE}
FILES = {"pipeline": ("Pipeline",), "split": ("Extractor", "Head")}  # behind the model's name


def further_layouts(name: str, network: Model, wanted: Sequence[str]) -> dict[str, Model]:
    """File name -> message, for each of ``wanted``, e.g. "pipeline:16"; each is proved to be the same model.

    BuildError, or ModelError, where a network cannot be laid out so.
    """
    result: dict[str, Model] = {}
    for text in wanted:
        layout, bits = _layout_and_bits(text)
        models = laid_out([network], layout, bits).models
        result |= {f"{name}{part}.mlmodel": model for part, model in zip(FILES[layout], models, strict=True)}
    return result


def expect_layouts(network: Model, wanted: Sequence[str]) -> None:
    """The errors of ``further_layouts``, but for those of the proofs: nothing runs."""
    for text in wanted:
        arrange([network], *_layout_and_bits(text))


def _layout_and_bits(text: str) -> tuple[str, int | None]:
    layout, _, bits = text.partition(":")
    return layout, int(bits) if bits else None
