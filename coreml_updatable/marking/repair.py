"""Repair the tail: compute the same outputs with layers through which Core ML can train."""

from collections.abc import Collection
from dataclasses import dataclass, field

from coreml_updatable.checking.ranks import is_rank_5
from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.building_blocks import (
    as_inner_product,
    drop_rank_hints,
    flatten,
    global_average_pooling,
    reshape_static,
    softmax,
)
from coreml_updatable.marking.folding import fold_tail
from coreml_updatable.marking.moves import absorb_transposes
from coreml_updatable.marking.soundness import expect_sound
from coreml_updatable.marking.tail import SOFTMAXES, SPATIAL_RANKS, Tail, channels_of, find_tail, is_reshape, is_vector
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.layer_kinds import passes_gradients
from coreml_updatable.spec.layer_shapes import Shape, layer_shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count


def repair_tail(model: Model, *, classify: bool = True) -> tuple[Model, list[str]]:
    """Return the classifier ``model`` with a tail of rank 4 that ends in a ``softmax``, and one line for each repair.

    ``reshapeStatic``, ``squeeze`` and similar layers become ``flatten`` (channel first) or, if the data are numbers, a
    ``reshapeStatic`` to [1, C, 1, 1]; ``softmaxND`` becomes ``softmax``; logits get a ``softmax``; a mean over height
    and width becomes average pooling; a ``batchedMatmul`` with weights becomes an ``innerProduct``; a ``bias`` or
    ``scale`` is folded into the layer before it; a ``transpose`` is removed. The probabilities stay the same, and so
    does the shape of a plain network's output. Repairing twice changes nothing. For a loss on values (``classify`` is
    False), there is no softmax, and the rank changes only where a layer of the tail blocks the gradient.

    Raises ModelError if the output cannot be that of a softmax.
    """
    expect_sound(model)
    repaired = copy_of(model)
    notes = [*fold_tail(repaired, classify=classify), *absorb_transposes(repaired)]
    tail = find_tail(repaired)
    layers = network_of(repaired).layers
    if not classify and all(passes_gradients(layers[layer]) for layer in tail.layers):
        return repaired, notes
    work = _Repair(repaired, tail, blob_shapes(repaired), classify)
    replaced = {layer: work.rewrite(layer, layers[layer]) for layer in tail.layers}
    replaced = _with_end(work, replaced)
    if not work.notes:
        return repaired, notes
    rewritten = [new for index, layer in enumerate(layers) for new in replaced.get(index, [layer])]
    kept = [copy_of(layer) for layer in rewritten]
    del layers[:]
    layers.extend(kept)
    drop_rank_hints(layers, {blob for index in replaced for new in replaced[index] for blob in new.output})
    return repaired, [*notes, *work.notes]


