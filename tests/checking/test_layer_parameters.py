"""A layer's parameters beside Apple's validator: what it says of each layer here was noted from it, and is asserted.

A case is the text form of one layer, alone in a network x -> y with the exact mapping; its verdict is that of the
validator's public sources, compiled.
"""

import pytest
from google.protobuf import text_format

from coreml_updatable.checking import check
from coreml_updatable.spec.messages import Model, Model_pb2

LSTM = " ".join(
    f"{gate}{matrix} {{ floatValue: 1 }}"
    for gate in ("inputGate", "forgetGate", "blockInput", "outputGate")
    for matrix in ("WeightMatrix", "RecursionMatrix")
)
LSTM = f"inputVectorSize: 1 outputVectorSize: 1 weightParams {{ {LSTM} }}"
LSTM_OUT = 'output: "h" output: "c"'
BOTH_WAYS = LSTM + LSTM[LSTM.index(" weightParams") :]
TANH = "{ tanh {} }"
CLIP = 'input: "x" output: "y" clip {{ {} }}'


def _crop(inputs: int, params: str) -> str:
    return 'input: "x" ' * inputs + f'output: "y" crop {{ {params} }}'


def _lstm(*activations: str) -> str:
    listed = " ".join(f"activations {each}" for each in activations)
    return f'input: "x" output: "y" {LSTM_OUT} uniDirectionalLSTM {{ {LSTM} {listed} }}'


def _both(forward: str, backward: str) -> str:
    listed = f"activationsForwardLSTM {forward} " * 3 + f"activationsBackwardLSTM {backward} " * 3
    outputs = f'{LSTM_OUT} output: "h2" output: "c2"'
    return f'input: "x" output: "y" {outputs} biDirectionalLSTM {{ {BOTH_WAYS} {listed} }}'


def _one(layer: str, params: str) -> str:
    return f'input: "x" output: "y" {layer} {{ {params} }}'


