"""How many blobs a layer reads and writes, and the ranks at which layers of each kind work."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import every_layer, layer_kind
from coreml_updatable.spec.layer_kinds import MANY as _MANY
from coreml_updatable.spec.layer_kinds import wrong_counts
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer

# fmt: off
# Rank of the first input and the first output, outside the rank-5 mode; these kinds keep it, too.
_RANKS: dict[str, tuple[int, int]] = {
    "convolution": (4, _MANY), "pooling": (4, _MANY), "innerProduct": (1, 5), "embedding": (4, _MANY),
    "batchnorm": (3, _MANY), "mvn": (3, _MANY), "l2normalize": (3, _MANY), "softmax": (3, _MANY), "lrn": (3, _MANY),
    "crop": (3, _MANY), "padding": (2, _MANY), "upsample": (3, _MANY), "resizeBilinear": (3, _MANY),
    "cropResize": (5, _MANY), "unary": (0, _MANY), "scale": (3, _MANY), "bias": (3, _MANY), "dot": (3, _MANY),
    "reshape": (5, 5), "flatten": (3, _MANY), "permute": (5, 5), "concat": (3, _MANY), "split": (3, _MANY),
    "sequenceRepeat": (5, _MANY), "reorganizeData": (3, _MANY), "simpleRecurrent": (5, 5), "gru": (5, 5),
    "uniDirectionalLSTM": (5, 5), "biDirectionalLSTM": (5, 5), "embeddingND": (2, 5), "constantPad": (0, _MANY),
    "argSort": (0, _MANY), "topK": (0, _MANY), "pooling3d": (5, _MANY),
    "globalPooling3d": (5, _MANY), "convolution3d": (5, _MANY),
}
# fmt: on
_BY_CHANNEL = ("PReLU", "parametricSoftplus")  # activations that have a parameter a channel


def blobs_counted(model: Model) -> Iterator[Finding]:
    """Every layer reads and writes as many blobs as its kind asks for."""
    for where, layer in every_layer(model):
        for found, expected in wrong_counts(layer):
            yield Finding(where, found, expected)


def ranks_of(layer: NeuralNetworkLayer) -> tuple[int, int] | None:
    """Least and most rank of what the layer reads and writes, which are the same; None where its kind asks nothing."""
    kind = layer_kind(layer)
    if kind == "activation" and layer.activation.WhichOneof("NonlinearityType") in _BY_CHANNEL:
        return 3, _MANY
    if kind == "concat" and layer.concat.sequenceConcat:
        return 5, _MANY
    if kind in ("argMax", "argMin") and not getattr(layer, kind).removeDim:
        return 0, _MANY
    return _RANKS.get(kind)


def in_words(limits: tuple[int, int]) -> str:
    least, most = limits
    if least == most:
        return str(least)
    return f"at least {least}" if most == _MANY else f"{least} to {most}"
