"""The fields of a recipe's [source] that belong to the turicreate converter."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from coreml_updatable.errors import SourceError

from .source_fields import sentence_of


class TuriSource(BaseModel):
    """What Turi Create is to train; what is None is as Turi Create has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    train: Literal["drawing_classifier", "image_classifier", "logistic_classifier"]
    network: Literal["squeezenet_v1.1", "resnet-50"] = "squeezenet_v1.1"  # of an image classifier
    iterations: int = Field(default=100, ge=1, le=100_000)
    batch_size: int | None = Field(default=None, ge=1, le=4096)
    warm_start: bool = False  # a drawing classifier starts from a pretrained network
    l2_penalty: float | None = Field(default=None, ge=0)  # of a logistic classifier
    seconds: float = Field(default=3600, gt=0)  # after which the training is given up


def read_source(fields: Mapping[str, Any]) -> TuriSource:
    """The validated fields; a SourceError names the first wrong one and the nearest right name."""
    try:
        return TuriSource.model_validate(dict(fields), strict=True)
    except ValidationError as error:
        raise SourceError(sentence_of(error, TuriSource, "turicreate", _own)) from error


def _own(problem: ErrorDetails, place: str) -> str | None:
    match problem["type"]:
        case "missing":
            return (
                f'{place} is missing, expected "drawing_classifier", "image_classifier" or "logistic_classifier"; add '
                "it (a model that is saved already is for: coreml-updatable convert)"
            )
        case "literal_error":
            return f"{place} is {problem['input']!r}, expected {problem['ctx']['expected']}; correct it"
    return None