CUT = "cropAmounts { borderAmounts { startEdgeSize: 1 } borderAmounts {} }"
ADD = 'layers { name: "in" input: "x" output: "in" erf {} }'
CONVOLUTION_3D = (
    "inputChannels: 1 outputChannels: 1 nGroups: 1 kernelDepth: 1 kernelHeight: 1 kernelWidth: 1 "
    "strideDepth: 1 strideHeight: 1 strideWidth: 1 dilationDepth: 1 dilationHeight: 1 dilationWidth: 1 "
    "weights { floatValue: 1 }"
)
POOLING_3D = "kernelDepth: 1 kernelHeight: 1 kernelWidth: 1 strideDepth: 1 strideHeight: 1 strideWidth: 1"
SLICE = "beginIds: 0 endIds: 1 strides: 1 beginMasks: false endMasks: false"
ACCEPTED = [
    CLIP.format("minVal: 1 maxVal: 1"),
    CLIP.format("maxVal: 1"),
    _crop(1, CUT),
    _crop(2, "offset: 0 offset: 0"),
    _crop(2, f"{CUT} offset: 0 offset: 0"),
    _lstm(TANH, "{ ReLU {} }", "{ sigmoidHard {} }"),
    _both(TANH, "{ linear {} }"),
    _one("slice", "startIndex: 2 endIndex: 2 stride: 1"),
    _one("slice", "startIndex: 1 endIndex: -1 stride: 1"),
    _one("slice", "startIndex: -2 endIndex: 0 stride: 1"),
    _one("custom", 'className: "C" weights { floatValue: 1 }'),
    _one("upsample", ""),
    _one("upsample", "scalingFactor: 2 scalingFactor: 2 mode: BILINEAR linearUpsampleMode: ALIGN_CORNERS_TRUE"),
    _one("resizeBilinear", "targetSize: 2 targetSize: 2"),
    _one("sliceStatic", SLICE),
    _one("convolution3d", CONVOLUTION_3D),
    _one("pooling3d", f"{POOLING_3D} paddingType: CUSTOM customPaddingTop: 1"),
    _one("constantPad", "padAmounts: 1 padAmounts: 0 padToGivenOutputSizeMode: true"),
    'input: "x" input: "x" output: "y" constantPad { padAmounts: 1 }',
    'input: "x" input: "x" output: "y" batchedMatmul {}',
    _one("randomBernoulliLike", "prob: 1"),
    _one("randomUniformLike", "maxVal: 1"),
    'output: "y" loadConstantND { shape: 1 data { floatValue: 1 } }',
    'input: "x" output: "y" inputTensor { rank: 2 } softmaxND { axis: -2 }',
    'input: "x" output: "y" inputTensor { rank: 2 } outputTensor { rank: 3 } expandDims { axes: -3 }',
    'input: "x" output: "y" inputTensor { rank: 2 } outputTensor { rank: 2 } rankPreservingReshape '
    "{ targetShape: 2 targetShape: 2 }",
]
REJECTED = [
    CLIP.format("minVal: 2 maxVal: 1"),
    CLIP.format("maxVal: -1"),
    _crop(1, ""),
    _crop(1, CUT.replace("borderAmounts {}", "borderAmounts {} borderAmounts {}")),
    _crop(2, CUT),
    _crop(2, "offset: 0"),
    _lstm(TANH, TANH),
    _lstm(TANH, TANH, "{}"),
    _lstm(TANH, "{ ELU {} }", TANH),
    _lstm("{ leakyReLU {} }", TANH, TANH),
    _lstm(TANH, TANH, "{ softplus {} }"),
    _lstm(TANH, TANH, "{ thresholdedReLU {} }"),
    _both("{ ELU {} }", TANH),
    _both(TANH, "{ leakyReLU {} }"),
    _both(TANH, "{ softplus {} }"),
    _both(TANH, "{}"),
    _one("slice", "startIndex: 2 endIndex: 1 stride: 1"),
    _one("slice", "startIndex: -1 endIndex: -2 stride: 1"),
    _one("slice", "endIndex: 1 stride: 4294967296"),
    _one("custom", 'className: "C" weights { floatValue: 1 float16Value: "ab" }'),
    _one("custom", 'className: "C" weights {}'),
    _one("upsample", "scalingFactor: 2"),
    _one("upsample", "fractionalScalingFactor: 2 fractionalScalingFactor: 2"),
    _one("upsample", "linearUpsampleMode: ALIGN_CORNERS_TRUE"),
    _one("upsample", "scalingFactor: 2 scalingFactor: 2 fractionalScalingFactor: 2 fractionalScalingFactor: 2"),
    _one("resizeBilinear", "targetSize: 2"),
    _one("activation", 'PReLU { alpha { floatValue: 1 float16Value: "ab" } }'),
    _one("sliceStatic", SLICE.replace("strides: 1", "")),
    _one("sliceStatic", SLICE.replace("endMasks: false", "")),
    _one("convolution3d", CONVOLUTION_3D.replace("strideWidth: 1", "")),
    _one("convolution3d", f"{CONVOLUTION_3D} customPaddingLeft: -1"),
    _one("convolution3d", f"{CONVOLUTION_3D} outputShape: 1 outputShape: 1 outputShape: 1"),
    _one("pooling3d", f"{POOLING_3D} paddingType: VALID customPaddingTop: 1"),
    _one("pooling3d", POOLING_3D.replace("kernelDepth: 1", "")),
    _one("constantPad", "padAmounts: 1 padAmounts: 1 padToGivenOutputSizeMode: true"),
    'input: "x" input: "x" output: "y" batchedMatmul { hasBias: true }',
    'input: "x" input: "x" output: "y" convolution { same {} isDeconvolution: true }',
    'input: "x" input: "x" output: "y" convolution { same {} dilationFactor: 2 dilationFactor: 1 }',
    _one("innerProduct", "inputChannels: 1 outputChannels: 1 int8DynamicQuantize: true weights { floatValue: 1 }"),
    _one("randomBernoulliLike", "prob: 1.5"),
    _one("randomUniformLike", "minVal: 1"),
    'output: "y" randomNormalStatic {}',
    'output: "y" loadConstantND { shape: [1, 1, 1, 1, 1, 1] data { floatValue: 1 } }',
    _one("rankPreservingReshape", "targetShape: 2"),
    'input: "x" output: "y" inputTensor { rank: 2 } softmaxND { axis: 2 }',
    'input: "x" output: "y" inputTensor { rank: 2 } reduceMax { axes: -3 }',
    'input: "x" output: "y" inputTensor { rank: 2 } reverse { reverseDim: true }',
    'input: "x" output: "y" inputTensor { rank: 2 } outputTensor { rank: 2 } expandDims { axes: 0 }',
    'input: "x" output: "y" inputTensor { rank: 2 } outputTensor { rank: 1 } squeeze { axes: 2 }',
    'output: "y" outputTensor { rank: 2 } rangeStatic {}',
    'input: "x" output: "x" copy {}',
    'input: "x" branch {}',
    "loop { maxLoopIterations: 1 }",
    f"loop {{ bodyNetwork {{ {ADD} }} }}",
    f'loop {{ maxLoopIterations: 1 conditionVar: "in" bodyNetwork {{ {ADD} }} }}',
    f'loop {{ conditionVar: "out" conditionNetwork {{ {ADD} }} bodyNetwork {{ {ADD} }} }}',
    "loopBreak {}",
    "loopContinue {}",
    f'input: "x" branch {{ ifBranch {{ {ADD} layers {{ name: "b" loopBreak {{}} }} }} }}',
]


