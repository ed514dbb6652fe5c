"""A fresh head for other labels: the extractor ends where the old head begins, and one linear layer follows."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.conversion import ImageInput, SourceRequest
from coreml_updatable.errors import SourceError

from .torch_given import Given
from .torch_heads import layers_that_run
from .torch_tracing import example
from .torch_wording import first_line

LISTED = 6


class _Reached(Exception):  # noqa: N818 - it is no error: the extractor ends here
    def __init__(self, features: Any) -> None:
        super().__init__()
        self.features = features


def with_head(given: Given, request: SourceRequest) -> Given:
    """``given`` as it is, or with one new layer for the labels where the request wants that.

    The extractor ends in front of the module ``request.cut``, or of the last layer through which every answer goes;
    features that are pictures are averaged over height and width first, as SqueezeNet's are.
    """
    if request.head == "keep":
        return given
    if len(request.labels) < 2:
        raise SourceError(f"labels: {len(request.labels)} for a new head, expected two or more; say --labels a,b,...")
    if any(isinstance(module, torch.jit.ScriptModule) for module in given.network.modules()):
        raise SourceError(
            "the source is compiled and can not be cut; convert it as it is, and then: coreml-updatable mark "
            "MODEL --head new --labels ..."
        )
    network = given.network.eval()
    batches = [_batch(one, given.channels_last) for one in given.inputs]
    name = request.cut or _head(network, batches)
    made = _cut(network, name, batches, len(request.labels))
    width = made.head.in_features
    note = f"the head is new, behind the {width} features in front of {name!r}: it knows nothing until it is trained"
    facts = {**given.facts, "features": width, "cut": name}
    reference = f"{given.reference} with a new head"
    notes = (*given.notes, note)
    return replace(given, network=made, original=None, reference=reference, labels=(), notes=notes, facts=facts)


def _batch(given: Any, channels_last: bool) -> Tensor:
    row = example(given)
    if isinstance(given, ImageInput):
        return row.permute(0, 2, 3, 1) if channels_last else row
    return row.unsqueeze(0).long() if given.whole else row.unsqueeze(0)


def _head(network: nn.Module, batches: Sequence[Tensor]) -> str:
    """The name of the last layer that is as wide as the answer, and without which the answer is always the same."""
    with layers_that_run(network) as ran:
        answer = _run(network, batches)
    for name in reversed(ran):
        layer: Any = network.get_submodule(name)
        wide = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        if wide == answer.shape[-1] and _all_goes_through(network, layer, batches):
            return name
    listed = ", ".join(repr(name) for name in ran[-LISTED:]) or "none"
    raise SourceError(
        f"the network's head is not found: no linear layer or convolution gives its {answer.shape[-1]} answers alone; "
        f"name a module in front of which to cut with --cut, such as: {listed}"
    )


def _all_goes_through(network: nn.Module, layer: nn.Module, batches: Sequence[Tensor]) -> bool:
    """Whether the answer no longer depends on the input once ``layer`` gives nothing but zeros."""
    hook = layer.register_forward_hook(lambda _module, _inputs, output: torch.zeros_like(output))
    try:
        others = [batch.flip(-1) * 0.5 if batch.is_floating_point() else torch.zeros_like(batch) for batch in batches]
        return torch.equal(_run(network, batches), _run(network, others))
    finally:
        hook.remove()


def _run(network: nn.Module, batches: Sequence[Tensor]) -> Tensor:
    try:
        with torch.no_grad():
            answer: Tensor = network(*batches)
    except Exception as error:  # a module from outside may raise anything
        shapes = ", ".join(str(list(batch.shape)) for batch in batches)
        raise SourceError(
            f"the source can not take an input of shape {shapes} ({type(error).__name__}: {first_line(error)}); "
            "name its inputs as it has them with --input"
        ) from error
    if not isinstance(answer, Tensor):
        raise SourceError(f"the source answers a {type(answer).__name__}, expected one tensor; name where to --cut it")
    return answer


def _cut(network: nn.Module, name: str, batches: Sequence[Tensor], classes: int) -> Any:
    modules = dict(network.named_modules())
    if name not in modules or not name:
        near = get_close_matches(name, modules, n=LISTED, cutoff=0.4) or [one for one in list(modules)[-LISTED:] if one]
        raise SourceError(f"--cut {name}: the network has no module of that name; there are: {', '.join(near)}")
    with torch.no_grad():
        features = _until(network, modules[name], batches)
    if features is None:
        raise SourceError(f"--cut {name}: this module does not run; name another")
    if not isinstance(features, Tensor) or features.ndim not in (2, 4):
        raise SourceError(
            f"--cut {name}: what is in front of it has the shape {_shape(features)}, expected [1, features] "
            "or [1, channels, height, width]; name a module further back"
        )

    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.head = nn.Linear(features.shape[1], classes)

        def forward(self, *batches: Tensor) -> Tensor:
            seen = _until(network, modules[name], batches)
            if seen.ndim == 4:
                seen = torch.nn.functional.adaptive_avg_pool2d(seen, 1).flatten(1)
            answer: Tensor = self.head(seen)
            return answer

    return WithHead().eval()


def _until(network: nn.Module, module: nn.Module, batches: Sequence[Tensor]) -> Any:
    """The first input of ``module``; what comes after it does not run. None where it is never reached."""

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
