"""A runnable pipeline: each member reads features from the inputs and from the members before it.

A row may start in the middle: if it contains the output of a member, that member does not run, and neither does what
only that member needs. This allows predictions and updates with features computed elsewhere, such as a phone's
visionFeaturePrint.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cache
from typing import Any

from coreml_updatable import bounds
from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.io.row import FrozenRow, Row, expect_features, expect_mapping, expect_part
from coreml_updatable.runtime.model import Intermediate, Prediction, RunnableModel, numbered
from coreml_updatable.runtime.part import Part
from coreml_updatable.runtime.steps.suppression import threshold_names
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import pipeline_of

APPLES_OWN = (
    "audioFeaturePrint", "gazetteer", "soundAnalysisPreprocessing", "textClassifier", "visionFeaturePrint",
    "wordEmbedding", "wordTagger",
)  # fmt: skip


class AbsentModel(RunnableModel):
    """A member that cannot run; it only has a description. ``error`` says what a row must contain instead."""

    def __init__(self, message: Model) -> None:
        super().__init__(message)
        self.part = Part(lambda: [message])

    def error(self, index: int) -> ModelError:
        """Why member ``number`` of a pipeline does not run, and what to do."""
        outputs = ", ".join(f"'{feature.name}'" for feature in self.description.output) or "outputs"
        inputs = ", ".join(f"'{feature.name}'" for feature in self.description.input) or "its inputs"
        return ModelError(f"model{index}: {why(self.message)}; give {outputs} in the row instead of {inputs}")

    def _predict(self, _rows: list[Row], _intermediate: Intermediate) -> list[Prediction]:
        raise ModelError(f"model: {why(self.message)}; predict with the models before it")

    def frozen(self, _rows: Sequence[Row], _numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        raise ModelError(f"model: {why(self.message)}; predict with the models before it")


def why(message: Model) -> str:
    """Explain why a model of this kind does not run."""
    kind = message.WhichOneof("Type")
    if kind == "customModel":
        return f"is a custom model ('{message.customModel.className}'), whose code is in an app"
    if kind in APPLES_OWN:
        return f"is a {kind}, whose weights are part of Apple's systems, where alone it runs"
    return f"is a {kind}, a type that cannot be run here"


FEATURE = re.compile(r"feature '([^']*)'")
LAST, MADE = "last", "made"  # what a pipeline's FrozenRow holds: the last member's, and features made before it


class PipelineModel(RunnableModel):
    """A pipeline created by ``load``; see RunnableModel for what it can do. All members but the last are frozen."""

    def __init__(
        self, message: Model, members: Sequence[RunnableModel], assumptions: PredictionAssumptions | None = None
    ) -> None:
        if not members:
            raise ModelError("model: is a pipeline without models; build it again")
        super().__init__(message, assumptions)
        self.members = tuple(members)
        self.assumed = frozenset[str]().union(*(member.assumed for member in members))
        self._assumed_before = frozenset[str]().union(*(member.assumed for member in members[:-1]))
        self.names = [str(name) for name in pipeline_of(message).names]
        self._inputs = {str(feature.name) for feature in message.description.input}
        self._outputs = [str(feature.name) for feature in message.description.output]
        self._reads = [set(_read_by(member)) for member in members]
        self._free = {name for member in members for name in threshold_names(member.message)}
        self._gives = [{str(feature.name) for feature in member.message.description.output} for member in members]
        self._check()
        self._starts = set[str]().union(*self._gives[:-1]) - self._inputs
        self._route = cache(self._find_route)
        self.part = Part(self._content)

    def _written_back(self) -> Model:
        message = copy_of(self.base)
        pipeline_of(message).models[-1].CopyFrom(self.members[-1].message)
        return message

    @property
    def engine(self) -> str:
        return ", ".join(dict.fromkeys(member.engine for member in self.members if member.engine))

    def updated(self, last: RunnableModel) -> "PipelineModel":
        """Return the same pipeline with another last member, which must be derived from this one's."""
        return self._changed(members=(*self.members[:-1], last))

    def under(self, assumptions: PredictionAssumptions, members: Sequence[RunnableModel]) -> "PipelineModel":
        """Return the same pipeline under other assumptions, with the same ``members`` under these."""
        result = copy(self)
        result.assumptions, result.members = assumptions, tuple(members)
        if members[-1].part != self.members[-1].part or not assumptions.predict_alike(
            self.assumptions, self._assumed_before
        ):
            result.part = Part(result._content)
        return result

    def _predict(self, rows: list[Row], intermediate: Intermediate) -> list[Prediction]:
        return self._traced(rows) if intermediate else self._answers(self.frozen(rows))

    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """Return the rows after every member but the last, and after the frozen part of the last."""
        counted = numbered(rows, numbers)
        result = iter(self._freeze([(position, row) for position, row in counted if not isinstance(row, FrozenRow)]))
        for index, row in counted:
            if isinstance(row, FrozenRow):
                expect_part(row, self.part, index)
        return [row if isinstance(row, FrozenRow) else next(result) for row in rows]

    def _freeze(self, rows: Sequence[tuple[int, Any]]) -> list[FrozenRow]:
        known = self._known(rows)
        given = {name for _, row in rows for name in row}
        numbers = [index for index, _ in rows]
        for members, group in self._routes(known):
            for member in members:
                with self._in_terms_of_inputs(given):
                    _run(self.members[member], [known[index] for index in group], [numbers[index] for index in group])
        with self._in_terms_of_inputs(given):
            last = self.members[-1].frozen([_for(self.members[-1], features) for features in known], numbers)
        read = self._inputs | self._starts
        return [
            FrozenRow(
                {LAST: frozen, MADE: {name: features[name] for name in self._outputs if name in features}},
                {name: value for name, value in row.items() if name not in read},
                self.part,
            )
            for frozen, features, (_, row) in zip(last, known, rows, strict=True)
        ]

    def _answers(self, rows: Sequence[FrozenRow]) -> list[Prediction]:
        result = self.members[-1].predict([row.values[LAST] for row in rows])
        return [self._chosen({**row.values[MADE], **answer}) for row, answer in zip(rows, result, strict=True)]

    def _traced(self, rows: Sequence[Row]) -> list[Prediction]:
        for index, row in enumerate(rows):
            if isinstance(row, FrozenRow):
                raise ModelError(
                    f"row {index}: is frozen and no longer has its blobs; pass the complete row to see them"
                )
        known = self._known(list(enumerate(rows)))
        given = {name for row in rows if not isinstance(row, FrozenRow) for name in row}
        traces: list[Prediction] = [{} for _ in known]
        for members, group in self._routes(known):
            for member in (*members, len(self.members) - 1):
                with self._in_terms_of_inputs(given):
                    result = _run(self.members[member], [known[at] for at in group], None)
                for position, blobs in zip(group, result, strict=True):
                    traces[position].update({f"model{member}.{name}": value for name, value in blobs.items()})
        return [{**trace, **self._chosen(features)} for trace, features in zip(traces, known, strict=True)]

    def _known(self, rows: Sequence[tuple[int, Any]]) -> list[dict[str, Any]]:
        """Each row's features, checked against what the members that have to run for it read."""
        description = self.base.description
        inputs = [feature for feature in description.input if not feature.type.isOptional]
        required = [str(feature.name) for feature in inputs if feature.name not in self._free]
        allowed = [
            *(feature.name for feature in description.input),
            *(feature.name for feature in description.trainingInput),
            description.predictedFeatureName,
        ]
        for index, row in rows:
            expect_mapping(row, index)
            given = self._starts & row.keys()
            members, read = self._route(frozenset(given))
            for member in members:
                absent = self.members[member]
                if isinstance(absent, AbsentModel):
                    raise absent.error(member)
            needed = [name for name in required if name in read] if given else required
            expect_features(row, needed, list(dict.fromkeys([*(name for name in allowed if name), *given])), index)
        return [dict(row) for _, row in rows]

    def _routes(self, known: Sequence[dict[str, Any]]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
        """The members to run before the last, and the places of the rows for which just these have to run."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, features in enumerate(known):
            members, _ = self._route(frozenset(self._starts & features.keys()))
            groups.setdefault(members, []).append(index)
        yield from groups.items()

    def _find_route(self, given: frozenset[str]) -> tuple[tuple[int, ...], frozenset[str]]:
        """The members to run before the last for rows that hold these features, and the features that are read."""
        wanted = self._reads[-1] | (set(self._outputs) - self._gives[-1])
        members: list[int] = []
        for index in reversed(range(len(self.members) - 1)):
            if (self._gives[index] - given) & wanted:
                members.append(index)
                wanted = (wanted - self._gives[index]) | self._reads[index]
        return tuple(reversed(members)), frozenset(wanted)

    @contextmanager
    def _in_terms_of_inputs(self, given: Collection[str]) -> Iterator[None]:
        """A DataError about a feature that a member made, where no row has ``given`` it, names what it is made of."""
        try:
            yield
        except DataError as error:
            match = FEATURE.search(str(error))
            if match is None or match[1] in given:
                raise
            origin = self._origin(match[1])
            if origin == match[1]:
                raise
            raise DataError(str(error).replace(match[0], f"feature {origin}", 1)) from error

    def _origin(self, name: str) -> str:
        """Return the inputs that the feature ``name`` is computed from, like "'x'", "'x'[2]" or "'x', 'y'"."""
        if name in self._inputs:
            return f"'{name}'"
        makers = [
            position
            for position, given in enumerate(self._gives)
            if name in given and name not in self._reads[position]
        ]
        if not makers:
            return name
        message = self.members[makers[-1]].message
        origins = dict.fromkeys(self._origin(str(feature.name)) for feature in message.description.input)
        extracted = message.arrayFeatureExtractor.extractIndex
        index = f"[{extracted[0]}]" if len(extracted) == 1 else ""
        return ", ".join(f"{origin}{index}" for origin in origins)

    def _content(self) -> Iterator[Any]:
        """Yield everything that determines the features before the last member's own layers."""
        yield " ".join(getattr(self.assumptions, name) for name in sorted(self._assumed_before))
        yield from self.base.description.input
        yield from self.base.description.output
        yield from (member.message for member in self.members[:-1])
        yield self.members[-1].part.digest

    def _chosen(self, features: Mapping[str, Any]) -> Prediction:
        return {name: _given(features, name) for name in self._outputs}

    def _check(self) -> None:
        """Every member's inputs, and the pipeline's outputs, come from somewhere before."""
        known = set(self._inputs)
        for index, member in enumerate(self.members):
            for feature in member.message.description.input:
                if feature.name not in known and not feature.type.isOptional:
                    raise ModelError(
                        f"model{index}: reads feature '{feature.name}', which is neither an input nor computed by a "
                        "model before it; check the names"
                    )
            known |= self._gives[index]
        for name in self._outputs:
            if name not in known:
                raise ModelError(f"model: no model of the pipeline computes the output '{name}'; check the names")


def _for(member: RunnableModel, features: Mapping[str, Any]) -> dict[str, Any]:
    return {name: features[name] for name in _read_by(member) if name in features}


def _read_by(member: RunnableModel) -> list[str]:
    """The features that a member reads: what it describes as inputs, and thresholds that it only names."""
    described = [str(feature.name) for feature in member.message.description.input]
    return list(dict.fromkeys([*described, *threshold_names(member.message)]))


def _run(member: RunnableModel, known: Sequence[dict[str, Any]], numbers: Sequence[int] | None) -> list[Prediction]:
    """Add the member's outputs to the features of each row. Without ``numbers``, add all its blobs as well."""
    rows = [_for(member, features) for features in known]
    result = (
        member.predict(rows, intermediate=True) if numbers is None else member.predict(member.frozen(rows, numbers))
    )
    outputs = [feature.name for feature in member.message.description.output]
    for features, answer in zip(known, result, strict=True):
        features.update({name: _given(answer, name) for name in outputs})
        held = sum(int(getattr(value, "nbytes", 0)) for value in features.values())
        bounds.expect(held, "model: a row between the models of the pipeline")
    return result


def _given(features: Mapping[str, Any], name: str) -> Any:
    """A member may describe an output that it never gives, such as probabilities that its description does not name."""
    if name not in features:
        raise ModelError(
            f"model: a model of the pipeline describes the output '{name}' but does not compute it; export that "
            "model again"
        )
    return features[name]
