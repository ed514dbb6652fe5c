"""From one layout to another, judged and proved: what `layout` and `mark --layout` write."""

from collections.abc import Sequence
from dataclasses import dataclass

from coreml_updatable.building.layout_proof import Agreement, agreement
from coreml_updatable.checking import Problem, check
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking.layout import (
    Parts,
    from_files,
    from_pipeline,
    from_single,
    to_files,
    to_pipeline,
    to_single,
    with_bits,
)
from coreml_updatable.marking.layout.precision import fewest_bits
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_pipeline
from coreml_updatable.spec.writing import model_bytes

LAYOUTS = ("single", "pipeline", "split")


@dataclass(frozen=True)
class Laid:
    """``models``: one, or extractor and head. ``sizes``: bytes of each layout at these bits, where it can be made."""

    models: tuple[Model, ...]
    bits: int  # of the extractor
    proof: Agreement
    warnings: tuple[Problem, ...]
    sizes: dict[str, tuple[int, ...]]


def laid_out(models: Sequence[Model], layout: str, bits: int | None = None) -> Laid:
    """``models`` (one model, or the two of a split) in another layout, with the extractor's weights in ``bits``.

    Without ``bits`` they stay as they are; a single network has 32. Raises ModelError for what can not be laid out so,
    BuildError where the result breaks a rule or does not answer and learn as ``models``.
    """
    if layout == "single" and bits not in (None, 32):
        raise ModelError(
            f"layout: a single network with {bits} bits can not be trained, expected 32; lay it out as a pipeline"
        )
    before = _parts(models)
    parts = before if bits is None else Parts(with_bits(before.extractor, bits), before.head)
    made = _models(parts, layout)
    warnings = tuple(_judged(made))
    kept = 32 if layout == "single" else fewest_bits(parts.extractor)
    rounded = bits if bits is not None and bits < fewest_bits(before.extractor) else 32
    whole = models if len(models) == 1 else (before.extractor, before.head)
    proof = agreement(whole, made, (before.extractor, parts.extractor), rounded)
    return Laid(made, kept, proof, warnings, _sizes(parts, layout, made))


def _parts(models: Sequence[Model]) -> Parts:
    match len(models):
        case 1:
            return from_pipeline(models[0]) if is_pipeline(models[0]) else from_single(models[0])
        case 2:
            return from_files(models[0], models[1])
    raise ModelError(f"files: found {len(models)}, expected one model, or the extractor and the head of a split")


def _models(parts: Parts, layout: str) -> tuple[Model, ...]:
    match layout:
        case "single":
            return (to_single(parts),)
        case "pipeline":
            return (to_pipeline(parts),)
        case "split":
            return to_files(parts)
    raise ModelError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}; choose one of them")


def _judged(models: Sequence[Model]) -> list[Problem]:
    problems = [problem for model in models for problem in check(model)]
    for problem in problems:
        if problem.severity == "error":
            raise BuildError(f"layout: {problem}; nothing was written")
    return problems


def _sizes(parts: Parts, layout: str, made: tuple[Model, ...]) -> dict[str, tuple[int, ...]]:
    sizes = {layout: tuple(len(model_bytes(model)) for model in made)}
    for other in LAYOUTS:
        if other not in sizes:
            try:
                sizes[other] = tuple(len(model_bytes(model)) for model in _models(parts, other))
            except ModelError:
                continue  # a k-NN, for one, is no single network
    return {name: sizes[name] for name in LAYOUTS if name in sizes}
