"""Rules of the weights that a network stores (``WeightParams``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.declared_weights import Declared, declared_weights
from coreml_updatable.spec.graph import every_layer, layer_kind
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.storage import filled_fields
from coreml_updatable.spec.weights import storage

_FLOATS_ONLY = "layerNormalization"  # of its weights only the 32-bit floats are looked at
_UNMIXED = ("embedding", "embeddingND", "bias", "biDirectionalLSTM")  # of these the precisions are not compared


def weight_counts(model: Model) -> Iterator[Finding]:
    """A layer stores as many weights as it declares, of whatever kind it is; packed ones have room for as many."""
    for where, layer in every_layer(model):
        for declared in declared_weights(layer):
            if layer_kind(layer) == _FLOATS_ONLY:
                if len(declared.weights.floatValue) != declared.count:
                    found = f"holds {len(declared.weights.floatValue)} 32-bit floats"
                    yield Finding(f"{where}: {declared.name}", found, str(declared.count))
            elif len(filled_fields(declared.weights)) < 2:  # of more another rule speaks
                at = f"{where}: {declared.name}"
                main = layer_kind(layer) == "convolution" and declared.name == "weights"
                yield from _counted(at, declared, of_convolution=main)


def one_precision(model: Model) -> Iterator[Finding]:
    """The weights of a layer share one float precision, and each fills one storage field."""
    for where, layer in every_layer(model):
        declared = list(declared_weights(layer))
        for each in declared:
            filled = filled_fields(each.weights)
            if len(filled) > 1 and layer_kind(layer) != _FLOATS_ONLY:
                found = f"fills {' and '.join(filled)}"
                yield Finding(f"{where}: {each.name}", found, "one storage field", "clear the other")
        floats = {storage(each.weights) for each in declared} & {"float32", "float16"}
        if len(floats) > 1 and layer_kind(layer) not in _UNMIXED:
            yield Finding(where, "mixes 16-bit and 32-bit floats", "one precision", "widen all to 32 bits")


def convolution_weights(model: Model) -> Iterator[Finding]:
    """A convolution stores its weights, unless a second input brings them."""
    for where, layer in every_layer(model):
        if (
            layer_kind(layer) == "convolution"
            and len(layer.input) < 2
            and storage(layer.convolution.weights) in ("empty", "int8")
        ):
            yield Finding(where, "is a convolution without weights", "stored weights")


def products_hold_weights(model: Model) -> Iterator[Finding]:
    """An inner product or batchedMatmul stores its weights too; Apple's compiler accepts one that holds none."""
    for where, layer in every_layer(model):
        for declared in declared_weights(layer):
            kind = storage(declared.weights)
            none = kind == "empty" or (kind == "raw" and not declared.weights.HasField("quantization"))
            if declared.empty and declared.count and none:
                yield Finding(
                    f"{where}: {declared.name}", "holds nothing that can be read", f"{declared.count} numbers"
                )


def _counted(where: str, declared: Declared, *, of_convolution: bool) -> Iterator[Finding]:
    weights = declared.weights
    match storage(weights) if declared.empty or not weights.int8RawValue else "empty":  # only products read 8-bit ones
        case "float32":
            held = len(weights.floatValue)
        case "float16":
            held = len(weights.float16Value) // 2
        case "empty":
            if not declared.empty and not of_convolution:  # of convolutions another rule speaks
                yield Finding(where, "holds no values", str(declared.count))
            return
        case _:
            yield from _packed(where, declared)
            return
    if held != declared.count:
        yield Finding(where, f"holds {held} values", str(declared.count))


def _packed(where: str, declared: Declared) -> Iterator[Finding]:
    """Quantized numbers: enough bytes for them, and scales or a table that fit."""
    weights = declared.weights
    if not weights.HasField("quantization") and declared.empty:
        return  # of these another rule speaks
    bits, room = int(weights.quantization.numberOfBits), 8 * (len(weights.rawValue) or len(weights.int8RawValue))
    if weights.int8RawValue:
        bits = 8
    if declared.count * bits > room:
        yield Finding(where, f"has room for {room // max(1, bits)} numbers of {bits} bits", str(declared.count))
    if weights.int8RawValue:
        return
    quantization, allowed = weights.quantization, {1, declared.channels}
    match quantization.WhichOneof("QuantizationType"):
        case "linearQuantization":
            scales, biases = len(quantization.linearQuantization.scale), len(quantization.linearQuantization.bias)
            if scales not in allowed or biases not in (0, scales):
                found = f"has {scales} scales and {biases} biases"
                yield Finding(where, found, f"one, or one a channel ({declared.channels})", "quantize again")
        case "lookupTableQuantization":
            length = len(quantization.lookupTableQuantization.floatValue)
            if not 1 <= bits <= 8 or length != 2**bits:
                yield Finding(where, f"has a table of {length} values for {bits} bits", "2^bits", "quantize again")
        case _ if not declared.empty:
            yield Finding(where, "holds packed numbers without a quantization", "a scale or a table", "quantize again")
