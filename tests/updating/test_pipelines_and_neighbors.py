"""A pipeline of a frozen extractor and a head that learns: a network, or k-nearest neighbors."""

from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.io.row import Row
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2
from coreml_updatable.updating import UpdateTask

FLOAT32 = FeatureTypes_pb2.ArrayFeatureType.FLOAT32


def copied(spec: Any) -> Any:
    copy = Model_pb2.Model()
    copy.CopyFrom(spec)
    return copy


def extractor() -> Any:
    """v [4] -> x [6] = tanh of a matrix times v."""
    spec = Model_pb2.Model(specificationVersion=4)
    for features, name, size in ((spec.description.input, "v", 4), (spec.description.output, "x", 6)):
        array = features.add(name=name).type.multiArrayType
        array.shape.append(size)
        array.dataType = FLOAT32
    dense = spec.neuralNetwork.layers.add(name="dense", input=["v"], output=["d"]).innerProduct
    dense.inputChannels, dense.outputChannels = 4, 6
    dense.weights.floatValue.extend(np.random.default_rng(0).normal(size=24).tolist())
    spec.neuralNetwork.layers.add(name="tanh", input=["d"], output=["x"]).activation.tanh.SetInParent()
    return spec


def neighbors(samples: int = 0) -> Any:
    spec = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    array = spec.description.input.add(name="x").type.multiArrayType
    array.shape.append(6)
    array.dataType = FLOAT32
    spec.description.trainingInput.add().CopyFrom(spec.description.input[0])
    spec.description.trainingInput.add(name="label").type.stringType.SetInParent()
    spec.description.output.add(name="label").type.stringType.SetInParent()
    spec.description.output.add(name="probs").type.dictionaryType.stringKeyType.SetInParent()
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "probs"
    classifier = spec.kNearestNeighborsClassifier
    classifier.numberOfNeighbors.defaultValue = 3
    classifier.numberOfNeighbors.range.minValue, classifier.numberOfNeighbors.range.maxValue = 1, 9
    classifier.nearestNeighborsIndex.numberOfDimensions = 6
    classifier.nearestNeighborsIndex.linearIndex.SetInParent()
    classifier.defaultStringLabel = "none"
    classifier.stringClassLabels.SetInParent()
    for index in range(samples):
        classifier.nearestNeighborsIndex.floatSamples.add().vector.extend([float(index)] * 6)
        classifier.stringClassLabels.vector.append("old")
    return spec


def pipeline(head: Any) -> Any:
    spec = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    front = extractor()
    spec.description.input.extend(front.description.input)
    spec.description.output.extend(head.description.output)
    spec.description.trainingInput.extend(front.description.input)
    spec.description.trainingInput.add(name="label").type.stringType.SetInParent()
    for name in ("predictedFeatureName", "predictedProbabilitiesName"):
        setattr(spec.description, name, getattr(head.description, name))
    spec.pipelineClassifier.pipeline.models.extend([front, head])
    spec.pipelineClassifier.pipeline.names.extend(["extractor", "head"])
    return spec


@pytest.fixture
def vectors() -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    return [{"v": random.normal(size=4).astype(np.float32), "label": "abc"[index % 3]} for index in range(9)]


def test_a_pipeline_equals_its_members_in_a_row(make_updatable: Any, vectors: Any) -> None:
    head = make_updatable()
    whole = load(pipeline(head))
    rows = [{"v": row["v"]} for row in vectors]
    embeddings = load(extractor()).predict(rows)
    assert whole.predict(rows) == load(head).predict(embeddings)
    assert whole.predict(whole.frozen(vectors)) == whole.predict(rows)
    traced = whole.predict(rows[0], intermediate=True)
    np.testing.assert_allclose(traced["model0.x"].ravel(), np.tanh(traced["model0.d"]).ravel(), rtol=1e-6)
    assert traced["label"] == whole.predict(rows[0])["label"]
    with pytest.raises(DataError, match="row 0: feature 'v' is missing"):
        whole.predict({})


def test_a_pipeline_learns_as_its_head_does(make_updatable: Any, vectors: Any) -> None:
    head = make_updatable()
    message = pipeline(head)
    before = copied(message)
    context = UpdateTask(message, vectors, {"model1.learningRate": 0.2, "shuffle": False}).resume()
    embeddings = load(extractor()).predict([{"v": row["v"]} for row in vectors])
    rows = [{**embedding, "label": row["label"]} for embedding, row in zip(embeddings, vectors, strict=True)]
    alone = UpdateTask(head, rows, {"learningRate": 0.2, "shuffle": False}).resume()
    after = copied(context.model.message)
    learned = after.pipelineClassifier.pipeline.models[1]
    assert learned == alone.model.message
    learned.CopyFrom(before.pipelineClassifier.pipeline.models[1])
    assert after == before == message
    with pytest.raises(ModelError, match=r"the model has the scope 'model1'; write 'model1.epochs'"):
        UpdateTask(message, vectors, {"model0.epochs": 3})


