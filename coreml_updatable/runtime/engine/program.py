"""A sequence of built layers that reads blobs and writes blobs, for one row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.engine import work
from coreml_updatable.runtime.engine.graph import reads, writes
from coreml_updatable.runtime.layers import build_layer
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.shapes import MAX_AXES


@dataclass(frozen=True)
class Step:
    """One layer: its module, and the blobs it reads and writes (those of nested networks included)."""

    layer: NeuralNetworkLayer
    module: nn.Module
    reads: frozenset[str]
    writes: frozenset[str]


class NestedNetwork(nn.Module):
    """The layers of a nested network; it runs on the dictionary of blobs and adds its own blobs to it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = tuple(steps)
        self.inner = nn.ModuleList([step.module for step in steps])

    def forward(self, blobs: dict[str, Tensor]) -> None:
        for step in self.steps:
            run_step(step, blobs)
            values = sum(blobs[blob].numel() for blob in step.layer.output if blob in blobs)
            work.count(1 + values // work.VALUES, f"layer '{step.layer.name}'")


class Program:
    """Steps with named inputs and outputs. A blob is freed after its last reader, unless it is an output.

    An output that is written only by a branch that was not taken is omitted.
    """

    def __init__(self, steps: Sequence[Step], outputs: Sequence[str]) -> None:
        self.steps = tuple(steps)
        self.outputs = tuple(outputs)
        self._dropped = _last_uses(self.steps, self.outputs)
        self._spare = _spare(self.steps, self.outputs)

    def __call__(self, inputs: Mapping[str, Tensor], *, in_place: bool = False) -> dict[str, Tensor]:
        """``in_place``: an activation may write into the memory of a blob that nothing else reads; only without
        gradients."""
        blobs = dict(inputs)
        work.start()
        for step, dropped, spare in zip(self.steps, self._dropped, self._spare, strict=True):
            run_step(step, blobs, in_place=in_place and spare)
            for blob in dropped:
                blobs.pop(blob, None)
        return {blob: blobs[blob] for blob in self.outputs if blob in blobs}


def run_step(step: Step, blobs: dict[str, Tensor], *, in_place: bool = False) -> None:
    """Run one layer; if torch refuses it, raise an error of one sentence that names the layer and the shapes."""
    layer = step.layer
    for blob in layer.input:
        if blob not in blobs:
            raise ModelError(
                f"layer '{layer.name}': reads blob '{blob}', which no layer has written yet; check the branches "
                "before it"
            )
    try:
        with bounds.located(f"layer '{layer.name}'"):
            if getattr(step.module, "scoped", False):
                step.module(blobs)
                return
            function = getattr(step.module, "in_place", None) if in_place else None
            result = (function or step.module)(*(blobs[blob] for blob in layer.input))
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        shapes = ", ".join(f"'{blob}' {list(blobs[blob].shape)}" for blob in layer.input)
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ModelError(
            f"layer '{layer.name}': cannot take {shapes} ({reason}); check the layers before it"
        ) from error
    values = result if isinstance(result, tuple) else (result,)
    if len(values) != len(layer.output):
        raise ModelError(
            f"layer '{layer.name}': has {len(layer.output)} outputs, expected {len(values)}; export it again"
        )
    most = max(value.dim() for value in values)
    if most > MAX_AXES:
        raise ModelError(f"layer '{layer.name}': makes a blob of {most} axes, expected at most {MAX_AXES}")
    blobs.update(zip(layer.output, values, strict=True))


def build_steps(layers: Sequence[NeuralNetworkLayer], assumptions: PredictionAssumptions | None = None) -> list[Step]:
    """Build every layer and decode its weights."""
    return [_step(layer, assumptions or PredictionAssumptions()) for layer in layers]


def _step(layer: NeuralNetworkLayer, assumptions: PredictionAssumptions) -> Step:
    def network(message: NeuralNetwork) -> nn.Module:
        return NestedNetwork(build_steps(message.layers, assumptions))

    with bounds.located(f"layer '{layer.name}'"):
        module = build_layer(layer, Context(layer, network, assumptions)).eval()
    return Step(layer, module, frozenset(reads(layer)), frozenset(writes(layer)))


def _last_uses(steps: Sequence[Step], outputs: Sequence[str]) -> list[set[str]]:
    """Return, for each step, the blobs that neither a later step nor the outputs need."""
    needed = set(outputs)
    dropped: list[set[str]] = []
    for step in reversed(steps):
        here = step.reads | step.writes
        dropped.append(set(here - needed))
        needed |= here
    return dropped[::-1]


def _spare(steps: Sequence[Step], outputs: Sequence[str]) -> list[bool]:
    """Return whether each step may overwrite its input, which has its own memory (``fresh``) and no other reader."""
    readers = Counter(blob for step in steps for blob in step.reads)
    fresh: set[str] = set()
    result = []
    for step in steps:
        result.append(len(step.reads) == 1 and all(readers[blob] == 1 and blob in fresh for blob in step.reads))
        fresh -= step.writes
        if getattr(step.module, "fresh", False):
            fresh |= step.writes - set(outputs)
    return result
