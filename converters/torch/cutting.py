"""A new head for other labels: the extractor ends where the old head begins, and one linear layer follows."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import Input
from coreml_updatable.errors import SourceError

from .graph import Graph, all_through, batch_of, graph_of, layer_name, value_of
from .head_layer import CONVOLUTIONS, HeadLayer, averaged, head_layer_at, head_layer_of, layers_of
from .meaning import LAYERS, RESHAPING, meaning_of
from .several_heads import embedding, embeddings
from .tracing import example

LISTED = 6
ANSWER = "the answer"


class _Reached(Exception):  # noqa: N818 - it is no error: the extractor ends here
    def __init__(self, features: Any) -> None:
        super().__init__()
        self.features = features


def with_new_head(
    network: nn.Module, inputs: Sequence[Input], request: SourceRequest, inside: nn.Module, in_front_of: str = ""
) -> tuple[nn.Module, str, Mapping[str, Any]]:
    """Return ``network`` with one new layer for the labels in place of its head, a note about it, and facts.

    ``network`` takes a batch of each input and returns one tensor. ``in_front_of`` names the part before which it
    already ends. The extractor ends before ``request.cut``, a
    module of ``inside`` or a layer of the graph; else before the last layer that all outputs pass through. If there is
    none and the output is an embedding, the new layer follows it. Feature maps are averaged over height and width.
    """
    if len(request.labels) < 2:
        raise SourceError(
            f"labels: found {len(request.labels)} for a new head, expected two or more; pass --labels a,b,..."
        )
    batches = [batch_of(given, example(given)) for given in inputs]
    modules = {} if isinstance(inside, torch.jit.ScriptModule) else dict(inside.named_modules())
    if in_front_of:
        name = in_front_of
        graph = graph_of(network, inputs)
        result: Any = _behind(graph, graph.answer, None, batches, name, len(request.labels))
    elif request.cut and request.cut in modules:
        name, result = request.cut, _cut(network, request.cut, modules[request.cut], batches, len(request.labels))
    else:
        graph = graph_of(network, inputs)
        name, result = _cut_graph(graph, network, inside, request, batches)
    width = result.head.in_features
    note = (
        f"the head is new, after the {width} features before {name!r}; its predictions are random until it is trained"
    )
    if name == ANSWER:
        note = (
            f"the head is new, after the {width} numbers that the source returns; its predictions are random until "
            "it is trained"
        )
    return result, note, {"features": width, "cut": name}


def _cut_graph(
    graph: Graph, network: nn.Module, inside: nn.Module, request: SourceRequest, batches: Sequence[Tensor]
) -> tuple[str, Any]:
    names = {value: layer_name(graph, value, network, inside) for value in layers_of(graph)}
    wanted = [value for value, name in names.items() if _is_in(name, request.cut)]
    if request.cut and not wanted:
        known = list(dict.fromkeys([*(one for one, _ in inside.named_modules() if one), *names.values()]))
        near = get_close_matches(request.cut, known, n=LISTED, cutoff=0.4) or known[-LISTED:]
        raise SourceError(f"--cut {request.cut}: the network has no module with that name; it has {', '.join(near)}")
    meaning = meaning_of(graph)
    answer: Tensor = value_of(graph, batches, graph.answer)
    if not wanted and (meaning.kind in ("features", "unit") or _is_feature_map(graph, answer)):
        return ANSWER, _behind(graph, graph.answer, None, batches, ANSWER, len(request.labels))
    picked = meaning.kind == "chosen" or not answer.is_floating_point()  # the number of a class, not one for each
    count = 0 if picked else answer.numel()
    value = wanted[0] if wanted else _head(graph, names, count)
    read = embeddings(graph, graph.answer, count) if value is None else ()
    if read:
        where = "the heads"
        return where, _on(lambda batches: embedding(graph, read, batches), batches, where, len(request.labels))
    if value is None:
        listed = ", ".join(repr(name) for name in list(names.values())[-LISTED:]) or "none"
        raise SourceError(
            f"found no head: no linear layer or convolution alone computes the {answer.numel()} outputs; choose the "
            f"module before which to cut with --cut, such as {listed}"
        )
    head = head_layer_of(graph, meaning.scores) if meaning.scores else None
    head = head if head is not None and head.layer == value else head_layer_at(graph, value)
    assert head is not None  # it is one of layers_of
    where = request.cut or names[value]
    return where, _behind(graph, head.features, head, batches, where, len(request.labels))


def _is_feature_map(graph: Graph, answer: Tensor) -> bool:
    """Return whether the output is a map or a sequence that no layer computes directly: a network without its top."""
    name = graph.answer
    while graph.kind(name) in RESHAPING:
        name = graph.data(name)[0]
    return answer.numel() != max(answer.shape, default=1) and graph.kind(name) not in LAYERS


def _is_in(name: str, part: str) -> bool:
    return bool(part) and (name == part or name.startswith(f"{part}."))


def _head(graph: Graph, names: Mapping[str, str], count: int) -> str | None:
    """Return the last layer that computes as many numbers as there are outputs and that all outputs depend on.

    Otherwise the last layer of all, if all outputs depend on it.
    """
    for value in reversed(list(names)):
        sizes, kind = graph.sizes(value) or [], graph.kind(value)
        wide = sizes[1 if kind in CONVOLUTIONS else -1] if len(sizes) > 1 else 0
        if wide == count and all_through(graph, value):
            return value
    last = next(reversed(list(names)), None)
    return last if last is not None and all_through(graph, last) else None


def _behind(
    graph: Graph, value: str, old: HeadLayer | None, batches: Sequence[Tensor], where: str, classes: int
) -> nn.Module:
    """The part of ``graph`` up to ``value``, as one vector, and a new layer after it."""

    def vector(batches: Sequence[Tensor]) -> Tensor:
        seen: Tensor = value_of(graph, batches, value)
        if old is not None and seen.ndim == 3 and graph.kind(old.layer) not in CONVOLUTIONS:
            seen = averaged(graph, old, seen)  # a layer on each step of a sequence, and the mean or a step of it
        elif seen.ndim == 3:
            seen = seen.mean(2)
        elif seen.ndim in (4, 5):
            seen = adaptive_avg_pool2d(seen, 1).flatten(1) if seen.ndim == 4 else seen.flatten(2).mean(2)
        return seen.flatten(1) if value == graph.answer else seen

    return _on(vector, batches, where, classes)


def _on(
    vector: Callable[[Sequence[Tensor]], Tensor],
    batches: Sequence[Tensor],
    where: str,
    classes: int,
    network: nn.Module | None = None,
) -> nn.Module:
    """The network that answers with a new layer on ``vector``; ``network``: the module whose weights that uses."""
    with torch.no_grad():
        features = vector(batches)
    if features is None:
        raise SourceError(f"--cut {where}: this module does not run; choose another")
    if not isinstance(features, Tensor) or features.ndim not in (2, 4):
        raise SourceError(
            f"--cut {where}: its input has the shape {_shape(features)}, expected [1, features] or [1, channels, "
            "height, width]; choose a later module"
        )

    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.head = nn.Linear(features.shape[1], classes)

        def forward(self, *batches: Tensor) -> Tensor:
            answer: Tensor = self.head(vector(batches))
            return answer

    return WithHead().eval()


def _cut(network: nn.Module, name: str, module: nn.Module, batches: Sequence[Tensor], classes: int) -> Any:
    """The part of ``network`` up to ``module``, and a new layer after it."""

    def vector(batches: Sequence[Tensor]) -> Any:
        seen = _until(network, module, batches)
        is_map = isinstance(seen, Tensor) and seen.ndim == 4
        return adaptive_avg_pool2d(seen, 1).flatten(1) if is_map else seen

    return _on(vector, batches, name, classes, network)


def _until(network: nn.Module, module: nn.Module, batches: Sequence[Tensor]) -> Any:
    """Return the first input of ``module``; nothing after it runs. None if it is never reached."""

    def stop(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        raise _Reached(inputs[0] if inputs else None)

    hook = module.register_forward_pre_hook(stop)
    try:
        network(*batches)
    except _Reached as reached:
        return reached.features
    finally:
        hook.remove()
    return None


def _shape(features: Any) -> object:
    return list(features.shape) if isinstance(features, Tensor) else type(features).__name__