def network(text: str) -> Model:
    """The layer alone; what nobody writes is written by a copy, so that only the layer can be at fault."""
    model = Model_pb2.Model(specificationVersion=5)
    for features, name in ((model.description.input, "x"), (model.description.output, "y")):
        array = features.add(name=name).type.multiArrayType
        array.dataType = 65568
        array.shape.extend([2, 2] if name == "x" and "rank: 2" in text else [])
    if not model.description.input[0].type.multiArrayType.shape:
        model.description.input[0].type.multiArrayType.shape.extend([1, 1, 1, 1, 1])
    model.neuralNetwork.arrayInputShapeMapping = 1
    layer = text_format.Parse(f'name: "layer" {text}', model.neuralNetwork.layers.add())
    if "y" not in layer.output:
        model.neuralNetwork.layers.add(name="last", input=["x"], output=["y"]).copy.SetInParent()
    return model


@pytest.mark.parametrize("text", ACCEPTED)
def test_no_error_where_apple_accepts_the_layer(text: str) -> None:
    assert [str(problem) for problem in check(network(text)) if problem.severity == "error"] == []


@pytest.mark.parametrize("text", REJECTED)
def test_an_error_that_names_the_layer_where_apple_rejects_it(text: str) -> None:
    errors = [problem for problem in check(network(text)) if problem.severity == "error"]
    assert errors
    assert all("'layer'" in problem.where for problem in errors)


def test_what_only_one_side_of_a_branch_writes_is_not_there_afterward() -> None:
    """Apple's validator: "consumes an input named 'in' which is not present in this network"."""
    one_side = network(f'input: "x" branch {{ ifBranch {{ {ADD} }} }}')
    one_side.neuralNetwork.layers[1].input[0] = "in"
    (problem,) = check(one_side)
    assert (problem.rule, problem.severity) == ("N2.1", "error")
    assert "layers[1]" in problem.where
    both = network(f'input: "x" branch {{ ifBranch {{ {ADD} }} elseBranch {{ {ADD} }} }}')
    both.neuralNetwork.layers[1].input[0] = "in"
    assert check(both) == []
