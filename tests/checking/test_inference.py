"""Contradictions of shapes as Apple's validator meets them; its verdicts were noted (its public sources, compiled)."""

from collections.abc import Callable

import pytest
from google.protobuf import text_format

from coreml_updatable.checking import check
from coreml_updatable.checking.contradictions import hides_updates
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.broken_models.valid import classifier, insert_layer
from tests.checking.old_networks import old_network

# Bit n: whether Apple's validator rejects old_network(n), which lacks an optimizer. Of these 1000 it accepts 679, those
# in which it meets a contradiction.
REJECTED = int(
    "4569043274009d8880040001a4088115b0469c009881134c2d1308820e090465b20a0b4cc01bdc2100223c1418b220520486914d0930dd1958"
    "d05c042861349a9c6202c98c204405320a2044c613800bca36da18354e401a0860c91804c00e5ecc05005610a49141022944001a9b800598b1"
    "d0c5c0acb30871800c8000",
    16,
)


@pytest.mark.parametrize("hundred", range(10))
def test_the_verdict_on_random_old_networks_is_apples(hundred: int) -> None:
    seeds = range(100 * hundred, 100 * hundred + 100)
    ours = {seed: any(problem.severity == "error" for problem in check(old_network(seed))) for seed in seeds}
    assert ours == {seed: bool(REJECTED >> seed & 1) for seed in seeds}


def _with(text: str) -> Model:
    """The valid classifier without an optimizer; the layers of ``text`` read its image, and nobody reads them."""
    model = classifier()
    network = network_of(model)
    network.updateParams.ClearField("optimizer")
    for index, line in enumerate(text.splitlines()):
        added = text_format.Parse(f'name: "new{index}" output: "new{index}" {line}', network.layers.add())
        insert_layer(network, index, added)
        del network.layers[-1]
    return model


CONTRADICTING = {
    "embedding of three channels": (
        'input: "image" embedding { inputDim: 1 outputChannels: 1 weights { floatValue: 1 } }'
    ),
    "dot of pictures": 'input: "image" input: "image" dot {}',
    "reorganizeData that does not divide": 'input: "image" reorganizeData { mode: DEPTH_TO_SPACE blockSize: 2 }',
    "space to depth by blocks of three": 'input: "image" reorganizeData { blockSize: 3 }',
    "split of three channels in two": 'input: "image" output: "half" split { nOutputs: 2 }',
    "crop beyond the picture": (
        'input: "image" crop { cropAmounts { borderAmounts { startEdgeSize: 4 endEdgeSize: 4 } borderAmounts {} } }'
    ),
    "boxes of cropResize": 'input: "image" input: "image" cropResize { targetSize: 2 targetSize: 2 }',
    "slice beyond the axis": 'input: "image" slice { endIndex: 4 stride: 1 }',
    "innerProduct of a picture": (
        'input: "image" innerProduct { inputChannels: 192 outputChannels: 1 weights { ' + "floatValue: 1 " * 192 + "} }"
    ),
    "dilation beyond the picture": (
        'input: "image" convolution { kernelChannels: 3 outputChannels: 1 dilationFactor: 4 dilationFactor: 1 valid {} '
        "weights { " + "floatValue: 1 " * 27 + "} }"
    ),
    "concat of other heights": (
        'input: "image" upsample { scalingFactor: 2 scalingFactor: 1 }\ninput: "new0" input: "image" concat {}'
    ),
    "permute of an axis that is none": 'input: "image" permute { axis: 0 axis: 1 axis: 2 axis: 4 }',
}
SOUND = {
    "batchnorm of other channels": 'input: "image" batchnorm { channels: 2 '
    + " ".join(f"{name} {{ floatValue: [1, 1] }}" for name in ("gamma", "beta", "mean", "variance"))
    + " }",
    "reorganizeData": 'input: "image" reorganizeData { blockSize: 2 }',
    "split": 'input: "image" output: "second" output: "third" split { nOutputs: 3 }',
    "crop": (
        'input: "image" crop { cropAmounts { borderAmounts { startEdgeSize: 4 endEdgeSize: 3 } borderAmounts {} } }'
    ),
    "slice": 'input: "image" slice { endIndex: 3 stride: 1 }',
    "concat of other channels": (
        'input: "image" slice { endIndex: 1 stride: 1 }\ninput: "new0" input: "image" concat {}'
    ),
    "dilation within the picture": (
        'input: "image" convolution { kernelChannels: 3 outputChannels: 1 dilationFactor: 3 dilationFactor: 1 valid {} '
        "weights { " + "floatValue: 1 " * 27 + "} }"
    ),
    "reshape that does not fit": 'input: "image" reshape { targetShape: 2 targetShape: 2 targetShape: 2 }',
}


@pytest.mark.parametrize("text", CONTRADICTING.values(), ids=CONTRADICTING)
def test_what_apple_meets_as_a_contradiction_makes_the_rules_of_updating_warnings(text: str) -> None:
    problems = {problem.rule: problem for problem in check(_with(text))}
    assert {problem.severity for problem in problems.values()} == {"warning"}
    assert {"L2.10", "N7.1"} <= set(problems)
    assert "'new" in problems["L2.10"].where


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_what_it_does_not_meet_hides_nothing(text: str) -> None:
    problems = {problem.rule: problem.severity for problem in check(_with(text))}
    assert problems["N7.1"] == "error"


def _no_sizes(model: Model) -> None:
    """An image that allows an empty list of sizes: at version 4 an error of its own, M1.6."""
    image = model.description.input[0].type.imageType
    image.colorSpace, image.height, image.width = 20, 8, 8
    image.enumeratedSizes.SetInParent()


def _no_shapes(model: Model) -> None:
    model.description.input[0].type.multiArrayType.enumeratedShapes.SetInParent()


@pytest.mark.parametrize("allow", [_no_sizes, _no_shapes])
def test_an_empty_list_of_shapes_is_an_error_and_no_exception(allow: Callable[[Model], None]) -> None:
    model = _with("")
    allow(model)
    assert "M1.6" in {problem.rule for problem in check(model) if problem.severity == "error"}


def test_where_it_stands_and_which_lengths_clash_is_told() -> None:
    (problem,) = [each for each in check(_with(CONTRADICTING["dot of pictures"])) if each.rule == "L2.10"]
    assert problem.where.startswith("layers[0] 'new0'")
    assert "'image'" in problem.found
    assert "8" in problem.found


def test_an_output_described_otherwise_contradicts_too() -> None:
    model = _with("")
    model.description.output.add(name="relu").type.multiArrayType.shape.extend([4, 6, 5])
    model.description.output[-1].type.multiArrayType.dataType = 65568
    assert hides_updates(model)
    model.description.output[-1].type.multiArrayType.shape[2] = 6
    assert not hides_updates(model)
