"""The network in further layouts beside its single file, for apps that another one suits better."""

from collections.abc import Sequence

from coreml_updatable.converting.layouts import arrange, laid_out
from coreml_updatable.spec.messages import Model

FILES = {"pipeline": ("Pipeline",), "split": ("Extractor", "Head")}  # behind the model's name


def further_layouts(name: str, network: Model, wanted: Sequence[str]) -> dict[str, Model]:
    """File name -> message, for each of ``wanted``, e.g. "pipeline:16"; each is proved to be the same model.

    BuildError, or ModelError, where a network cannot be laid out so.
    """
    made: dict[str, Model] = {}
    for text in wanted:
        layout, bits = _layout_and_bits(text)
        models = laid_out([network], layout, bits).models
        made |= {f"{name}{part}.mlmodel": model for part, model in zip(FILES[layout], models, strict=True)}
    return made


def expect_layouts(network: Model, wanted: Sequence[str]) -> None:
    """The errors of ``further_layouts``, but for those of the proofs: nothing runs."""
    for text in wanted:
        arrange([network], *_layout_and_bits(text))


def _layout_and_bits(text: str) -> tuple[str, int | None]:
    layout, _, bits = text.partition(":")
    return layout, int(bits) if bits else None
