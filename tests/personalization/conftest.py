"""A small owner's world: points in six dimensions instead of pictures, a network by coremltools, and its k-NN."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression

from coreml_updatable.marking import knn_variant, mark, with_samples
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.personalization.population import population_of
from coreml_updatable.personalization.preparing import Prepared, Settings, prepare
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import parse_model

FloatArray = npt.NDArray[np.float64]
LABELS = ["calm", "wild"]
CENTRES = {"lake": (3, 0, 0, 0, 0, 0), "storm": (-3, 0, 0, 0, 0, 0), "flood": (-3, 1, 0, 0, 0, 0)}
OWNERS_CENTRE = (-1.5, 0, 3, 0, 0, 0)
LABEL_OF = {"lake": "calm", "storm": "wild", "flood": "wild"}
LEARNING_RATE, EPOCHS = 0.05, 3


@dataclass(frozen=True)
class World:
    """Points [n, 6] of the base's training, of its test, and of the owner; the head the base was given."""

    train: FloatArray
    train_labels: tuple[str, ...]
    test: FloatArray
    test_kinds: tuple[str, ...]
    owner: FloatArray
    held_out: FloatArray
    extractor: FloatArray  # [8, 6]
    weights: FloatArray  # [2, 8]
    bias: FloatArray  # [2]

    def features(self, points: FloatArray) -> FloatArray:
        return np.maximum(points @ self.extractor.T, 0)


def around(centre: Any, count: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).normal(centre, 0.7, (count, 6)).astype(np.float32).astype(np.float64)


@pytest.fixture(scope="session")
def world() -> World:
    kinds = list(CENTRES)
    train = np.concatenate([around(CENTRES[kind], 12, index) for index, kind in enumerate(kinds)])
    test = np.concatenate([around(CENTRES[kind], 7, 10 + index) for index, kind in enumerate(kinds)])
    labels = tuple(LABEL_OF[kind] for kind in kinds for _ in range(12))
    extractor = np.random.default_rng(5).normal(0, 0.6, (8, 6)).astype(np.float32).astype(np.float64)
    head = LogisticRegression(C=0.05).fit(np.maximum(train @ extractor.T, 0), labels)
    half = (head.coef_[0] / 2).astype(np.float32)
    bias = (head.intercept_ / 2).astype(np.float32)
    return World(
        train=train,
        train_labels=labels,
        test=test,
        test_kinds=tuple(kind for kind in kinds for _ in range(7)),
        owner=around(OWNERS_CENTRE, 9, 20),
        held_out=around(OWNERS_CENTRE, 15, 21),
        extractor=extractor,
        weights=np.stack([-half, half]).astype(np.float64),
        bias=np.array([-bias[0], bias[0]], dtype=np.float64),
    )


@pytest.fixture(scope="session")
def network_message(world: World) -> Any:
    """Frozen innerProduct and ReLU, updatable innerProduct, softmax; SGD, no shuffling, mini-batches of one."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder([("point", datatypes.Array(6))], [("probabilities", None)], mode="classifier")
    builder.add_inner_product("extractor", world.extractor, None, 6, 8, False, "point", "hidden")
    builder.add_activation("relu", "RELU", "hidden", "features")
    builder.add_inner_product("head", world.weights, world.bias, 8, 2, True, "features", "scores")
    builder.add_softmax("softmax", "scores", "probabilities")
    builder.set_class_labels(LABELS, "mood", "probabilities")
    optimizer = SGD(DoubleParameter(LEARNING_RATE), Int64Parameter(1), DoubleParameter(0.0))
    plain = parse_model(builder.spec.SerializeToString(), "the test's network")
    return mark(plain, UpdateSettings(optimizer, Int64Parameter(EPOCHS), shuffle=False), layers=["head"])


@pytest.fixture(scope="session")
def knn_message(world: World, network_message: Any) -> Any:
    """The k-NN variant, holding the base's training points; three neighbors, one vote each."""
    empty = knn_variant(network_message, KNNSettings(Int64Parameter(3), weighting="uniform"))
    return with_samples(empty, world.features(world.train).astype(np.float32), world.train_labels)


SHOTS = (0, 1, 3, 5)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """label/kind/points.npy, and the owner's kind "rapids", which no label is for."""
    folder = tmp_path_factory.mktemp("photos")
    places = {**{f"{LABEL_OF[kind]}/{kind}": CENTRES[kind] for kind in CENTRES}, "rapids": OWNERS_CENTRE}
    for seed, (place, centre) in enumerate(places.items(), start=60):
        (folder / place).mkdir(parents=True)
        np.save(folder / place / "points.npy", around(centre, 60, seed).astype(np.float32))
    return folder


@pytest.fixture(scope="session")
def models(network_message: Any, knn_message: Any) -> list[tuple[str, Any]]:
    return [("network", load(network_message)), ("k-NN", load(knn_message))]


SCENARIO = population_of(
    {
        "kinds_per_owner": 1,
        "new_kind": {},
        "relabel": {},
        "new_label": {"kinds": ["rapids"]},
        "same": {},
        "wrong_labels": 0.1,
        "held_out": 6,
    }
)


@pytest.fixture(scope="session")
def prepared(models: Any, photos: Path) -> Prepared:
    return prepare(models, photos, SCENARIO, Settings(shots=SHOTS, replay=2))


class Counting:
    """A model whose fixed part counts the rows that it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
        self.rows = 0
        run_frozen = type(model).frozen

        def frozen(one: Any, rows: Any, numbers: Any = None) -> Any:
            self.rows += len(rows)
            return run_frozen(one, rows, numbers)

        monkeypatch.setattr(type(model), "frozen", frozen)