@dataclass
class _Repair:
    """The state of the walk along the tail: the blob with the data, and its shape."""

    model: Model
    tail: Tail
    shapes: dict[str, Shape]
    classify: bool
    blob: str = ""
    shape: Shape | None = None
    notes: list[str] = field(default_factory=list)
    after_softmax: bool = False
    flat: bool = False  # a flatten was written, nothing but vectors comes after it

    def __post_init__(self) -> None:
        self.blob, self.shape = self.tail.source, self.shapes.get(self.tail.source)
        if self.shape is None and is_rank_5(network_of(self.model)):
            self.shape = (None,) * 5  # of every blob there, and a reshapeStatic would be too new

    def rewrite(self, index: int, layer: NeuralNetworkLayer) -> list[NeuralNetworkLayer]:
        """Return the replacement for ``layer``; empty if the data already has the shape that it would produce."""
        kind, where = layer_kind(layer), place(index, layer)
        if self.after_softmax:
            return self._behind_softmax(kind, where, layer)
        if is_reshape(layer, self.shapes):
            return self._reshape(where, layer)
        if kind == "reduceMean" and self._spatial():
            return self._mean(where, layer)
        before = [] if self._spatial() else [self._to_rank_4(where, layer)]
        if kind in SOFTMAXES:
            self.after_softmax = True
            return [*before, *self._softmax(where, layer)]
        if kind == "batchedMatmul":
            self.notes.append(f"{where}: batchedMatmul with weights became innerProduct, which can be updated")
            return [*before, self._follow(as_inner_product(layer))]
        return [*before, self._follow(layer)]

    def _spatial(self) -> bool:
        return self.shape is not None and len(self.shape) in SPATIAL_RANKS

    def _follow(self, layer: NeuralNetworkLayer) -> NeuralNetworkLayer:
        """Return ``layer``, reading the data from its new blob."""
        moved = copy_of(layer)
        moved.input[:] = [self.blob]
        self.shape = layer_shape(moved, [self.shape])
        self.blob = str(moved.output[0])
        return moved

    def _reshape(self, where: str, layer: NeuralNetworkLayer) -> list[NeuralNetworkLayer]:
        name, result = str(layer.name), str(layer.output[0])
        if self._spatial():
            if layer_kind(layer) == "flatten" or self._shapes_the_answer(layer):
                return [self._follow(layer)]
            if self.flat and result != self.tail.answer:
                self.notes.append(f"{where}: {layer_kind(layer)} was removed, because the data is already flat")
                return []
            self.flat = True
            self.notes.append(f"{where}: {layer_kind(layer)} became flatten, which keeps the rank")
            return [self._follow(flatten(name, self.blob, result))]
        channels = channels_of(self.shapes[result])
        target = [1, channels, 1, 1]
        if self.shapes[result] == tuple(target) and layer_kind(layer) == "reshapeStatic":
            return [self._follow(layer)]
        self.notes.append(
            f"{where}: {layer_kind(layer)} now outputs [1, {channels}, 1, 1], so that softmax works on the classes"
        )
        return [self._follow(reshape_static(name, self.blob, result, target))]

    def _shapes_the_answer(self, layer: NeuralNetworkLayer) -> bool:
        """Return whether a last reshape follows the values that the loss reads."""
        return not self.classify and layer_kind(layer) == "reshapeStatic" and layer.output[0] == self.tail.answer

    def _mean(self, where: str, layer: NeuralNetworkLayer) -> list[NeuralNetworkLayer]:
        shape = self.shape or ()
        if {int(axis) % len(shape) for axis in layer.reduceMean.axes} != {len(shape) - 2, len(shape) - 1}:
            raise ModelError(
                f"{where}: is a mean over other axes, expected height and width; export a network with a head that "
                "works on [N, C]"
            )
        self.notes.append(f"{where}: the mean over height and width became average pooling, which keeps the rank")
        return [self._follow(global_average_pooling(str(layer.name), self.blob, str(layer.output[0])))]

    def _to_rank_4(self, where: str, layer: NeuralNetworkLayer) -> NeuralNetworkLayer:
        channels = element_count(self.shape) if self.shape is not None else None
        expected = _input_channels(layer)
        if channels is None:
            channels = expected
        if channels is None or expected not in (None, channels):
            actual = "unknown" if self.shape is None else str(list(self.shape))
            raise ModelError(
                f"{where}: its input has the shape {actual}, expected one vector per row; export with a fixed input "
                "shape and batch size 1"
            )
        self.notes.append(
            f"{where}: its input is reshaped to [1, {channels}, 1, 1], so that softmax works on the classes"
        )
        name = f"{layer.name}_rank4"
        result = _free(f"{layer.output[0]}_rank4", network_of(self.model))
        added = reshape_static(name, self.blob, result, [1, channels, 1, 1])
        return self._follow(added)

    def _softmax(self, where: str, layer: NeuralNetworkLayer) -> list[NeuralNetworkLayer]:
        if not self.classify:
            raise ModelError(
                f"{where}: is {with_article(layer_kind(layer))}, which cannot be trained with squared error; train "
                "it with categorical_cross_entropy"
            )
        before = self.shapes.get(str(layer.input[0]))
        if layer_kind(layer) == "softmax":
            if before is not None and len(before) == 3:
                self._expect_classes_alone(where, before)
            return [self._follow(layer)]
        axis = int(layer.softmaxND.axis)
        if before is not None and len(before) not in SPATIAL_RANKS:
            self._expect_classes_alone(where, before)
        if not _holds_all(before, axis):  # else the order is all that matters, wherever the classes stand
            from_behind = 3 if before is not None and len(before) in SPATIAL_RANKS else 1
            class_axis = (-from_behind, 1 if before is None else len(before) - from_behind)
            if axis not in class_axis:
                raise ModelError(
                    f"{where}: works along axis {axis}, but the classes are on axis {class_axis[1]}; export the "
                    "model with a softmax over the classes"
                )
        moved = []
        if before is not None and self.shape is not None and self.shape[-3] != element_count(before):
            moved = [self._to_rank_4(where, layer)] if is_vector(before) else []
        self.notes.append(f"{where}: softmaxND became softmax, because the loss accepts only that")
        return [*moved, self._follow(softmax(str(layer.name), self.blob, str(layer.output[0])))]

    def _expect_classes_alone(self, where: str, shape: Shape) -> None:
        """Where other lengths than that of the classes are not 1, one vector a row would be another softmax."""
        if not is_vector(shape):
            lengths = [length if length is not None else "?" for length in shape]
            raise ModelError(
                f"{where}: is a softmax of shape {lengths}, expected only the length of the classes to be more than "
                "1; export a classifier with one prediction per row"
            )
        if len(shape) == 3 and shape[0] not in (1, None):
            self.notes.append(
                f"{where}: its classes were on axis -3 at rank 3, where devices reportedly use the last axis "
                "(coremltools #1714)"
            )

    def _behind_softmax(self, kind: str, where: str, layer: NeuralNetworkLayer) -> list[NeuralNetworkLayer]:
        if not self._classifies():
            return [self._follow(layer)]
        if kind == "unary":
            self.notes.append(f"{where}: the logarithm was removed, because a classifier outputs probabilities")
        elif is_reshape(layer, self.shapes):
            self.notes.append(
                f"{where}: {kind} after the softmax was removed, because the probabilities of a classifier have no "
                "shape"
            )
        else:
            raise ModelError(
                f"{where}: {kind} after the softmax, expected the softmax to be the output; export the network "
                "without it"
            )
        return []

    def _classifies(self) -> bool:
        return bool(self.model.WhichOneof("Type") == "neuralNetworkClassifier")


