"""Damaged and hostile models under `mark`, `knn` and `layout`: only our own errors come out, soon, and no warnings.

None of them may be a complaint about ourselves either: a damaged model is no fault of ours.
"""

import signal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.converting.layouts import LAYOUTS, laid_out
from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.converting.neighbors import prove_knn
from coreml_updatable.errors import UserError
from coreml_updatable.marking import has_head, knn_variant
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model
from tests.marking.markable import markable_models
from tests.marking.test_mark import SETTINGS
from tests.runtime.mutations import damaged_bytes, damaged_fields, rewired
from tests.runtime.test_mutated_models import MEMORY, SECONDS, limited
from tests.runtime.test_mutated_models import soon as soon

SOUND = markable_models()
NEIGHBORS = KNNSettings(Int64Parameter(1))
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"last": 2},
    {"reserved": 3},
    {"labels": ("a", "b", "c")},
    {"head": "new", "labels": ("p", "q")},
    {"loss": "mean_squared_error"},
    {"input": "photo", "last": 2, "reserved": 1},
)


def damaged(random: Random) -> Model:
    model = random.choice(SOUND)
    kind = random.randrange(8)
    if kind < 6:
        model = damaged_fields(model, random)
    if kind in (5, 6):
        model = rewired(model, random)
    content: bytes = model.SerializeToString()
    if kind == 7:
        content = damaged_bytes(content, random.choice(SOUND).SerializeToString(), random)
    return parse_model(content, "a file")


def used(seed: int) -> str:
    """What became of a case: "refused", or what was made."""
    random = Random(seed)
    try:
        return use(damaged(random), random)
    except UserError as error:
        said = str(error)
    assert "bug in coreml_updatable" not in said
    return "refused"


def use(model: Model, random: Random) -> str:
    match random.randrange(6):
        case 0:
            cut = has_head(model)
            prove_knn(model, knn_variant(model, NEIGHBORS, cut=cut), cut=cut)
            return "k-NN"
        case 1:
            laid_out([model], random.choice(LAYOUTS), random.choice((None, 16, 8)))
            return "layout"
    marked_and_proved(model, SETTINGS, **random.choice(WISHES))
    return "marked"


@pytest.mark.parametrize("number", range(len(SOUND)))
def test_the_models_are_sound(number: int) -> None:
    marked_and_proved(SOUND[number], SETTINGS)


def test_some_are_taken_and_some_refused() -> None:
    assert {"refused", "marked", "k-NN"} <= {used(seed) for seed in range(40)}


def test_a_bias_of_another_length_than_the_layer_before_has_outputs_is_not_folded() -> None:
    assert used(42499) == "refused"


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("examples", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_only_our_errors_come_out(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32))
    def run(seed: int) -> None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        used(seed)

    with limited(MEMORY):
        run()
