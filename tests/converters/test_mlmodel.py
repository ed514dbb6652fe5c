"""Models that are Core ML already: marked, made to learn, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.errors import ModelError, SourceError
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.marking.networks import convert as converted_by_coremltools
from tests.marking.networks import converted

LABELS = class_labels(valid.classifier())


def made_of(model: Model, folder: Path, **options: Any) -> Finished:
    write_model(model, folder / "source.mlmodel")
    convert = load_source_converter(find_converter("mlmodel"))
    return finish(convert, SourceRequest(folder / "source.mlmodel", **options))


def test_a_network_is_marked(tmp_path: Path) -> None:
    result = made_of(converted("squeezed linear", image=True), tmp_path, labels=("a", "b", "c"))
    assert result.updatable == ("fc",)
    assert (result.agreement.rows, result.reference) == (8, "the model before")
    assert result.agreement.difference < 1e-6


@pytest.mark.parametrize("end", [[], [torch.nn.Sigmoid()]])
def test_one_number_becomes_two_classes_where_two_labels_are_named(end: list[torch.nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = torch.nn.Sequential(torch.nn.Linear(5, 1), *end).eval()
    result = made_of(converted_by_coremltools(source, (1, 5)), tmp_path, labels=("no", "yes"))
    row = np.ones((1, 5), np.float32)
    said = source(torch.from_numpy(row)).item()
    yes = said if end else 1 / (1 + np.exp(-said))
    name = str(result.model.description.input[0].name)
    answer = load(result.model).predict({name: row})["labelProbability"]
    assert answer == pytest.approx({"no": 1 - yes, "yes": yes}, abs=1e-6)
    assert result.agreement.proved


def test_several_sigmoids_take_the_new_head_that_their_refusal_names(tmp_path: Path) -> None:
    source = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Sigmoid()).eval()
    model = converted_by_coremltools(source, (1, 5))
    with pytest.raises(ModelError, match=r"multi-label.*--head new --labels"):
        made_of(model, tmp_path, labels=("a", "b", "c", "d"))
    result = made_of(model, tmp_path, labels=("x", "y"), head="new")
    assert class_labels(result.model) == ("x", "y")
    assert result.updatable
    assert result.agreement.rows


def test_labels_of_what_learns_already_are_not_passed_over(tmp_path: Path) -> None:
    result = made_of(valid.classifier(), tmp_path, labels=tuple(f"new{n}" for n, _ in enumerate(LABELS)))
    assert class_labels(result.model) == tuple(f"new{n}" for n, _ in enumerate(LABELS))


def test_a_nearest_neighbors_classifier_has_no_head(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--head new"):
        made_of(valid.filled_nearest_neighbors(), tmp_path, head="new")


def test_a_nearest_neighbours_classifier_learns_from_now_on(tmp_path: Path) -> None:
    model = valid.filled_nearest_neighbors()
    model.isUpdatable = False
    model.specificationVersion = 3
    del model.description.trainingInput[:]
    result = made_of(model, tmp_path)
    assert result.updatable == ()
    assert result.agreement.rows == 0
    row = {"embedding": np.ones(4, np.float32)}
    assert load(result.model).predict(row) == load(model).predict(row)
    context = UpdateTask(result.model, [{**row, "label": "new"}]).resume()
    assert context.model.predict(row)["label"] == "new"


def test_what_learns_already_is_taken_as_it_is(tmp_path: Path) -> None:
    for model in (valid.filled_nearest_neighbors(), valid.pipeline(), valid.classifier()):
        assert made_of(model, tmp_path).model == model


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a Core ML model has its own input and normalization"):
        made_of(valid.exact(), tmp_path, inputs=(ArrayInput("x", (3,)),))
    with pytest.raises(SourceError, match="classifier has the labels of its samples; omit --labels"):
        made_of(valid.filled_nearest_neighbors(), tmp_path, labels=("a", "b"))
    (tmp_path / "random.mlmodel").write_bytes(b"nothing of the kind")
    convert = load_source_converter(find_converter("mlmodel"))
    with pytest.raises(ModelError, match="not a Core ML model"):
        finish(convert, SourceRequest(tmp_path / "random.mlmodel"))
