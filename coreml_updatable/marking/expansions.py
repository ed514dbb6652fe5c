"""``expandDims`` to rank 5, which converters write before a recurrent layer, in another form.

MLUpdateTask ended in that layer's kernel ("Output rank cannot be more than 5 in expand_dims", coremltools #2074). A
constant can be stored with its five lengths at once, and anything else of a fixed shape reshaped.
"""

from collections.abc import Iterator

from coreml_updatable.marking.building_blocks import copied, drop_rank_hints, reshape_static
from coreml_updatable.spec.graph import consumers, layer_kind, place
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes

_WIDE = 5


def narrow_expansions(model: Model) -> list[str]:
    """Take out, in place, each ``expandDims`` that gives rank 5 of a known shape; one line on what was done, if any."""
    layers, shapes = network_of(model).layers, blob_shapes(model)
    replaced = {number: new for number, layer in enumerate(layers) if (new := _narrowed(layer, shapes)) is not None}
    if not replaced:
        return []
    where = place(min(replaced), layers[min(replaced)])
    rewritten = [replaced.get(number) or copied(layer) for number, layer in enumerate(layers)]
    shown = {str(feature.name) for feature in model.description.output}
    kept = list(_with_wide_constants(rewritten, set(replaced), shown))
    del layers[:]
    layers.extend(kept)
    drop_rank_hints(layers, {str(new.output[0]) for new in replaced.values()})
    more = f", and {len(replaced) - 1} more" if len(replaced) > 1 else ""
    return [f"{where}{more}: expandDims to rank 5 became reshapeStatic, since an update was seen to fail in expandDims"]


def _narrowed(layer: NeuralNetworkLayer, shapes: dict[str, Shape]) -> NeuralNetworkLayer | None:
    shape = shapes.get(str(layer.output[0])) if layer_kind(layer) == "expandDims" and layer.output else None
    if shape is None or len(shape) < _WIDE or shape.count(None) > 1:
        return None
    target = [-1 if length is None else length for length in shape]
    return reshape_static(str(layer.name), str(layer.input[0]), str(layer.output[0]), target)


def _with_wide_constants(
    layers: list[NeuralNetworkLayer], numbers: set[int], shown: set[str]
) -> Iterator[NeuralNetworkLayer]:
    """A constant that only a reshape reads is stored in that shape."""
    readers = consumers(layers)
    dropped = set[int]()
    for number, layer in enumerate(layers):
        reader = readers.get(str(layer.output[0]), []) if len(layer.output) == 1 else []
        constant = layer_kind(layer) == "loadConstantND" and layer.output[0] not in shown
        if constant and len(reader) == 1 and reader[0] in numbers:
            target = layers[reader[0]]
            layer.loadConstantND.shape[:] = list(target.reshapeStatic.targetShape)
            layer.output[:] = list(target.output)
            dropped.add(reader[0])
        if number not in dropped:
            yield layer
