"""The supported layer kinds, each with the family that builds it: a module in this package, imported on demand.

Each family has ``build(layer, context) -> torch.nn.Module``, and its docstring has a paragraph about each of its kinds.
The module's forward takes the layer's inputs and returns its output, or a tuple of outputs. It sees one row, with the
shapes of the format; batching is added around it. Its parameters have the names of the message's fields and the layout
of the file, so training and writing back need not know the kind. Layers with named axes use the last three axes as C,
H, W. A module with ``scoped = True`` (branch, loop) instead receives the dictionary of all blobs and changes it.
"""

from importlib import import_module

from torch import nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.layer_kinds import MANY, input_counts
from coreml_updatable.spec.messages import NeuralNetworkLayer

FAMILIES = {
    "activation": "activation",
    "control": "branch loop loopBreak loopContinue",
    "convolution": "convolution convolution3d",
    "elementwise": (
        "add addBroadcastable average divideBroadcastable equal floorDivBroadcastable greaterEqual greaterThan "
        "lessEqual lessThan logicalAnd logicalNot logicalOr logicalXor max maxBroadcastable min minBroadcastable "
        "modBroadcastable multiply multiplyBroadcastable notEqual powBroadcastable subtractBroadcastable "
        "whereBroadcastable"
    ),
    "embedding": "embedding embeddingND",
    "filling": "fillDynamic fillLike fillStatic getShape loadConstant loadConstantND rangeDynamic rangeStatic",
    "gather_scatter": "gather gatherAlongAxis gatherND scatter scatterAlongAxis scatterND",
    "indices": "argMax argMin argSort oneHot topK whereNonZero",
    "joining": "concat concatND split splitND stack",
    "matrix_band_part": "lowerTriangular matrixBandPart upperTriangular",
    "non_maximum_suppression": "NonMaximumSuppression",
    "normalization": "batchnorm l2normalize layerNormalization lrn mvn",
    "padding": "constantPad crop padding",
    "pointwise": (
        "acos acosh asin asinh atan atanh ceil clampedReLU clip copy cos cosh erf exp2 floor gelu round sign sin sinh "
        "tan tanh unary"
    ),
    "pooling": "globalPooling3d pooling pooling3d",
    "products": "batchedMatmul dot innerProduct",
    "random_values": (
        "categoricalDistribution randomBernoulliDynamic randomBernoulliLike randomBernoulliStatic randomNormalDynamic "
        "randomNormalLike randomNormalStatic randomUniformDynamic randomUniformLike randomUniformStatic"
    ),
    "rearranging": "permute reorganizeData reverse reverseSeq transpose",
    "recurrent": "biDirectionalLSTM gru simpleRecurrent uniDirectionalLSTM",
    "reductions": (
        "cumSum reduce reduceL1 reduceL2 reduceLogSum reduceLogSumExp reduceMax reduceMean reduceMin reduceProd "
        "reduceSum reduceSumSquare"
    ),
    "repeating": "broadcastToDynamic broadcastToLike broadcastToStatic sequenceRepeat tile",
    "reshape": (
        "expandDims flatten flattenTo2D rankPreservingReshape reshape reshapeDynamic reshapeLike reshapeStatic squeeze"
    ),
    "resizing": "cropResize resizeBilinear upsample",
    "scale": "bias scale",
    "slicing": "slice sliceBySize sliceDynamic sliceStatic slidingWindows",
    "softmax": "softmax softmaxND",
}
KINDS = {kind: family for family, kinds in FAMILIES.items() for kind in kinds.split()}


def build_layer(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    """Build the module of one layer; ModelError if its kind is unknown or its message is invalid."""
    kind = layer.WhichOneof("layer")
    if kind is None:
        raise ModelError(
            f"{context.where}: has no type, or one that is newer than this program; install a newer version"
        )
    if kind == "custom":
        raise ModelError(
            f"{context.where}: is a custom layer ('{layer.custom.className}'), whose code is in an app; replace it "
            "with layers of the format"
        )
    if kind not in KINDS:
        raise ModelError(f"{context.where}: the kind '{kind}' cannot be run yet; replace it with other layers")
    least, most = input_counts(kind)
    if most != MANY and KINDS[kind] != "recurrent" and not least <= len(layer.input) <= most:  # states may be left out
        expected = least if least == most else f"{least} to {most}"
        raise context.misfit(f"has {len(layer.input)} inputs, the layer expects {expected}")
    module: nn.Module = import_module(f"{__name__}.{KINDS[kind]}").build(layer, context)
    return module