def _holds_all(shape: Shape | None, axis: int) -> bool:
    """Return whether all other lengths are 1, so that a softmax along ``axis`` covers all numbers of the row."""
    if shape is None or not is_vector(shape) or not -len(shape) <= axis < len(shape):
        return False
    return shape[axis] == element_count(shape)


def _with_end(work: _Repair, replaced: dict[int, list[NeuralNetworkLayer]]) -> dict[int, list[NeuralNetworkLayer]]:
    """Make the output blob hold the softmax, and keep the shape of a plain network's output."""
    tail, model = work.tail, work.model
    network = network_of(model)
    if work.classify:
        _refuse_non_logits(work)
    last = tail.layers[-1] if tail.layers else _writer(model, tail.answer)
    end = replaced.setdefault(last, [copy_of(network.layers[last])])
    if not work.after_softmax and work.classify:
        logits = _free(f"{tail.answer}_logits", network)
        _rename_output(replaced, work.blob, logits)
        if not work._spatial() and work.shape is not None:
            raise ModelError(
                f"{place(last, network.layers[last])}: computes the output, expected a trainable linear layer or "
                "convolution; export the network with one (two that are added or averaged can be merged: add or "
                "average their weights)"
            )
        if not work._spatial():
            raise ModelError(
                f"{place(last, network.layers[last])}: the rank of its output is unknown, expected 4; export with a "
                "fixed input shape"
            )
        end.append(softmax(_free("softmax", network, names=True), logits, tail.answer))
        work.blob = tail.answer
        work.notes.append(f"{place(last, network.layers[last])}: computes logits; a softmax was added after it")
    elif work.blob != tail.answer:  # layers behind the softmax were dropped
        _rename_output(replaced, work.blob, tail.answer)
    original = work.shapes.get(tail.answer)
    final = work.shape
    changed = original is not None and final is not None and len(original) != len(final)
    if work.notes and changed and not work._classifies() and original is not None and None not in original:
        result = {str(blob) for layers in replaced.values() for layer in layers for blob in layer.output}
        probabilities = _free(f"{tail.answer}_rank4", network, result)
        _rename_output(replaced, tail.answer, probabilities)
        lengths = [n for n in original if n is not None]
        end.append(reshape_static(_free("output_shape", network, names=True), probabilities, tail.answer, lengths))
    return replaced


def _refuse_non_logits(work: _Repair) -> None:
    layers = network_of(work.model).layers
    last = layers[_writer(work.model, work.tail.answer)]
    if work.after_softmax:
        return
    if layer_kind(last) == "activation" and last.activation.WhichOneof("NonlinearityType") not in (
        "linear",
        "ReLU",
        "leakyReLU",
    ):
        result = str(last.activation.WhichOneof("NonlinearityType"))
        advice = "" if work._classifies() else ". Without labels, --loss mean_squared_error trains it on values"
        raise ModelError(
            f"network: ends in {result}, expected logits or a softmax{_several(work, result)}; make a new head with a "
            f"softmax (mark --head new --labels a,b), or export the network without the {result}{advice}"
        )
    shape = work.shape
    if shape is not None and len(shape) in SPATIAL_RANKS and any(n not in (1, None) for n in shape[-2:]):
        raise ModelError(
            f"network: outputs a map of shape {list(shape)}, expected one number per class; use a classifier"
        )


def _several(work: _Repair, result: str) -> str:
    """Explain why the sigmoids of several labels are not a softmax."""
    count = element_count(work.shape) if work.shape is not None else None
    if result != "sigmoid" or count in (None, 1):
        return ""
    return (
        f". These are {count} independent labels (multi-label), but Core ML trains classifiers with probabilities "
        "that sum to 1"
    )


def _writer(model: Model, blob: str) -> int:
    layers = network_of(model).layers
    return next(index for index, layer in enumerate(layers) if blob in layer.output)


def _rename_output(replaced: dict[int, list[NeuralNetworkLayer]], old: str, new: str) -> None:
    for layers in replaced.values():
        for layer in layers:
            layer.output[:] = [new if blob == old else blob for blob in layer.output]
            layer.input[:] = [new if blob == old else blob for blob in layer.input]


def _free(wanted: str, network: Model, result: Collection[str] = (), *, names: bool = False) -> str:
    """Return ``wanted``, with a number appended if ``network`` or the blobs ``made`` already use it."""
    layers = network.layers
    taken = {str(x.name) for x in layers} if names else {str(b) for x in layers for b in (*x.input, *x.output)}
    taken.update(result)
    index, name = 1, wanted
    while name in taken:
        index, name = index + 1, f"{wanted}{index + 1}"
    return name


def _input_channels(layer: NeuralNetworkLayer) -> int | None:
    match layer_kind(layer):
        case "innerProduct":
            return int(layer.innerProduct.inputChannels)
        case "batchedMatmul":
            return int(layer.batchedMatmul.weightMatrixFirstDimension)
    return None
