"""The fields of a recipe's [source] that belong to the torch converter."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from coreml_updatable.errors import SourceError

from .._shared.source_fields import sentence_of

Channels = tuple[float, ...]
Deviations = tuple[Annotated[float, Field(gt=0)], ...]
FunctionReference = Annotated[str, Field(pattern=r"^[\w./-]+\.py:[A-Za-z_]\w*$")]
ArchitectureName = Annotated[str, Field(pattern=r"^((torchvision|timm):[\w./-]+|efficientnet_lite[012])$")]


class TorchTraining(BaseModel):
    """Training of new weights: AdamW with one cycle of the learning rate; the best epoch is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    epochs: int = Field(default=30, ge=1, le=10_000)  # at most
    batch_size: int = Field(default=32, ge=2, le=4096)
    learning_rate: float = Field(default=0.002, gt=0, le=10)  # highest rate of the cycle
    weight_decay: float = Field(default=0.05, ge=0, le=10)
    patience: int = Field(default=5, ge=1)  # epochs without a lower validation loss before training stops
    augment: Literal["photo", "none"] | None = None  # default: photo; not for a frozen extractor or arrays
    extractor_learns: Literal["labels", "kinds", "turned kinds"] = "labels"  # targets of a new extractor
    head_decay: float | None = Field(default=None, ge=0, le=10)  # default: 0.01, or chosen for pretrained weights
    embedding: int | None = Field(default=None, ge=1, le=4096)  # number of decorrelated features before the head

    @property
    def is_chosen(self) -> bool:
        """Whether nothing is said of how a head on pretrained features is to be fitted."""
        return self.head_decay is None and self.embedding is None


class TorchSource(BaseModel):
    """Either ``factory`` or ``architecture``; ``weights`` is a file beside the recipe or "pretrained".

    A factory is pretrained if the network that it returns has its weights, frozen, and a new head.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    factory: FunctionReference | None = None  # function(classes) -> torch.nn.Module
    architecture: ArchitectureName | None = None  # instead of a factory
    weights: Annotated[str, Field(min_length=1)] | None = None  # "pretrained", or a file in the recipe's folder
    mean: Channels | None = None  # per channel, for pixels in 0..1; default: the architecture's
    std: Deviations | None = None
    training: TorchTraining = TorchTraining()

    @model_validator(mode="after")
    def one_origin(self) -> Self:
        if (self.factory is None) == (self.architecture is None):
            result = "neither" if self.factory is None else "both"
            raise ValueError(f"has {result} of factory and architecture, expected one of them")
        return self


def read_source(fields: Mapping[str, Any]) -> TorchSource:
    """Return the validated fields; SourceError names the first wrong one and the closest valid name."""
    try:
        # As JSON: only there does pydantic's strict mode, which converts no types, take a list for a tuple.
        return TorchSource.model_validate_json(json.dumps(dict(fields), default=str), strict=True)
    except ValidationError as error:
        raise SourceError(sentence_of(error, TorchSource, "torch", _own)) from error


def _own(problem: ErrorDetails, place: str) -> str | None:
    match problem["type"]:
        case "value_error":
            return f"{place} {problem['msg'].removeprefix('Value error, ')}"
        case "string_pattern_mismatch" if problem["loc"][0] == "factory":
            return f'{place} is {problem["input"]!r}, expected "file.py:function"; correct it'
        case "string_pattern_mismatch":
            names = '"efficientnet_lite0", "torchvision:NAME" or "timm:NAME"'
            return f"{place} is {problem['input']!r}, expected {names}; correct it"
    return None
