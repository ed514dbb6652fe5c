"""Trial rows come from the domain of every input, so that no valid model is refused for what it was tried on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.converting.neighbors import prove_knn
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.marking import knn_variant
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.marking.test_mark import SETTINGS

TABLE = np.arange(10.0).reshape(2, 5)


def embedding_nd(b: Any) -> str:
    b.add_expand_dims("expand", "x", "x1", [-1])
    b.add_embedding_nd("e", "x1", "e", vocab_size=5, embedding_size=2, W=TABLE)
    return "e"


def embedding_behind_a_reshape(b: Any) -> str:
    b.add_reshape_static("turn", "x", "x1", [3, 1])
    b.add_copy("copy", "x1", "x2")
    b.add_embedding_nd("e", "x2", "e", vocab_size=5, embedding_size=2, W=TABLE)
    return "e"


def gathered(b: Any) -> str:
    b.add_load_constant_nd("table", "table", TABLE.T, TABLE.T.shape)
    b.add_gather("g", ["table", "x"], "g", axis=0)
    return "g"


def gathered_along(b: Any) -> str:
    b.add_load_constant_nd("table", "table", np.arange(3.0), (3,))
    b.add_gather_along_axis("g", ["table", "x"], "g", axis=0)
    return "g"


def one_hot(b: Any) -> str:
    b.add_one_hot("o", ["x"], "o", one_hot_vector_size=6)
    return "o"


def scattered(b: Any) -> str:
    b.add_load_constant_nd("table", "table", np.arange(7.0), (7,))
    b.add_load_constant_nd("new", "new", np.ones(3), (3,))
    b.add_scatter("s", ["table", "x", "new"], "s", axis=0)
    return "s"


def logarithm(b: Any) -> str:
    b.add_unary("log", "x", "y", mode="log")
    return "y"


def shifted_root(b: Any) -> str:
    b.add_unary("root", "x", "y", mode="sqrt", shift=-3.0, scale=2.0)
    return "y"


def arc_cosine(b: Any) -> str:
    b.add_acos("acos", "x", "y")
    return "y"


MODELS: dict[str, Callable[[Any], str]] = {
    item.__name__: item
    for item in (
        embedding_nd, embedding_behind_a_reshape, gathered, gathered_along, one_hot, scattered, logarithm, shifted_root,
        arc_cosine,
    )
}  # fmt: skip


def classifier(add: Callable[[Any], str], dtype: int) -> Model:
    """``x`` [3] through what ``add`` puts in, flattened, to two labels."""
    features = [("x", datatypes.Array(3))]
    builder = NeuralNetworkBuilder(features, [("p", None)], mode="classifier", disable_rank5_shape_mapping=True)
    blob = add(builder)
    builder.add_flatten_to_2d("flat", blob, "flat", axis=0)
    sizes = {"embedding_nd": 6, "embedding_behind_a_reshape": 6, "gathered": 6, "one_hot": 18, "scattered": 7}
    size = sizes.get(add.__name__, 3)
    weights = np.random.default_rng(0).standard_normal((2, size)) / size
    builder.add_inner_product("fc", weights, np.zeros(2), size, 2, True, "flat", "z")
    builder.add_softmax_nd("softmax", "z", "p", axis=-1)
    builder.set_class_labels(["a", "b"], predicted_feature_name="label", prediction_blob="p")
    model = Model_pb2.Model()
    model.ParseFromString(builder.spec.SerializeToString())
    model.description.input[0].type.multiArrayType.dataType = dtype
    return model


@pytest.mark.parametrize("dtype", [65568, 131104], ids=["float32", "int32"])
@pytest.mark.parametrize("name", MODELS)
def test_models_that_look_up_or_are_not_defined_everywhere(name: str, dtype: int) -> None:
    if dtype == 131104 and name in ("logarithm", "shifted_root", "arc_cosine"):
        dtype = 65600  # integers make no logarithms; doubles do
    model = classifier(MODELS[name], dtype)
    answers = load(model).predict(trial_rows(model, 20))
    assert all(np.isfinite(list(answer["p"].values())).all() for answer in answers if isinstance(answer["p"], dict))
    marked_and_proved(model, SETTINGS)
    result = knn_variant(model, KNNSettings(Int64Parameter(1)), cut=True)
    prove_knn(model, result, cut=True)


def test_every_row_of_a_table_is_tried() -> None:
    rows = trial_rows(classifier(embedding_nd, 65568), 50)
    assert {float(number) for row in rows for number in row["x"]} == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_very_long_rows_are_few() -> None:
    model = Model_pb2.Model(specificationVersion=4)
    model.description.input.add(name="x").type.multiArrayType.shape.append(2**24)
    model.neuralNetwork.SetInParent()
    assert len(trial_rows(model, 8)) == 2
