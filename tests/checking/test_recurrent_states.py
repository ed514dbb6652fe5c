"""Which outputs of a recurrent network are states, and which are answers computed from them."""

from coreml_updatable.checking import check
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid
from tests.broken_models.updatable_layers import state_answered


def answering(*names: str) -> Model:
    """The network whose states come out, with these outputs in their place."""
    model = state_answered()
    kept = [feature for feature in model.description.output if feature.name not in ("h_out", "c_out")]
    for name in names:
        feature = type(kept[0])()
        feature.CopyFrom(next(item for item in model.description.output if item.name == "h_out"))
        feature.name = name
        kept.append(feature)
    del model.description.output[:]
    model.description.output.extend(kept)
    return model


def warned(model: Model) -> bool:
    return any(problem.rule == "L2048" for problem in check(model))


def test_a_state_is_one_as_it_is_and_put_together() -> None:
    assert warned(answering("h_out"))
    both = answering("states")
    network_of(both).layers.add(name="both", input=["h_out", "c_out"], output=["states"]).concat.SetInParent()
    both.description.output[-1].type.multiArrayType.shape[:] = [8]
    assert warned(both)


def test_what_is_computed_from_a_state_is_none() -> None:
    assert not warned(answering())
    computed = answering("squashed")
    network_of(computed).layers.add(name="squash", input=["h_out"], output=["squashed"]).activation.tanh.SetInParent()
    assert not warned(computed)
    read = answering()
    valid.layer(read, "fc").input[0] = "h_out"
    assert not warned(read)
