"""Apple's inference of shapes in rank-5 mode: if it finds a contradiction, it skips all rules for updates.

Lengths are narrowed layer by layer, forward and backward, until nothing changes any more.
"""

from coreml_updatable.checking.layer_parameters import parameters_given
from coreml_updatable.checking.layer_ranges import narrow
from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.ranges import Blob, ContradictionError, Range
from coreml_updatable.checking.ranks import blobs_counted, is_rank_5, rank_5_inputs
from coreml_updatable.spec.features import COLOR_SPACES
from coreml_updatable.spec.graph import place
from coreml_updatable.spec.messages import FeatureDescription, Model
from coreml_updatable.spec.network import network_of

_MAX_STEPS = 100_000  # layers looked at; a sound network of a thousand layers needs a few thousand
_LOOK = "check the layer before it"


def inferred_contradiction(model: Model) -> Finding | None:
    """Return the first contradiction that Apple's inference finds; None without one, and if it does not infer."""
    network = network_of(model)
    if not network.layers or not is_rank_5(network):
        return None
    if any(next(rule(model), None) for rule in (blobs_counted, parameters_given, rank_5_inputs)):
        return None  # an error, and its inference does not begin
    blobs: dict[str, Blob] = {}
    for feature in model.description.input:
        blob = blobs.setdefault(str(feature.name), Blob(str(feature.name)))
        try:
            _describe(blob, feature)
        except ContradictionError as clash:
            return Finding(f"input '{blob.name}'", f"has lengths that contradict each other: {clash}", "one shape")
    return _layers(model, blobs) or _outputs(model, blobs)


def _layers(model: Model, blobs: dict[str, Blob]) -> Finding | None:
    layers = list(network_of(model).layers)
    wired = [
        (
            layer,
            [blobs.setdefault(str(name), Blob(str(name))) for name in layer.input],
            [blobs.setdefault(str(name), Blob(str(name))) for name in layer.output],
        )
        for layer in layers
    ]
    inputs = model.description.input
    felt = dict.fromkeys(blobs, 0)  # a bit for each input that has been felt at the blob
    for index, feature in enumerate(inputs):
        felt[str(feature.name)] |= 1 << index
    forward = list(enumerate(wired))
    for _ in range(max(1, _MAX_STEPS // (2 * len(layers)))):
        before = dict(felt)
        for down, passage in ((True, forward), (False, reversed(forward))):
            for index, (layer, read, written) in passage:
                sources, targets = (read, written) if down else (written, read)
                seen = 0
                for blob in sources:
                    seen |= felt[blob.name]
                for blob in targets:
                    felt[blob.name] |= seen
                try:
                    narrow(layer, read, written)
                except ContradictionError as clash:
                    result = f"reads or writes shapes that contradict each other: {clash}"
                    return Finding(place(index, layer), result, "one length", _LOOK)
        if before == felt or set(felt.values()) <= {(1 << len(inputs)) - 1}:
            break
    return None


def _describe(blob: Blob, feature: FeatureDescription) -> None:
    """Narrow the lengths of an input according to its description."""
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        _describe_image(blob, feature)
        return
    if kind != "multiArrayType":
        raise ContradictionError(f"'{blob.name}' is neither an image nor an array")
    array = feature.type.multiArrayType
    ranges: list[Range] = []
    match array.WhichOneof("ShapeFlexibility"):
        case "enumeratedShapes":
            shapes = [list(each.shape) for each in array.enumeratedShapes.shapes]
            rank = max(map(len, shapes), default=0)
            ranges = [_between([shape[axis] for shape in shapes if axis < len(shape)]) for axis in range(rank)]
        case "shapeRange":
            ranges = [_stated(each) for each in array.shapeRange.sizeRanges]
    if len(ranges) not in (0, 1, 3):
        raise ContradictionError(f"{len(ranges)} ranges of lengths for '{blob.name}'")
    for axis, lengths in zip(("channel", "height", "width"), ranges, strict=False):
        blob.narrow(axis, lengths)
    if not ranges and array.shape:
        height, width = array.shape[1:] if len(array.shape) == 3 else (1, 1)
        blob.fix(channel=array.shape[0], height=height, width=width)


def _describe_image(blob: Blob, feature: FeatureDescription) -> None:
    image = feature.type.imageType
    blob.fix(channel=_channels(image))
    match image.WhichOneof("SizeFlexibility"):
        case "enumeratedSizes":
            sizes = image.enumeratedSizes.sizes
            blob.narrow("width", _between([size.width for size in sizes]))
            blob.narrow("height", _between([size.height for size in sizes]))
        case "imageSizeRange":
            blob.narrow("width", _stated(image.imageSizeRange.widthRange))
            blob.narrow("height", _stated(image.imageSizeRange.heightRange))
        case _:
            blob.fix(height=image.height, width=image.width)


def _channels(image: FeatureDescription) -> int:
    """Return 1 for a grayscale image and 3 for any other."""
    return COLOR_SPACES.get(image.colorSpace, ("", 3))[1]


def _between(lengths: list[int]) -> Range:
    if not lengths:
        raise ContradictionError("an empty list of sizes")
    return Range(min(lengths), max(lengths))


def _stated(sizes: FeatureDescription) -> Range:
    low, high = int(sizes.lowerBound), int(sizes.upperBound)
    if 0 <= high < low:
        raise ContradictionError(f"a length from {low} to {high}")
    return Range(low, None if high < 0 else high)


def _outputs(model: Model, blobs: dict[str, Blob]) -> Finding | None:
    """The description of an output also fixes its lengths, except for a label or the number of a regressor."""
    described = model.description
    for feature in described.output:
        name = str(feature.name)
        if name in (described.predictedFeatureName, described.predictedProbabilitiesName) or name not in blobs:
            continue
        blob, shape = blobs[name], list(feature.type.multiArrayType.shape)
        try:
            if feature.type.WhichOneof("Type") == "imageType":
                image = feature.type.imageType
                blob.fix(channel=_channels(image), height=image.height, width=image.width)
            elif len(shape) in (1, 3):
                blob.fix(**dict(zip(("channel", "height", "width"), [*shape, 1, 1], strict=False)))
        except ContradictionError as clash:
            result = f"is described as {_described(feature)}, which contradicts its layer: {clash}"
            return Finding(f"output '{name}'", result, "the shape that its layer writes", "correct its description")
    return None


def _described(feature: FeatureDescription) -> str:
    if feature.type.WhichOneof("Type") == "imageType":
        image = feature.type.imageType
        return f"an image of {image.height} × {image.width}"
    return str(list(feature.type.multiArrayType.shape))
