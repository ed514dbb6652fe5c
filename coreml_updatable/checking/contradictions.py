"""Contradicting shapes: Apple's compiler only warns about them, and then skips all rules for updates."""

from collections.abc import Iterator

from coreml_updatable.checking.inference import inferred_contradiction
from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.ranks import is_rank_5
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import FeatureDescription, Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, given_and_expected

UNSEEN = "Apple's compiler does not look at this while the shapes contradict each other"


def shapes_agree(model: Model) -> Iterator[Finding]:
    """The shapes of the layers agree; if they contradict each other, Apple's compiler skips the rules for updates."""
    shapes = blob_shapes(model)
    ours = [*_layers(model, shapes), *_outputs(model, shapes)]
    yield from ours
    apples = inferred_contradiction(model)
    if apples is not None and (not ours or apples.where not in {finding.where for finding in ours}):
        yield apples


def hides_updates(model: Model) -> bool:
    """Return whether Apple's compiler skips all rules for updates because shapes contradict each other."""
    return inferred_contradiction(model) is not None


def softmax_rank(model: Model) -> Iterator[Finding]:
    """A softmax works on rank 3 or more, because its classes are on axis -3."""
    shapes = blob_shapes(model)
    for index, layer in enumerate(network_of(model).layers):
        shape = shapes.get(str(layer.input[0])) if layer_kind(layer) == "softmax" and layer.input else None
        if shape is not None and len(shape) < 3:
            yield Finding(place(index, layer), f"is a softmax at rank {len(shape)}", "at least 3")


def softmax_axis(model: Model) -> Iterator[Finding]:
    """No softmax has rank 3: the format says that it uses axis -3, reports say the last axis (coremltools #1714)."""
    shapes = blob_shapes(model)
    for index, layer in enumerate(network_of(model).layers):
        if layer_kind(layer) != "softmax" or not layer.input:
            continue
        shape = shapes.get(str(layer.input[0])) or _stated_by(layer)
        if shape is not None and len(shape) == 3 and (shape[0], shape[-1]) != (1, 1):  # of one number both make 1
            lengths = [length if length is not None else "?" for length in shape]
            yield Finding(
                place(index, layer),
                f"is a softmax at rank 3, {lengths}, whose axis is -3 by the format and -1 by measurements",
                "rank 4 or 5, where both are -3",
            )


def _stated_by(layer: NeuralNetworkLayer) -> Shape | None:
    """Return the shape of the first input as stated by the layer."""
    for tensor in layer.inputTensor[:1]:
        if len(tensor.dimValue) in (0, tensor.rank) and tensor.rank <= 5:
            return tuple(int(n) if n > 0 else None for n in tensor.dimValue) or (None,) * int(tensor.rank)
    return None


def _layers(model: Model, shapes: dict[str, Shape]) -> Iterator[Finding]:
    for index, layer in enumerate(network_of(model).layers):
        shape = shapes.get(str(layer.input[0])) if layer.input else None
        actual, expected = given_and_expected(layer, shape)
        if None not in (actual, expected) and actual != expected:
            yield Finding(place(index, layer), f"reads {actual} channels", str(expected), "check the layer before it")
        for blob in layer.output:
            if any(length is not None and length < 1 for length in shapes.get(str(blob), ())):
                yield Finding(
                    place(index, layer),
                    f"gives {list(shapes[str(blob)])}",
                    "lengths of 1 or more",
                    "use a larger input",
                )


def _outputs(model: Model, shapes: dict[str, Shape]) -> Iterator[Finding]:
    """In rank-5 mode the description of an output also fixes its lengths."""
    if not is_rank_5(network_of(model)):
        return
    for feature in model.description.output:
        shape, stated = shapes.get(str(feature.name)), _stated(feature)
        if shape is None or len(shape) != 5 or stated is None:
            continue
        if any(None not in pair and pair[0] != pair[1] for pair in zip(shape[-3:], stated, strict=True)):
            yield Finding(
                f"output '{feature.name}'",
                f"is described as {list(feature.type.multiArrayType.shape)}",
                f"{list(shape[-3:])}, as its layer writes it",
                "correct its description",
            )


def _stated(feature: FeatureDescription) -> tuple[int, ...] | None:
    """Channels, height and width of an array output whose description fixes them."""
    array = feature.type.multiArrayType
    if feature.type.WhichOneof("Type") != "multiArrayType" or array.WhichOneof("ShapeFlexibility"):
        return None
    lengths = tuple(int(length) for length in array.shape)
    return {1: (*lengths, 1, 1), 3: lengths}.get(len(lengths))
