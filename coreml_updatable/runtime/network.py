"""A runnable neural network: plain, classifier or regressor.

It has two parts: the frozen layers, which run once per row, and the trainable ones: the updatable
layers and all layers that depend on them. Models that come from an update share the frozen part.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from coreml_updatable import bounds
from coreml_updatable.runtime.assumptions import OF_NETWORKS, PredictionAssumptions
from coreml_updatable.runtime.engine.batched import Batched, Blobs, alike, in_parts, most_rows, same_shapes
from coreml_updatable.runtime.engine.graph import check_graph, partition
from coreml_updatable.runtime.engine.program import Program, Step, build_steps
from coreml_updatable.runtime.engine.weighing import weighed
from coreml_updatable.runtime.engine.weights import NewWeights, with_weights, written_back
from coreml_updatable.runtime.io.inputs import NetworkInputs
from coreml_updatable.runtime.io.outputs import Outputs
from coreml_updatable.runtime.io.row import FrozenRow, Row, expect_part
from coreml_updatable.runtime.model import Intermediate, Prediction, RunnableModel, numbered
from coreml_updatable.runtime.part import Part
from coreml_updatable.spec.graph import inner_networks, layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.threads import usable

if torch.get_num_threads() > usable():  # torch counts the machine's processors, not those of a container
    torch.set_num_threads(usable())


class NetworkModel(RunnableModel):
    """A network created by ``load``; see RunnableModel for what it can do."""

    def __init__(self, message: Model, assumptions: PredictionAssumptions | None = None) -> None:
        super().__init__(message, assumptions)
        network = network_of(message)
        self._new: NewWeights = {}
        self._outputs = Outputs(message)
        self._inputs = NetworkInputs(message, network)
        check_graph(network.layers, self._inputs.names, self._outputs.blobs)
        with bounds.bounded("model") as run, weighed():
            steps, parts = build_steps(network.layers, self.assumptions), partition(network.layers)
        self.assumed = OF_NETWORKS if _has_softmax(network.layers) else frozenset()
        self._constants = run.held  # bytes that layers made of what the file only states
        self._weights = sum(parameter.numel() for step in steps for parameter in step.module.parameters())
        self.fixed_steps = [steps[index] for index in parts.frozen]
        self.trainable_steps = [steps[index] for index in parts.trainable]
        wanted = {*self._outputs.blobs, *_read(self.trainable_steps)}
        self.crossing = tuple(sorted({*self._inputs.names, *_written(self.fixed_steps)} & wanted))
        self.part = Part(self._content)
        self._frozen = Batched(
            Program(self.fixed_steps, self.crossing), optimize=True, content=lambda: self.part.digest
        )
        self._tail = self._after()

    def _written_back(self) -> Model:
        return written_back(self.base, self._new)

    @property
    def engine(self) -> str:
        return self._frozen.engine

    @property
    def engine_refused(self) -> str:
        """Why no faster engine runs the fixed part, where one was tried; else empty."""
        return self._frozen.reason

    def updated(self, weights: NewWeights) -> "NetworkModel":
        """Return the same model with other weights in its updatable layers. It shares the frozen part."""
        steps = with_weights(self.trainable_steps, weights)
        model = self._changed(_new={**self._new, **weights}, trainable_steps=steps)
        model._tail = model._after()
        return model

    def _after(self) -> Batched:
        """The trainable part, from the crossing blobs to those of the answers."""
        late = _written(self.trainable_steps)
        wanted = [blob for blob in self._outputs.blobs if blob in late]
        return Batched(Program(self.trainable_steps, wanted), optimize=False)

    def _content(self) -> Iterator[Any]:
        """Describe the frozen part: its computation, its inputs, and the blobs that it passes on."""
        network = network_of(self.base)
        yield from self.base.description.input
        yield from network.preprocessing
        yield f"{network.arrayInputShapeMapping} {network.imageInputShapeMapping} {self.crossing}"
        layers = [step.layer for step in self.fixed_steps]
        yield self.assumptions.softmax_at_rank_3 if _has_softmax(layers) else ""
        yield from layers

    def _predict(self, rows: list[Row], intermediate: Intermediate) -> list[Prediction]:
        frozen, tail = self._frozen, self._tail
        if intermediate:
            early, late = {*self._inputs.names, *_written(self.fixed_steps)}, _written(self.trainable_steps)
            if not isinstance(intermediate, bool):
                needed = {*intermediate, *self.crossing, *self._outputs.blobs}
                early, late = early & needed, late & needed
            frozen = Batched(Program(self.fixed_steps, sorted(early)), optimize=False)
            tail = Batched(Program(self.trainable_steps, sorted(late)), optimize=False)
        answers = []
        with torch.no_grad(), self._bounded(len(rows)):
            halfway = (blobs for blobs, _ in self._halfway(numbered(rows, None), frozen))
            for index, (early_blobs, late_blobs) in enumerate(self._late(halfway, tail)):
                written = {**early_blobs, **late_blobs}
                shown = written if intermediate else {n: written[n] for n in self._outputs.blobs if n in written}
                _expect_copies(shown.values())
                blobs = {name: blob.detach().numpy().copy() for name, blob in shown.items()}
                answers.append({**(blobs if intermediate else {}), **self._outputs.answer(blobs, index)})
        return answers

    def _bounded(self, rows: int) -> AbstractContextManager[bounds.Run]:
        return bounds.bounded("model", rows, self._weights, self._constants)

    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """Return the rows after the frozen layers, in batches."""
        frozen = []
        with torch.no_grad(), self._bounded(len(rows)):
            for row, (blobs, features) in zip(rows, self._halfway(numbered(rows, numbers), self._frozen), strict=True):
                if isinstance(row, FrozenRow):
                    frozen.append(row)
                    continue
                _expect_copies(blobs.values())
                frozen.append(FrozenRow({name: blob.clone() for name, blob in blobs.items()}, features, self.part))
        return frozen

    def _late(self, rows: Iterable[Blobs], tail: Batched) -> Iterator[tuple[Blobs, Blobs]]:
        """Each row, and what the trainable part makes of it. No more rows are held than run together."""
        if not tail.program.outputs:
            yield from ((row, {}) for row in rows)
            return
        for block in alike(rows):
            read = [{name: row[name] for name in self.crossing if name in row} for row in block]
            yield from zip(block, in_parts(tail, read), strict=True)

    def _halfway(self, rows: Sequence[tuple[int, Row]], frozen: Batched) -> Iterator[tuple[Blobs, Mapping[str, Any]]]:
        """Each row's blobs after the frozen part, and its other features."""
        position = 0
        while position < len(rows):
            index, row = rows[position]
            if isinstance(row, FrozenRow):
                expect_part(row, self.part, index)
                yield dict(row.values), row.features
                position += 1
                continue
            block, features = self._block(rows, position)
            position += len(block)
            yield from zip(in_parts(frozen, block, len(rows) - position), features, strict=True)

    def _block(self, rows: Sequence[tuple[int, Row]], start: int) -> tuple[list[Blobs], list[dict[str, Any]]]:
        """The input blobs of plain rows from ``start`` on, as many of one shape as a block holds."""
        block: list[Blobs] = []
        features: list[dict[str, Any]] = []
        places: Blobs | None = None  # of the whole block, so that it need not be stacked
        most = len(rows) - start
        for position in range(start, len(rows)):
            index, row = rows[position]
            if isinstance(row, FrozenRow) or len(block) == most:
                break
            place = None if places is None else {name: places[name][len(block)] for name in places}
            blobs = self._inputs.tensors(row, index, place)
            if block and not same_shapes(blobs, block[0]):
                break
            if not block:
                most = min(most, most_rows(blobs))
                if most > 1:
                    places = {name: torch.empty((most, *blob.shape), dtype=blob.dtype) for name, blob in blobs.items()}
                    blobs = {name: places[name][0].copy_(blob) for name, blob in blobs.items()}
            block.append(blobs)
            features.append({name: value for name, value in row.items() if name not in blobs})
        return block, features


def _has_softmax(layers: Iterable[NeuralNetworkLayer]) -> bool:
    """Whether ``softmax_at_rank_3`` is about some of them, inner layers too."""
    return any(
        layer_kind(layer) == "softmax" or any(_has_softmax(inner.layers) for _, inner in inner_networks(layer))
        for layer in layers
    )


def _read(steps: Sequence[Step]) -> set[str]:
    return set[str]().union(*(step.reads for step in steps))


def _written(steps: Sequence[Step]) -> set[str]:
    return set[str]().union(*(step.writes for step in steps))


def _expect_copies(blobs: Iterable[Tensor]) -> None:
    """The blobs of one row, and copies of them for whoever keeps them."""
    bounds.expect_alone(2 * sum(blob.nbytes for blob in blobs), "model")
