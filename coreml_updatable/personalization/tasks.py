"""Owners whose contender only UpdateTask trains, one after another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from coreml_updatable.personalization.answers import Answers, Found
from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.personalization.owners import Owners
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import parse_model
from coreml_updatable.updating import UpdateTask


def by_tasks(lab: Lab, owners: Owners, index: int) -> Iterator[Found]:
    """A contender that only UpdateTask trains: each owner by itself, all shots in one update."""
    one, world = lab.contenders[index], lab.world
    frozen = lab.frozen[index]
    key = -1 - index
    if key not in lab.memory:  # of a worker
        lab.memory[key] = load(parse_model(one.file, one.name), assumptions=one.assumptions)
    model = lab.memory[key]
    target = str(model.description.predictedFeatureName)
    shared = [frozen[0][row] for row in (*world.split.test, *world.split.unknown)]
    again = [] if one.replay is None else one.replay.tolist()
    labels = {str(label): label for label in model.labels}
    for point, (protocol, count) in enumerate(lab.points):
        if protocol != "at_once":
            continue
        classes, shares = [], []
        for owner in range(len(owners.numbers)):
            own = owners.new_label[owner] if one.is_knn or not owners.new_label[owner] else "".join(one.reserved[:1])
            names = [*world.labels, own]
            learned = world.learned(count)
            shot_labels = [names[place] for place in owners.shot_labels[owner, :learned]]
            personal = model
            if learned and all(shot_labels):
                rows = [
                    frozen[look][row].with_features(**{target: labels.get(label, label)})
                    for look, row, label in zip(owners.styles[owner], owners.shots[owner], shot_labels, strict=False)
                ]
                rows += [frozen[0][row].with_features(**{target: labels[world.row_labels[row]]}) for row in again]
                personal = UpdateTask(model, rows, parameters=dict(one.parameters)).resume().model
            held = [
                frozen[look][max(row, 0)]
                for look, row in zip(owners.held_styles[owner], owners.held_out[owner], strict=True)
            ]
            said = _in_world(personal.predict([*held, *shared]), model, names, len(world.labels))
            classes.append(said[0])
            shares.append(said[1])
        yield point, Answers(np.stack(classes), np.stack(shares).swapaxes(1, 2))


def _in_world(answers: Sequence[Mapping[str, Any]], model: Any, names: Sequence[str], new: int) -> tuple[Any, Any]:
    """Classes [n] and probabilities [n, new + 2] of a model's answers; ``names``: the label of each class."""
    description = model.description
    label, shares = str(description.predictedFeatureName), str(description.predictedProbabilitiesName)
    places = {name: place for place, name in enumerate(names) if name}
    probabilities = np.zeros((len(answers), new + 2))
    classes = np.array([places.get(str(answer[label]), new + 1) for answer in answers], np.int64)
    for row, answer in enumerate(answers):
        for name, share in answer[shares].items():
            probabilities[row, places.get(str(name), new + 1)] += share
    return classes, probabilities
