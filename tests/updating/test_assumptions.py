"""Assumptions: what is said once holds for prediction and training, and a choice that there is not is refused."""

from typing import Any

import numpy as np
import pytest

import coreml_updatable as cu
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.updating.probes import all_probes
from coreml_updatable.updating.probes.voting import nearest_neighbors

PROBES = {probe.assumption: probe for probe in all_probes()}


def test_they_are_said_by_keyword_and_flat() -> None:
    positional: Any = cu.Assumptions
    with pytest.raises(TypeError):
        positional("mean")
    with pytest.raises(TypeError, match="gradent"):
        positional(gradent="sum")
    assert isinstance(cu.Assumptions(), PredictionAssumptions)


@pytest.mark.parametrize(("name", "choice"), [("gradient", "median"), ("inverse_of", 2), ("tied_labels", None)])
def test_a_choice_that_there_is_not_is_refused(name: str, choice: Any) -> None:
    given: Any = {name: choice}
    with pytest.raises(cu.UserError, match=rf"^assumptions: {name} is .+, expected one of '"):
        cu.Assumptions(**given)


def _scores(model: cu.RunnableModel) -> list[float]:
    return [float(score) for score in model.predict({"x": [1.0]})["scores"]]


def test_a_model_is_trained_under_what_it_was_loaded_with() -> None:
    probe = PROBES["gradient"]
    summed = cu.load(probe.model, assumptions=cu.Assumptions(gradient="sum"))
    assert _scores(cu.UpdateTask(summed, probe.rows).resume().model) == pytest.approx([1, -1])
    assert _scores(cu.UpdateTask(summed, probe.rows, assumptions=cu.Assumptions()).resume().model) == pytest.approx(
        [0.5, -0.5]
    )
    assert _scores(cu.UpdateTask(cu.load(probe.model), probe.rows).resume().model) == pytest.approx([0.5, -0.5])


def test_rows_frozen_under_the_same_predictions_are_taken() -> None:
    probe = PROBES["gradient"]
    model = cu.load(probe.model)
    task = cu.UpdateTask(model, model.frozen(probe.rows), assumptions=cu.Assumptions(gradient="sum"))
    assert _scores(task.resume().model) == pytest.approx([1, -1])


def test_one_argument_reaches_the_predictions_of_a_loaded_model_too() -> None:
    model = cu.load(nearest_neighbors([(2.0, "1"), (1.0, "2")], 2, uniform=True))
    assert model.predict({"x": [0.0]})["label"] == "2"
    first = cu.Assumptions(tied_labels="first")
    assert cu.load(model, assumptions=first).predict({"x": [0.0]})["label"] == "1"
    assert model.predict({"x": [0.0]})["label"] == "2"
    updated = cu.UpdateTask(model, [{"x": [9.0], "label": "3"}], assumptions=first).resume().model
    assert updated.predict({"x": [0.0]})["label"] == "1"
    assert updated.assumptions == first
    assert cu.load(model) is model


def test_a_pipeline_hands_them_to_its_members() -> None:
    inner = PROBES["support_vector_label"].model
    outer = type(inner)(specificationVersion=4)
    outer.description.CopyFrom(inner.description)
    outer.pipelineClassifier.pipeline.models.add().CopyFrom(inner)
    model = cu.load(outer)
    row = {"x": [1.0]}
    assert model.predict(row)["label"] == "1"
    likely = cu.load(model, assumptions=cu.Assumptions(support_vector_label="probabilities"))
    assert likely.predict(row)["label"] == "2"
    assert list(likely.predict(row)["labelProbability"].values())[1] > 0.5
    assert likely.predict(model.frozen([row]))[0]["label"] == "2", "what is before the last member is the same"


def test_rows_behind_a_member_that_answers_otherwise_are_refused() -> None:
    """A one-hot encoder behind the support vector classifier, whose answer depends on the assumption."""
    inner = PROBES["support_vector_label"].model
    outer = type(inner)(specificationVersion=4)
    pipeline = outer.pipeline
    pipeline.models.add().CopyFrom(inner)
    encoder = pipeline.models.add(specificationVersion=4)
    encoder.oneHotEncoder.stringCategories.vector.extend(["1", "2"])
    label = next(item for item in inner.description.output if item.name == inner.description.predictedFeatureName)
    encoder.description.input.add().CopyFrom(label)
    hot = encoder.description.output.add(name="hot")
    hot.type.multiArrayType.shape.append(2)
    hot.type.multiArrayType.dataType = 65600
    outer.description.input.extend(inner.description.input)
    outer.description.output.add().CopyFrom(hot)
    model, row = cu.load(outer), {"x": [1.0]}
    likely = cu.load(model, assumptions=cu.Assumptions(support_vector_label="probabilities"))
    assert np.asarray(model.predict(row)["hot"]).tolist() == [1, 0]
    assert np.asarray(likely.predict(row)["hot"]).tolist() == [0, 1]
    with pytest.raises(cu.DataError, match="frozen by another model"):
        likely.predict(model.frozen([row]))


def test_what_an_assumption_is_not_about_is_shared_and_not_loaded_again() -> None:
    """A k-NN behind a network: only the k-NN is loaded again under another way of voting."""
    neighbors = nearest_neighbors([(2.0, "1"), (1.0, "2")], 2, uniform=True)
    outer = type(neighbors)(specificationVersion=4, isUpdatable=True)
    outer.description.CopyFrom(neighbors.description)
    network, knn = (outer.pipelineClassifier.pipeline.models.add() for _ in range(2))
    knn.CopyFrom(neighbors)
    network.specificationVersion = 4
    network.description.input.add().CopyFrom(neighbors.description.input[0])
    network.description.output.add().CopyFrom(neighbors.description.input[0])
    for feature in (knn.description.input[0], network.description.output[0], knn.description.trainingInput[0]):
        feature.name = "embedding"
    network.neuralNetwork.arrayInputShapeMapping = 1
    layer = network.neuralNetwork.layers.add(name="identity", input=["x"], output=["embedding"])
    layer.activation.linear.alpha = 1
    chosen = cu.Assumptions(tied_labels="first")
    model, row = cu.load(outer), {"x": [0.0]}
    again = cu.load(model, assumptions=chosen)
    assert (model.predict(row)["label"], again.predict(row)["label"]) == ("2", "1")
    assert again.predict(row) == cu.load(outer, assumptions=chosen).predict(row)
    assert again.predict(model.frozen([row])) == [again.predict(row)]
    assert again.part is model.part
    shot = [{"x": [9.0], "label": "3"}]
    learned, anew = (cu.UpdateTask(one, shot).resume().model for one in (again, cu.load(outer, assumptions=chosen)))
    assert learned.predict({"x": [8.0]}) == anew.predict({"x": [8.0]})
    assert learned.assumptions == chosen
