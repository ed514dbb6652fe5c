"""A model tried with its first owner: whether the engine trains it as UpdateTask does, and what an update costs."""

import time
from dataclasses import dataclass, replace

import numpy as np

from coreml_updatable import bounds
from coreml_updatable.personalization.answers import Answers
from coreml_updatable.personalization.blocks import Block
from coreml_updatable.personalization.contenders import Contender
from coreml_updatable.personalization.embedding import FixedPart
from coreml_updatable.personalization.laboratory import Lab, last_point
from coreml_updatable.personalization.owners import World, draw
from coreml_updatable.personalization.results import Cost
from coreml_updatable.personalization.tasks import by_tasks
from coreml_updatable.runtime import FrozenRow, RunnableModel
from coreml_updatable.spec.head_memory import head_memory
from coreml_updatable.spec.network import last_member
from coreml_updatable.updating import UpdateTask

AGREE = 1e-3  # of probabilities, between the engine and UpdateTask
TRIED = 16  # test rows, on which the engine is tried against UpdateTask


def tried_with(world: World) -> World:
    """The world with so few test rows that one owner can be tried with UpdateTask."""
    split = world.split
    return replace(world, split=replace(split, test=split.test[:TRIED], unknown=split.unknown[:TRIED]))


def agrees(lab: Lab, model: RunnableModel) -> bool:
    """Whether the engine and one UpdateTask give the first owner the same answers at the most shots."""
    owners = draw(lab.world, 0, 1)
    one = lab.contenders[0]
    task = replace(lab, contenders=(replace(one, engine="task"),), memory={-1: model})
    if one.labels and not all(
        label in {str(own) for own in model.labels} for label in lab.world.labels
    ):  # a k-NN without samples of a label takes it as it is given
        return True
    numbers = [0, last_point(lab)]
    said = [dict(Block(lab, owners).answers(lab.entrants[0])), dict(by_tasks(task, owners, 0))]
    return all(
        isinstance(ours := said[0][number], Answers)
        and isinstance(theirs := said[1][number], Answers)
        and bool(np.abs(ours.probabilities - theirs.probabilities).max() <= AGREE)
        for number in numbers
    )


@dataclass(frozen=True)
class Updated:
    """One UpdateTask of the first owner with the most shots and the replay set, its rows behind the fixed part."""

    milliseconds: float
    growth_bytes: int  # of the file


def updated(lab: Lab, model: RunnableModel) -> Updated:
    owners, frozen, labels = draw(lab.world, 0, 1), lab.frozen[0], {str(label): label for label in model.labels}
    target = str(model.description.predictedFeatureName)
    rows = [
        frozen[look][row].with_features(**{target: next(iter(labels.values()), "new")})
        for look, row in zip(owners.styles[0], owners.shots[0], strict=False)
    ]
    for row in [] if lab.contenders[0].replay is None else lab.contenders[0].replay.tolist():
        rows.append(frozen[0][row].with_features(**{target: labels[lab.world.row_labels[row]]}))
    started = time.perf_counter()
    context = UpdateTask(model, rows, parameters=dict(lab.contenders[0].parameters)).resume()
    milliseconds = 1000 * (time.perf_counter() - started)
    return Updated(milliseconds, context.model.message.ByteSize() - model.message.ByteSize())


def cost_of(contender: Contender, model: RunnableModel, row: FrozenRow, update: Updated, fixed: FixedPart) -> Cost:
    """``row``: some row behind the fixed part."""
    size, before = model.message.ByteSize(), fixed.operations
    measured = update.growth_bytes, update.milliseconds, 1000 * fixed.seconds
    if contender.is_knn:
        assert contender.samples is not None
        return Cost(before, 3 * contender.samples.size, size, contender.samples.nbytes, *measured)
    if contender.layer is not None:
        work = contender.layer.weights.size
    else:
        with bounds.bounded("model") as run:
            model.predict([row])
        work = int(run.work)
    return Cost(before, work, size, head_memory(last_member(model.message)).total, *measured)
