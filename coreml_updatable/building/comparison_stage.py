"""The build's own comparison: network and k-NN with the recipe's owner, in each order of his shots."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from coreml_updatable.building.models_stage import Variants
from coreml_updatable.building.owner import NOTHING, EvaluatedModels, laboratory
from coreml_updatable.building.rows import paired_rows
from coreml_updatable.converting.contract import Row
from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.errors import UserError
from coreml_updatable.personalization.answers import Answers
from coreml_updatable.personalization.blocks import Block
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.contenders import StageProgress, silent
from coreml_updatable.personalization.costs import cost_of, updated
from coreml_updatable.personalization.embedding import FixedPart, multiply_adds
from coreml_updatable.personalization.laboratory import Entrant, Lab, last_point
from coreml_updatable.personalization.owners import draw
from coreml_updatable.personalization.population import Brings
from coreml_updatable.personalization.preparing import Prepared, Settings
from coreml_updatable.personalization.results import Comparison, Cost
from coreml_updatable.publishing.report.values import Answer, NewLabel, Shown
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.updating import UpdateTask

TIMED = 6  # rows
WITH_SET = "network with its replay set"


def compare_owner(
    recipe: Recipe,
    parts: Sequence[EvaluatedModels],
    whole: Variants,
    rows: Sequence[Row],
    on_progress: StageProgress,
    replayed: Sequence[Int64Array] = (),
) -> tuple[Comparison, NewLabel | None, tuple[Shown, ...]]:
    """Compare on rows that neither model learned: of a cross-validation, the models of every fold on its own rows.

    Costs are those of the ``whole`` models, on some of the ``rows``. ``replayed``: of each part, numbers of the
    training rows that every update of its network is mixed with, where the model ships with such a set. Also what both
    do with a label that they do not know, and their answers in the first order.
    """
    owner, started = recipe.personalization, time.perf_counter()
    assert owner is not None
    labs = []
    for index, part in enumerate(parts):
        paired = paired_rows(recipe, part.data.train)
        stored = replayed[index] if replayed else NOTHING
        lab = laboratory(recipe, part, part.models, seeds=owner.seeds, paired=paired, reference=stored)
        labs.append(_replaying(lab) if replayed else lab)
        on_progress(0.9 * (index + 1) / len(parts), f"{index + 1} of {len(parts)} pairs of models")
    lab = _joined(labs)
    models = [load(message) for _, message in parts[0].models]
    costs = dict(_costs(labs[0], models, [load(whole.network), load(whole.knn)], rows[:TIMED]))
    prepared = Prepared(lab, (), costs, seconds=time.perf_counter() - started)
    result = run(prepared, _settings(lab), on_progress)
    new_label = None if owner.new_label is None else _new_label(owner.new_label, lab, models, prepared)
    return result, new_label, tuple(_shown(lab, entrant) for entrant in lab.entrants)


def _replaying(lab: Lab) -> Lab:
    """The same with the reference rows mixed into every update of the network."""
    network, *others = lab.contenders
    network = replace(network, name=WITH_SET, replay=lab.world.split.reference)
    entrants = (replace(lab.entrants[0], name=WITH_SET), *lab.entrants[1:])
    return replace(lab, contenders=(network, *others), entrants=entrants, memory={})


def _settings(lab: Lab) -> Settings:
    return Settings(owners=len(lab.world.seeds), shots=(0, *lab.shots), workers=1)


def _joined(labs: Sequence[Lab]) -> Lab:
    first = labs[0]
    if len(labs) == 1:
        return first
    test = np.sort(np.concatenate([lab.world.split.test for lab in labs]))
    world = replace(first.world, split=replace(first.world.split, test=test))
    return replace(first, world=world, memory={}, parts=tuple(labs))


def _costs(
    lab: Lab, models: Sequence[RunnableModel], whole: Sequence[RunnableModel], rows: Sequence[Row]
) -> Iterator[tuple[str, Cost]]:
    for index, (contender, model, file) in enumerate(zip(lab.contenders, models, whole, strict=True)):
        alone = replace(lab, contenders=(contender,), frozen=(lab.frozen[index],))
        started = time.perf_counter()
        frozen = file.frozen(list(rows))
        seconds = (time.perf_counter() - started) / len(rows)
        fixed = FixedPart((), seconds, multiply_adds(file, rows[0]))
        yield contender.name, cost_of(contender, file, frozen[0], updated(alone, model), fixed)


def _new_label(label: str, lab: Lab, models: Sequence[RunnableModel], prepared: Prepared) -> NewLabel:
    """The same shots under a label that the models do not know; a refusal is kept in the runtime's own words."""
    refused: dict[str, str] = {}
    first = draw(lab.world, 0, 1).shots[0, 0]
    for entrant, model in zip(lab.entrants, models, strict=True):
        row = lab.frozen[entrant.of][0][first]
        target = str(model.description.predictedFeatureName)
        try:
            UpdateTask(model, [row.with_features(**{target: label})]).resume()
        except UserError as error:
            refused[entrant.name] = str(error)
    able = tuple(entrant for entrant in lab.entrants if entrant.name not in refused)
    if not able:
        return NewLabel(label, refused, None)
    other = _with_new_label(lab, able)
    return NewLabel(label, refused, run(replace(prepared, lab=other), _settings(other), silent))


def _with_new_label(lab: Lab, entrants: tuple[Entrant, ...]) -> Lab:
    own = Brings(kinds=tuple(lab.world.split.owners))
    population = lab.world.population.model_copy(update={"same": None, "new_label": own})
    parts = tuple(_with_new_label(part, entrants) for part in lab.parts)
    world = replace(lab.world, population=population)
    return replace(lab, world=world, entrants=entrants, protocols=("at_once",), memory={}, parts=parts)


def _shown(lab: Lab, entrant: Entrant) -> Shown:
    """Held-out rows by the first part's model, test rows each by the one that never saw it."""
    held, test = dict[int, tuple[Answer, Answer]](), dict[int, tuple[Answer, Answer]]()
    for part in lab.parts or (lab,):
        owners = draw(part.world, 0, 1)
        answers = dict(Block(part, owners).answers(entrant))
        ends = [answers[index] for index in (0, last_point(part))]
        names = (*part.world.labels, "new label", "unknown")
        said = list(zip(*(_said(end, names) for end in ends if isinstance(end, Answers)), strict=True))
        count = owners.held_out.shape[1]
        held = held or {row: pair for row, pair in zip(owners.held_out[0].tolist(), said, strict=False) if row >= 0}
        test |= dict(zip(part.world.split.test.tolist(), said[count:], strict=True))
    return Shown(entrant.name, *(tuple(item[row] for row in sorted(item)) for item in (held, test)))


def _said(answers: Answers, names: Sequence[str]) -> list[Answer]:
    shares = answers.probabilities[0]
    return [Answer(names[label], float(shares[label, row])) for row, label in enumerate(answers.classes[0].tolist())]
