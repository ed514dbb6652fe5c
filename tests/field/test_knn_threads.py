"""Threads about k-nearest-neighbors classifiers: invalid files, crashes, and no way to try one."""

from typing import Any

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder
from coremltools.models.neural_network import NeuralNetworkBuilder
from sklearn.datasets import load_wine
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

import coreml_updatable as cu
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.field.networks import converted, rules, seeded


def decided(judge: Any, values: Any) -> Any:
    """Rows on which one label has the most votes; Apple does not say who wins a tie."""
    votes = np.sort(judge.predict_proba(values), axis=1)
    return votes[:, -1] > votes[:, -2]


def neighbors(dimensions: int, **options: Any) -> Any:
    """As the documentation of coremltools builds it; with ``options`` of the builder."""
    given = {"input_name": "input", "output_name": "output", "default_class_label": "defaultLabel", **options}
    return KNearestNeighborsClassifierBuilder(number_of_dimensions=dimensions, **given)


@pytest.mark.field_case("apple/coremltools#415", "numberOfNeighbors unset, as an older builder wrote it", "refused")
@pytest.mark.field_case(
    "apple/coremltools#487", "a builder's number_of_neighbors that never reached the file", "refused"
)
def test_a_number_of_neighbors_that_is_not_there() -> None:
    spec = neighbors(2, number_of_neighbors=3, weighting_scheme="inverse_distance", index_type="linear").spec
    assert rules(spec) == set()
    spec.kNearestNeighborsClassifier.ClearField("numberOfNeighbors")
    (problem,) = [problem for problem in cu.check(spec) if problem.severity == "error"]
    assert problem.rule == "K9.1"
    assert "numberOfNeighbors" in str(problem)
    assert "0" in problem.found
    spec.kNearestNeighborsClassifier.numberOfNeighbors.defaultValue = 3  # the advice
    spec.kNearestNeighborsClassifier.numberOfNeighbors.range.minValue = 1
    spec.kNearestNeighborsClassifier.numberOfNeighbors.range.maxValue = 5
    assert rules(spec) == set()


@pytest.mark.field_case("apple/coremltools#1206", "a k-NN of 20 numbers and integer labels, tried from Python", "works")
def test_a_classifier_is_tried_from_python() -> None:
    random = np.random.default_rng(0)
    inputs, outputs = random.random((10, 20)), (5 * random.random(10)).astype(int)
    builder = neighbors(20, input_name="my_in", output_name="my_out", default_class_label=0, number_of_neighbors=3)
    builder.add_samples(inputs, [int(label) for label in outputs])
    judge = KNeighborsClassifier(1).fit(inputs.astype(np.float32), outputs)
    builder.set_number_of_neighbors_with_bounds(1, allowed_range=(1, 5))
    given = random.random((8, 20)).astype(np.float32)
    said = cu.load(builder.spec).predict([{"my_in": row} for row in given])
    assert [answer["my_out"] for answer in said] == list(judge.predict(given))


@pytest.mark.field_case(
    "apple/coremltools#1018", "scikit-learn's k-NN on the wine data, whose conversion is invalid", "works"
)
def test_scikit_learns_classifier_of_wines() -> None:
    wine = load_wine()
    values = wine.data.astype(np.float32)
    judge = KNeighborsClassifier(5).fit(values[::2], wine.target[::2])
    model = cu.convert(judge, converter="sklearn", labels=[str(name) for name in wine.target_names])
    assert rules(model) == set()
    (name,) = [feature.name for feature in model.inputs]
    said = [answer["label"] for answer in model.predict([{name: row} for row in values[1::2]])]
    expected = wine.target_names[judge.predict(values[1::2])]
    clear = decided(judge, values[1::2])
    assert clear.mean() > 0.9
    assert [label for label, counts in zip(said, clear, strict=True) if counts] == list(expected[clear])
    after = cu.UpdateTask(model, [{name: values[1], "label": "new wine"}]).resume().model
    assert "new wine" in after.labels


@pytest.mark.field_case(
    "apple/coremltools#913", "an array of 4 dimensions where a vector of 4 is due: a nil model", "refused"
)
@pytest.mark.field_case("apple/coremltools#1122", "rows of another length than the k-NN's: EXC_BAD_ACCESS", "refused")
@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (1, 4), (1,), (5,)])
def test_rows_of_another_shape_are_refused_with_it(shape: tuple[int, ...]) -> None:
    spec = neighbors(4).spec
    with pytest.raises(cu.DataError, match="row 0") as excinfo:
        cu.UpdateTask(spec, [{"input": np.ones(shape, np.float32), "output": "a"}]).resume()
    assert "[4]" in str(excinfo.value)
    after = cu.UpdateTask(spec, [{"input": np.ones(4, np.float32), "output": "a"}]).resume().model
    assert after.predict({"input": np.ones(4, np.float32)})["output"] == "a"