def test_learning_from_features_made_elsewhere(make_updatable: Any, vectors: Any) -> None:
    """A pipeline whose extractor cannot run here learns from what the extractor gives."""
    head = make_updatable()
    runs, refuses = pipeline(head), pipeline(head)
    refuses.pipelineClassifier.pipeline.models[0].visionFeaturePrint.scene.version = 1
    embeddings = load(extractor()).predict([{"v": row["v"]} for row in vectors])
    prints = [{**embedding, "label": row["label"]} for embedding, row in zip(embeddings, vectors, strict=True)]
    actual = UpdateTask(refuses, prints).resume()
    expected = UpdateTask(runs, vectors).resume()
    learned, wanted = (context.model.message.pipelineClassifier.pipeline.models for context in (actual, expected))
    assert learned[1] == wanted[1]
    assert learned[0] == refuses.pipelineClassifier.pipeline.models[0]
    assert actual.model.predict(embeddings) == expected.model.predict([{"v": row["v"]} for row in vectors])
    task = UpdateTask(refuses, vectors)
    with pytest.raises(ModelError, match=r"model0: is a visionFeaturePrint.* give 'x' in the row instead of 'v'"):
        task.resume()


def test_neighbours_are_appended_with_new_labels(vectors: Any) -> None:
    message = pipeline(neighbors(samples=2))
    before = copied(message)
    model = load(message)
    empty = load(pipeline(neighbors()))
    assert empty.predict({"v": vectors[0]["v"]})["label"] == "none"
    learned = UpdateTask(model, model.frozen(vectors), {"numberOfNeighbors": 1}).resume().model
    assert [answer["label"] for answer in learned.predict([{"v": row["v"]} for row in vectors])] == [
        row["label"] for row in vectors
    ]
    after = copied(learned.message)
    classifier = after.pipelineClassifier.pipeline.models[1].kNearestNeighborsClassifier
    assert list(classifier.stringClassLabels.vector) == ["old", "old", *(row["label"] for row in vectors)]
    assert load(after).predict({"v": vectors[0]["v"]})["probs"].keys() == {"old", "a", "b", "c"}
    del classifier.stringClassLabels.vector[2:]
    del classifier.nearestNeighborsIndex.floatSamples[2:]
    assert after == before == message


def test_a_neighbour_alone(vectors: Any, tmp_path: Any) -> None:
    rows = [{"x": [float(index)] * 6, "label": row["label"]} for index, row in enumerate(vectors)]
    events: list[str] = []
    context = UpdateTask(neighbors(), iter(rows), on_event=lambda context: events.append(context.event)).resume()
    assert events == ["trainingBegin"]
    context.write(tmp_path / "knn.mlmodel")
    again = load(tmp_path / "knn.mlmodel")
    assert again.predict({"x": [0.1] * 6}) == context.model.predict({"x": [0.1] * 6})
    twice = UpdateTask(context.model, rows[:1]).resume().model
    assert len(twice.message.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples) == 10
    for given, error, message in (
        ({"x": [1.0] * 6, "label": 3}, DataError, "row 0: 'label' is 3, expected text"),
        ({"x": [1.0] * 5, "label": "a"}, DataError, r"has the shape \[5\], but the model expects \[6\]"),
    ):
        with pytest.raises(error, match=message):
            UpdateTask(neighbors(), [given]).resume()
    with pytest.raises(ModelError, match="numberOfNeighbors is 10, expected a value from 1 to 9"):
        UpdateTask(neighbors(), rows, {"numberOfNeighbors": 10})


def test_pipelines_that_do_not_fit_are_refused(make_updatable: Any, vectors: Any) -> None:
    message = pipeline(make_updatable())
    message.pipelineClassifier.pipeline.models[0].description.output[0].name = "d"
    with pytest.raises(
        ModelError, match="model1: reads feature 'x', which is neither an input nor computed by a model"
    ):
        load(message)
    message = pipeline(make_updatable())
    message.pipelineClassifier.pipeline.models[1].isUpdatable = False
    with pytest.raises(
        ModelError, match="expected the last model of an updatable pipeline, and only that, to be updatable"
    ):
        UpdateTask(message, vectors)
    del message.pipelineClassifier.pipeline.models[:]
    with pytest.raises(ModelError, match="a pipeline without models"):
        load(message)


def test_errors_in_a_pipeline_name_the_row() -> None:
    """Frozen rows and whole ones, in more than one block, each counted from the first of all."""
    model = load(pipeline(neighbors()))
    good = {"v": np.ones(4, np.float32), "label": "a"}
    given: list[Row] = [*model.frozen([good] * 3), *[good] * 80, {**good, "v": np.full(4, np.nan, np.float32)}]
    with pytest.raises(DataError, match="row 83: feature 'v': is NaN"):
        UpdateTask(model, given).resume()
    with pytest.raises(DataError, match="row 83: feature 'v': is NaN"):
        model.predict(given)


def test_a_label_of_more_than_64_bits() -> None:
    spec = neighbors()
    classifier = spec.kNearestNeighborsClassifier
    classifier.int64ClassLabels.SetInParent()
    classifier.defaultInt64Label = -1
    row = {"x": np.ones(6, np.float32), "label": 2**63 - 1}
    assert UpdateTask(spec, [row]).resume().model.message.kNearestNeighborsClassifier.int64ClassLabels.vector == [
        2**63 - 1
    ]
    with pytest.raises(DataError, match="row 0: 'label' is 9223372036854775808, expected "):
        UpdateTask(spec, [{**row, "label": 2**63}]).resume()