class DenseNet(nn.Module):
    """What is left of a DenseNet121 whose pooling was cut off with its head: [1, 7, 7, 16]; and the head."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 16, 3, 2), nn.Linear(16, 3)

    def features(self, pictures: Tensor) -> Tensor:
        result: Tensor = self.body(pictures).relu().mean((2, 3))
        return result

    def forward(self, pictures: Tensor) -> Tensor:
        answer: Tensor = self.head(self.features(pictures)).softmax(1)
        return answer


def pipeline(extractor: Any, dimensions: int) -> Model:
    """An extractor and an updatable k-NN behind its one output, put together as in the threads."""
    output = str(extractor.description.output[0].name)
    last = neighbors(dimensions, input_name=output, output_name="label").spec
    model = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    members = model.pipelineClassifier.pipeline.models
    members.add().CopyFrom(extractor)
    members.add().CopyFrom(last)
    model.description.input.add().CopyFrom(extractor.description.input[0])
    model.description.output.add().CopyFrom(last.description.output[0])
    model.description.predictedFeatureName = "label"
    for feature in (model.description.input[0], last.description.trainingInput[1]):
        model.description.trainingInput.add().CopyFrom(feature)
    return model


@pytest.mark.field_case("apple/coremltools#2205", "SqueezeNet without its head in front of a k-NN: no update", "warned")
@pytest.mark.field_case(
    "hollance/coreml-training#4", "DenseNet features of [1, 1, 1, 7, n] in front of a k-NN of n", "warned"
)
def test_features_that_are_no_vector_in_front_of_neighbors() -> None:
    """The flatten, or the map, gives more axes than the one that a k-NN takes; knn builds what an update takes."""
    network = seeded(DenseNet())
    classifier = converted(network, 1, 3, 15, 15)
    builder = NeuralNetworkBuilder([("x", datatypes.Array(3, 15, 15))], [("features", datatypes.Array(16, 1, 1))])
    kernel = np.ones((3, 3, 3, 16), np.float32)
    builder.add_convolution(
        "conv", 3, 16, 3, 3, 2, 2, "valid", 1, kernel, np.zeros(16), True, False, None, "x", "c"
    )  # fmt: skip
    builder.add_pooling("pool", 7, 7, 7, 7, "AVERAGE", "VALID", "c", "p", is_global=True)
    builder.add_flatten("flatten", 0, "p", "features")
    wrong = pipeline(builder.spec, 16)
    assert rules(wrong) & {"L10.13", "P10.2"}
    picture = np.zeros((3, 15, 15), np.float32)
    with pytest.raises(cu.UserError):
        cu.UpdateTask(wrong, [{"x": picture, "label": "a"}]).resume()
    result = cu.knn(classifier)
    assert rules(result) == set()
    pictures = np.random.default_rng(0).normal(size=(6, 1, 3, 15, 15)).astype(np.float32)
    output = [{"x": row, "classLabel": "ab"[index % 2]} for index, row in enumerate(pictures)]
    after = cu.UpdateTask(result, output).resume().model
    with torch.no_grad():
        features = np.concatenate([network.features(torch.from_numpy(row)).numpy() for row in pictures])
    judge = KNeighborsClassifier(3, weights=lambda distances: 1 / (distances + 1e-6) ** 2)
    judge.fit(features, [row["classLabel"] for row in output])
    said = [answer["classLabel"] for answer in after.predict([{"x": row} for row in pictures])]
    assert said == list(judge.predict(features))


@pytest.mark.field_case(
    "apple/turicreate#32", "a k-NN of Turi Create cannot be exported; of scikit-learn it can", "works"
)
@pytest.mark.field_case("apple/turicreate#534", "an export for nearest neighbors: scikit-learn's, kd-tree too", "works")
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_reference_data_become_a_classifier(algorithm: str) -> None:
    random = np.random.default_rng(0)
    values, labels = random.normal(size=(30, 3)).astype(np.float32), np.array(["a", "b", "c"])[np.arange(30) % 3]
    judge = KNeighborsClassifier(3, algorithm=algorithm).fit(values, labels)
    model = cu.convert(judge, converter="sklearn")
    (name,) = [feature.name for feature in model.inputs]
    assert rules(model) == set()
    given = random.normal(size=(20, 3)).astype(np.float32)
    clear = decided(judge, given)
    said = [answer["label"] for answer in model.predict([{name: row} for row in given[clear]])]
    assert said == list(judge.predict(given[clear]))
